//! What a swap costs: from the end of a save to the first step under the new schedule, what it takes from the trainer,
//! what watching costs a step, and whether memory grows with swaps. And what checkpoints cost, which make a run one that
//! can be taken up.
//!
//! `cargo bench --package pixelrate-trainer --bench swap -- [reload|steps|checkpoints|memory …] [FILE.wasm …]`: only the
//! parts that are named, all where none is; files are plugins to reload beside the small module, such as one of Python's.
//! `PIXELRATE_SWAPS` sets how many swaps memory is watched over (10,000).

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pixelrate_control::{Mailbox, Offer, What};
use pixelrate_runlog::{EventKind, EventRow, StepRow, read_events, read_steps};
use pixelrate_sandbox::{Limits, OnFault};
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Observer, Stop, begin};

/// What is measured.
const PARTS: [&str; 4] = ["reload", "steps", "checkpoints", "memory"];
/// Saves of a plugin whose time is taken.
const SAVES: u32 = 20;
/// Steps before a takeover in which it is prepared, and after it in which what it left behind might show.
const BEFORE: u64 = 50;
const AFTER: u64 = 5;
/// The study's own policy, and how long a run is watched under it: two checkpoints that are due, the first, and the last.
const CHECKPOINT_SECONDS: f64 = 60.0;
const WATCHED: Duration = Duration::from_secs(140);
/// Between two saves: longer than the watcher takes a file for a busy one.
const APART: Duration = Duration::from_millis(1_300);

fn main() {
    let named = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let (parts, files): (Vec<String>, Vec<String>) =
        named.partition(|arg| PARTS.contains(&arg.as_str()));
    for (part, measure) in PARTS
        .into_iter()
        .zip([reloads, step_times, checkpoints, memory])
    {
        if parts.is_empty() || parts.iter().any(|named| named == part) {
            measure(&files);
        }
    }
}

fn reloads(files: &[String]) {
    println!(
        "from close(2) to the first step under the new schedule, and what the trainer waited:"
    );
    reload("a module of WAT", |at| module(at).into_bytes());
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        // Another file each time, and the same plugin: a custom section at the end.
        reload(file, |at| [&bytes[..], &section(at)].concat());
    }
}

fn step_times(_: &[String]) {
    println!("a step of a small convnet, batch 16:");
    let plain = steps("no watcher", false, None);
    let watched = steps("a watcher", true, None);
    let swapped = steps(
        "a watcher, and a swap every second",
        true,
        Some(Duration::from_secs(1)),
    );
    println!(
        "  median with a watcher {:.3} of that without; with swaps {:.3}",
        watched / plain,
        swapped / plain
    );
}

/// The share of a run's time that its checkpoints take by the default policy, with the optimizer that has most to keep.
fn checkpoints(_: &[String]) {
    println!("checkpoints by the default policy, Adam, batch 128:");
    for model in ["resnet-32", "mnist-convnet"] {
        let place = tempfile::tempdir().unwrap();
        let (folder, file) = (place.path().join("run"), place.path().join("plugin.wat"));
        std::fs::write(&file, module(0)).unwrap();
        let mut spec = spec(&file, false);
        spec.training = Training {
            model: model.into(),
            batch_size: 128,
            train_examples: 6_000,
            validation_examples: 0.0,
            optimizer: OptimizerKind::Adam,
            checkpoint_seconds: CHECKPOINT_SECONDS,
            precision: PrecisionChoice::Auto,
            ..spec.training
        };
        let began = Instant::now();
        trains(&folder, &spec, |_| {
            std::thread::sleep(WATCHED);
        });
        let whole = began.elapsed().as_secs_f64();
        let took: Vec<f64> = read_events(&folder)
            .unwrap()
            .into_iter()
            .filter(|row| row.kind == EventKind::Checkpoint)
            .filter_map(|row| Some(row.duration_ns? as f64 / 1e9))
            .collect();
        let sum: f64 = took.iter().sum();
        println!(
            "  {model}: {} in {whole:.0} s took {:.0} ms, {:.2} % of the time",
            took.len(),
            sum * 1e3,
            100.0 * sum / whole
        );
    }
}

