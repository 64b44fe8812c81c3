//! Runs forked from any folder, of many studies, and what a fork that cannot be leaves behind.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{logged, pixelrate, said};
use pixelrate_control::Takeovers;
use pixelrate_runlog::{read_steps, read_summary};
use pixelrate_sandbox::Value;

/// Trains a run in `folder` of `place` under `schedule`, up to a step.
fn run(place: &Path, folder: &str, schedule: &str, until: u64) {
    let (_, _, problem) = said(
        pixelrate(place)
            .args([
                "run",
                "--schedule",
                schedule,
                "--batch-size",
                "16",
                "--epochs",
                "1",
                "--device",
                "cpu",
            ])
            .args(["--folder", folder, "--until", &until.to_string()]),
    );
    assert!(problem.contains("stopped"), "{problem}");
    assert_eq!(read_steps(&place.join(folder)).unwrap().len() as u64, until);
}

fn well(place: &Path, words: &[&str]) -> String {
    let (well, out, problem) = said(pixelrate(place).args(words));
    assert!(well, "{words:?}: {problem}");
    out
}

fn badly(place: &Path, words: &[&str]) -> (String, String) {
    let (well, out, problem) = said(pixelrate(place).args(words));
    assert!(!well, "{words:?}: {out}");
    (out, problem)
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_branch_that_is_not_trained_yet_is_in_no_one_s_way() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    run(place, "runs/one/cyclic-seed0", "cyclic", 60);
    let fork = [
        "fork",
        "runs/one/cyclic-seed0",
        "--at-step",
        "50",
        "--schedule",
        "fixed",
        "--only-prepare",
    ];
    let branch = well(place, &fork);
    let branch = Path::new(branch.trim());
    assert!(well(place, &["report", "runs/one"]).contains("not finished"));
    let count = well(
        place,
        &[
            "query",
            "--runs",
            "runs/one",
            "select count(*) as n from steps",
            "--format",
            "csv",
        ],
    );
    assert!(count.ends_with("60\n"), "{count}");
    well(
        place,
        &["export", "runs/one", "--format", "csv", "--out", "out"],
    );
    let told = well(place, &["log", branch.to_str().unwrap()]);
    assert!(told.contains("nothing was logged yet"), "{told}");
    // Stopped before its first step, it has a checkpoint of its own at that step.
    let words = ["run", "--until", "50", "--resume", branch.to_str().unwrap()];
    let (_, _, problem) = said(pixelrate(place).args(words));
    assert!(problem.contains("stopped"), "{problem}");
    well(place, &["resume", branch.to_str().unwrap()]);
    let (steps, _) = logged(branch);
    assert_eq!(steps[0].step, 50);
    let problem = badly(place, &["resume", branch.to_str().unwrap()]).1;
    assert!(problem.contains("is over (finished)"), "{problem}");
}

#[test]
fn a_fork_lies_beside_its_run_wherever_that_is_named_from() {
    let dir = tempfile::tempdir().unwrap();
    let study = dir.path().join("runs/one");
    run(dir.path(), "runs/one/cyclic-seed0", "cyclic", 60);
    let fork = |place: &Path, name: &str, step: &str| {
        well(
            place,
            &[
                "fork",
                name,
                "--at-step",
                step,
                "--schedule",
                "fixed",
                "--only-prepare",
            ],
        )
    };
    fork(&study, "cyclic-seed0", "40");
    fork(&study.join("cyclic-seed0"), ".", "50");
    let branches = [
        "cyclic-fixed-at40-seed0",
        "cyclic-fixed-at50-seed0",
        "cyclic-seed0",
    ];
    let made: Vec<_> = names(&study)
        .into_iter()
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(made, branches);
    // What is in force at a step is what was then, whatever took over since.
    let swap = [
        "swap",
        "cyclic-seed0",
        "--schedule",
        "fixed",
        "--param",
        "learning_rate=0.02",
    ];
    well(&study, &swap);
    let (_, _, problem) =
        said(pixelrate(&study).args(["run", "--until", "80", "--resume", "cyclic-seed0"]));
    assert!(problem.contains("stopped"), "{problem}");
    for (step, plugin) in [("30", "cyclic"), ("70", "fixed")] {
        let param = if plugin == "cyclic" {
            "max_lr=0.03"
        } else {
            "learning_rate=0.03"
        };
        let branch = well(
            &study,
            &[
                "fork",
                "cyclic-seed0",
                "--at-step",
                step,
                "--param",
                param,
                "--only-prepare",
            ],
        );
        let takeovers = Takeovers::read(Path::new(branch.trim())).unwrap();
        let schedule = &takeovers.last().unwrap().schedule;
        let name = param.split('=').next().unwrap();
        assert_eq!(schedule.plugin, plugin);
        assert_eq!(schedule.params[name], Value::Number(0.03));
    }
}

