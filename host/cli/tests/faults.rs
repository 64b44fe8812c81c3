//! Everything that can happen to a run, at random: edits of its schedule, good and bad, swaps, SIGKILL, SIGSTOP, a full
//! disk, a read-only folder, a clock that jumps, damaged checkpoints, a second process. After each round every step is
//! there once, the log can be read, and a replay gives the same bits.
//!
//! `PIXELRATE_FAULT_SECONDS` says for how long (30 if unset), `PIXELRATE_FAULT_SEED` begins with the round of that seed:
//! a round depends on its own seed alone, which it prints. `PIXELRATE_REQUIRE_MOUNTS=1` asks for a machine where file systems
//! can be mounted, which a full disk and a read-only folder need.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;
#[path = "faults/inflict.rs"]
mod inflict;
#[path = "faults/means.rs"]
mod means;
#[path = "faults/plugins.rs"]
mod plugins;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::pixelrate;
use means::{Means, Mount};
use pixelrate_control::{Cause, Status, Takeovers};
use pixelrate_runlog::{Held, RunStatus, held, read_evals, read_events, read_steps, read_summary};
use pixelrate_sandbox::{Limits, OnFault};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
use plugins::{bad, good};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

/// Batches of 16 out of 320 pictures: 20 steps a pass.
const STEPS: u64 = 1200;
/// The longest that a process may take for anything, on a machine that is busy with much else.
const PATIENCE: Duration = Duration::from_secs(180);
/// Bytes of the small disk.
const DISK: u64 = 24 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    GoodSave,
    BadSave,
    HalfSave,
    ManySaves,
    Swap,
    SwapAtStep,
    BadSwap,
    SwapAndKill,
    SwapWhileStopped,
    Kill,
    Freeze,
    PauseAndContinue,
    Stop,
    TwoProcesses,
    FullDisk,
    ReadOnlyFolder,
    DamagedCheckpoint,
    JumpingClock,
}

const ALL: [Fault; 17] = [
    Fault::GoodSave,
    Fault::BadSave,
    Fault::HalfSave,
    Fault::ManySaves,
    Fault::Swap,
    Fault::SwapAtStep,
    Fault::BadSwap,
    Fault::SwapAndKill,
    Fault::SwapWhileStopped,
    Fault::Kill,
    Fault::Freeze,
    Fault::PauseAndContinue,
    Fault::Stop,
    Fault::TwoProcesses,
    Fault::FullDisk,
    Fault::ReadOnlyFolder,
    Fault::DamagedCheckpoint,
];

#[test]
fn a_run_comes_through_whatever_happens() {
    let seconds = number("PIXELRATE_FAULT_SECONDS").unwrap_or(30);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = number("PIXELRATE_FAULT_SEED").unwrap_or(now.as_secs() * 1000);
    let means = Means::find();
    let (mut tally, mut took_over) = (BTreeMap::new(), BTreeMap::new());
    let began = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || began.elapsed() < Duration::from_secs(seconds) {
        let seed = first + rounds;
        println!("round {rounds}: PIXELRATE_FAULT_SEED={seed}");
        let mut round = Round::new(seed, &means);
        round.go(&mut tally);
        for cause in round.check() {
            *took_over.entry(cause.as_str()).or_insert(0) += 1;
        }
        rounds += 1;
    }
    // Written past the test's capture: what was tried is told of a run that passes, too.
    let mut told =
        format!("{rounds} rounds; schedules took over by {took_over:?}; faults tried:\n");
    for fault in ALL.into_iter().chain([Fault::JumpingClock]) {
        let count = tally.get(&fault).copied().unwrap_or(0);
        told += &format!("  {count:4}  {fault:?}\n");
    }
    if !means.mounts {
        told += "  no file system can be mounted here: a limit of the files' sizes stood for a full disk\n";
    }
    let tried = tally.values().sum::<u64>();
    told += &format!("  {tried:4}  in all\n");
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    // A test that does nothing to its runs passes, too.
    assert!(tried > 0 && tried >= rounds / 2, "only {tried} faults");
    let kinds = tally.values().filter(|count| **count > 0).count();
    assert!(
        rounds < 10 || kinds > ALL.len() / 2,
        "only {kinds} kinds of faults"
    );
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// One run and what happens to it.
struct Round<'a> {
    seed: u64,
    random: ChaCha8Rng,
    means: &'a Means,
    /// The disk that the run's folder lies on; it goes before `place`, which it is mounted in.
    disk: Option<Mount>,
    place: Option<tempfile::TempDir>,
    base: PathBuf,
    run: PathBuf,
    plugin: PathBuf,
    /// Whether schedules that fault are among those that it is offered.
    faulty: bool,
    child: Option<Child>,
    /// What the run's process may say when it ends badly, by something that was done to it.
    excuses: Vec<&'static str>,
    /// Bytes that the processes before it said.
    said_before: usize,
    clock_jumps: u64,
    starts: u64,
    told: Vec<String>,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for line in &self.told {
                println!("  {line}");
            }
            // What lies on the small disk is gone with it.
            let kept = self.base.join("kept");
            let _ = Command::new("cp")
                .arg("-a")
                .args([&self.run, &kept])
                .output();
            self.disk = None;
            if let Some(place) = self.place.take() {
                println!(
                    "it failed: PIXELRATE_FAULT_SEED={}; everything is kept in {}",
                    self.seed,
                    place.keep().display()
                );
            }
        }
    }
}

