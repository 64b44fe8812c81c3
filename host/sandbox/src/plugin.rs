//! A compiled plugin.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use crate::composition::{self, Composition, Node};
use crate::host::Host;
use crate::imports::Refused;
use crate::{Engine, Error, Parameter, contract, imports, lift, live, parameters, signature};

/// A plugin that was admitted: compiled, and its imports found to be the contract's. Clones share everything.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    name: String,
    sha256: String,
    bytes: Vec<u8>,
    exports: Exports,
    imports: Vec<String>,
    parameters: Arc<[Parameter]>,
    lifted: bool,
    lift_time: Duration,
    compile_time: Duration,
    engine: Engine,
    body: Body,
}

enum Body {
    Alone(InstancePre<Host>),
    Composed {
        node: Node,
        /// Each file once.
        plugins: Vec<Plugin>,
        /// What the leaves of the tree are called.
        names: Vec<String>,
    },
}

/// A plugin in a composition.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What it is called: what its parameters' names begin with from outside, if there is more than one.
    pub name: &'a str,
    /// The plugin.
    pub plugin: &'a Plugin,
}

/// Which of the contract's optional functions a plugin exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exports {
    /// `init`.
    pub init: bool,
    /// `parameters`.
    pub parameters: bool,
    /// `momentum`.
    pub momentum: bool,
    /// `weight-decay`.
    pub weight_decay: bool,
    /// `save`.
    pub save: bool,
    /// `restore`.
    pub restore: bool,
}