#[test]
fn runs_of_many_studies_are_forked_each_in_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    run(place, "runs/a/cyclic-seed0", "cyclic", 60);
    run(place, "runs/b/cyclic-seed0", "cyclic", 60);
    well(
        place,
        &["fork", "runs", "--at-step", "50", "--schedule", "fixed"],
    );
    for study in ["a", "b"] {
        let branch = place
            .join("runs")
            .join(study)
            .join("cyclic-fixed-at50-seed0");
        assert!(read_summary(&branch).unwrap().is_some());
        assert_eq!(logged(&branch).0[0].step, 50);
    }
}

#[test]
fn a_fork_that_cannot_be_leaves_nothing_behind_that_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    // A state that the second schedule does not take.
    let wat = |restore: &str| {
        format!(
            r#"(module (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\08\00\00\00")
            (func (export "learning-rate") (param i64) (result f64) f64.const 0.01)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "save") (result i32) (i32.const 0))
            (func (export "restore") (param i32 i32) {restore}))"#
        )
    };
    fs::write(place.join("takes.wat"), wat("")).unwrap();
    // It takes its own, which begins with a zero byte as this one's does not.
    let picky = wat("(if (i32.load8_u (local.get 0)) (then unreachable))");
    fs::write(place.join("picky.wat"), &picky).unwrap();
    let first = wat("").replace(
        "f64.const 0.01",
        "(i64.store (i32.const 16) (i64.const 1)) f64.const 0.01",
    );
    fs::write(place.join("first.wat"), first).unwrap();
    run(place, "runs/a/one", "first.wat", 60);
    let before = (
        names(&place.join("runs/a")),
        names(&place.join("runs/a/one")),
    );
    let fork = [
        "fork",
        "runs/a/one",
        "--at-step",
        "50",
        "--schedule",
        "takes.wat",
        "--schedule",
        "picky.wat",
    ];
    let (out, problem) = badly(place, &fork);
    assert!(
        out.is_empty() && problem.contains("use `--fresh` to start it without"),
        "{problem}"
    );
    assert_eq!(
        (
            names(&place.join("runs/a")),
            names(&place.join("runs/a/one"))
        ),
        before
    );
    // Of two runs one has not come so far: that is told, and the branch of the other trains.
    run(place, "runs/a/two", "fixed", 30);
    let fork = [
        "fork",
        "runs/a",
        "--at-step",
        "50",
        "--schedule",
        "takes.wat",
    ];
    let (out, problem) = badly(place, &fork);
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(problem.contains("it has done 30 steps"), "{problem}");
    let branch = place.join("runs/a/first-takes-at50-seed0");
    assert!(read_summary(&branch).unwrap().is_some(), "{problem}");
    // Forks are none of the runs that are meant, where a study is named.
    let (out, _) = badly(
        place,
        &[
            "fork",
            "runs/a",
            "--at-step",
            "55",
            "--schedule",
            "takes.wat",
        ],
    );
    assert!(
        out.contains("first-takes-at55") && out.lines().count() == 1,
        "{out}"
    );
}
