//! A composition as one file: a WASM binary without code, whose custom sections hold the tree and the plugins.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Module};
use wasmparser::{Parser, Payload};

use super::{Composition, Node};

/// The section that holds the tree, as JSON. It comes first.
const TREE: &str = "pixelrate:composition";
/// The sections that hold the plugins' files, in their order.
const PLUGIN: &str = "pixelrate:plugin";
/// What this program writes and reads.
const VERSION: u32 = 1;
/// Bytes of the tree.
const MOST_TREE: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description<'a> {
    version: u32,
    /// How many plugins follow.
    plugins: usize,
    node: Cow<'a, Node>,
}

impl Composition {
    /// Its file. The same tree and plugins give the same bytes.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        self.check()?;
        let description = Description {
            version: VERSION,
            plugins: self.plugins.len(),
            node: Cow::Borrowed(&self.node),
        };
        let tree = serde_json::to_vec(&description).map_err(|e| e.to_string())?;
        if tree.len() > MOST_TREE {
            let bytes = tree.len();
            return Err(format!(
                "its description has {bytes} bytes, over {MOST_TREE}"
            ));
        }
        let mut module = Module::new();
        let plugins = self.plugins.iter().map(|plugin| (PLUGIN, plugin));
        for (name, data) in std::iter::once((TREE, &tree)).chain(plugins) {
            module.section(&CustomSection {
                name: name.into(),
                data: data.into(),
            });
        }
        Ok(module.finish())
    }

    /// Whether `bytes` are a composition's file, be it a good one or not.
    pub fn is(bytes: &[u8]) -> bool {
        let mut payloads = Parser::new(0).parse_all(bytes).skip(1);
        matches!(payloads.next(), Some(Ok(Payload::CustomSection(section))) if section.name() == TREE)
    }

    /// Reads a composition's file. The plugins in it are not looked at.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let damaged =
            |problem: &dyn std::fmt::Display| format!("it is a damaged composition: {problem}");
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|e| damaged(&e))? {
                Payload::Version { .. } | Payload::End(_) => {}
                Payload::CustomSection(section) => sections.push((section.name(), section.data())),
                _ => return Err(damaged(&"it has sections of code")),
            }
        }
        let Some(((TREE, tree), plugins)) = sections.split_first() else {
            return Err(damaged(&"its description is missing"));
        };
        if tree.len() > MOST_TREE {
            return Err(damaged(&"its description is too long"));
        }
        let version = serde_json::from_slice::<serde_json::Value>(tree).map_err(|e| damaged(&e))?;
        if let Some(version) = version.get("version").and_then(serde_json::Value::as_u64)
            && version > u64::from(VERSION)
        {
            return Err(format!(
                "it is a composition of version {version}, which a newer pixelrate made: this one reads {VERSION}"
            ));
        }
        let description: Description = serde_json::from_slice(tree).map_err(|e| damaged(&e))?;
        if let Some((other, _)) = plugins.iter().find(|(name, _)| *name != PLUGIN) {
            return Err(damaged(&format!("it has a section `{other}`")));
        }
        if plugins.len() != description.plugins {
            let (found, wanted) = (plugins.len(), description.plugins);
            return Err(damaged(&format!(
                "it has {found} plugins where it says {wanted}"
            )));
        }
        let composition = Self {
            node: description.node.into_owned(),
            plugins: plugins.iter().map(|(_, data)| data.to_vec()).collect(),
        };
        composition.check().map_err(|e| damaged(&e))?;
        Ok(composition)
    }

    fn check(&self) -> Result<(), String> {
        self.node.check()?;
        // In the order of their first use, so that there is one way only to write it down.
        let mut next = 0;
        for leaf in self.node.leaves() {
            if leaf.plugin > next || leaf.plugin >= self.plugins.len() {
                return Err(format!("`{}` has no plugin", leaf.label));
            }
            next = next.max(leaf.plugin + 1);
        }
        if next != self.plugins.len() {
            return Err("it holds a plugin that it does not use".to_owned());
        }
        let twice = |(index, plugin): (usize, &Vec<u8>)| self.plugins[..index].contains(plugin);
        if self.plugins.iter().enumerate().any(twice) {
            return Err("it holds a plugin twice".to_owned());
        }
        match self.plugins.iter().any(|plugin| Self::is(plugin)) {
            true => Err(
                "one of its plugins is a composition, which belongs into its own tree".to_owned(),
            ),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test stops at the first thing that is wrong"
    )]

    use super::super::{Leaf, Length, Link, Node};
    use super::*;

    fn leaf(plugin: usize) -> Node {
        Node::Plugin(Leaf {
            plugin,
            label: format!("part{plugin}"),
            params: std::collections::BTreeMap::from([("a".to_owned(), crate::Value::Number(0.1))]),
        })
    }

    fn chain() -> Composition {
        let link = |length, node| Link {
            length,
            clock: super::super::Clock::Own,
            node,
        };
        Composition {
            node: Node::Chain(vec![
                link(Some(Length::Epochs(0.1)), leaf(0)),
                link(None, leaf(1)),
            ]),
            plugins: vec![b"(module)".to_vec(), b"(module (memory 1))".to_vec()],
        }
    }

    #[test]
    fn a_composition_comes_back_and_has_one_form() {
        let bytes = chain().to_bytes().unwrap();
        assert!(Composition::is(&bytes));
        assert_eq!(Composition::from_bytes(&bytes).unwrap(), chain());
        assert_eq!(chain().to_bytes().unwrap(), bytes);
        assert!(!Composition::is(b"\0asm\x01\0\0\0") && !Composition::is(b"(module)"));
    }

    #[test]
    fn what_is_cut_off_or_changed_is_told() {
        let bytes = chain().to_bytes().unwrap();
        // A file that ends between two sections has too few plugins; within one, the parser says so.
        for end in 8..bytes.len() {
            if Composition::is(&bytes[..end]) {
                let problem = Composition::from_bytes(&bytes[..end]).unwrap_err();
                assert!(
                    problem.starts_with("it is a damaged composition: "),
                    "{problem}"
                );
            }
        }
        let with = |from: &str, to: &str| {
            assert_eq!(from.len(), to.len());
            let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
            let mut changed = bytes.clone();
            changed[at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
            Composition::from_bytes(&changed).unwrap_err()
        };
        for (from, to, part) in [
            ("\"version\":1", "\"version\":7", "a newer pixelrate"),
            (
                "\"plugins\":2",
                "\"plugins\":3",
                "2 plugins where it says 3",
            ),
            ("\"plugin\":1", "\"plugin\":7", "has no plugin"),
            ("\"plugin\":1", "\"plugin\":0", "does not use"),
            ("part1", "part.", "cannot name a part"),
            (
                "{\"epochs\":0.1}",
                "{\"epochs\":0.0}",
                "must be a finite number above 0",
            ),
            ("\"clock\"", "\"clack\"", "unknown field"),
        ] {
            let problem = with(from, to);
            assert!(problem.contains(part), "{from}: {problem}");
        }
    }

    #[test]
    fn depth_and_number_are_limited() {
        let scaled = |times: usize| {
            (0..times).fold(leaf(0), |node, _| Node::Scale {
                factor: 1.0,
                node: Box::new(node),
            })
        };
        let of = |node| {
            Composition {
                node,
                plugins: vec![b"(module)".to_vec()],
            }
            .to_bytes()
        };
        let deepest = of(scaled(super::super::MOST_DEPTH - 1)).unwrap();
        assert!(Composition::from_bytes(&deepest).is_ok());
        assert!(
            of(scaled(super::super::MOST_DEPTH))
                .unwrap_err()
                .contains("nested more than")
        );
        let wide = |count| Node::Multiply(vec![leaf(0); count]);
        assert!(of(wide(super::super::MOST_PLUGINS)).is_ok());
        assert!(
            of(wide(super::super::MOST_PLUGINS + 1))
                .unwrap_err()
                .contains("65 plugins")
        );
        // One that nobody checked when it was written is checked when it is read, without a stack that runs over.
        let mut deep = "{\"version\":1,\"plugins\":0,\"node\":".to_owned();
        deep.push_str(&"{\"multiply\":[".repeat(100_000));
        let mut module = Module::new();
        module.section(&CustomSection {
            name: TREE.into(),
            data: deep.as_bytes().into(),
        });
        let problem = Composition::from_bytes(&module.finish()).unwrap_err();
        assert!(
            problem.contains("too long") || problem.contains("recursion"),
            "{problem}"
        );
    }
}
