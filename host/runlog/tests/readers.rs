//! DuckDB, pyarrow and Polars read what a run leaves behind, and see the same numbers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::process::Command;

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_runlog::RunLog;
use tempfile::tempdir;

const PROGRAM: &str = r#"
import sys, duckdb, polars, pyarrow.parquet as pq
folder, rows, total = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
for table, expected in [("steps", rows), ("evals", rows), ("events", rows)]:
    files = f"{folder}/{table}/*.parquet"
    assert duckdb.sql(f"select count(*) from '{files}'").fetchone()[0] == expected, table
    assert polars.read_parquet(files).height == expected, table
    assert pq.ParquetDataset(f"{folder}/{table}").read().num_rows == expected, table
query = f"select sum(learning_rate) from '{folder}/steps/*.parquet'"
for found in [
    duckdb.sql(query).fetchone()[0],
    polars.read_parquet(f"{folder}/steps/*.parquet")["learning_rate"].sum(),
    sum(pq.ParquetDataset(f"{folder}/steps").read()["learning_rate"].to_pylist()),
]:
    assert abs(found - total) < 1e-9 * total, (found, total)
assert duckdb.sql(f"select count(*) from '{folder}/summary.parquet'").fetchone()[0] == 1
assert polars.read_parquet(f"{folder}/summary.parquet").height == 1
assert pq.read_table(f"{folder}/summary.parquet").num_rows == 1
print("read")
"#;

#[test]
fn the_analysts_tools_read_every_table() {
    let Some(python) = std::env::var_os("PIXELRATE_PYTHON") else {
        assert!(
            std::env::var_os("PIXELRATE_REQUIRE_PYTHON").is_none(),
            "PIXELRATE_PYTHON names no Python with tests/requirements.txt"
        );
        println!("skipped: PIXELRATE_PYTHON names no Python with tests/requirements.txt");
        return;
    };
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let mut log = RunLog::create(&run, identity()).unwrap();
    let (rows, mut total) = (5_000, 0.0);
    for step in 0..rows {
        let row = step_row(step);
        total += row.learning_rate;
        log.step(row).unwrap();
        log.eval(eval_row(step + 1)).unwrap();
        log.event(event_row(step)).unwrap();
    }
    log.finish(&summary_row("one", rows)).unwrap();
    let output = Command::new(python)
        .args(["-c", PROGRAM])
        .arg(&run)
        .arg(rows.to_string())
        .arg(format!("{total:?}"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "read");
}