/// A plugin that says a rate of its own.
fn module(at: u32) -> String {
    format!(
        "(module (func (export \"learning-rate\") (param i64) (result f64) f64.const {}))",
        0.01 + f64::from(at % 1_000) * 1e-6
    )
}

/// A custom section that holds a number.
fn section(at: u32) -> Vec<u8> {
    let mut bytes = vec![0, 6, 1, b'n'];
    bytes.extend(at.to_le_bytes());
    bytes
}

fn spec(plugin: &Path, watch: bool) -> RunSpec {
    RunSpec {
        study: "bench".into(),
        run: "one".into(),
        label: "one".into(),
        label_index: 0,
        seed: 0,
        training: Training {
            dataset: "synthetic".into(),
            data_folder: "data".into(),
            model: "convnet".into(),
            batch_size: 16,
            epochs: 1e6,
            train_examples: 320,
            validation_examples: 0.0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            eval_every_epochs: 1e6,
            checkpoint_seconds: 1e6,
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
            params: [].into(),
            picture_folder: None,
            max_learning_rate: 1.0,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch,
        tuned: None,
        parent: None,
    }
}

/// Tells another thread of every takeover, at the moment before the first step under the new schedule.
struct Tell {
    swapped: Sender<Instant>,
    begun: Sender<()>,
}

impl Observer for Tell {
    fn started(&mut self, _: &pixelrate_trainer::spec::Found, _: u64) {
        let _ = self.begun.send(());
    }

    fn event(&mut self, row: &EventRow) {
        if row.kind == EventKind::Swapped {
            let _ = self.swapped.send(Instant::now());
        }
        assert_ne!(row.kind, EventKind::Rejected, "{}", row.message);
    }
}

/// Trains a small convnet while `work` goes on, and gives what that gives.
fn while_it_trains<T: Send>(
    folder: &Path,
    plugin: &Path,
    watch: bool,
    work: impl FnOnce(&Receiver<Instant>) -> T + Send,
) -> T {
    trains(folder, &spec(plugin, watch), work)
}

fn trains<T: Send>(
    folder: &Path,
    spec: &RunSpec,
    work: impl FnOnce(&Receiver<Instant>) -> T + Send,
) -> T {
    let (swapped, takeovers) = channel();
    let (begun, started) = channel();
    let stop = Stop::default();
    let asked = stop.clone();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            started.recv().unwrap();
            std::thread::sleep(Duration::from_secs(3));
            let found = work(&takeovers);
            asked.ask();
            found
        });
        let mut tell = Tell { swapped, begun };
        begin(spec, folder, &mut tell, &stop).unwrap();
        worker.join().unwrap()
    })
}

