//! A core module that exports the flat functions of the contract, made into a component.

use std::collections::BTreeSet;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../sdk/wit/schedule.wit");

/// The functions of the world `full-schedule`, and their types.
const FUNCTIONS: [(&str, &str); 6] = [
    ("init", "func()"),
    ("learning-rate", "func(step: u64) -> f64"),
    ("momentum", "func(step: u64) -> f64"),
    ("weight-decay", "func(step: u64) -> f64"),
    ("save", "func() -> list<u8>"),
    ("restore", "func(state: list<u8>)"),
];

/// What a module holds, read without compiling it.
pub(crate) struct Outline {
    /// A component, not a core module.
    pub(crate) component: bool,
    /// Names of all exports, in kebab-case where they are functions of the contract.
    exports: Vec<String>,
    imports_memory: Option<String>,
    imports: BTreeSet<String>,
}

/// Reads what `wasm` is. The problem, if it is not WASM, is the parser's.
pub(crate) fn outline(wasm: &[u8]) -> Result<Outline, String> {
    let mut outline = Outline {
        component: Parser::is_component(wasm),
        exports: Vec::new(),
        imports_memory: None,
        imports: BTreeSet::new(),
    };
    if outline.component {
        return Ok(outline);
    }
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|e| e.to_string())? {
            Payload::ExportSection(section) => {
                for export in section {
                    outline
                        .exports
                        .push(kebab(export.map_err(|e| e.to_string())?.name));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(|e| e.to_string())?;
                    outline.imports.insert(import.module.to_owned());
                    if matches!(import.ty, wasmparser::TypeRef::Memory(_)) {
                        outline.imports_memory = Some(format!("{}.{}", import.module, import.name));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

impl Outline {
    /// A core module's imported modules.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.iter().map(String::as_str)
    }

    /// The memory that a core module wants to be given, as `module.name`.
    pub(crate) fn imports_memory(&self) -> Option<&str> {
        self.imports_memory.as_deref()
    }
}

/// The preview-1 WASI that languages bring along, which an adapter turns into the empty WASI.
pub(crate) fn is_preview1(module: &str) -> bool {
    module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME
}

/// Makes a component of the core module `wasm`.
///
/// Keeps of the contract's functions those that the module exports, in kebab-case or snake_case; what else it
/// exports stays inside. The error says what is wrong in words that are worth showing.
pub(crate) fn lift(wasm: &[u8], outline: &Outline) -> Result<Vec<u8>, String> {
    let exported = |name: &str| outline.exports.iter().any(|export| export == name);
    if !exported("learning-rate") {
        let others = outline.exports.join(", ");
        return Err(format!(
            "it does not export `learning-rate` (or `learning_rate`), a function (u64) -> f64; it exports {}",
            if others.is_empty() {
                "nothing"
            } else {
                &others
            }
        ));
    }
    let mut module = rename(wasm)?;
    let mut world = String::from("\nworld lifted {\n    include imports;\n");
    for (name, signature) in FUNCTIONS.iter().filter(|(name, _)| exported(name)) {
        world.push_str(&format!("    export {name}: {signature};\n"));
    }
    world.push_str("}\n");
    encode(&mut module, &world, outline).map_err(|e| {
        // The chain's last link names what does not fit.
        let reasons: Vec<String> = e.chain().map(ToString::to_string).collect();
        reasons.join(": ")
    })
}

fn encode(module: &mut Vec<u8>, world: &str, outline: &Outline) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("schedule.wit", &format!("{CONTRACT}{world}"))?;
    let world = resolve.select_world(&[package], Some("lifted"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?;
    let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
    if outline.imports().any(is_preview1) {
        encoder = encoder.adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?;
    }
    encoder.encode()
}

/// The module with its exports of the contract in kebab-case, and without the sections in which a binding
/// generator describes a world of its own: the world is built from what the module exports.
fn rename(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = wasm_encoder::Module::new();
    Renamer
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|e| e.to_string())?;
    Ok(module.finish())
}

struct Renamer;

impl Reencode for Renamer {
    type Error = std::convert::Infallible;

    fn parse_export(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
        let kind = RoundtripReencoder.export_kind(export.kind)?;
        exports.export(&kebab(export.name), kind, export.index);
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
        if section.name().starts_with("component-type") {
            return Ok(());
        }
        RoundtripReencoder.parse_custom_section(module, section)
    }
}

/// The contract's spelling of an export, where it is one of the contract's.
fn kebab(name: &str) -> String {
    let kebab = name.replace('_', "-");
    let known = FUNCTIONS.iter().any(|(function, _)| *function == kebab);
    if known { kebab } else { name.to_owned() }
}