impl Exports {
    /// The names of all functions that the plugin exports, `learning-rate` first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("learning-rate", true),
            ("init", self.init),
            ("parameters", self.parameters),
            ("momentum", self.momentum),
            ("weight-decay", self.weight_decay),
            ("save", self.save),
            ("restore", self.restore),
        ];
        all.into_iter()
            .filter_map(|(name, there)| there.then_some(name))
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.0.name)
            .field("sha256", &self.0.sha256)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    pub(crate) fn compile(engine: &Engine, name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        if Composition::is(&bytes) {
            Self::compose(engine, name, bytes)
        } else {
            Self::compile_alone(engine, name, bytes)
        }
    }

    /// Compiles the plugins of a composition.
    fn compose(engine: &Engine, name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let composition = Composition::from_bytes(&bytes).map_err(|problem| Error::NotAPlugin {
            plugin: name.to_owned(),
            problem,
        })?;
        let node = composition.node;
        let names = composition::leaf_names(&node);
        let leaves = node.leaves();
        let files = composition.plugins.into_iter().enumerate();
        let compiled = files.map(|(file, bytes)| {
            let user = leaves.iter().position(|leaf| leaf.plugin == file);
            let part = user.map_or("", |user| &names[user]);
            Self::compile_alone(engine, &format!("{name}, part `{part}`,"), bytes)
        });
        let plugins: Vec<Self> = compiled.collect::<Result<_, _>>()?;
        let any = |has: fn(Exports) -> bool| plugins.iter().any(|plugin| has(plugin.exports()));
        let exports = Exports {
            init: any(|it| it.init),
            parameters: any(|it| it.parameters),
            momentum: any(|it| it.momentum),
            weight_decay: any(|it| it.weight_decay),
            save: any(|it| it.save),
            // A plugin that saves what it cannot restore is refused, also beside others.
            restore: any(|it| it.restore) && !any(|it| it.save && !it.restore),
        };
        let imports = plugins.iter().flat_map(Self::imports).cloned();
        let imports: BTreeSet<String> = imports.collect();
        let declared = composition::parameters(&names, &leaves, &plugins);
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes,
            exports,
            imports: imports.into_iter().collect(),
            parameters: declared.into(),
            lifted: plugins.iter().all(Self::lifted),
            lift_time: plugins.iter().map(Self::lift_time).sum(),
            compile_time: plugins.iter().map(Self::compile_time).sum(),
            engine: engine.clone(),
            body: Body::Composed {
                node,
                plugins,
                names,
            },
        })))
    }

    fn compile_alone(engine: &Engine, name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let began = Instant::now();
        let wrong = |problem: String| Error::NotAPlugin {
            plugin: name.to_owned(),
            problem,
        };
        let wasm = binary(&bytes).map_err(wrong)?;
        let mut outline = lift::outline(&wasm).map_err(|e| wrong(format!("it is damaged: {e}")))?;
        let refuse = |refused: Refused| Error::Import {
            plugin: name.to_owned(),
            import: refused.import,
            fix: refused.fix,
        };
        if let Some(refused) = outline.refused() {
            return Err(refuse(refused));
        }
        let lifted = !outline.component;
        let component: Cow<'_, [u8]> = if lifted {
            lift::lift(&wasm, &outline).map_err(wrong)?.into()
        } else {
            Cow::Borrowed(&wasm)
        };
        let lift_time = began.elapsed();
        let inner = engine.inner();
        let compile = || Component::new(&inner.wasm, &component);
        let compiled = match &inner.functions {
            Some(functions) => functions.around(&component, compile),
            None => compile(),
        };
        let component = compiled.map_err(|e| wrong(format!("{e:#}")))?;
        let ty = component.component_type();
        let mut imported = Vec::new();
        for (import, item) in ty.imports(&inner.wasm) {
            let functions: Vec<&str> = match &item.ty {
                ComponentItem::ComponentInstance(instance) => instance
                    .exports(&inner.wasm)
                    .map(|(function, _)| function)
                    .collect(),
                _ => Vec::new(),
            };
            imports::of_component(import, functions).map_err(refuse)?;
            imported.push(import.to_owned());
        }
        let exports: Vec<(&str, ComponentItem)> = ty
            .exports(&inner.wasm)
            .map(|(name, export)| (name, export.ty))
            .collect();
        let exported = |wanted: &str| match exports.iter().find(|(name, _)| *name == wanted) {
            None => Ok(false),
            Some((_, ComponentItem::ComponentFunc(function)))
                if signature::fits(wanted, function) =>
            {
                Ok(true)
            }
            Some(_) => Err(wrong(signature::demand(wanted))),
        };
        if !exported("learning-rate")? {
            let names: Vec<&str> = exports.iter().map(|(name, _)| *name).collect();
            return Err(wrong(format!(
                "it does not export `learning-rate`, a function {}; it exports {}: is it a component of another world?",
                signature::of("learning-rate"),
                lift::listed(&names)
            )));
        }
        let exports = Exports {
            init: exported("init")?,
            parameters: exported("parameters")?,
            momentum: exported("momentum")?,
            weight_decay: exported("weight-decay")?,
            save: exported("save")?,
            restore: exported("restore")?,
        };
        let pre = inner
            .linker
            .instantiate_pre(&component)
            .map_err(|e| wrong(format!("{e:#}")))?;
        let compile_time = began.elapsed();
        let declared = if exports.parameters {
            live::parameters(engine, &pre)
                .and_then(|json| parameters::read(&json))
                .map_err(|problem| wrong(format!("its `parameters` {problem}")))?
        } else {
            Vec::new()
        };
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            bytes,
            exports,
            imports: imported,
            parameters: declared.into(),
            lifted,
            lift_time,
            compile_time,
            engine: engine.clone(),
            body: Body::Alone(pre),
        })))
    }

    /// What messages call it: the built-in's name, or the file's without its extension.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// SHA-256 of the file as it was loaded, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// The file as it was loaded.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Which optional functions it has.
    pub fn exports(&self) -> Exports {
        self.0.exports
    }

    /// The interfaces that it imports.
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// The version of the contract that its imports name, such as 1.0.0; none if it imports nothing of it.
    pub fn contract(&self) -> Option<&str> {
        self.0.imports.iter().find_map(|name| {
            name.strip_prefix(contract::PACKAGE)?
                .split_once('@')
                .map(|(_, version)| version)
        })
    }

    /// Whether it wants to see losses and accuracies, which costs a read-back from the device a step.
    pub fn reads_training(&self) -> bool {
        self.reads("training")
    }

    /// Whether it wants to see the norm of the weights, which is measured at every step for it.
    pub fn reads_weights(&self) -> bool {
        self.reads("weights")
    }

    fn reads(&self, interface: &str) -> bool {
        let name = |import: &str| {
            Some(import.strip_prefix(contract::PACKAGE)?.split('@').next()? == interface)
        };
        self.0
            .imports
            .iter()
            .any(|import| name(import) == Some(true))
    }

    /// The parameters that it declares. It may have more.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.parameters
    }

    /// Whether it was a core module.
    pub fn lifted(&self) -> bool {
        self.0.lifted
    }

    /// How long it took to read and, if it was a core module, to lift.
    pub fn lift_time(&self) -> Duration {
        self.0.lift_time
    }

    /// How long it took to read, lift and compile, or to fetch it compiled from the cache.
    pub fn compile_time(&self) -> Duration {
        self.0.compile_time
    }

    pub(crate) fn declared(&self) -> Arc<[Parameter]> {
        Arc::clone(&self.0.parameters)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What is called, unless it is a composition.
    pub(crate) fn pre(&self) -> Option<&InstancePre<Host>> {
        match &self.0.body {
            Body::Alone(pre) => Some(pre),
            Body::Composed { .. } => None,
        }
    }

    /// The tree of a composition, and its plugins, each once.
    pub(crate) fn composed(&self) -> Option<(&Node, &[Self])> {
        match &self.0.body {
            Body::Alone(_) => None,
            Body::Composed { node, plugins, .. } => Some((node, plugins)),
        }
    }

    /// How a composition is put together; `None` for a plugin that is none.
    pub fn composition(&self) -> Option<&Node> {
        self.composed().map(|(node, _)| node)
    }

    /// The plugins of a composition, in the order of its tree; none for a plugin that is none.
    pub fn parts(&self) -> Vec<Part<'_>> {
        let Body::Composed {
            node,
            plugins,
            names,
        } = &self.0.body
        else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        for (leaf, name) in node.leaves().into_iter().zip(names) {
            let plugin = &plugins[leaf.plugin];
            parts.push(Part { name, plugin });
        }
        parts
    }
}

/// WASM from WASM or WAT.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.into());
    }
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let start = &bytes[..bytes.len().min(8)];
    match wat::parse_bytes(bytes) {
        Ok(wasm) => Ok(wasm),
        Err(_) if !text(bytes) => Err(format!(
            "it is neither WASM (which begins with \\0asm) nor WAT text: it begins with {start:02x?}"
        )),
        Err(e) => Err(format!(
            "it is no WASM, and as WAT text it has an error: {e}"
        )),
    }
}

fn text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains('('))
}
