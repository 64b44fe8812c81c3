//! DuckDB, pyarrow and Polars read what a run leaves behind, and see the numbers that were logged.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;
#[path = "../../../tests/python.rs"]
mod python;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_runlog::{Options, RunLog, write_summaries};

/// What every reader's program begins with. Each runs in a process of its own, as people run them: with all of them in
/// one, Python aborted now and then as it ended ("terminate called without an active exception").
const COMMON: &str = r#"
import glob, json, sys

folder, finished = sys.argv[1], sys.argv[3] == "finished"
lines = [json.loads(line) for line in open(sys.argv[2])]
expected = {name: [line[name] for line in lines] for name in lines[0]}
rows = len(lines)
# Under way, the evaluation and event after the last part's last step are in the write-ahead log.
tens = rows // 10 - (not finished)
counts = {"steps": rows, "evals": tens, "events": tens}
files = f"{folder}/steps/*.parquet"
summaries = [(f"{folder}/summary.parquet", 1), (f"{folder}/../summaries.parquet", 2)] if finished else []
for table in counts:
    assert finished == (len(glob.glob(f"{folder}/{table}/*.parquet")) == 1), table

def same(found):
    """found: a list for each column, in the order of steps. Bit for bit: JSON carries the shortest digits that give a
    number back."""
    for name, want in expected.items():
        assert found[name] == want, name
"#;

const DUCKDB: &str = r#"
import duckdb

for table, count in counts.items():
    found = duckdb.sql(f"select count(*) from '{folder}/{table}/*.parquet'").fetchall()
    assert found == [(count,)], (table, found)
    names = duckdb.sql(f"select distinct study, run from '{folder}/{table}/*.parquet'").fetchall()
    assert names == [("seed", "cyclic-1")], names
columns = ", ".join(expected)
found = duckdb.sql(f"select {columns} from '{files}' order by step").fetchall()
same(dict(zip(expected, map(list, zip(*found)))))

# What README's queries lean on: arithmetic on steps, times, joins of two tables.
assert duckdb.sql(f"select min(step - 1) from '{files}'").fetchall()[0][0] == -1
joined = duckdb.sql(f"""select count(*) from '{folder}/evals/*.parquet' e
    join '{files}' s on s.step = e.step - 1 and s.run = e.run""").fetchall()[0][0]
assert joined == tens, joined
year = duckdb.sql(f"select distinct year(time) from '{folder}/events/*.parquet'").fetchall()
assert year == [(2018,)], year
for path, count in summaries:
    found = duckdb.sql(f"select seed, status, final_eval_accuracy, error from '{path}'").fetchall()
    assert found == [(2**64 - 2, "finished", 0.9, None)] * count, found
print("read")
"#;

const POLARS: &str = r#"
import polars

for table, count in counts.items():
    found = polars.scan_parquet(f"{folder}/{table}/*.parquet").select(polars.len()).collect().item()
    assert found == count, (table, found)
    names = polars.read_parquet(f"{folder}/{table}/*.parquet").select("study", "run").unique().rows()
    assert names == [("seed", "cyclic-1")], names
steps = polars.read_parquet(files).sort("step")
same(steps.to_dict(as_series=False))
assert steps["weight_decay"].null_count() == rows
events = polars.read_parquet(f"{folder}/events/*.parquet")
assert events["time"].dtype == polars.Datetime("ms", "UTC"), events["time"].dtype
assert str(events["time"][0]) == "2018-05-01 00:00:00.010000+00:00", events["time"][0]
for path, count in summaries:
    assert polars.read_parquet(path)["seed"].to_list() == [2**64 - 2] * count
print("read")
"#;

const PYARROW: &str = r#"
import pandas, pyarrow.dataset, pyarrow.ipc, pyarrow.parquet as pq

for table, count in counts.items():
    assert pyarrow.dataset.dataset(f"{folder}/{table}").count_rows(use_threads=False) == count, table
    assert len(pandas.read_parquet(f"{folder}/{table}", use_threads=False)) == count, table
same(pq.ParquetDataset(f"{folder}/steps").read(use_threads=False).sort_by("step").to_pydict())

