//! Training on a GPU: steps a second of one run and of several side by side, beside PyTorch on the same GPU in the same
//! minutes; and how long the post's eleven runs of 250 epochs would take at that.
//!
//! `cargo xtask bench cuda`, or the built benchmark by itself, which needs nothing but libtorch's libraries (`LD_LIBRARY_PATH`)
//! and, for its peers, a Python with PyTorch: `PIXELRATE_CUDA_PYTHON`, or else `python3`. It takes about five minutes, most of
//! which `torch.compile` compiles. Without a GPU it says so and fails, unless it runs as a test (no `--bench`), or
//! `PIXELRATE_BENCH_ALL` is set.
//!
//! Each number is of real runs, with augmentation, a WASM schedule and the log; PyTorch trains on one batch that it has on the
//! device. Runs side by side are threads of this process, each with its stream and its graph.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Observer, Progress, Stop, begin};
use pixelrate_trainer::{data, device};

const MODEL: &str = "resnet-32";
const BATCH: u32 = 128;
const ROUNDS: usize = 3;
/// Seconds that are measured of each in a round.
const TURN: f64 = 4.0;
/// Runs side by side: one, as the issue compares them, and the post's.
const TOGETHER: [usize; 4] = [1, 4, 8, 11];
/// The post's study: steps of 250 epochs, and its runs.
const POST_STEPS: f64 = 250.0 * 50_000.0 / 128.0;
const POST_RUNS: usize = 11;
/// What is trained in PyTorch: words that `cuda.py` knows.
const PEERS: [&str; 3] = [
    "eager+channels_last+bfloat16",
    "eager+channels_last+bfloat16+fused",
    "compile+channels_last+bfloat16+fused",
];
const PEER: &str = include_str!("cuda.py");

