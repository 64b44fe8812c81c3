//! What the person at the terminal reads while a run trains and when it is taken up again: every line once, and no line
//! lost where standard error is a file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{pixelrate, said, study};
use pixelrate_control::Status;
use pixelrate_trainer::checkpoint;
use tempfile::{TempDir, tempdir};

const PATIENCE: Duration = Duration::from_secs(120);

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A plugin that always says `rate`.
fn wat(rate: &str) -> String {
    format!("(module (func (export \"learning-rate\") (param i64) (result f64) f64.const {rate}))")
}

/// A folder with `s.wat` and a study of one long run under it.
fn place() -> TempDir {
    let place = tempdir().unwrap();
    fs::write(place.path().join("s.wat"), wat("0.1")).unwrap();
    let schedule = "[[schedule]]\nlabel = \"mine\"\nplugin = \"s.wat\"\n";
    let text = study(100_000, "[0]", schedule);
    fs::write(place.path().join("study.toml"), text).unwrap();
    place
}

/// A command that trains, and what it has written to a standard error that is no terminal.
struct Told {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn by(place: &Path, command: &str) -> Self {
        let mut process = pixelrate(place)
            .args(command.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, stderr) = (Arc::default(), process.stderr.take().unwrap());
        let kept: Arc<Mutex<Vec<String>>> = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Self { process, lines }
    }

    /// The lines that have this in them.
    fn lines(&self, text: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|l| l.contains(text)).cloned().collect()
    }

    fn hears(&self, text: &str) -> String {
        wait(&format!("it says \"{text}\""), || {
            !self.lines(text).is_empty()
        });
        self.lines(text).remove(0)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // A test that failed half way must not leave a run behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn trains(run: &Path) {
    wait("the run trains", || {
        let status = Status::read(run).unwrap();
        status.is_some_and(|status| status.step > 20)
    });
}

fn stop(place: &Path, run: &str, mut process: Told) -> Told {
    let (good, _, problem) = said(pixelrate(place).args(["stop", run]));
    assert!(good, "{problem}");
    process.process.wait().unwrap();
    process
}

#[test]
fn refusals_and_takeovers_are_told_once_without_a_terminal() {
    for (command, run) in [
        ("study study.toml", "runs/tiny/mine-seed0"),
        (
            "run --schedule s.wat --batch-size 16 --device cpu --epochs 500",
            "runs/run/s-seed0",
        ),
    ] {
        let place = place();
        let told = Told::by(place.path(), command);
        trains(&place.path().join(run));
        fs::write(place.path().join("s.wat"), "(module (fun").unwrap();
        let refused = told.hears("rejected: ");
        assert!(
            refused.contains("s is not a schedule plugin"),
            "{command}: {refused}"
        );
        fs::write(place.path().join("s.wat"), wat("0.05")).unwrap();
        let swapped = told.hears("swapped: ");
        assert!(swapped.contains(" took over from "), "{command}: {swapped}");
        let told = stop(place.path(), run, told);
        for word in ["rejected: ", "swapped: "] {
            let lines = told.lines(word);
            assert_eq!(lines.len(), 1, "{command}: {lines:?}");
        }
    }
}

#[test]
fn who_takes_a_run_up_reads_what_became_of_its_files() {
    let place = place();
    let run = "runs/tiny/mine-seed0";
    let folder: PathBuf = place.path().join(run);
    let told = Told::by(place.path(), "study study.toml");
    trains(&folder);
    stop(place.path(), run, told);

    fs::write(place.path().join("s.wat"), wat("0.05")).unwrap();
    for command in [&*format!("resume {run}"), "study study.toml"] {
        let newest = checkpoint::list(&folder).unwrap().pop().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        let last = bytes.len() - 5;
        bytes[last] ^= 4;
        fs::write(&newest, bytes).unwrap();
        let told = Told::by(place.path(), command);
        let damaged = told.hears("checksum");
        let name = newest.file_name().unwrap().to_str().unwrap();
        assert!(damaged.contains(name), "{command}: {damaged}");
        let changed = told.hears("was changed since, and the run goes on with what it had");
        assert!(changed.contains("s.wat"), "{command}: {changed}");
        wait("it has kept a checkpoint", || {
            let kept = checkpoint::list(&folder).unwrap().pop();
            kept.is_some_and(|kept| kept > newest)
        });
        stop(place.path(), run, told);
    }
}

#[test]
fn runs_that_have_not_begun_are_counted_where_others_are_asked() {
    let place = place();
    let text = fs::read_to_string(place.path().join("study.toml")).unwrap();
    let text = text.replace("seeds = [0]", "seeds = [0, 1]");
    fs::write(place.path().join("study.toml"), text).unwrap();
    let told = Told::by(place.path(), "study study.toml --jobs 1");
    let run = "runs/tiny/mine-seed0";
    trains(&place.path().join(run));
    let swap = |filter: &str| {
        let line = format!("swap runs/tiny --where {filter} --schedule fixed --at-step 90000");
        said(pixelrate(place.path()).args(line.split(' ')))
    };
    let (good, out, problem) = swap("schedule=mine");
    assert!(
        good && out.contains("takes over before step 90000"),
        "{out}{problem}"
    );
    let note = "asked 1 of 2 matching runs, 1 not started";
    assert!(problem.contains(note), "{problem}");
    let (good, out, problem) = swap("seed=1");
    let note = "asked 0 of 1 matching runs, 1 not started";
    assert!(!good && problem.contains(note), "{out}{problem}");
    let (good, _, problem) = swap("seed=0");
    assert!(good && problem.is_empty(), "{problem}");
    drop(told);
}
