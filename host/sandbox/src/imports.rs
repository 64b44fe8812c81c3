//! What a plugin may import, and what to do where it imports more.

use crate::contract::{CONTRACT, Contract, PACKAGE};

/// Parts of WASI that are there, with nothing in them.
const EMPTY_WASI: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// An import that a schedule may not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its name.
    pub(crate) import: String,
    /// What to do.
    pub(crate) fix: String,
}

impl Refused {
    fn new(import: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            import: import.into(),
            fix: fix.into(),
        }
    }
}

/// Looks at a component's import, `functions` of the instance `interface`.
pub(crate) fn of_component<'a>(
    interface: &str,
    functions: impl IntoIterator<Item = &'a str>,
) -> Result<(), Refused> {
    if EMPTY_WASI.iter().any(|part| interface.starts_with(part)) {
        return Ok(());
    }
    if interface.starts_with(PACKAGE) {
        return functions
            .into_iter()
            .try_for_each(|function| of_contract(interface, function));
    }
    Err(foreign(interface))
}

/// Looks at the import `name` from `module` of a core module.
pub(crate) fn of_module(module: &str, name: &str) -> Result<(), Refused> {
    if module.starts_with(PACKAGE) {
        return of_contract(module, name);
    }
    if EMPTY_WASI.iter().any(|part| module.starts_with(part)) {
        return Err(Refused::new(
            format!("{module} {name}"),
            "a core module cannot have WASI 0.2: make a component of it (wasm-tools component new)",
        ));
    }
    let refused = foreign(module);
    Err(Refused::new(format!("{module}.{name}"), refused.fix))
}

/// What to do about a memory that a core module wants to be given.
pub(crate) fn memory(module: &str, name: &str) -> Refused {
    Refused::new(
        format!("{module}.{name}"),
        "it is a memory, and a schedule brings its own (wasm-ld: no --import-memory; AssemblyScript: no --importMemory)",
    )
}

/// Looks at the import of `function` from `interface`, one of the contract's package.
fn of_contract(interface: &str, function: &str) -> Result<(), Refused> {
    let contract: &Contract = &CONTRACT;
    let (name, version) = interface
        .trim_start_matches(PACKAGE)
        .split_once('@')
        .unwrap_or((interface.trim_start_matches(PACKAGE), ""));
    let Some(functions) = contract.interfaces.get(name) else {
        let names: Vec<&str> = contract.interfaces.keys().map(String::as_str).collect();
        return Err(Refused::new(
            interface,
            format!(
                "contract {} has the interfaces {}; a newer pixelrate may have more",
                contract.version,
                names.join(", ")
            ),
        ));
    };
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    if major(version) != major(&contract.version) {
        let full = contract.full_name(name);
        return Err(Refused::new(interface, format!("here it is called {full}")));
    }
    // A component also names the resource itself.
    if functions.contains(function) || functions.contains(&format!("[resource-drop]{function}")) {
        return Ok(());
    }
    let closest = functions
        .iter()
        .min_by_key(|known| strsim::damerau_levenshtein(known, function))
        .filter(|known| strsim::damerau_levenshtein(known, function) <= 3);
    let fix = match closest {
        Some(known) => format!("did you mean `{known}`?"),
        None => {
            let known: Vec<&str> = functions.iter().map(String::as_str).collect();
            let (version, known) = (&contract.version, known.join(", "));
            format!("contract {version} has {known} there; a newer pixelrate may have more")
        }
    };
    Err(Refused::new(format!("{interface} {function}"), fix))
}

/// What to do about an import that has nothing to do with the contract.
fn foreign(name: &str) -> Refused {
    let fix = match name {
        "env" => {
            "link everything in (wasm-ld: no --allow-undefined), and turn off runtime hooks \
             (AssemblyScript: --use abort=)"
        }
        _ if name.starts_with("wasi:http") => {
            "build it without HTTP (componentize-js: disable http and fetch-event)"
        }
        _ if name.starts_with("wasi") => "build it for wasm32-unknown-unknown, or for WASI 0.2",
        _ if name.starts_with("wbg") || name.contains("wbindgen") => {
            "build it without wasm-bindgen, whose imports only a browser has"
        }
        _ => {
            "a schedule may import pixelrate:schedule/run, training, weights and images, and a WASI with nothing in it: \
             see sdk/wit/schedule.wit"
        }
    };
    Refused::new(name, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let fix = |module: &str, name: &str| of_module(module, name).map_err(|refused| refused.fix);
        assert_eq!(fix("pixelrate:schedule/run@1.0.0", "total-steps"), Ok(()));
        assert_eq!(fix("pixelrate:schedule/run@1.7.2", "total-steps"), Ok(()));
        assert_eq!(
            fix("pixelrate:schedule/run@1.0.0", "total_steps")
                .as_ref()
                .map_err(String::as_str),
            Err("did you mean `total-steps`?")
        );
        for module in ["pixelrate:schedule/run", "pixelrate:schedule/run@2.0.0"] {
            assert_eq!(
                fix(module, "seed").as_ref().map_err(String::as_str),
                Err("here it is called pixelrate:schedule/run@1.0.0")
            );
        }
        let contains = |module: &str, name: &str, part: &str| {
            assert!(
                fix(module, name).is_err_and(|fix| fix.contains(part)),
                "{module} {name}"
            );
        };
        contains(
            "pixelrate:schedule/clock@1.0.0",
            "now",
            "has the interfaces images, run, training, weights",
        );
        contains(
            "pixelrate:schedule/run@1.0.0",
            "what-time-is-it",
            "a newer pixelrate may have more",
        );
        contains(
            "wasi:cli/environment@0.2.0",
            "get",
            "wasm-tools component new",
        );
        contains("wasi_unstable", "fd_write", "for WASI 0.2");
        contains("env", "abort", "--use abort=");
        contains("__wbindgen_placeholder__", "x", "wasm-bindgen");
        contains("other", "x", "sdk/wit/schedule.wit");
    }

    #[test]
    fn a_component_may_have_an_empty_wasi_and_newer_minor_versions() {
        assert_eq!(
            of_component("wasi:cli/stderr@0.2.3", ["get-stderr"]),
            Ok(())
        );
        assert_eq!(
            of_component(
                "pixelrate:schedule/images@1.2.0",
                ["image", "[method]image.len"]
            ),
            Ok(())
        );
        assert!(of_component("pixelrate:schedule/run@1.2.0", ["epoch"]).is_err());
        assert!(of_component("wasi:http/types@0.2.0", []).is_err());
    }
}
