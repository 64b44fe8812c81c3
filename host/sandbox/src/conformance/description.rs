//! What can be said of a plugin without running it.

use crate::contract::{CONTRACT, PACKAGE, PACKAGE_NAME};
use crate::{Plugin, RunFacts};

/// Its kind, the contract that it was built for, and its exports.
pub(super) fn contract(plugin: &Plugin) -> String {
    let kind = match plugin.parts().len() {
        0 if plugin.lifted() => "a core module, lifted".to_owned(),
        0 => "a component".to_owned(),
        1 => "a composition of 1 part".to_owned(),
        many => format!("a composition of {many} parts"),
    };
    let exports = plugin.exports().names().collect::<Vec<_>>().join(", ");
    let built = match plugin.contract() {
        Some(version) => format!("built for {PACKAGE_NAME}@{version}"),
        None => format!("names no version of {PACKAGE_NAME}"),
    };
    let here = &CONTRACT.version;
    format!("{kind}; {built}, this is {here}; exports {exports}")
}

/// What it imports.
pub(super) fn imports(plugin: &Plugin) -> String {
    let bare = |name: &String| name.split('@').next().unwrap_or(name).to_owned();
    let (own, wasi): (Vec<_>, Vec<_>) = plugin
        .imports()
        .iter()
        .map(bare)
        .partition(|name| name.starts_with(PACKAGE));
    let own: Vec<&str> = own.iter().map(|name| &name[PACKAGE.len()..]).collect();
    let own = crate::lift::listed(&own);
    match wasi.len() {
        0 => own,
        1 => format!("{own}; and a part of WASI, which is empty"),
        parts => format!("{own}; and {parts} parts of WASI, which are empty"),
    }
}

/// How many parameters it declares, and how many the run gives.
pub(super) fn asked(plugin: &Plugin, facts: &RunFacts) -> String {
    let declared = plugin.parameters().len();
    let given = facts.params.len();
    let declares = match declared {
        0 => "declares no parameters".to_owned(),
        1 => "declares 1 parameter".to_owned(),
        _ => format!("declares {declared} parameters"),
    };
    format!("{declares}, {given} given")
}
