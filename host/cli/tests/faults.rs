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

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::pixelrate;
use pixelrate_control::{Cause, Status, Takeovers};
use pixelrate_runlog::{Held, RunStatus, held, read_evals, read_events, read_steps, read_summary};
use pixelrate_sandbox::{Limits, OnFault};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
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
    told += &format!("  {:4}  in all\n", tally.values().sum::<u64>());
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

/// What this machine lets a test do.
struct Means {
    /// A folder for what all rounds use, as long as they do.
    _place: tempfile::TempDir,
    /// Whether file systems can be mounted.
    mounts: bool,
    /// A library that makes the clock jump for a process that it is loaded into.
    clock: Option<PathBuf>,
}

impl Means {
    fn find() -> Self {
        let place = tempfile::tempdir().unwrap();
        let tried = place.path().join("tried");
        fs::create_dir(&tried).unwrap();
        let mounts = Mount::disk(&tried).is_some();
        assert!(
            mounts || std::env::var_os("PIXELRATE_REQUIRE_MOUNTS").is_none(),
            "no file system can be mounted here, and PIXELRATE_REQUIRE_MOUNTS asks for it"
        );
        let clock = jumping_clock(place.path()).filter(|library| jumps(library));
        Self {
            _place: place,
            mounts,
            clock,
        }
    }

    fn can(&self, fault: Fault) -> bool {
        fault != Fault::ReadOnlyFolder || self.mounts
    }
}

/// Builds a library whose system clock jumps by up to six days either way, ten times a second. The monotonic one is
/// the system's.
fn jumping_clock(place: &Path) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let source = "
        #define _GNU_SOURCE
        #include <time.h>
        #include <unistd.h>
        #include <sys/syscall.h>
        int clock_gettime(clockid_t id, struct timespec *at) {
            long failed = syscall(SYS_clock_gettime, id, at);
            if (failed || id != CLOCK_REALTIME) return (int)failed;
            struct timespec now;
            syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
            unsigned long tenth = now.tv_sec * 10ul + now.tv_nsec / 100000000ul;
            at->tv_sec += (long)(tenth * 0x9e3779b97f4a7c15ul >> 44) - (1 << 19);
            return 0;
        }";
    let (c, library) = (place.join("clock.c"), place.join("clock.so"));
    fs::write(&c, source).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &c])
        .output();
    built
        .is_ok_and(|output| output.status.success())
        .then_some(library)
}

