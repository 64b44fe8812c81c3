//! What runs, and what happened in it: `ps` and `log`, of runs under way and of runs that have ended.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{pixelrate, said};
use pixelrate_runlog::{EventKind, EventRow, Identity, RunLog};
use serde_json::{Value, json};

/// A run of the study `demo` below `place`, that this process writes.
fn begin(place: &Path, seed: u64, parent: &str) -> (PathBuf, RunLog) {
    let run = format!("cyclic-seed{seed}");
    let folder = place.join("runs/demo").join(&run);
    let identity = Identity {
        study: "demo".to_owned(),
        run: run.clone(),
        ..Identity::default()
    };
    let log = RunLog::create(&folder, identity).unwrap();
    let text = format!(
        "[spec]\nstudy = \"demo\"\nrun = \"{run}\"\nlabel = \"cyclic\"\nlabel_index = 0\nseed = {seed}\n\
         [spec.training]\ndataset = \"synthetic\"\ndata_folder = \"data\"\nmodel = \"convnet\"\nbatch_size = 16\n\
         epochs = 2.0\noptimizer = \"momentum\"\nmomentum = 0.9\nbeta2 = 0.999\nepsilon = 1e-8\nweight_decay = 0.0\n\
         eval_every_epochs = 1.0\ncheckpoint_seconds = 60.0\ndevice = \"cpu\"\nthreads = 1\n\
         [spec.schedule]\nplugin = \"cyclic\"\nmax_learning_rate = 10.0\non_fault = \"abort\"\n\
         params = {{ max_lr = 0.1 }}\n{parent}"
    );
    fs::write(folder.join("run.toml"), text).unwrap();
    (folder, log)
}

fn tell(folder: &Path, activity: &str) {
    let status = json!({
        "process": std::process::id(), "activity": activity, "step": 250, "total_steps": 1_001,
        "learning_rate": 0.05, "train_loss": 1.5, "schedule": "cosine (max_lr = 0.3)",
        "sha256": "ab".repeat(32), "swaps": 2,
    });
    fs::write(folder.join("status.json"), status.to_string()).unwrap();
}

fn event(step: u64, kind: EventKind, message: &str, duration_ns: Option<u64>) -> EventRow {
    EventRow {
        step,
        time_unix_ms: 951_782_400_000 + i64::try_from(step).unwrap() * 1_000,
        kind,
        schedule: None,
        message: message.to_owned(),
        duration_ns,
    }
}

#[test]
fn ps_tells_what_runs_and_with_all_what_ran() {
    let dir = tempfile::tempdir().unwrap();
    let ps = |args: &[&str]| said(pixelrate(dir.path()).arg("ps").args(args));
    let (good, _, err) = ps(&[]);
    assert!(
        !good && err.contains("there is no runs: name the folder"),
        "{err}"
    );

    let (trains, log) = begin(dir.path(), 0, "");
    let (stopped, other) = begin(dir.path(), 1, "");
    let (_, young) = begin(dir.path(), 2, "");
    tell(&trains, "training");
    tell(&stopped, "training");
    drop(other);
    let (good, out, err) = ps(&[]);
    assert!(good, "{err}");
    let line = |name: &str| {
        out.lines()
            .find(|line| line.contains(name))
            .unwrap_or_default()
    };
    for word in [
        "runs/demo/cyclic-seed0",
        "training",
        "250/1001",
        "24 %",
        "cosine (max_lr = 0.3)",
        "5.00e-2",
        "1.500",
        &std::process::id().to_string(),
    ] {
        assert!(line("seed0").contains(word), "{word} is not in\n{out}");
    }
    assert!(line("seed2").contains("preparing"), "{out}");
    assert!(line("seed2").contains("cyclic (max_lr = 0.1)"), "{out}");
    assert_eq!(line("seed1"), "", "{out}");

    tell(&trains, "paused");
    let (_, out, _) = ps(&["runs/demo", "--all", "--json"]);
    let rows: Value = serde_json::from_str(&out).unwrap();
    let states: Vec<&str> = (rows.as_array().unwrap().iter())
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["paused", "stopped", "preparing"]);
    assert_eq!(rows[0]["run"], "runs/demo/cyclic-seed0");
    assert_eq!(
        (&rows[0]["step"], &rows[0]["total_steps"]),
        (&json!(250), &json!(1_001))
    );
    assert_eq!(
        (&rows[0]["process"], &rows[0]["swaps"]),
        (&json!(std::process::id()), &json!(2))
    );
    assert_eq!(rows[1]["process"], Value::Null);
    assert_eq!(
        (&rows[0]["resumes_at"], &rows[1]["resumes_at"]),
        (&Value::Null, &json!(0))
    );

    let (_, out, _) = ps(&["--where", "state=stopped"]);
    assert!(out.contains("seed1") && !out.contains("seed0"), "{out}");
    // It was killed before it had kept a checkpoint.
    assert!(out.contains("stopped, resumes at 0  250/1001"), "{out}");
    let (_, out, _) = ps(&["--where", "seed=0", "--where", "schedule=cyclic"]);
    assert!(out.contains("seed0") && !out.contains("seed2"), "{out}");
    let (good, _, err) = ps(&["--where", "sed=0"]);
    assert!(
        !good && err.contains("run, study, schedule, seed, dataset, model, state"),
        "{err}"
    );

    // One that cannot be read is told, and hides no other.
    let damaged = stopped.join("run.toml");
    let whole = fs::read_to_string(&damaged).unwrap();
    fs::write(&damaged, "[spec").unwrap();
    let (good, out, err) = ps(&["--all", "--where", "seed=0"]);
    assert!(!good && out.contains("seed0"), "{out}");
    assert!(err.contains("cyclic-seed1/run.toml"), "{err}");
    fs::write(&damaged, whole).unwrap();

    drop((log, young));
    let (good, out, _) = ps(&[]);
    assert!(
        good && out.contains("no run is under way in runs: --all lists"),
        "{out}"
    );
    assert_eq!(ps(&["--json"]).1.trim(), "[]");
}

