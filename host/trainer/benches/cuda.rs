//! Training on a GPU: steps a second of one run and of several side by side, and of airbench's network, beside PyTorch on the
//! same GPU in the same minutes; and how long the post's eleven runs of 250 epochs would take at that.
//!
//! `cargo xtask bench cuda`, or the built benchmark by itself, which needs nothing but libtorch's libraries (`LD_LIBRARY_PATH`)
//! and, for its peers, a Python with PyTorch: `PIXELRATE_CUDA_PYTHON`, or else `python3`. It takes about six minutes, a good part of
//! which `torch.compile` compiles. Without a GPU it says so and fails, unless it runs as a test (no `--bench`), or
//! `PIXELRATE_BENCH_ALL` is set.
//!
//! `--bench MODEL [SIDE BY SIDE [BATCH]]` trains that alone, for a profiler to look at, and prints its steps a second.
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

use pixelrate_runlog::EvalRow;
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Observer, Progress, Stop, begin};
use pixelrate_trainer::{data, device};

const ROUNDS: usize = 3;
/// Seconds that are measured of each in a round.
const TURN: f64 = 3.0;
/// The post's study: steps of 250 epochs, and its runs.
const POST_STEPS: f64 = 250.0 * 50_000.0 / 128.0;
const POST_RUNS: usize = 11;

/// What is trained.
struct Case {
    model: &'static str,
    batch: u32,
    optimizer: OptimizerKind,
    label_smoothing: f64,
    /// Runs side by side.
    together: &'static [usize],
    /// What is trained in PyTorch: words that `cuda.py` knows.
    peers: &'static [&'static str],
}

const CASES: [Case; 2] = [
    Case {
        model: "resnet-32",
        batch: 128,
        optimizer: OptimizerKind::Momentum,
        label_smoothing: 0.0,
        together: &[1, 4, 8, POST_RUNS],
        peers: &[
            "eager+channels_last+bfloat16",
            "eager+channels_last+bfloat16+fused",
            "compile+channels_last+bfloat16+fused",
        ],
    },
    Case {
        model: "airbench",
        batch: 1024,
        optimizer: OptimizerKind::Nesterov,
        label_smoothing: 0.2,
        together: &[1],
        // As its authors train it: in 16 bits throughout, but for batch norm.
        peers: &["eager+channels_last+half", "compile+channels_last+half"],
    },
];
/// PyTorch's part, by the names of its files: the program first.
const PEER: [(&str, &str); 2] = [
    ("cuda.py", include_str!("cuda.py")),
    ("resnet.py", include_str!("resnet.py")),
];

fn main() -> ExitCode {
    // As the `pixelrate` command does.
    for (name, value) in device::ENVIRONMENT {
        if std::env::var_os(name).is_none() {
            // SAFETY: there is no other thread yet that could read the environment meanwhile.
            unsafe { std::env::set_var(name, value) };
        }
    }
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
        let steps = CASES[0].together(1, 0.5, place.path());
        println!("{steps} steps a second");
        return ExitCode::SUCCESS;
    }
    println!("{}", device::machine());
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let Some(model) = words.first() else {
        for case in &CASES {
            case.compare(&place.path().join(case.model));
        }
        return ExitCode::SUCCESS;
    };
    let Some(case) = CASES.into_iter().find(|case| case.model == model) else {
        let known = CASES.map(|case| case.model).join(" or ");
        println!("{model} is not measured here: use {known}");
        return ExitCode::FAILURE;
    };
    case.alone(&words[1..], place.path());
    ExitCode::SUCCESS
}

impl Case {
    /// Trains as many runs side by side as the first of `words` says, with batches of the second.
    fn alone(mut self, words: &[String], place: &Path) {
        let number = |at: usize| words.get(at).map(|word| word.parse().unwrap());
        let count = number(0).unwrap_or(1);
        self.batch = number(1).unwrap_or(self.batch);
        let steps = self.together(count as usize, TURN, place);
        println!(
            "{}, batch {}, {count} side by side: {steps:.0} steps a second",
            self.model, self.batch
        );
    }

