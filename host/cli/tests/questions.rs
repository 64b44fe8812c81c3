//! The worked questions, asked of a study that the program ran: DuckDB, Polars and pandas give the same answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;
mod duckdb;
#[path = "../../../tests/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{pixelrate, said, study};
use serde::Deserialize;
use serde_json::Value;

const QUESTIONS: usize = 10;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

/// An answer: its columns, and its rows in order.
#[derive(Debug, Deserialize)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// Runs two studies, one of them with a schedule that diverges and a fork.
fn train(place: &Path) {
    let schedules = "[[schedule]]\nlabel = \"baseline\"\nplugin = \"fixed\"\nparams = { learning_rate = 0.05 }\n\n\
                     [[schedule]]\nplugin = \"cyclic\"\nparams = { step_size = 20 }\n\n\
                     [[schedule]]\nlabel = \"hot\"\nplugin = \"fixed\"\nparams = { learning_rate = 9.0 }\n";
    let run = |name: &str, seeds: &str, schedules: &str| {
        let guarded =
            format!("[guard]\nmax_learning_rate = 10.0\non_fault = \"abort\"\n\n{schedules}");
        let evaluated = "eval_every_epochs = 1.0\nlog_grad_norm = true";
        let text = study(600, seeds, &guarded)
            .replace("\"tiny\"", &format!("\"{name}\""))
            .replace("eval_every_epochs = 1000.0", evaluated);
        fs::write(place.join("study.toml"), text).unwrap();
        let (_, _, err) = said(pixelrate(place).args(["study", "study.toml", "--jobs", "2"]));
        assert!(place.join("runs").join(name).is_dir(), "{err}");
    };
    run("first", "[0, 1, 2]", schedules);
    run("second", "[0, 1]", schedules.split("\n\n").next().unwrap());
    let fork = [
        "fork",
        "runs/first/baseline-seed0",
        "--at-step",
        "120",
        "--schedule",
        "cyclic",
    ];
    let (good, _, err) = said(pixelrate(place).args(fork));
    assert!(good, "{err}");
}

/// Puts a run whose `steps` are of the schema's version 1, without `swaps`, before the others of `place`; its settings are
/// those of the run `like`. It was never tested, and nothing happened to it.
fn put_old_run(place: &Path, like: &Path) {
    let run = place.join("runs/a-study-of-before/cyclic-seed0");
    for table in ["steps", "evals", "events"] {
        fs::create_dir_all(run.join(table)).unwrap();
    }
    fs::copy(
        folder("host/runlog/tests/golden/steps-version-1.parquet"),
        run.join("steps/part-000000000000-000000000004.parquet"),
    )
    .unwrap();
    fs::copy(like.join("run.toml"), run.join("run.toml")).unwrap();
}

/// What one of Python's readers answers to the questions in a folder.
fn by_python(
    python: &OsStr,
    reader: &str,
    place: &Path,
    questions: &Path,
) -> BTreeMap<String, Answer> {
    let output = Command::new(python)
        .arg(folder("tests/questions.py"))
        .arg(reader)
        .arg(place.join("runs"))
        .arg(questions)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reader}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `pixelrate query` answers to the questions in a folder.
fn by_query(
    place: &Path,
    questions: &Path,
) -> BTreeMap<String, Vec<serde_json::Map<String, Value>>> {
    let files = fs::read_dir(questions).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension() == Some(OsStr::new("sql")))
        .map(|path| {
            let mut command = pixelrate(place);
            command
                .args(["query", "--format", "json", "--file"])
                .arg(&path);
            let (good, out, err) = said(&mut command);
            assert!(good, "{}: {err}", path.display());
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&out).unwrap())
        })
        .collect()
}

/// Numbers to 1e-9 of their size, all else exactly.
fn same(ours: &Value, other: &Value) -> bool {
    match (ours.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => ours == other,
    }
}

/// What SQL answers to the questions in a folder, once the other readers and `pixelrate query` have answered the same.
fn agreed(python: &OsStr, place: &Path, questions: &Path) -> BTreeMap<String, Answer> {
    let ours = by_python(python, "duckdb", place, questions);
    for reader in ["polars", "pandas"] {
        let theirs = by_python(python, reader, place, questions);
        assert!(ours.keys().eq(theirs.keys()), "{reader}");
        for (name, answer) in &ours {
            let other = &theirs[name];
            assert_eq!(answer.columns, other.columns, "{name}, {reader}");
            assert_eq!(answer.rows.len(), other.rows.len(), "{name}, {reader}");
            for (row, found) in answer.rows.iter().zip(&other.rows) {
                let all = row.len() == found.len();
                assert!(
                    all && row.iter().zip(found).all(|(ours, other)| same(ours, other)),
                    "{name}: {row:?}, but by {reader} {found:?}"
                );
            }
        }
    }
    if duckdb::is_there(place) {
        let theirs = by_query(place, questions);
        assert!(ours.keys().eq(theirs.keys()));
        for (name, answer) in &ours {
            let rows = &theirs[name];
            assert_eq!(rows.len(), answer.rows.len(), "{name}");
            for (row, found) in answer.rows.iter().zip(rows) {
                let columns = answer.columns.iter().zip(row);
                for (column, value) in columns {
                    let other = &found[column];
                    assert!(same(value, other), "{name}: {column}: {value}, but {other}");
                }
            }
        }
    }
    ours
}

#[test]
fn every_reader_gives_the_same_answers() {
    let Some(python) = python::python() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    train(place.path());
    let trained = place.path().join("runs/first/baseline-seed0");
    put_old_run(place.path(), &trained);
    let ours = agreed(&python, place.path(), &folder("experiments/questions"));
    assert_eq!(ours.len(), QUESTIONS);
    for (name, answer) in &ours {
        assert!(
            !answer.rows.is_empty(),
            "{name} has nothing to tell of these runs"
        );
    }
    // What the study was made to hold.
    let rows = |name: &str| &ours[name].rows;
    assert!(
        rows("05-divergence")
            .iter()
            .all(|row| { row[1].as_str().unwrap().starts_with("hot-seed") })
    );
    let [swap] = rows("06-what-a-swap-changed").as_slice() else {
        panic!("{:?}", rows("06-what-a-swap-changed"));
    };
    assert_eq!((swap[2].as_u64(), swap[3].as_u64()), (Some(1), Some(120)));
    // A fork has no steps of its own before it.
    assert!(swap[4].is_null() && swap[5].as_f64().is_some_and(|rate| rate > 0.0));

    // Of a run that is too old for `swaps`, all say that no schedule took over.
    let old = tempfile::tempdir().unwrap();
    put_old_run(old.path(), &trained);
    let questions = old.path().join("questions");
    fs::create_dir(&questions).unwrap();
    for ending in ["sql", "polars.py", "pandas.py"] {
        let name = format!("06-what-a-swap-changed.{ending}");
        let file = folder("experiments/questions").join(&name);
        fs::copy(file, questions.join(&name)).unwrap();
    }
    let answers = agreed(&python, old.path(), &questions);
    assert_eq!(answers["06-what-a-swap-changed"].columns.len(), 8);
    assert!(answers["06-what-a-swap-changed"].rows.is_empty());

    let (good, out, err) = said(pixelrate(place.path()).args([
        "export",
        "runs/first",
        "--format",
        "csv",
        "--out",
        "tables",
        "--where",
        "seed=0",
    ]));
    assert!(good && out.starts_with("tables: "), "{out}{err}");
    let rows = fs::read_to_string(place.path().join("tables/first/cyclic-seed0/steps.csv"));
    assert_eq!(rows.unwrap().lines().count(), 601);
}