fn main() -> ExitCode {
    if let Err(problem) = device::open("cuda") {
        println!("no GPU: {problem}; nothing was measured");
        let asked = std::env::args().any(|argument| argument == "--bench")
            && std::env::var_os("PIXELRATE_BENCH_ALL").is_none();
        return if asked {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let place = tempfile::tempdir().unwrap();
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("{} steps a second", together(1, 0.5, place.path()));
        return ExitCode::SUCCESS;
    }
    println!("{MODEL}, batch {BATCH}, bfloat16, {}", device::machine());
    let mut torch = Torch::start();
    let mut own = vec![Vec::new(); TOGETHER.len()];
    let mut peers = vec![Vec::new(); torch.as_ref().map_or(0, |torch| torch.variants.len())];
    for round in 0..ROUNDS {
        for (times, count) in own.iter_mut().zip(TOGETHER) {
            let folder = place.path().join(format!("{round}-{count}"));
            times.push(together(count, TURN, &folder));
        }
        for (variant, times) in peers.iter_mut().enumerate() {
            times.push(torch.as_mut().unwrap().turn(variant));
        }
    }
    report(own, peers, torch.as_ref());
    ExitCode::SUCCESS
}

fn report(own: Vec<Vec<f64>>, peers: Vec<Vec<f64>>, torch: Option<&Torch>) {
    println!("\nsteps a second, of all runs together (medians of {ROUNDS}):");
    let own: Vec<f64> = own.into_iter().map(median).collect();
    for (count, steps) in TOGETHER.iter().zip(&own) {
        println!("  pixelrate, {count:>2} side by side {steps:>36.0}");
    }
    let peers: Vec<f64> = peers.into_iter().map(median).collect();
    let names = torch.map_or(&[][..], |torch| &torch.variants[..]);
    for (name, steps) in names.iter().zip(&peers) {
        println!("  PyTorch, {name:<44} {steps:>9.0}");
    }
    let of = |count: usize| {
        let found = TOGETHER.iter().position(|&other| other == count);
        found.map_or(f64::NAN, |at| own[at])
    };
    let minutes = POST_STEPS * POST_RUNS as f64 / of(POST_RUNS) / 60.0;
    println!("\nthe post's {POST_RUNS} runs of 250 epochs, side by side: {minutes:.1} minutes");
    let best = |word: &str| {
        let named = names.iter().zip(&peers);
        let of_word = named.filter(|(name, _)| name.starts_with(word));
        of_word.map(|(_, &steps)| steps).max_by(f64::total_cmp)
    };
    for (word, name) in [("eager", "to-eager"), ("compile", "to-compile")] {
        if let Some(peer) = best(word) {
            println!("ratio cuda.{MODEL}.{name} {:.3}", of(1) / peer);
        }
    }
    println!("ratio cuda.{MODEL}.eight-to-one {:.3}", of(8) / of(1));
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Steps a second of so many runs in threads of this process, over `seconds`, once all of them are under way.
fn together(count: usize, seconds: f64, folder: &Path) -> f64 {
    let stop = Stop::default();
    let clocks: Vec<Clock> = (0..count).map(|_| Clock::default()).collect();
    thread::scope(|scope| {
        for (seed, clock) in clocks.iter().enumerate() {
            let (spec, stop) = (spec(seed as u64), stop.clone());
            let (run, mut observer) = (folder.join(&spec.run), clock.clone());
            scope.spawn(move || begin(&spec, &run, &mut observer, &stop).unwrap());
        }
        // What is recorded, chosen and taken at the beginning is over by then.
        while clocks.iter().any(|clock| clock.marks().len() < 4) {
            thread::sleep(Duration::from_millis(5));
        }
        let from = Instant::now();
        thread::sleep(Duration::from_secs_f64(seconds));
        let until = Instant::now();
        stop.ask();
        clocks.iter().map(|clock| clock.rate(from, until)).sum()
    })
}

/// When a run had done how many steps.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<Vec<(Instant, u64)>>>);

impl Clock {
    fn marks(&self) -> Vec<(Instant, u64)> {
        self.0.lock().unwrap().clone()
    }

    /// Steps a second between the first and the last mark of a stretch of time.
    fn rate(&self, from: Instant, until: Instant) -> f64 {
        let marks = self.marks();
        let within: Vec<_> = (marks.iter())
            .filter(|(at, _)| (from..=until).contains(at))
            .collect();
        let (first, last) = (within.first().unwrap(), within.last().unwrap());
        (last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64()
    }
}

impl Observer for Clock {
    fn progress(&mut self, progress: &Progress) {
        let mark = (Instant::now(), progress.step);
        self.0.lock().unwrap().push(mark);
    }
}

fn spec(seed: u64) -> RunSpec {
    RunSpec {
        study: "bench".into(),
        run: format!("seed{seed}"),
        label: "one".into(),
        label_index: 0,
        seed,
        training: Training {
            // A step costs the same whatever its pictures show.
            dataset: "synthetic".into(),
            data_folder: "data".into(),
            model: MODEL.into(),
            batch_size: BATCH,
            epochs: 1e7,
            train_examples: 0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 2e-4,
            // As often as the post's, in steps.
            eval_every_epochs: 390.0 * f64::from(BATCH)
                / data::train_examples("synthetic").unwrap() as f64,
            checkpoint_seconds: 1e6,
            log_grad_norm: false,
            label_smoothing: 0.0,
            device: "cuda".into(),
            threads: 1,
            precision: PrecisionChoice::Bfloat16,
        },
        schedule: ScheduleSpec {
            plugin: "cyclic".into(),
            params: [("max_lr".to_owned(), Value::Number(1e-3))].into(),
            picture_folder: None,
            max_learning_rate: 1.0,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch: false,
        tuned: None,
        parent: None,
    }
}

/// PyTorch in a process of its own.
struct Torch {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    variants: Vec<String>,
    /// Steps of a turn, by variant.
    steps: Vec<u64>,
}

impl Torch {
    /// `None` without a Python that has it.
    fn start() -> Option<Self> {
        let python = std::env::var_os("PIXELRATE_CUDA_PYTHON").unwrap_or_else(|| "python3".into());
        let begun = Command::new(python)
            .args(["-c", PEER, MODEL, &BATCH.to_string()])
            .args(PEERS)
            // Its own libraries are its own.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = begun else {
            println!("without PyTorch: there is no Python; PIXELRATE_CUDA_PYTHON names one");
            return None;
        };
        let mut torch = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            variants: Vec::new(),
            steps: Vec::new(),
        };
        loop {
            let line = torch.line()?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["ready", variant, seconds] => {
                    println!("PyTorch, {variant}: begun in {seconds} s");
                    torch.variants.push(variant.to_owned());
                }
                ["go", version] => {
                    println!("PyTorch {version}");
                    break;
                }
                _ => println!("PyTorch {line}"),
            }
        }
        for variant in 0..torch.variants.len() {
            let seconds = torch.ask(variant, 50) / 50.0;
            torch.steps.push((TURN / seconds).ceil() as u64);
        }
        Some(torch)
    }

    /// Steps a second.
    fn turn(&mut self, variant: usize) -> f64 {
        let steps = self.steps[variant];
        steps as f64 / self.ask(variant, steps)
    }

    fn ask(&mut self, variant: usize, steps: u64) -> f64 {
        let variant = &self.variants[variant];
        writeln!(self.input.as_mut().unwrap(), "{variant} {steps}").unwrap();
        self.line().unwrap().parse().unwrap()
    }

    /// `None` if it has ended, as a Python without PyTorch does; it has told why.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
