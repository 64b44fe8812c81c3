//! Whether there is a DuckDB for `pixelrate query`.

use std::path::Path;

use crate::common::{pixelrate, said};

/// Whether `pixelrate query` has a DuckDB, as `cargo xtask test` fetches it. Without one, a test says that it is skipped, or,
/// if `PIXELRATE_REQUIRE_PYTHON` is set (pip fetches both), fails.
pub(crate) fn is_there(place: &Path) -> bool {
    let (good, _, err) = said(pixelrate(place).args(["query", "select 1"]));
    if !good && err.contains("there is no DuckDB") {
        let required = std::env::var_os("PIXELRATE_REQUIRE_PYTHON").is_some();
        assert!(!required, "{err}");
        println!("skipped: {err}");
        return false;
    }
    true
}