    /// Runs all of it in turns, and prints what came of it.
    fn compare(&self, place: &Path) {
        println!("\n{}, batch {}, bfloat16", self.model, self.batch);
        let mut torch = Torch::start(self);
        let mut own = vec![Vec::new(); self.together.len()];
        let mut peers = vec![Vec::new(); torch.as_ref().map_or(0, |torch| torch.variants.len())];
        for round in 0..ROUNDS {
            for (times, &count) in own.iter_mut().zip(self.together) {
                let folder = place.join(format!("{round}-{count}"));
                let steps = self.together(count, TURN, &folder);
                // At once: whoever ends this before its time has what was measured by then.
                println!(
                    "  round {round}: pixelrate, {count:>2} side by side {steps:>9.0} steps a second"
                );
                times.push(steps);
            }
            for (variant, times) in peers.iter_mut().enumerate() {
                let torch = torch.as_mut().unwrap();
                let steps = torch.turn(variant);
                println!(
                    "  round {round}: PyTorch, {} {steps:>9.0} steps a second",
                    torch.variants[variant]
                );
                times.push(steps);
            }
        }
        report(self, own, peers, torch.as_ref());
    }
}

fn report(case: &Case, own: Vec<Vec<f64>>, peers: Vec<Vec<f64>>, torch: Option<&Torch>) {
    println!("steps a second, of all runs together (medians of {ROUNDS}):");
    let own: Vec<f64> = own.into_iter().map(median).collect();
    for (count, steps) in case.together.iter().zip(&own) {
        println!("  pixelrate, {count:>2} side by side {steps:>36.0}");
    }
    let peers: Vec<f64> = peers.into_iter().map(median).collect();
    let names = torch.map_or(&[][..], |torch| &torch.variants[..]);
    for (name, steps) in names.iter().zip(&peers) {
        println!("  PyTorch, {name:<44} {steps:>9.0}");
    }
    let of = |count: usize| {
        let found = case.together.iter().position(|&other| other == count);
        found.map(|at| own[at])
    };
    if let Some(steps) = of(POST_RUNS) {
        let minutes = POST_STEPS * POST_RUNS as f64 / steps / 60.0;
        println!("the post's {POST_RUNS} runs of 250 epochs, side by side: {minutes:.1} minutes");
    }
    let Some(alone) = of(1) else { return };
    let best = |word: &str| {
        let named = names.iter().zip(&peers);
        let of_word = named.filter(|(name, _)| name.starts_with(word));
        of_word.map(|(_, &steps)| steps).max_by(f64::total_cmp)
    };
    for (word, name) in [("eager", "to-eager"), ("compile", "to-compile")] {
        if let Some(peer) = best(word) {
            println!("ratio cuda.{}.{name} {:.3}", case.model, alone / peer);
        }
    }
    if let Some(eight) = of(8) {
        println!(
            "ratio cuda.{}.eight-to-one {:.3}",
            case.model,
            eight / alone
        );
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

impl Case {
    /// Steps a second of so many runs in threads of this process, over `seconds`, once all of them are under way.
    fn together(&self, count: usize, seconds: f64, folder: &Path) -> f64 {
        let stop = Stop::default();
        let clocks: Vec<Clock> = (0..count).map(|_| Clock::default()).collect();
        thread::scope(|scope| {
            let runs: Vec<_> = (0..)
                .zip(&clocks)
                .map(|(seed, clock)| {
                    let (spec, stop) = (self.spec(seed), stop.clone());
                    let (run, mut observer) = (folder.join(&spec.run), clock.clone());
                    scope.spawn(move || begin(&spec, &run, &mut observer, &stop).unwrap())
                })
                .collect();
            // What is recorded, chosen and taken at the beginning is over by then, the first evaluation with it.
            while clocks.iter().any(|clock| !clock.is_under_way()) {
                // Only one that went wrong has ended; the scope tells why.
                assert!(runs.iter().all(|run| !run.is_finished()));
                thread::sleep(Duration::from_millis(5));
            }
            let from = Instant::now();
            thread::sleep(Duration::from_secs_f64(seconds));
            let until = Instant::now();
            stop.ask();
            clocks.iter().map(|clock| clock.rate(from, until)).sum()
        })
    }

    fn spec(&self, seed: u64) -> RunSpec {
        let mut spec = spec(seed);
        let training = &mut spec.training;
        training.model = self.model.into();
        training.batch_size = self.batch;
        training.optimizer = self.optimizer;
        training.label_smoothing = self.label_smoothing;
        // The post's runs are tested on 10,000 pictures for each 50,000 that they are trained on. The synthetic set has 2,000
        // to test on, so that this does so five times.
        training.eval_every_epochs =
            10_000.0 / data::train_examples(&training.dataset).unwrap() as f64;
        spec
    }
}

/// When a run had done how many steps.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    marks: Vec<(Instant, u64)>,
    /// Marks before the first evaluation was over.
    before: Option<usize>,
}

impl Clock {
    /// Whether the run was evaluated, and has done some steps since.
    fn is_under_way(&self) -> bool {
        let times = self.0.lock().unwrap();
        times
            .before
            .is_some_and(|before| times.marks.len() >= before + 4)
    }

    /// Steps a second in a stretch of time, between the last mark before it and the last within it.
    fn rate(&self, from: Instant, until: Instant) -> f64 {
        let times = self.0.lock().unwrap();
        let last_by = |time: Instant| times.marks.iter().rev().find(|(at, _)| *at <= time);
        match (last_by(from), last_by(until)) {
            (Some(first), Some(last)) if last.0 > first.0 => {
                (last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64()
            }
            // It stood still.
            _ => 0.0,
        }
    }
}

impl Observer for Clock {
    fn progress(&mut self, progress: &Progress) {
        let mark = (Instant::now(), progress.step);
        self.0.lock().unwrap().marks.push(mark);
    }

    fn evaluated(&mut self, _: &EvalRow) {
        let mut times = self.0.lock().unwrap();
        let marks = times.marks.len();
        times.before.get_or_insert(marks);
    }
}

/// What all cases have in common.
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
            model: String::new(),
            batch_size: 1,
            epochs: 1e7,
            train_examples: 0,
            validation_examples: 0.0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 2e-4,
            eval_every_epochs: 1.0,
            checkpoint_seconds: 1e6,
            log_grad_norm: false,
            label_smoothing: 0.0,
            crop_padding: 4,
            crop_padding_mode: Default::default(),
            flip: Default::default(),
            normalization: Default::default(),
            test_views: 1,
            deterministic: false,
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
    /// Where its program lies.
    _place: tempfile::TempDir,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    variants: Vec<String>,
    /// Steps of a turn, by variant.
    steps: Vec<u64>,
}

impl Torch {
    /// `None` without a Python that has it.
    fn start(case: &Case) -> Option<Self> {
        let python = std::env::var_os("PIXELRATE_CUDA_PYTHON").unwrap_or_else(|| "python3".into());
        let place = tempfile::tempdir().unwrap();
        for (name, text) in PEER {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let begun = Command::new(python)
            .arg(place.path().join(PEER[0].0))
            .args([case.model, &case.batch.to_string()])
            .args(case.peers)
            // Its own libraries are its own, and it trains one network at a time.
            .env(
                "LD_LIBRARY_PATH",
                std::env::var_os("PIXELRATE_CUDA_LIBRARY_PATH").unwrap_or_default(),
            )
            .env_remove(device::ENVIRONMENT[0].0)
            .env_remove(device::ENVIRONMENT[1].0)
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
            _place: place,
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
