//! Schedules swapped, paused, forked and replayed from other processes, as a person would.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{logged, pixelrate, said, study};
use pixelrate_control::{Mailbox, Status, Takeovers};
use pixelrate_runlog::{EventKind, Identity, RunLog, read_events};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(120);

/// A plugin that always says `rate`.
fn wat(rate: &str) -> String {
    format!("(module (func (export \"learning-rate\") (param i64) (result f64) f64.const {rate}))")
}

/// One long run of a study in a folder of its own, under `s.wat`, in a process that trains.
struct Live {
    place: tempfile::TempDir,
    process: Child,
}

impl Live {
    fn begin(steps: u32, extra: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("s.wat"), wat("0.1")).unwrap();
        fs::create_dir(place.path().join("src")).unwrap();
        let schedule = format!("[[schedule]]\nlabel = \"mine\"\nplugin = \"s.wat\"\n{extra}");
        fs::write(
            place.path().join("study.toml"),
            study(steps, "[0]", &schedule),
        )
        .unwrap();
        let process = pixelrate(place.path())
            .args(["study", "study.toml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let live = Self { place, process };
        live.wait("the run trains", |live| {
            Status::read(&live.run())
                .unwrap()
                .is_some_and(|status| status.step > 20)
        });
        live
    }

    fn run(&self) -> PathBuf {
        self.place.path().join("runs/tiny/mine-seed0")
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "waited too long until {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn say(&self, line: &str) -> (bool, String, String) {
        said(pixelrate(self.place.path()).args(line.split(' ')))
    }

    fn well(&self, line: &str) -> String {
        let (well, out, problem) = self.say(line);
        assert!(well, "{line}: {problem}");
        out
    }

    fn badly(&self, line: &str) -> String {
        let (well, out, problem) = self.say(line);
        assert!(!well, "{line}: {out}");
        problem
    }

    /// Ctrl-C, before the run has answered; so many requests wait for their steps.
    fn take_back(&self, line: &str, planned: usize) {
        let trainer = Status::read(&self.run()).unwrap().unwrap().process;
        let trainer = Pid::from_raw(trainer.try_into().unwrap()).unwrap();
        kill_process(trainer, Signal::STOP).unwrap();
        let asks = pixelrate(self.place.path())
            .args(line.split(' '))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let waiting = || Mailbox::of(&self.run()).waiting().unwrap().len();
        self.wait("it was asked", |_| waiting() > planned);
        kill_process(Pid::from_child(&asks), Signal::INT).unwrap();
        let told = asks.wait_with_output().unwrap();
        let text = String::from_utf8(told.stderr).unwrap();
        assert!(text.contains("withdrawn"), "{text}");
        assert_eq!(told.status.code(), Some(130));
        assert_eq!(waiting(), planned);
        kill_process(trainer, Signal::CONT).unwrap();
    }

    fn events(&self, kind: EventKind) -> Vec<String> {
        let all = read_events(&self.run()).unwrap().into_iter();
        all.filter(|row| row.kind == kind)
            .map(|row| row.message)
            .collect()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A test that failed half way must not leave a run behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// No step is missing or doubled, and each names the schedule that its record says.
fn whole(run: &Path) {
    let (steps, _) = logged(run);
    let takeovers = Takeovers::read(run).unwrap();
    for (at, row) in steps.iter().enumerate() {
        assert_eq!(row.step, at as u64);
        let before = takeovers
            .iter()
            .filter(|takeover| takeover.step <= row.step);
        assert_eq!(row.swaps, before.count() as u64, "step {at}");
    }
}

const RUN: &str = "runs/tiny/mine-seed0";

#[test]
fn a_run_is_swapped_paused_stopped_forked_and_replayed() {
    let mut live = Live::begin(90_000, "");
    // A file that is saved takes over; one that is broken changes nothing, and is told of.
    fs::write(live.place.path().join("s.wat"), wat("0.05")).unwrap();
    live.wait("the file took over", |live| {
        !live.events(EventKind::Swapped).is_empty()
    });
    fs::write(live.place.path().join("s.wat"), "(module (fun").unwrap();
    live.wait("the broken file was refused", |live| {
        !live.events(EventKind::Rejected).is_empty()
    });
    // As far as the log goes when it is asked for: the run trains on meanwhile.
    let replayed = live.well(&format!("replay {RUN}"));
    assert!(replayed.contains("agree bit for bit"), "{replayed}");
    let swapped = live.well(&format!("swap {RUN} --schedule cyclic --param max_lr=0.02"));
    assert!(swapped.contains("took over before step "), "{swapped}");
    let refused = live.badly(&format!(
        "swap {RUN} --schedule fixed --param learning_rate=50"
    ));
    assert!(refused.contains("its learning rate is 50"), "{refused}");
    let refused = live.badly(&format!("swap {RUN} --schedule fixed --at-step 1"));
    assert!(refused.contains("step 1 is over"), "{refused}");
    let refused = live.badly(&format!("swap {RUN} --schedule fixed --at-step 90000"));
    assert!(refused.contains("the run has 90000 steps"), "{refused}");
    let planned = live.well("swap runs/tiny --where seed=0 --param max_lr=0.03 --at-step 89000");
    assert!(
        planned.contains("takes over before step 89000"),
        "{planned}"
    );
    for command in ["ps", &format!("log {RUN}")] {
        let shown = live.well(command);
        let then = "then cyclic (max_lr = 0.03) at 89000";
        assert!(shown.contains(then), "{shown}");
    }
    let other = format!("swap {RUN} --schedule fixed --at-step 89500");
    live.well(&other);
    let withdrawn = live.well(&format!("swap {RUN} --cancel"));
    assert_eq!(withdrawn.lines().count(), 2, "{withdrawn}");
    assert!(
        withdrawn.contains(&format!("{RUN}: withdrawn: fixed at 89500")),
        "{withdrawn}"
    );
    assert!(
        !live.well("ps").contains(" at 89"),
        "a swap is still planned"
    );
    let none = live.badly(&format!("swap {RUN} --cancel"));
    assert!(none.contains("no swap is planned"), "{none}");
    live.well("swap runs/tiny --where seed=0 --param max_lr=0.03 --at-step 89000");
    let nothing = live.badly(&format!("swap {RUN}"));
    assert!(
        nothing.contains("--schedule") && nothing.contains("--param"),
        "{nothing}"
    );

    live.well(&format!("pause {RUN}"));
    let step = Status::read(&live.run()).unwrap().unwrap().step;
    let shown = live.well("ps");
    assert!(
        shown.contains("paused") && shown.contains("cyclic"),
        "{shown}"
    );
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(Status::read(&live.run()).unwrap().unwrap().step, step);
    live.well(&format!("resume {RUN}"));
    live.well(&format!("checkpoint {RUN} --name here"));
    live.take_back(&format!("swap {RUN} --schedule fixed"), 1);
    let stopped = live.well(&format!("stop {RUN}"));
    assert!(stopped.contains("stopped before step "), "{stopped}");
    live.process.wait().unwrap();
    let problem = live.badly(&format!("pause {RUN}"));
    assert!(problem.contains("is not running"), "{problem}");
    whole(&live.run());

    // What is asked of a stopped run waits for it.
    let kept = live.well(&format!(
        "swap {RUN} --schedule fixed --param learning_rate=0.001"
    ));
    assert!(
        kept.contains("at its first step after `pixelrate resume`"),
        "{kept}"
    );
    let shown = live.well("ps --all");
    let then = ", then fixed (learning_rate = 0.001) next, then cyclic (max_lr = 0.03) at 89000";
    assert!(shown.contains(then), "{shown}");
    // What it keeps can be withdrawn, too, and asked for anew.
    live.well(&format!("swap {RUN} --cancel"));
    live.well(&format!(
        "swap {RUN} --schedule fixed --param learning_rate=0.001"
    ));
    let resumed = pixelrate(live.place.path())
        .args(["resume", RUN])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    live.process = resumed.unwrap();
    live.wait("what was asked took over", |live| {
        live.events(EventKind::Swapped).len() == 3
    });
    live.well(&format!("stop {RUN}"));
    live.process.wait().unwrap();
    whole(&live.run());

    let replayed = live.well(&format!("replay {RUN}"));
    assert!(replayed.contains("agree bit for bit"), "{replayed}");
    // The way to step 10 is trained once more: no checkpoint stands there.
    let forked = live.well(&format!(
        "fork {RUN} --at-step 10 --schedule fixed --schedule cyclic --only-prepare"
    ));
    assert_eq!(forked.lines().count(), 2, "{forked}");
    let branch = live.place.path().join("runs/tiny/mine-cyclic-at10-seed0");
    assert_eq!(Takeovers::read(&branch).unwrap().len(), 1);
    let again = live.badly(&format!("fork {RUN} --at-step 10 --schedule fixed"));
    assert!(again.contains("is there already"), "{again}");
}

#[test]
fn a_fork_ends_as_the_run_does_under_the_same_schedule_and_a_changed_log_is_found_out() {
    let mut live = Live::begin(400, "");
    live.process.wait().unwrap();
    let forked = live.well(&format!("fork {RUN} --at-step 150 --schedule s.wat"));
    let branch = live.place.path().join("runs/tiny/mine-s-at150-seed0");
    assert!(forked.contains("mine-s-at150-seed0"), "{forked}");
    // It went on from nothing of its own, and nothing took over in it before.
    let told: Vec<_> = read_events(&branch)
        .unwrap()
        .into_iter()
        .filter(|row| row.kind != EventKind::Checkpoint)
        .map(|row| (row.step, row.kind, row.message))
        .collect();
    let began = "s; forked from tiny/mine-seed0 at step 150".to_owned();
    assert_eq!(told[0], (150, EventKind::Loaded, began));
    assert_eq!((told[1].0, told[1].1), (150, EventKind::Swapped));
    assert!(
        told[1].2.starts_with("s took over from s (fork, "),
        "{told:?}"
    );
    let ((trunk, _), (steps, _)) = (logged(&live.run()), logged(&branch));
    assert_eq!(steps.first().unwrap().step, 150);
    let losses = |rows: &[pixelrate_runlog::StepRow]| -> Vec<_> {
        let late = rows.iter().filter(|row| row.step >= 150);
        late.map(|row| row.train_loss.map(f64::to_bits)).collect()
    };
    assert_eq!(losses(&trunk), losses(&steps));
    let replayed = live.well("replay runs/tiny/mine-s-at150-seed0 --json");
    assert!(
        replayed.contains("\"difference\": null") && replayed.contains("\"steps\": 250"),
        "{replayed}"
    );

    // While another replay of it is at work, one in a folder of its own leaves that alone.
    let other = RunLog::create(&branch.join(".replay"), Identity::default()).unwrap();
    let problem = live.badly("replay runs/tiny/mine-s-at150-seed0");
    assert!(
        problem.contains("is being replayed by process"),
        "{problem}"
    );
    live.well("replay runs/tiny/mine-s-at150-seed0 --keep again");
    assert!(branch.join(".replay").exists());
    drop(other);

    // A takeover that is taken out of the record is another run.
    fs::write(branch.join("swaps.jsonl"), "").unwrap();
    let problem = live.badly("replay runs/tiny/mine-s-at150-seed0");
    assert!(
        problem.contains("differs from step 150 on: `swaps` was 1, and is 0"),
        "{problem}"
    );
}

#[test]
fn sources_are_built_while_the_study_runs() {
    let live = Live::begin(
        30_000,
        "build = \"cp src/a.txt s.wat\"\nsources = \"src\"\n",
    );
    fs::write(live.place.path().join("src/a.txt"), wat("0.03")).unwrap();
    live.wait("what was built took over", |live| {
        !live.events(EventKind::Swapped).is_empty()
    });
    live.well(&format!("stop {RUN}"));
    let (steps, _) = logged(&live.run());
    assert_eq!(steps.last().unwrap().learning_rate, 0.03);
}
