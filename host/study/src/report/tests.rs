//! Reports on runs that were never trained: their logs are written here.

mod claims;
mod told;
mod tuning;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pixelrate_control::{Cause, Takeover, Takeovers};
use pixelrate_runlog::{EvalRow, RunStatus, StepRow, write_summaries};
use pixelrate_sandbox::Value;
use pixelrate_trainer::spec::RunSpec;

use super::*;
use crate::runs::tests::{begin, spec, summary};

/// A run of 1,000 steps, each of a millisecond, tested after every 200 and the last.
fn run(study: &Path, spec: &RunSpec, accuracy: f64, status: RunStatus) {
    let (folder, mut log) = begin(study, spec);
    let done = if status == RunStatus::Diverged {
        // Where no other run is tested.
        550
    } else {
        1_000
    };
    for step in 0..done {
        let row = StepRow {
            step,
            epoch: 0.0,
            learning_rate: 0.1,
            momentum: None,
            weight_decay: None,
            train_loss: Some(1.0),
            grad_norm: None,
            step_ns: 1_000_000,
            schedule_ns: 100,
            schedule: Arc::from("ab".repeat(32)),
            swaps: 0,
        };
        log.step(row).unwrap();
        let after = step + 1;
        if after.is_multiple_of(200) || after == done {
            let row = EvalRow {
                step: after,
                epoch: 0.0,
                split: "test".to_owned(),
                loss: 1.0,
                accuracy: accuracy * after as f64 / done as f64,
                examples: 1_000,
            };
            log.eval(row).unwrap();
        }
    }
    log.sync().unwrap();
    drop(log);
    let mut row = summary(spec, status, accuracy);
    row.steps_done = done;
    write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
}

fn labelled(label: &str, index: u32, seed: u64) -> RunSpec {
    RunSpec {
        label_index: index,
        ..spec(label, seed, None)
    }
}

/// Three seeds of a baseline at 0.8, of a schedule that is better by 0.1, and of one that cannot be told from it, one of
/// whose runs diverged.
fn three(study: &Path) {
    let gains = [
        ("base", [0.0, 0.0, 0.0]),
        ("better", [0.099, 0.1, 0.101]),
        ("so-so", [0.05, -0.5, 0.02]),
    ];
    for (index, (label, gain)) in gains.iter().enumerate() {
        for seed in 0..3_u64 {
            let accuracy = 0.8 + 0.01 * seed as f64 + gain[seed as usize];
            let diverged = *label == "so-so" && seed == 1;
            let status = if diverged {
                RunStatus::Diverged
            } else {
                RunStatus::Finished
            };
            run(
                study,
                &labelled(label, index as u32, seed),
                accuracy,
                status,
            );
        }
    }
}

/// What a report says, but for where it lies.
fn said(study: &Path, out: &Path) -> [String; 3] {
    let options = Options {
        target: Some(0.5),
        ..Options::default()
    };
    let found = report(study, out, &options).unwrap();
    let json = serde_json::to_string(&found).unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    [json, found.markdown, page]
}

#[test]
fn a_run_s_own_folder_is_no_study() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    three(&study);
    let nowhere = place.path().join("dem");
    let problem = report(&nowhere, &nowhere, &Options::default()).unwrap_err();
    assert!(matches!(problem, Error::NoStudy(_)), "{problem}");
    let folder = study.join("base-seed0");
    let problem = report(&folder, &place.path().join("report"), &Options::default());
    let problem = problem.unwrap_err().to_string();
    let advice = format!("`pixelrate report {}`", study.display());
    assert!(
        problem.contains("is a single run") && problem.contains(&advice),
        "{problem}"
    );
}

#[test]
fn a_run_that_cannot_be_read_hides_no_other() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    fs::write(study.join("better-seed1/run.toml"), "epochs = ").unwrap();
    let found = report(&study, &out, &Options::default()).unwrap();
    let runs = |label: &str| {
        let row = found.rows.iter().find(|row| row.schedule == label).unwrap();
        row.runs
    };
    assert_eq!((runs("base"), runs("better")), (3, 2));
    let [problem] = found.unread.as_slice() else {
        panic!("{:?}", found.unread)
    };
    assert!(problem.starts_with("better-seed1: cannot be read: ") && problem.contains("run.toml"));
    assert!(found.missing.contains(problem) && found.markdown.contains("better-seed1"));

    // So it is with one whose steps cannot be read.
    fs::remove_dir_all(study.join(".index")).unwrap();
    let part = "so-so-seed2/steps/part-000000000000-000000000100.parquet";
    fs::write(study.join(part), "PAR1").unwrap();
    let found = report(&study, &out, &Options::default()).unwrap();
    let row = &found
        .rows
        .iter()
        .find(|row| row.schedule == "so-so")
        .unwrap();
    assert_eq!(row.runs, 2);
    let [_, problem] = found.unread.as_slice() else {
        panic!("{:?}", found.unread)
    };
    assert!(problem.starts_with("so-so-seed2: cannot be read: ") && problem.contains("steps"));

    // Where none can be read, there is nothing to report on.
    for name in ["base", "better", "so-so"] {
        for seed in 0..3 {
            fs::write(study.join(format!("{name}-seed{seed}/run.toml")), "[").unwrap();
        }
    }
    let problem = report(&study, &out, &Options::default()).unwrap_err();
    assert!(problem.to_string().contains("base-seed0"), "{problem}");
}

#[test]
fn a_report_says_the_same_of_what_the_index_keeps() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let first = said(&study, &out);
    assert!(study.join(".index/runs").is_file() && study.join(".index/curves").is_file());
    assert_eq!(said(&study, &out), first);

    // Two runs' folders change their names by hand, and a third run is replaced by another of its name.
    let folder = |name: &str| study.join(name);
    fs::rename(folder("base-seed0"), folder("x")).unwrap();
    fs::rename(folder("better-seed0"), folder("base-seed0")).unwrap();
    fs::rename(folder("x"), folder("better-seed0")).unwrap();
    assert_eq!(said(&study, &out), first);
    fs::remove_dir_all(folder("so-so-seed0")).unwrap();
    let removed = said(&study, &out);
    assert_ne!(removed, first);
    run(&study, &labelled("so-so", 2, 0), 0.11, RunStatus::Finished);
    let replaced = said(&study, &out);
    fs::remove_dir_all(study.join(".index")).unwrap();
    assert_eq!(said(&study, &out), replaced);
    assert_ne!(replaced, removed);

    // A damaged index says nothing wrong.
    for name in ["runs", "curves"] {
        let path = study.join(".index").join(name);
        let mut bytes = fs::read(&path).unwrap();
        (200..bytes.len()).step_by(97).for_each(|at| bytes[at] ^= 1);
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(said(&study, &out), replaced);
}
