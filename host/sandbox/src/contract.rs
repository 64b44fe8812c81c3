//! What the contract `sdk/wit/schedule.wit` lets a schedule import, read from the contract itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use wit_parser::{Resolve, TypeDefKind};

/// The contract's text.
pub(crate) const WIT: &str = include_str!("../../../sdk/wit/schedule.wit");

/// The contract's package, without its version.
pub(crate) const PACKAGE_NAME: &str = "pixelrate:schedule";

/// What the names of its interfaces begin with.
pub(crate) const PACKAGE: &str = "pixelrate:schedule/";

/// The contract's interfaces, and what each holds, by the names that modules import.
pub(crate) struct Contract {
    /// Its version, such as 1.0.0.
    pub(crate) version: String,
    /// Functions of each interface; the interfaces' names have neither package nor version.
    pub(crate) interfaces: BTreeMap<String, BTreeSet<String>>,
}

/// The contract that this program knows.
pub(crate) static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let mut resolve = Resolve::default();
    // Were the text no WIT, nothing could be lifted or linked, as every test of the crate would show.
    let _ = resolve.push_str("schedule.wit", WIT);
    let version = resolve
        .packages
        .iter()
        .find_map(|(_, package)| package.name.version.as_ref())
        .map(ToString::to_string)
        .unwrap_or_default();
    let interfaces = resolve
        .interfaces
        .iter()
        .filter_map(|(_, interface)| {
            let drops = interface.types.iter().filter_map(|(name, id)| {
                let resource = matches!(resolve.types[*id].kind, TypeDefKind::Resource);
                resource.then(|| format!("[resource-drop]{name}"))
            });
            let functions = interface.functions.keys().cloned().chain(drops).collect();
            Some((interface.name.clone()?, functions))
        })
        .collect();
    Contract {
        version,
        interfaces,
    }
});

impl Contract {
    /// The interface's name as a module imports it.
    pub(crate) fn full_name(&self, interface: &str) -> String {
        format!("{PACKAGE}{interface}@{}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_what_modules_import() {
        assert_eq!(CONTRACT.version, "1.0.0");
        let names: Vec<&str> = CONTRACT.interfaces.keys().map(String::as_str).collect();
        assert_eq!(names, ["images", "run", "training", "weights"]);
        assert_eq!(CONTRACT.full_name("run"), "pixelrate:schedule/run@1.0.0");
        assert!(CONTRACT.interfaces["run"].contains("train-examples"));
        for name in [
            "[static]image.open",
            "[method]image.value",
            "[resource-drop]image",
        ] {
            assert!(CONTRACT.interfaces["images"].contains(name), "{name}");
        }
    }
}