#[test]
fn log_tells_the_story_of_a_run_that_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let parent = "[spec.parent]\nstudy = \"demo\"\nrun = \"trunk-seed0\"\nstep = 200\n";
    let (folder, mut log) = begin(dir.path(), 0, parent);
    for row in [
        event(0, EventKind::Loaded, "cyclic (max_lr = 0.1)", None),
        event(
            120,
            EventKind::Rejected,
            "cosine: it traps",
            Some(12_300_000),
        ),
        event(
            250,
            EventKind::Swapped,
            "cosine took over from cyclic",
            Some(64_000),
        ),
    ] {
        log.event(row).unwrap();
    }
    log.flush().unwrap();
    tell(&folder, "training");
    let told = |args: &[&str]| said(pixelrate(dir.path()).arg("log").args(args));
    let (good, out, err) = told(&["runs/demo/cyclic-seed0"]);
    assert!(good, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0],
        "runs/demo/cyclic-seed0: cyclic (max_lr = 0.1), convnet on synthetic, seed 0, 1001 steps, forked from \
         demo/trunk-seed0 at step 200, training at step 250"
    );
    for (line, words) in [
        (
            3,
            [
                "2000-02-29 00:02:00.000",
                "120",
                "rejected",
                "cosine: it traps",
                "12.3 ms",
            ],
        ),
        (
            4,
            [
                "2000-02-29 00:04:10.000",
                "250",
                "swapped",
                "took over",
                "64.0 µs",
            ],
        ),
    ] {
        for word in words {
            assert!(
                lines[line].contains(word),
                "{word} is not in line {line} of\n{out}"
            );
        }
    }

    let (_, out, _) = told(&[
        "runs/demo/cyclic-seed0",
        "--kind",
        "swapped,reverted",
        "--json",
    ]);
    let story: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(story["events"].as_array().unwrap().len(), 1);
    assert_eq!(story["events"][0]["time"], "2000-02-29T00:04:10.000Z");
    assert_eq!(
        (&story["state"], &story["spec"]["parent"]["step"]),
        (&json!("training"), &json!(200))
    );
    let (_, out, _) = told(&["runs/demo/cyclic-seed0", "--kind", "fault"]);
    assert!(
        out.contains("nothing of that kind happened; 3 other things did"),
        "{out}"
    );

    let (good, _, err) = told(&["runs/demo/cyclic-seed0", "--kind", "exchanged"]);
    assert!(!good && err.contains("swapped"), "{err}");
    let (good, _, err) = told(&["runs/demo/cyclic-seed7"]);
    assert!(
        !good && err.contains("there is no runs/demo/cyclic-seed7"),
        "{err}"
    );
    let (good, _, err) = told(&["runs/demo"]);
    assert!(
        !good && err.contains("such as runs/demo/cyclic-seed0"),
        "{err}"
    );
}
