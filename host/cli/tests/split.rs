//! How many runs train side by side: measured, told, kept and gone on with.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{logged, pixelrate, said, study};

const ONE: &str = "[[schedule]]\nplugin = \"cyclic\"\nparams = { step_size = 10 }\n";

/// Runs the study `tiny.toml` in `folder`, whose cache is its own, and gives what it told of its split.
fn told(folder: &Path, options: &[&str]) -> String {
    let (good, _, err) = said(
        pixelrate(folder)
            .args(["study", "tiny.toml"])
            .args(options)
            .env("XDG_CACHE_HOME", folder.join("cache")),
    );
    assert!(good, "{err}");
    let line = err.lines().find(|line| line.starts_with("tiny: "));
    line.unwrap().to_owned()
}

fn kept(file: &Path) -> toml::Table {
    fs::read_to_string(file).unwrap().parse().unwrap()
}

fn threads(folder: &Path, run: &str) -> i64 {
    let file = kept(&folder.join("runs/tiny").join(run).join("run.toml"));
    file["spec"]["training"]["threads"].as_integer().unwrap()
}

#[test]
fn a_split_that_is_asked_for_is_measured_and_kept_and_its_threads_stay() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.toml");
    fs::write(&file, study(20, "[0, 1]", ONE)).unwrap();
    let line = told(dir.path(), &["--jobs", "auto"]);
    let split = dir.path().join("runs/tiny/split.toml");
    let cores = std::thread::available_parallelism().unwrap().get() as i64;
    if cores == 1 {
        assert!(line.contains("one core"), "{line}");
        return;
    }
    assert!(
        line.contains(" images a second") && line.contains("found in"),
        "{line}"
    );
    let found = kept(&split);
    let (runs, count) = (
        found["runs"].as_integer().unwrap(),
        found["threads"].as_integer().unwrap(),
    );
    assert!(
        (1..=2).contains(&runs) && count >= 1 && runs * count <= cores,
        "{found}"
    );
    let measured = found["measured"].as_array().unwrap();
    assert!(measured.len() >= 2, "one run alone, and two: {found}");
    let paces = measured
        .iter()
        .map(|one| one["steps_per_second"].as_float());
    assert!(paces.into_iter().all(|pace| pace.unwrap() > 0.0), "{found}");
    for run in ["cyclic-seed0", "cyclic-seed1"] {
        assert_eq!(threads(dir.path(), run), count, "{run}");
    }

    // The study has begun with these threads, whatever would be found now: here, in words of the test's own.
    fs::remove_dir_all(dir.path().join("runs/tiny/cyclic-seed1")).unwrap();
    let other = if count == 1 { 2 } else { 1 };
    let text = fs::read_to_string(&split).unwrap();
    let changed = text.replacen(
        &format!("threads = {count}"),
        &format!("threads = {other}"),
        1,
    );
    fs::write(&split, changed).unwrap();
    fs::remove_dir_all(dir.path().join("runs/tiny/cyclic-seed0")).unwrap();
    told(dir.path(), &["--jobs", "1"]);
    assert_eq!(threads(dir.path(), "cyclic-seed1"), other);
    assert_eq!(kept(&split)["threads"].as_integer(), Some(other));
}

#[test]
fn a_short_study_has_one_thread_a_run_and_goes_on_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tiny.toml"), study(20, "[0]", ONE)).unwrap();
    let line = told(dir.path(), &[]);
    assert!(
        line.contains("1 run at a time of 1 thread (too short") || line.contains("one core"),
        "{line}"
    );
    assert_eq!(threads(dir.path(), "cyclic-seed0"), 1);
    // What a study of before began with holds, though nothing was written down.
    let split = dir.path().join("runs/tiny/split.toml");
    if split.exists() {
        fs::remove_file(&split).unwrap();
    }
    let run = dir.path().join("runs/tiny/cyclic-seed0/run.toml");
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("threads = 1", "threads = 2")).unwrap();
    fs::write(dir.path().join("tiny.toml"), study(20, "[0, 1]", ONE)).unwrap();
    told(dir.path(), &[]);
    assert_eq!(threads(dir.path(), "cyclic-seed1"), 2);
}

#[test]
fn threads_that_a_study_names_are_what_its_runs_have() {
    let dir = tempfile::tempdir().unwrap();
    let text = study(20, "[0]", ONE).replace("device = ", "threads = 2\ndevice = ");
    fs::write(dir.path().join("tiny.toml"), &text).unwrap();
    told(dir.path(), &["--jobs", "auto"]);
    assert_eq!(threads(dir.path(), "cyclic-seed0"), 2);
    assert!(!dir.path().join("runs/tiny/split.toml").exists());
    // Measuring beside it changes no bit of what is trained.
    let again = tempfile::tempdir().unwrap();
    fs::write(again.path().join("tiny.toml"), &text).unwrap();
    told(again.path(), &["--jobs", "1"]);
    let run = |folder: &Path| logged(&folder.join("runs/tiny/cyclic-seed0"));
    assert_eq!(run(dir.path()), run(again.path()));
}

#[test]
fn a_number_of_jobs_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.toml");
    fs::write(&file, study(20, "[0]", ONE)).unwrap();
    for word in ["0", "many"] {
        let (good, _, err) =
            said(pixelrate(dir.path()).args(["study", "tiny.toml", "--jobs", word]));
        assert!(
            !good && err.contains("a number of 1 or more, or auto"),
            "{err}"
        );
    }
    for word in ["0", "-1", "\"many\""] {
        let text = study(20, "[0]", ONE).replace("seeds", &format!("jobs = {word}\nseeds"));
        fs::write(&file, text).unwrap();
        let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
        assert!(!good && err.contains("line 3,"), "{err}");
        assert!(err.contains("a number of 1 or more, or \"auto\""), "{err}");
    }
    for word in ["1", "\"auto\""] {
        let text = study(20, "[0]", ONE).replace("seeds", &format!("jobs = {word}\nseeds"));
        fs::write(&file, text).unwrap();
        let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml", "--list"]));
        assert!(good, "{err}");
    }
}