fn reload(name: &str, plugin: impl Fn(u32) -> Vec<u8> + Sync) {
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("run"), place.path().join("plugin.wasm"));
    std::fs::write(&file, plugin(0)).unwrap();
    let mut took = while_it_trains(&folder, &file, true, |takeovers| {
        let save = |at: u32| {
            std::fs::write(&file, plugin(at)).unwrap();
            let closed = Instant::now();
            let over = takeovers.recv_timeout(Duration::from_secs(300)).unwrap();
            std::thread::sleep(APART);
            over.saturating_duration_since(closed).as_secs_f64() * 1e3
        };
        (1..=SAVES).map(save).collect::<Vec<_>>()
    });
    let first = took[0];
    took.sort_unstable_by(f64::total_cmp);
    let waited: Vec<f64> = read_events(&folder)
        .unwrap()
        .into_iter()
        .filter(|row| row.kind == EventKind::Swapped)
        .filter_map(|row| Some(row.duration_ns? as f64 / 1e6))
        .collect();
    let worst = waited.iter().copied().fold(0.0, f64::max);
    println!(
        "  {name}: median {:.1} ms, worst {:.1} (the first {first:.1}); the trainer waited {worst:.2} ms at the most",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

/// Trains for some seconds, and gives the median of a step in milliseconds.
fn steps(name: &str, watch: bool, every: Option<Duration>) -> f64 {
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("run"), place.path().join("plugin.wat"));
    std::fs::write(&file, module(0)).unwrap();
    while_it_trains(&folder, &file, watch, |_| {
        let began = Instant::now();
        let mut at = 0;
        while began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(every.unwrap_or(Duration::from_secs(1)));
            if every.is_some() {
                at += 1;
                post(&folder, &file, at);
            }
        }
    });
    let rows = read_steps(&folder).unwrap();
    let swaps: Vec<u64> = rows
        .windows(2)
        .filter(|pair| pair[0].swaps != pair[1].swaps)
        .map(|pair| pair[1].step)
        .collect();
    // The first steps warm up.
    let rows = &rows[50..];
    let mut times: Vec<u64> = rows.iter().map(|row| row.step_ns).collect();
    times.sort_unstable();
    let ms = |ns: u64| ns as f64 / 1e6;
    let median = ms(times[times.len() / 2]);
    println!(
        "  {name}: {} steps, median {median:.2} ms, {}, 99 % under {:.2}, worst {:.2}",
        times.len(),
        slow(rows, median),
        ms(times[times.len() * 99 / 100]),
        ms(times[times.len() - 1]),
    );
    if !swaps.is_empty() {
        // What a swap may hold up: the steps while it is prepared, and those that follow it.
        let near = |row: &&StepRow| {
            swaps
                .iter()
                .any(|&swap| (swap.saturating_sub(BEFORE)..swap + AFTER).contains(&row.step))
        };
        let (near, far): (Vec<&StepRow>, Vec<&StepRow>) = rows.iter().partition(near);
        let first: Vec<&StepRow> = rows
            .iter()
            .filter(|row| swaps.contains(&row.step))
            .collect();
        println!(
            "    from {BEFORE} steps before a swap to {AFTER} after it: {}; elsewhere {}; right after a swap {}",
            slow(near, median),
            slow(far, median),
            slow(first, median)
        );
    }
    median
}

/// How many of these steps took more than twice the median, in words.
fn slow<'a>(rows: impl IntoIterator<Item = &'a StepRow>, median_ms: f64) -> String {
    let times: Vec<f64> = rows
        .into_iter()
        .map(|row| row.step_ns as f64 / 1e6)
        .collect();
    let (mut over, mut worst) = (0_u32, 0.0_f64);
    for &time in &times {
        over += u32::from(time > 2.0 * median_ms);
        worst = worst.max(time);
    }
    format!(
        "{over} of {} ({:.2} %) over twice the median, worst {:.2} times",
        times.len(),
        100.0 * f64::from(over) / times.len() as f64,
        worst / median_ms
    )
}

/// Asks for a swap, and gives the request's id.
fn post(folder: &Path, file: &Path, at: u32) -> String {
    let offer = Offer {
        schedule: spec(file, false).schedule,
        at_step: None,
        carry_state: true,
    };
    Mailbox::of(folder)
        .post(What::Swap(offer), Some(module(at).as_bytes()))
        .unwrap()
}

fn memory(_: &[String]) {
    let swaps: u32 = std::env::var("PIXELRATE_SWAPS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("run"), place.path().join("plugin.wat"));
    std::fs::write(&file, module(0)).unwrap();
    println!("memory of the process, over {swaps} swaps:");
    while_it_trains(&folder, &file, false, |takeovers| {
        let shown = [swaps / 10, swaps / 2, swaps];
        let mut answered: Option<String> = None;
        for at in 1..=swaps {
            let request = post(&folder, &file, at);
            takeovers.recv_timeout(Duration::from_secs(60)).unwrap();
            // As whoever asks takes an answer away; the one of this takeover may not be there yet.
            if let Some(id) = answered.replace(request) {
                Mailbox::of(&folder).clear(&id).unwrap();
            }
            if shown.contains(&at) {
                println!("  after {at}: {:.1} MB", resident() / 1e6);
            }
        }
    });
}

/// Bytes of this process that are in memory; NaN where the system does not say.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<f64> = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    pages.map_or(f64::NAN, |pages| pages * 4_096.0)
}