/// Whether a program into which `library` is loaded is told another time, and not always the same.
fn jumps(library: &Path) -> bool {
    let told = || {
        let date = Command::new("date")
            .arg("+%s")
            .env("LD_PRELOAD", library)
            .output();
        let text = String::from_utf8(date.ok()?.stdout).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = told();
    std::thread::sleep(Duration::from_millis(150));
    let far = |at: u64, from: u64| at.abs_diff(from) > 60;
    first
        .zip(told())
        .is_some_and(|(one, other)| far(one, now.as_secs()) && far(other, one))
}

/// A mounted file system, unmounted when it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn make(arguments: &[&str], at: &Path) -> Option<Self> {
        let done = Command::new("mount").args(arguments).arg(at).output();
        done.is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }

    /// A small disk.
    fn disk(at: &Path) -> Option<Self> {
        Self::make(&["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"], at)
    }

    /// The folder itself, which cannot be written for as long as this lives.
    fn read_only(folder: &Path) -> Self {
        for _ in 0..100 {
            let mount = Self::make(&["--bind", folder.to_str().unwrap()], folder).unwrap();
            let done = Command::new("mount")
                .args(["-o", "remount,bind,ro"])
                .arg(folder)
                .output();
            if done.unwrap().status.success() {
                return mount;
            }
            // Somebody has just opened a file to write to.
        }
        panic!("{} cannot be made read-only", folder.display());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process may have a file open in it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// One run and what happens to it.
struct Round<'a> {
    seed: u64,
    random: ChaCha8Rng,
    means: &'a Means,
    place: Option<tempfile::TempDir>,
    /// The disk that the run's folder lies on.
    disk: Option<Mount>,
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
                optimizer: OptimizerKind::Momentum,
                momentum: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                eval_every_epochs: STEPS as f64 / 60.0,
                checkpoint_seconds: 0.2,
                log_grad_norm: random.random_bool(0.5),
                label_smoothing: 0.0,
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
            place: Some(place),
            disk,
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

    /// Begins the run, or goes on with it. `wrapper`: what runs the program.
    fn start(&mut self, wrapper: &[&str]) {
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

    /// Whether the run is gone or about to be: its summary is written an instant before its process ends.
    fn is_ending(&mut self) -> bool {
        !self.is_alive() || read_summary(&self.run).unwrap().is_some()
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
        if self.run.join("steps").exists() {
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
            if self.run.exists() && held(&self.run).unwrap() != Held::No {
                return true;
            }
            assert!(began.elapsed() < PATIENCE, "the run does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Returns whether it could be tried: some faults need a run that has begun and not ended.
    fn inflict(&mut self, fault: Fault) -> bool {
        let at_any_time = [
            Fault::Kill,
            Fault::Freeze,
            Fault::SwapWhileStopped,
            Fault::FullDisk,
            Fault::DamagedCheckpoint,
        ];
        if !at_any_time.contains(&fault) && !self.is_held() {
            return false;
        }
        match fault {
            Fault::GoodSave => {
                let text = good(&mut self.random, self.faulty);
                self.save(text.as_bytes());
            }
            Fault::BadSave => {
                let bytes = bad(&mut self.random);
                self.save(&bytes);
            }
            Fault::HalfSave => self.half_save(),
            Fault::ManySaves => {
                for _ in 0..self.random.random_range(2..8) {
                    let bytes = if self.random.random_bool(0.3) {
                        bad(&mut self.random)
                    } else {
                        good(&mut self.random, self.faulty).into_bytes()
                    };
                    self.save(&bytes);
                    self.nap(60);
                }
            }
            Fault::Swap => self.swap(false),
            Fault::SwapAtStep => self.swap(true),
            Fault::BadSwap => self.bad_swap(),
            Fault::SwapAndKill => self.swap_and_kill(),
            Fault::SwapWhileStopped => self.swap_while_stopped(),
            Fault::Kill => {
                self.kill();
                self.start(&[]);
            }
            Fault::Freeze => {
                if let Some(child) = &self.child {
                    let process = Pid::from_child(child);
                    kill_process(process, Signal::STOP).unwrap();
                    self.nap(400);
                    kill_process(process, Signal::CONT).unwrap();
                }
            }
            Fault::PauseAndContinue => self.pause(),
            Fault::Stop => {
                self.ask(&["stop"]);
                self.excuses.push("stopped");
            }
            Fault::TwoProcesses => self.second(),
            Fault::FullDisk => self.fill_the_disk(),
            Fault::ReadOnlyFolder => {
                let mount = Mount::read_only(&self.run);
                self.nap(900);
                drop(mount);
                self.excuses.push("Read-only file system");
            }
            Fault::DamagedCheckpoint => return self.damage(),
            Fault::JumpingClock => {}
        }
        true
    }

    /// Sleeps for up to so many milliseconds.
    fn nap(&mut self, most: u64) {
        let moment = self.random.random_range(0..most);
        std::thread::sleep(Duration::from_millis(moment));
    }

    /// Saves the file of the schedule, in place or by renaming.
    fn save(&mut self, bytes: &[u8]) {
        if self.random.random_bool(0.5) {
            fs::write(&self.plugin, bytes).unwrap();
        } else {
            let beside = self.plugin.with_extension("wat~");
            fs::write(&beside, bytes).unwrap();
            fs::rename(&beside, &self.plugin).unwrap();
        }
    }

    /// Writes one half of a good plugin, and the other only after a while, or never.
    fn half_save(&mut self) {
        let text = good(&mut self.random, self.faulty);
        let (one, other) = text.split_at(self.random.random_range(1..text.len()));
        let mut file = File::create(&self.plugin).unwrap();
        file.write_all(one.as_bytes()).unwrap();
        self.nap(500);
        if self.random.random_bool(0.7) {
            file.write_all(other.as_bytes()).unwrap();
        }
    }

    /// A command about the run, run to its end.
    fn ask(&mut self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.pixelrate();
        command
            .arg(arguments[0])
            .arg(&self.run)
            .args(&arguments[1..]);
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        self.told
            .push(format!("  {arguments:?}: {status}: {}", text.trim_end()));
        (status.success(), text)
    }

    /// What to give to `swap`: a good schedule.
    fn wish(&mut self) -> Vec<String> {
        let mut wish = vec!["swap".to_owned(), "--schedule".to_owned()];
        match self.random.random_range(0..3) {
            0 => {
                let rate = self.random.random_range(1..40);
                wish.extend(["fixed", "--param"].map(str::to_owned));
                wish.push(format!("learning_rate=0.00{rate:02}"));
            }
            1 => wish.push("edited.wat".to_owned()),
            _ => {
                let text = good(&mut self.random, self.faulty);
                fs::write(self.base.join("other.wat"), text).unwrap();
                wish.push("other.wat".to_owned());
            }
        }
        // An edited file may be any by now.
        if wish.contains(&"edited.wat".to_owned()) {
            let text = good(&mut self.random, self.faulty);
            self.save(text.as_bytes());
        }
        if self.random.random_bool(0.3) {
            wish.push("--fresh".to_owned());
        }
        wish
    }

    fn at_step(&mut self, wish: &mut Vec<String>) {
        let done = Status::read(&self.run)
            .unwrap()
            .map_or(0, |status| status.step);
        let step = done + self.random.random_range(0..500);
        wish.extend(["--at-step".to_owned(), step.to_string()]);
    }

    fn swap(&mut self, at_step: bool) {
        let mut wish = self.wish();
        if at_step {
            self.at_step(&mut wish);
        }
        let wish: Vec<&str> = wish.iter().map(String::as_str).collect();
        let (good, text) = self.ask(&wish);
        // It may have ended by itself, a step may be over, and a state need not fit.
        let excuses = [
            "is over",
            "there is no",
            "was over",
            "does not take the state",
            "ended",
        ];
        assert!(
            good || self.is_ending() || excuses.iter().any(|excuse| text.contains(excuse)),
            "{wish:?}: {text}"
        );
    }

    fn bad_swap(&mut self) {
        let bytes = bad(&mut self.random);
        fs::write(self.base.join("bad.wat"), bytes).unwrap();
        let before = Takeovers::read(&self.run).unwrap().len();
        let (good, text) = self.ask(&["swap", "--schedule", "bad.wat"]);
        assert!(
            !good && text.contains("error"),
            "a bad schedule was taken: {text}"
        );
        assert!(Takeovers::read(&self.run).unwrap().len() >= before);
    }

    /// A swap is asked for, and the run killed while it is dealt with.
    fn swap_and_kill(&mut self) {
        let mut wish = self.wish();
        if self.random.random_bool(0.5) {
            self.at_step(&mut wish);
        }
        let mut command = self.pixelrate();
        command.arg(&wish[0]).arg(&self.run).args(&wish[1..]);
        let mut asking = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.nap(150);
        self.kill();
        // It ends by itself: the run is gone, and what it asked for is kept.
        wait(&mut asking);
        self.start(&[]);
    }

    fn swap_while_stopped(&mut self) {
        self.kill();
        if self.run.join("run.toml").exists() && read_summary(&self.run).unwrap().is_none() {
            let mut wish = self.wish();
            if self.random.random_bool(0.5) {
                self.at_step(&mut wish);
            }
            let wish: Vec<&str> = wish.iter().map(String::as_str).collect();
            let (good, text) = self.ask(&wish);
            // What was told of a killed run's progress may be older than its rows.
            let excuses = ["is over", "there is no"];
            assert!(
                good || excuses.iter().any(|excuse| text.contains(excuse)),
                "{wish:?}: {text}"
            );
        }
        self.start(&[]);
    }

    fn pause(&mut self) {
        let (waits, text) = self.ask(&["pause"]);
        if !waits {
            assert!(self.is_ending() || text.contains("ended"), "{text}");
            return;
        }
        if !self.is_alive() {
            return;
        }
        let before = self.check_rows();
        self.nap(300);
        assert_eq!(
            self.check_rows(),
            before,
            "it goes on though it was told to wait"
        );
        if self.random.random_bool(0.3) {
            self.kill();
            self.start(&[]);
        } else {
            let (goes_on, text) = self.ask(&["resume"]);
            assert!(goes_on, "{text}");
        }
    }

    /// A second process wants the run.
    fn second(&mut self) {
        let (_, text) = self.ask(&["resume"]);
        // A run that was killed while it waited still says so for an instant.
        let told = text.contains("another process is writing this run") || text.contains("went on");
        assert!(told || self.is_ending(), "a second process: {text}");
    }

    fn fill_the_disk(&mut self) {
        if self.disk.is_none() {
            // Blocks of 512 bytes (POSIX): no checkpoint is as small.
            self.kill();
            self.start(&["sh", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
            self.excuses.push("File too large");
            self.nap(1500);
            self.kill();
            self.start(&[]);
            return;
        }
        let ballast = self.base.join("disk/ballast");
        let mut file = File::create(&ballast).unwrap();
        let block = vec![0; 1 << 16];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0; 64]).is_ok() {}
        self.nap(1500);
        drop(file);
        fs::remove_file(&ballast).unwrap();
        self.excuses.push("No space left on device");
    }

    /// The newest checkpoint is no longer what was written. False if there is none yet.
    fn damage(&mut self) -> bool {
        self.kill();
        let newest = checkpoint::list(&self.run).unwrap().pop();
        if let Some(path) = &newest {
            let mut bytes = fs::read(path).unwrap();
            let at = self.random.random_range(0..bytes.len());
            if self.random.random_bool(0.5) {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << self.random.random_range(0..8);
            }
            fs::write(path, bytes).unwrap();
        }
        self.start(&[]);
        newest.is_some()
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

fn rate(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.random_range(1..200)) * 1e-4
}

/// A schedule that passes admission; one of those that fault later on only if `faulty`.
fn good(random: &mut ChaCha8Rng, faulty: bool) -> String {
    let rate = rate(random);
    match random.random_range(0..if faulty { 4 } else { 3 }) {
        0 => module("", &format!("f64.const {rate}")),
        1 => module(TRAINING, &format!("f64.const {rate}")),
        // Counts what it was asked for, and takes the count over.
        2 => format!(
            r#"(module
                (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\08\00\00\00")
                (func (export "learning-rate") (param i64) (result f64)
                    (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1)))
                    (f64.div (f64.const {rate})
                        (f64.add (f64.const 1) (f64.convert_i64_u (i64.rem_u (i64.load (i32.const 16)) (i64.const 100))))))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "save") (result i32) (i32.const 0))
                (func (export "restore") (param $at i32) (param $length i32)
                    (i64.store (i32.const 16) (i64.load (local.get $at)))))"#
        ),
        // No rehearsal shows a norm of the gradient that is not near 1: this one faults while it trains.
        _ => module(
            TRAINING,
            &format!(
                "(if (i32.and (f64.gt (f64.abs (f64.sub (call $norm) (f64.const 1))) (f64.const 0.06))
                    (i64.eq (i64.rem_u (local.get 0) (i64.const 16)) (i64.const 7))) (then unreachable))
                 f64.const {rate}"
            ),
        ),
    }
}

const TRAINING: &str =
    r#"(import "pixelrate:schedule/training@1.0.0" "grad-norm" (func $norm (result f64)))"#;

fn module(fields: &str, body: &str) -> String {
    format!(r#"(module {fields} (func (export "learning-rate") (param i64) (result f64) {body}))"#)
}

/// What no run may take over.
fn bad(random: &mut ChaCha8Rng) -> Vec<u8> {
    let text = match random.random_range(0..7) {
        0 => module("", "f64.const 5"),
        1 => module("", "f64.const nan"),
        2 => module("", "unreachable"),
        3 => module("", "(loop $again (br $again)) f64.const 0.1"),
        4 => module(r#"(import "env" "clock" (func))"#, "f64.const 0.1"),
        5 => "(module (func (export \"learning".to_owned(),
        _ => {
            let mut bytes = vec![0; random.random_range(1..2000)];
            random.fill_bytes(&mut bytes);
            return bytes;
        }
    };
    text.into_bytes()
}
