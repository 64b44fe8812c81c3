//! `pixelrate query`: what it answers beyond the worked questions, and what it says of bad ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;
mod duckdb;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{pixelrate, said, study, unread};
use pixelrate_runlog::read_steps;

const SCHEDULES: &str = "[[schedule]]\nplugin = \"fixed\"\nparams = { learning_rate = 0.05 }\n\n\
                         [[schedule]]\nplugin = \"cyclic\"\nparams = { step_size = 20 }\n";

fn train(place: &Path) {
    fs::write(place.join("study.toml"), study(60, "[0, 1]", SCHEDULES)).unwrap();
    let (good, _, err) = said(pixelrate(place).args(["study", "study.toml"]));
    assert!(good, "{err}");
}

/// A query's answer as lines of CSV, the names first.
fn answer(place: &Path, arguments: &[&str]) -> Vec<String> {
    let (good, out, err) = said(pixelrate(place).arg("query").args(arguments));
    assert!(good, "{arguments:?}: {err}");
    out.lines().map(str::to_owned).collect()
}

fn refusal(place: &Path, arguments: &[&str]) -> String {
    let (good, out, err) = said(pixelrate(place).arg("query").args(arguments));
    assert!(!good && out.is_empty(), "{arguments:?}: {out}");
    assert!(err.starts_with("error: "), "{err}");
    err
}

#[test]
fn the_tables_hold_what_the_runs_logged() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    train(place);
    if !duckdb::is_there(place) {
        return;
    }
    let counts = "select (select count(*) from steps) s, (select count(*) from evals) e, \
                  (select count(*) from runs) r, (select count(distinct run) from params) p";
    assert_eq!(answer(place, &[counts]), ["s,e,r,p", "240,4,4,4"]);
    let one = ["--where", "seed=1", "--where", "schedule=cyclic"];
    let picked = "select study, run, count(*) n from steps group by all";
    assert_eq!(
        answer(place, &[&[picked][..], &one].concat()),
        ["study,run,n", "tiny,cyclic-seed1,60"]
    );
    // A run that is named twice is there once.
    let all = "select count(*) n from steps";
    for other in ["runs/tiny/cyclic-seed0", "./runs/../runs/tiny"] {
        let twice = ["--runs", "runs/tiny", "--runs", other];
        assert_eq!(answer(place, &[&[all][..], &twice].concat()), ["n", "240"]);
    }
    // DuckDB can list tables without naming one.
    let listed = answer(place, &["pragma show_tables"]).join(" ");
    for name in ["steps", "evals", "events", "runs", "params"] {
        assert!(listed.contains(name), "{listed}");
    }
    let rates = "select distinct value from params where name = 'schedule.params.learning_rate'";
    assert_eq!(answer(place, &[rates]), ["value", "0.05"]);

    // Every way to give the query, and every form of the answer.
    fs::write(place.join("q.sql"), "select 1 as one, null as none;\n").unwrap();
    let formatted = |format: &str| answer(place, &["--file", "q.sql", "--format", format]);
    assert_eq!(formatted("csv"), ["one,none", "1,"]);
    assert_eq!(formatted("json"), ["[{\"one\":1,\"none\":null}]"]);
    assert_eq!(formatted("jsonlines"), ["{\"one\":1,\"none\":null}"]);
    assert!(formatted("markdown")[0].contains("| one |"));
    assert!(formatted("table")[1].contains("one"));
    let mut child = pixelrate(place)
        .args(["query", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"select 7 as x")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"x\n7\n");
}

/// A run that was killed has its newest rows in its write-ahead log alone.
#[cfg(unix)]
#[test]
fn rows_that_are_in_no_parquet_file_yet_are_there() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let one = SCHEDULES.split("\n\n").next().unwrap();
    fs::write(place.join("study.toml"), study(100_000, "[0]", one)).unwrap();
    let mut child = pixelrate(place)
        .args(["study", "study.toml"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let run = place.join("runs/tiny/fixed-seed0");
    let began = Instant::now();
    let logged = || read_steps(&run).map_or(0, |rows| rows.len());
    while logged() < 50 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if !duckdb::is_there(place) {
        return;
    }
    // The process that trains may be a child of the one that was killed: it ends when its input does.
    let patience = Instant::now();
    let (rows, lines) = loop {
        let before = logged();
        let lines = answer(place, &["select count(*), max(step) + 1 from steps"]);
        if before == logged() {
            break (before, lines);
        }
        assert!(patience.elapsed() < Duration::from_secs(60), "it goes on");
    };
    assert!(rows >= 50);
    assert_eq!(lines[1], format!("{rows},{rows}"));
    // It has not ended: there is no summary, and that is no error.
    let ended = "select count(*) n from runs";
    assert_eq!(answer(place, &[ended]), ["n", "0"]);
}

#[test]
fn an_answer_that_nobody_reads_ends_quietly() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    train(place);
    if !duckdb::is_there(place) {
        return;
    }
    let end = unread(pixelrate(place).args(["query", "from steps"]));
    assert_eq!(end, (Some(141), String::new()));
}

#[test]
fn a_bad_query_is_told_in_a_word() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    train(place);
    if !duckdb::is_there(place) {
        return;
    }
    let column = refusal(place, &["select learnin_rate from steps"]);
    assert!(
        column.contains("learnin_rate") && column.contains("learning_rate"),
        "{column}"
    );
    let syntax = refusal(place, &["selekt 1"]);
    assert!(syntax.contains("syntax error"), "{syntax}");
    let gone = refusal(place, &["select 1", "--runs", "elsewhere"]);
    assert!(gone.contains("there is no elsewhere"), "{gone}");
    let file = refusal(place, &["--file", "none.sql"]);
    assert!(file.contains("none.sql"), "{file}");
    let memory = refusal(place, &["select 1", "--memory", "much"]);
    assert!(memory.contains("Memory"), "{memory}");
    let (good, _, err) = said(pixelrate(place).arg("query").stdin(Stdio::null()));
    assert!(!good && err.contains("there is no query"), "{err}");
    let nowhere = pixelrate(place)
        .args(["query", "select 1"])
        .env("PIXELRATE_DUCKDB", "not-here/duckdb")
        .output()
        .unwrap();
    let err = String::from_utf8(nowhere.stderr).unwrap();
    assert!(
        !nowhere.status.success() && err.contains("not-here/duckdb"),
        "{err}"
    );
    let bare = pixelrate(place)
        .args(["query", "select 1"])
        .env_remove("PIXELRATE_DUCKDB")
        .env("PATH", "")
        .env("HOME", place)
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap();
    let err = String::from_utf8(bare.stderr).unwrap();
    assert!(err.contains("pip install duckdb-cli=="), "{err}");
    // Nothing is left of what was written for a query.
    let scratch = place.join("scratch");
    fs::create_dir(&scratch).unwrap();
    for sql in ["from steps", "from nothing"] {
        let asked = pixelrate(place)
            .args(["query", sql])
            .env("TMPDIR", &scratch)
            .output();
        assert_eq!(asked.unwrap().status.success(), sql == "from steps");
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    }
}