impl<'a> Round<'a> {
    fn new(seed: u64, means: &'a Means) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let place = tempfile::tempdir().unwrap();
        let base = place.path().to_owned();
        let folder = base.join("disk");
        fs::create_dir(&folder).unwrap();
        let disk = if means.mounts {
            Mount::disk(&folder)
        } else {
            None
        };
        let plugin = base.join("edited.wat");
        fs::write(&plugin, good(&mut random, false)).unwrap();
        // Two that fault may take over in a row: the first of them is what comes back, and its faults must be held.
        let faulty = random.random_bool(0.5);
        let (on_fault, rollback_steps) = if faulty {
            (OnFault::Hold, 20)
        } else {
            (OnFault::Abort, 100)
        };
        let spec = RunSpec {
            study: "faults".into(),
            run: "run".into(),
            label: "edited".into(),
            label_index: 0,
            seed,
            training: Training {
                dataset: "synthetic".into(),
                data_folder: base.join("data"),
                model: "convnet".into(),
                batch_size: 16,
                epochs: STEPS as f64 / 20.0,
                train_examples: 320,
                validation_examples: 0.0,
                optimizer: OptimizerKind::Momentum,
                momentum: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                eval_every_epochs: STEPS as f64 / 60.0,
                checkpoint_seconds: 0.2,
                log_grad_norm: random.random_bool(0.5),
                label_smoothing: 0.0,
                crop_padding: 4,
                crop_padding_mode: Default::default(),
                flip: Default::default(),
                normalization: Default::default(),
                test_views: 1,
                deterministic: false,
                device: "cpu".into(),
                threads: 1,
                precision: PrecisionChoice::Float32,
            },
            schedule: ScheduleSpec {
                plugin: plugin.to_str().unwrap().to_owned(),
                params: BTreeMap::new(),
                picture_folder: None,
                max_learning_rate: 1.0,
                on_fault,
                rollback_steps,
            },
            limits: Limits::default(),
            watch: true,
            tuned: None,
            parent: None,
        };
        let text = serde_json::to_string(&spec).unwrap();
        fs::write(base.join("spec.json"), text).unwrap();
        Self {
            seed,
            random,
            means,
            disk,
            place: Some(place),
            run: folder.join("run"),
            base,
            plugin,
            faulty,
            child: None,
            excuses: Vec::new(),
            said_before: 0,
            clock_jumps: 0,
            starts: 0,
            told: Vec::new(),
        }
    }

