//! A core module that exports the flat functions of the contract, made into a component.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{ExternalKind, Import, Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::contract::WIT;
use crate::imports::{self, Refused};
use crate::signature::{self, FUNCTIONS};

/// The module that the WASI of preview 1 is imported from.
const PREVIEW1: &str = "wasi_snapshot_preview1";

/// What a module holds, read without compiling it.
pub(crate) struct Outline {
    /// A component, not a core module.
    pub(crate) component: bool,
    /// Names of all exports, as the module spells them.
    exports: Vec<String>,
    /// Of the contract's functions those that the module exports, and how it spells them.
    functions: BTreeMap<&'static str, String>,
    /// The imports that a schedule may not have.
    refused: Vec<Refused>,
    /// Whether it imports the WASI of preview 1.
    preview1: bool,
}

/// Reads what `wasm` is. The problem, if it is not WASM, is the parser's.
pub(crate) fn outline(wasm: &[u8]) -> Result<Outline, String> {
    let mut outline = Outline {
        component: Parser::is_component(wasm),
        exports: Vec::new(),
        functions: BTreeMap::new(),
        refused: Vec::new(),
        preview1: false,
    };
    if outline.component {
        return Ok(outline);
    }
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|e| e.to_string())? {
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(|e| e.to_string())?;
                    outline.exports.push(export.name.to_owned());
                    if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                        outline.note_function(export.name);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(|e| e.to_string())?;
                    outline.note_import(&import);
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

impl Outline {
    /// Remembers the exported function `name` if it is one of the contract's. Where a module has both spellings,
    /// the contract's own counts.
    fn note_function(&mut self, name: &str) {
        let kebab = name.replace('_', "-");
        if let Some((function, _)) = FUNCTIONS.iter().find(|(function, _)| *function == kebab) {
            let spelling = self.functions.entry(function).or_default();
            if spelling != function {
                name.clone_into(spelling);
            }
        }
    }

    fn note_import(&mut self, import: &Import<'_>) {
        let (module, name) = (import.module, import.name);
        let refused = if matches!(import.ty, TypeRef::Memory(_)) {
            Some(imports::memory(module, name))
        } else if module == PREVIEW1 {
            // An adapter makes the empty WASI of it.
            self.preview1 = true;
            None
        } else {
            imports::of_module(module, name).err()
        };
        self.refused.extend(refused);
    }

    /// The first import of a core module that a schedule may not have; its fix names the others.
    pub(crate) fn refused(&mut self) -> Option<Refused> {
        let mut all = std::mem::take(&mut self.refused).into_iter();
        let mut first = all.next()?;
        let others: Vec<String> = all.map(|refused| refused.import).collect();
        if !others.is_empty() {
            first.fix = format!("{}; so too {}", first.fix, listed(&others));
        }
        Some(first)
    }
}

/// Makes a component of the core module `wasm`.
///
/// Keeps of the contract's functions those that the module exports, in kebab-case or snake_case; what else it
/// exports stays inside. The error says what is wrong in words that are worth showing.
pub(crate) fn lift(wasm: &[u8], outline: &Outline) -> Result<Vec<u8>, String> {
    if !outline.functions.contains_key("learning-rate") {
        return Err(format!(
            "it does not export `learning-rate` (or `learning_rate`), a function {}; it exports {}",
            signature::of("learning-rate"),
            listed(&outline.exports)
        ));
    }
    let mut module = rename(wasm, outline)?;
    let mut world = String::from("\nworld lifted {\n    include imports;\n");
    let exported = |(name, _): &&(&str, &str)| outline.functions.contains_key(name);
    for (name, signature) in FUNCTIONS.iter().filter(exported) {
        world.push_str(&format!("    export {name}: {signature};\n"));
    }
    world.push_str("}\n");
    encode(&mut module, &world, outline).map_err(|e| {
        // The chain's last link names what does not fit; the others tell of the encoder's inside.
        let problem = e.root_cause().to_string();
        let hint = if problem.contains("type mismatch for function") {
            " (I64 is u64, F64 is f64; see sdk/wit/schedule.wit)"
        } else if problem.contains("`memory`") || problem.contains("`cabi_realloc`") {
            " (where text or bytes pass, `memory` must be exported, and for `restore` the allocator `cabi_realloc` too)"
        } else {
            ""
        };
        format!("{problem}{hint}")
    })
}

fn encode(module: &mut Vec<u8>, world: &str, outline: &Outline) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("schedule.wit", &format!("{WIT}{world}"))?;
    let world = resolve.select_world(&[package], Some("lifted"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?;
    let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
    if outline.preview1 {
        encoder = encoder.adapter(PREVIEW1, &preview1_adapter()?)?;
    }
    encoder.encode()
}

/// What makes the empty WASI of preview 2 out of preview 1. Wasmtime's own adapter takes memory by `memory.grow`, and
/// Go's heap, which takes it that what it did not grow itself is not there, soon runs over that.
fn preview1_adapter() -> anyhow::Result<Vec<u8>> {
    let mut adapter = wat::parse_str(include_str!("preview1/adapter.wat"))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_str("adapter.wit", include_str!("preview1/adapter.wit"))?;
    let world = resolve.select_world(&[package], Some("preview1"))?;
    embed_component_metadata(&mut adapter, &resolve, world, StringEncoding::UTF8)?;
    Ok(adapter)
}

/// The module with its exports of the contract in kebab-case, and without the sections in which a binding
/// generator describes a world of its own: the world is built from what the module exports.
fn rename(wasm: &[u8], outline: &Outline) -> Result<Vec<u8>, String> {
    let mut module = wasm_encoder::Module::new();
    Renamer { outline }
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|e| e.to_string())?;
    Ok(module.finish())
}

struct Renamer<'a> {
    outline: &'a Outline,
}

impl Reencode for Renamer<'_> {
    type Error = std::convert::Infallible;

    fn parse_export(
        &mut self,
        exports: &mut wasm_encoder::ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
        let kind = RoundtripReencoder.export_kind(export.kind)?;
        let mut functions = self.outline.functions.iter();
        let name = functions
            .find(|(_, spelling)| *spelling == export.name)
            .map_or(export.name, |(function, _)| function);
        exports.export(name, kind, export.index);
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

/// What `names` are, in a sentence.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    /// More than a reader wants to see.
    const MOST: usize = 20;
    let mut list: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    let others = names.len().saturating_sub(MOST);
    let others = format!("{others} others");
    if names.len() > MOST {
        list.push(&others);
    }
    if list.is_empty() {
        "nothing".to_owned()
    } else {
        list.join(", ")
    }
}