# Statistics let readers skip, and the files tell what they are.
for path in glob.glob(files):
    meta = pq.read_metadata(path)
    facts = {k.decode(): v.decode() for k, v in meta.metadata.items()}
    assert facts["pixelrate.schema"] == "2" and facts["pixelrate.table"] == "steps"
    assert facts["pixelrate.study"] == "seed" and facts["pixelrate.fact.device"] == "cpu"
    low = meta.row_group(0).column(2).statistics.min
    assert f"part-{low:012}-" in path, (low, path)
    assert meta.row_group(0).column(2).compression == "ZSTD"

for path, count in summaries:
    assert pq.read_table(path, use_threads=False)["status"].to_pylist() == ["finished"] * count
    assert pandas.read_parquet(path, use_threads=False)["final_eval_accuracy"].tolist() == [0.9] * count
if not finished:
    # The write-ahead log is an Arrow stream for anyone, its checksums notwithstanding.
    for path in glob.glob(f"{folder}/wal/steps-*.arrows"):
        stream = pyarrow.ipc.open_stream(path)
        steps = [step for batch in stream for step in batch.column("step").to_pylist()]
        assert steps == list(range(rows, rows + 40)), steps
        break
    else:
        raise AssertionError("there is no write-ahead log")
print("read")
"#;

/// The first `rows` steps, as lines of JSON, for the program to compare.
fn write_expected(path: &Path, rows: u64) {
    let number = |value: Option<f64>| value.map_or("null".to_owned(), |v| format!("{v:?}"));
    let line = |step| {
        let row = step_row(step);
        format!(
            "{{\"step\":{},\"epoch\":{:?},\"learning_rate\":{:?},\"momentum\":{},\"train_loss\":{},\"grad_norm\":{},\
             \"step_ns\":{},\"schedule_ns\":{},\"schedule\":\"{}\"}}\n",
            row.step,
            row.epoch,
            row.learning_rate,
            number(row.momentum),
            number(row.train_loss),
            number(row.grad_norm),
            row.step_ns,
            row.schedule_ns,
            row.schedule
        )
    };
    std::fs::write(path, (0..rows).map(line).collect::<String>()).unwrap();
}

#[test]
fn the_analysts_tools_read_every_table() {
    let Some(python) = python::python() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let expected = folder.path().join("expected.json");
    let read = |rows: u64, state: &str| {
        write_expected(&expected, rows);
        for (reader, program) in [("DuckDB", DUCKDB), ("Polars", POLARS), ("pyarrow", PYARROW)] {
            let output = Command::new(&python)
                .args(["-c", &format!("{COMMON}{program}")])
                .args([&run, &expected])
                .arg(state)
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{reader}, {state}: {errors}");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "read");
        }
    };
    // Rates that are all different: the column leaves its dictionary within the second part.
    let options = Options {
        part_rows: 10_000,
        part_time: Duration::from_secs(3600),
        ..Options::default()
    };
    let mut log = RunLog::create_with(&run, identity(), options).unwrap();
    let append = |log: &mut RunLog, from: u64, to: u64| {
        for step in from..to {
            log.step(step_row(step)).unwrap();
            if (step + 1) % 10 == 0 {
                log.eval(eval_row(step + 1)).unwrap();
                log.event(event_row(step + 1)).unwrap();
            }
            if (step + 1) % 5_000 == 0 {
                log.flush().unwrap(); // So that parts end where the test says.
            }
        }
    };
    append(&mut log, 0, 20_000);
    for step in 20_000..20_040 {
        log.step(step_row(step)).unwrap();
    }
    log.flush().unwrap();
    read(20_000, "under way");
    drop(log);
    let mut log = RunLog::resume_with(&run, identity(), 20_000, options).unwrap();
    append(&mut log, 20_000, 25_000);
    let summary = summary_row("cyclic-1", 25_000);
    log.finish(&summary).unwrap();
    let both = [summary.clone(), summary];
    write_summaries(&folder.path().join("summaries.parquet"), &both).unwrap();
    read(25_000, "finished");
}
