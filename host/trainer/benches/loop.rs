//! What the step loop itself costs, and whether that grows: dry runs (`model = "none"`) of 10^3 to 10^7 steps, through
//! the very code of every run: the schedule in its sandbox, the guard, the watcher, and the log with its write-ahead log,
//! its Parquet parts and what makes them one at the end.
//!
//! `cargo bench --profile dev --package pixelrate-trainer --bench loop`; `PIXELRATE_STEPS=100000000` goes on to so many
//! steps. Run as a test (no `--bench`), it makes a few steps.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pixelrate_runlog::{Steps, steps};
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::model;
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{Found, OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Observer, Progress, Stop, begin};

/// Training pictures of a run and pictures of a step: powers of two, so that a number of steps is a number of epochs.
const EXAMPLES: u64 = 4_096;
const BATCH: u32 = 16;

/// Tries of a run whose quickest is taken: short ones jitter.
const TRIES: u32 = 5;

/// Makes this process one run of so many steps: each has a process of its own, so that no memory is another's.
const ONE: &str = "PIXELRATE_BENCH_ONE";

fn main() {
    if let Ok(count) = std::env::var(ONE) {
        println!("{}", cost(count.parse().unwrap()).to_line());
        return;
    }
    let full = std::env::args().any(|argument| argument == "--bench");
    let most: u64 = std::env::var("PIXELRATE_STEPS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(if full { 10_000_000 } else { 10_000 });
    println!(
        "dry runs under cyclic.wasm, which is watched; the loop is from the first step to the last one's row, all of it \
         from the spec to the summary on the disk:"
    );
    println!(
        "      steps   loop, s  ns a step  steps/s   all, s  steps/s   peak MB  bytes a row  schedule, ns"
    );
    let mut found = Vec::new();
    let mut count = 1_000;
    while count <= most {
        let tries = if count < 1_000_000 { TRIES } else { 1 };
        let all: Vec<Cost> = (0..tries).map(|_| in_child(count)).collect();
        let best = all.into_iter().min_by_key(|cost| cost.whole).unwrap();
        let (inner, whole) = (best.inner.as_secs_f64(), best.whole.as_secs_f64());
        let rate = |seconds: f64| count as f64 / seconds;
        println!(
            "{count:11} {inner:9.3} {:10.0} {:8.0} {whole:8.2} {:8.0} {:9.0} {:12.2} {:13}",
            inner * 1e9 / count as f64,
            rate(inner),
            rate(whole),
            best.peak_megabytes,
            best.bytes as f64 / count as f64,
            best.schedule_ns
        );
        found.push((count, whole / count as f64, best.peak_megabytes));
        count *= 10;
    }
    ratios(&found);
}

/// A step's time and the memory, against those of a run a thousand times shorter: the setup of a run is not seen from a
/// hundred thousand steps on.
fn ratios(found: &[(u64, f64, f64)]) {
    let of = |steps: u64| found.iter().find(|(count, ..)| *count == steps);
    for (name, long, short) in [
        ("loop-1e6", 1_000_000, 100_000),
        ("loop-1e7", 10_000_000, 1_000_000),
        ("loop-1e8", 100_000_000, 1_000_000),
    ] {
        if let (Some(long), Some(short)) = (of(long), of(short)) {
            println!("ratio {name}-step-time {:.3}", short.1 / long.1);
            println!("ratio {name}-memory {:.3}", short.2 / long.2);
        }
    }
}

/// What a run cost.
struct Cost {
    inner: Duration,
    whole: Duration,
    peak_megabytes: f64,
    bytes: u64,
    schedule_ns: u64,
}

impl Cost {
    fn to_line(&self) -> String {
        let (inner, whole) = (self.inner.as_nanos(), self.whole.as_nanos());
        let Self {
            peak_megabytes,
            bytes,
            schedule_ns,
            ..
        } = self;
        format!("{inner} {whole} {peak_megabytes} {bytes} {schedule_ns}")
    }

    fn from_line(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        Self {
            inner: Duration::from_nanos(word().parse().unwrap()),
            whole: Duration::from_nanos(word().parse().unwrap()),
            peak_megabytes: word().parse().unwrap(),
            bytes: word().parse().unwrap(),
            schedule_ns: word().parse().unwrap(),
        }
    }
}

fn in_child(count: u64) -> Cost {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.env(ONE, count.to_string()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Cost::from_line(&String::from_utf8_lossy(&output.stdout))
}

fn cost(count: u64) -> Cost {
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("run"), place.path().join("cyclic.wasm"));
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/cyclic.wasm");
    std::fs::copy(plugin, &file).unwrap();
    let mut clock = Clock::default();
    let began = Instant::now();
    let outcome = begin(&spec(&file, count), &folder, &mut clock, &Stop::default()).unwrap();
    let whole = began.elapsed();
    let peak_megabytes = peak_megabytes();
    assert_eq!(outcome.summary.unwrap().steps_done, count);
    let part = folder.join(format!("steps/part-{:012}-{count:012}.parquet", 0));
    let (last, schedule_ns) = read(steps(&folder).unwrap());
    assert_eq!(last + 1, count, "every step is in the log");
    Cost {
        inner: clock.last.unwrap() - clock.first.unwrap(),
        whole,
        peak_megabytes,
        bytes: part.metadata().unwrap().len(),
        schedule_ns,
    }
}

/// The last step of a log, and the mean time of a call into the schedule.
fn read(rows: Steps) -> (u64, u64) {
    let (mut last, mut sum, mut count) = (0, 0, 0);
    for row in rows {
        let row = row.unwrap();
        assert_eq!(row.step, count, "no step is missing or doubled");
        (last, sum, count) = (row.step, sum + row.schedule_ns, count + 1);
    }
    (last, sum / count.max(1))
}

/// When the first step began, and the last was logged.
#[derive(Default)]
struct Clock {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Observer for Clock {
    fn started(&mut self, _: &Found, _: u64) {
        self.first = Some(Instant::now());
    }

    fn progress(&mut self, progress: &Progress) {
        if progress.step == progress.total_steps {
            self.last = Some(Instant::now());
        }
    }
}

fn spec(plugin: &Path, steps: u64) -> RunSpec {
    RunSpec {
        study: "bench".into(),
        run: "dry".into(),
        label: "dry".into(),
        label_index: 0,
        seed: 0,
        training: Training {
            dataset: "synthetic".into(),
            data_folder: "data".into(),
            model: model::NONE.into(),
            batch_size: BATCH,
            epochs: steps as f64 * f64::from(BATCH) / EXAMPLES as f64,
            train_examples: EXAMPLES,
            validation_examples: 0.0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            eval_every_epochs: 1.0,
            checkpoint_seconds: 60.0,
            log_grad_norm: false,
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
            plugin: plugin.to_string_lossy().into_owned(),
            params: [("max_lr".to_owned(), Value::Number(0.1))].into(),
            picture_folder: None,
            max_learning_rate: 1.0,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch: true,
        tuned: None,
        parent: None,
    }
}

/// The process' greatest memory, in megabytes; NaN where the system does not tell.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    number.map_or(f64::NAN, |kilobytes| kilobytes / 1e3)
}
