//! The Python that tests hold our results against. They take it in by `#[path = "../../../tests/python.rs"] mod python;`.

use std::ffi::OsString;

const PROBLEM: &str = "PIXELRATE_PYTHON names no Python with tests/requirements.txt";

/// The Python that `PIXELRATE_PYTHON` names, as `cargo xtask test` sets it. Without one, a test says that it is skipped,
/// or, if `PIXELRATE_REQUIRE_PYTHON` is set, fails.
pub(crate) fn python() -> Option<OsString> {
    let python = std::env::var_os("PIXELRATE_PYTHON");
    if python.is_none() {
        let required = std::env::var_os("PIXELRATE_REQUIRE_PYTHON").is_some();
        assert!(!required, "{PROBLEM}");
        println!("skipped: {PROBLEM}");
    }
    python
}