    fn go(&mut self, tally: &mut BTreeMap<Fault, u64>) {
        self.start(&[]);
        for _ in 0..self.random.random_range(4..12) {
            let moment = Duration::from_millis(self.random.random_range(0..400));
            std::thread::sleep(moment);
            if self.is_over() {
                break;
            }
            let fault = ALL[self.random.random_range(0..ALL.len())];
            if self.means.can(fault) {
                self.told.push(format!("{fault:?}"));
                let tried = self.inflict(fault);
                *tally.entry(fault).or_default() += u64::from(tried);
            }
        }
        let began = Instant::now();
        while !self.is_over() {
            assert!(
                began.elapsed() < PATIENCE,
                "the run does not come to its end"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.clock_jumps > 0 {
            *tally.entry(Fault::JumpingClock).or_default() += self.clock_jumps;
        }
    }

    /// The program, in the round's folder.
    fn pixelrate(&self) -> Command {
        let mut command = pixelrate(&self.base);
        command.env("OMP_NUM_THREADS", "1").stdin(Stdio::null());
        command
    }

    /// Begins the run, or goes on with it, unless it came to its end before its process was killed. `wrapper`: what runs the
    /// program.
    fn start(&mut self, wrapper: &[&str]) {
        let ended = read_summary(&self.run).unwrap();
        if ended.is_some_and(|row| row.status != RunStatus::Failed) {
            return;
        }
        self.starts += 1;
        self.said_before = self.said().len();
        let mut command = match wrapper {
            [] => self.pixelrate(),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(env!("CARGO_BIN_EXE_pixelrate"));
                command.current_dir(&self.base).env("OMP_NUM_THREADS", "1");
                command
            }
        };
        if !self.run.join("run.toml").exists() {
            // Nothing has begun, and no run begins under a bad schedule.
            let text = good(&mut self.random, false);
            self.save(text.as_bytes());
        }
        if self.run.join("run.toml").exists() {
            command.arg("resume").arg(&self.run);
        } else {
            command
                .args(["run", "--spec", "spec.json", "--folder"])
                .arg(&self.run);
        }
        if let Some(clock) = &self.means.clock
            && self.random.random_bool(0.3)
        {
            command.env("LD_PRELOAD", clock);
            self.clock_jumps += 1;
        }
        let out = File::options()
            .create(true)
            .append(true)
            .open(self.base.join("out.txt"))
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Whether the run has come to its end. One that something has ended before is taken up again.
    fn is_over(&mut self) -> bool {
        let Some(child) = &mut self.child else {
            return true;
        };
        let Some(status) = child.try_wait().unwrap() else {
            return false;
        };
        self.child = None;
        if status.success() {
            return true;
        }
        let said = self.said();
        let last = said.get(self.said_before..).unwrap_or_default();
        let mut excuses = std::mem::take(&mut self.excuses).into_iter();
        assert!(
            excuses.any(|words| last.contains(words)),
            "the run ended with {status}:\n{said}"
        );
        assert!(
            self.starts < 40,
            "it is taken up again and again:\n{}",
            self.said()
        );
        self.start(&[]);
        false
    }

    /// What the run's processes printed.
    fn said(&self) -> String {
        fs::read_to_string(self.base.join("out.txt")).unwrap_or_default()
    }

    fn is_alive(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Whether the run is gone or about to be: its summary is written, or its lock given back, before its process ends.
    fn is_ending(&mut self) -> bool {
        !self.is_alive()
            || read_summary(&self.run).unwrap().is_some()
            || held(&self.run).unwrap() == Held::No
    }

    /// Ends the run's process at once, and looks at what it left.
    fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            return; // It was over just before.
        }
        let tables = ["steps", "evals", "events"];
        if tables.iter().all(|table| self.run.join(table).exists()) {
            self.check_rows();
        }
    }

    /// Every step up to some is there once, in order.
    fn check_rows(&self) -> u64 {
        let steps = read_steps(&self.run).unwrap();
        for (due, row) in steps.iter().enumerate() {
            assert_eq!(row.step, due as u64, "a step is missing or double");
        }
        read_evals(&self.run).unwrap();
        read_events(&self.run).unwrap();
        steps.len() as u64
    }

    /// Waits until the run's process writes its log; false if it ended instead.
    fn is_held(&mut self) -> bool {
        let began = Instant::now();
        while self.is_alive() {
            if self.run.join("run.toml").exists() && held(&self.run).unwrap() != Held::No {
                return true;
            }
            assert!(began.elapsed() < PATIENCE, "the run does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Holds the run that came to its end to all that must be true of it. Returns why schedules took over.
    fn check(&mut self) -> Vec<Cause> {
        let summary = read_summary(&self.run).unwrap().unwrap();
        assert_eq!(
            (summary.status, summary.steps_done),
            (RunStatus::Finished, STEPS)
        );
        assert_eq!(self.check_rows(), STEPS);
        let evals: Vec<u64> = read_evals(&self.run)
            .unwrap()
            .iter()
            .map(|row| row.step)
            .collect();
        assert_eq!(evals, [STEPS / 3, 2 * STEPS / 3, STEPS]);
        let takeovers = Takeovers::read(&self.run).unwrap();
        let rows = read_steps(&self.run).unwrap();
        for row in &rows {
            let done = takeovers.partition_point(|takeover| takeover.step <= row.step);
            let in_force = done
                .checked_sub(1)
                .map_or(&*summary.schedule_sha256, |last| &*takeovers[last].sha256);
            assert_eq!(
                (row.swaps, &*row.schedule),
                (done as u64, in_force),
                "step {}",
                row.step
            );
        }
        let (good, text) = self.ask(&["replay"]);
        assert!(good && text.contains("agree bit for bit"), "{text}");
        println!(
            "  {} takeovers, {} starts: {}",
            takeovers.len(),
            self.starts,
            self.told
                .iter()
                .filter(|line| !line.starts_with(' '))
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        );
        takeovers.iter().map(|takeover| takeover.cause).collect()
    }
}

/// Waits for a process that must end by itself.
fn wait(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "a process does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
