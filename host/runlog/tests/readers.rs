//! DuckDB, pyarrow and Polars read what a run leaves behind, and see the numbers that were logged.
//!
//! `PIXELRATE_PYTHON` names a Python that has `tests/requirements.txt`; `cargo xtask test` sets it. Without it the test
//! says that it is skipped, unless `PIXELRATE_REQUIRE_PYTHON` is set.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_runlog::{Options, RunLog, write_summaries};

const PROGRAM: &str = r#"
import glob, json, os, sys
import duckdb, pandas, polars, pyarrow.dataset, pyarrow.ipc, pyarrow.parquet as pq

folder, finished = sys.argv[1], sys.argv[3] == "finished"
# Not pandas.read_json, which rounds.
expected = pandas.DataFrame([json.loads(line) for line in open(sys.argv[2])])
rows = len(expected)
# Under way, the evaluation and event after the last part's last step are in the write-ahead log.
tens = rows // 10 - (not finished)
counts = {"steps": rows, "evals": tens, "events": tens}

def same(name, found, integer=False):
    want = expected[name]
    found = pandas.Series(found)
    assert len(found) == len(want), (name, len(found), len(want))
    if integer or name == "schedule":
        assert found.tolist() == want.tolist(), name
    else:
        # Bit for bit: JSON carries the shortest digits that give the number back.
        left, right = found.astype("float64"), want.astype("float64")
        assert ((left == right) | (left.isna() & right.isna())).all(), name

for table, count in counts.items():
    files = f"{folder}/{table}/*.parquet"
    assert finished == (len(glob.glob(files)) == 1), (table, glob.glob(files))
    assert duckdb.sql(f"select count(*) from '{files}'").fetchall()[0][0] == count, table
    assert polars.scan_parquet(files).select(polars.len()).collect().item() == count, table
    assert pyarrow.dataset.dataset(f"{folder}/{table}").count_rows() == count, table
    assert len(pandas.read_parquet(f"{folder}/{table}")) == count, table
    for study, run in [
        duckdb.sql(f"select distinct study, run from '{files}'").fetchall()[0],
        polars.read_parquet(files).select("study", "run").unique().row(0),
    ]:
        assert (study, run) == ("seed", "cyclic-1")

files = f"{folder}/steps/*.parquet"
arrow = pq.ParquetDataset(f"{folder}/steps").read().sort_by("step").to_pandas()
duck = duckdb.sql(f"select * from '{files}' order by step").df()
pola = polars.read_parquet(files).sort("step")
for name in ["epoch", "learning_rate", "momentum", "train_loss", "grad_norm"]:
    for found in [arrow[name], duck[name], pola[name].to_list()]:
        same(name, found)
for name in ["step", "step_ns", "schedule_ns", "schedule"]:
    for found in [arrow[name], duck[name], pola[name].to_list()]:
        same(name, found, integer=True)
assert pola["momentum"].null_count() == expected["momentum"].isna().sum()
assert pola["weight_decay"].null_count() == rows

# What README's queries lean on: arithmetic on steps, times, joins of two tables.
assert duckdb.sql(f"select min(step - 1) from '{files}'").fetchall()[0][0] == -1
joined = duckdb.sql(f"""select count(*) from '{folder}/evals/*.parquet' e
    join '{files}' s on s.step = e.step - 1 and s.run = e.run""").fetchall()[0][0]
assert joined == tens, joined
events = polars.read_parquet(f"{folder}/events/*.parquet")
assert events["time"].dtype == polars.Datetime("ms", "UTC"), events["time"].dtype
assert str(events["time"][0]) == "2018-05-01 00:00:00.010000+00:00", events["time"][0]
year = duckdb.sql(f"select distinct year(time) from '{folder}/events/*.parquet'").fetchall()
assert year == [(2018,)], year

# Statistics let readers skip, and the files tell what they are.
for path in glob.glob(files):
    meta = pq.read_metadata(path)
    facts = {k.decode(): v.decode() for k, v in meta.metadata.items()}
    assert facts["pixelrate.schema"] == "1" and facts["pixelrate.table"] == "steps"
    assert facts["pixelrate.study"] == "seed" and facts["pixelrate.fact.device"] == "cpu"
    low = meta.row_group(0).column(2).statistics.min
    assert f"part-{low:012}-" in path, (low, path)
    assert meta.row_group(0).column(2).compression == "ZSTD"

if finished:
    for path, count in [(f"{folder}/summary.parquet", 1), (f"{folder}/../summaries.parquet", 2)]:
        found = duckdb.sql(f"select seed, status, final_eval_accuracy, error from '{path}'").fetchall()
        assert found == [(2**64 - 2, "finished", 0.9, None)] * count, found
        assert polars.read_parquet(path)["seed"].to_list() == [2**64 - 2] * count
        assert pq.read_table(path)["status"].to_pylist() == ["finished"] * count
        assert pandas.read_parquet(path)["final_eval_accuracy"].tolist() == [0.9] * count
else:
    # The write-ahead log is an Arrow stream for anyone, its checksums notwithstanding.
    for path in glob.glob(f"{folder}/wal/steps-*.arrows"):
        stream = pyarrow.ipc.open_stream(path)
        steps = [step for batch in stream for step in batch.column("step").to_pylist()]
        assert steps == list(range(rows, rows + 40)), steps
        break
    else:
        raise AssertionError("there is no write-ahead log")
print("read", flush=True)
# All is read and compared: that the libraries, all in one process, may abort as their threads are torn down is theirs.
os._exit(0)
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
    let Some(python) = std::env::var_os("PIXELRATE_PYTHON") else {
        assert!(
            std::env::var_os("PIXELRATE_REQUIRE_PYTHON").is_none(),
            "PIXELRATE_PYTHON names no Python with tests/requirements.txt"
        );
        println!("skipped: PIXELRATE_PYTHON names no Python with tests/requirements.txt");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let expected = folder.path().join("expected.json");
    let read = |rows: u64, state: &str| {
        write_expected(&expected, rows);
        let output = Command::new(&python)
            .args(["-c", PROGRAM])
            .args([&run, &expected])
            .arg(state)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{state}: {errors}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "read");
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
