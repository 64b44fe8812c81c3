//! Training beside PyTorch: images a second of the same model, batch, optimizer and precision, taken in turns in one run on
//! one machine; and what of pixelrate's step its data, its schedule and its log take.
//!
//! `PIXELRATE_BENCH_PYTHON` names a Python with PyTorch 2.11, as `cargo xtask bench` sets it.
//! `cargo bench --package pixelrate-trainer --bench pytorch -- [MODEL …] [--threads N] [--rounds N]`
//!
//! A turn of pixelrate's is a stretch of a real run, with everything that belongs to one: pictures are drawn and augmented,
//! a WASM schedule is asked, every step is logged. PyTorch trains on one batch that it has in memory. The last lines are
//! `ratio NAME VALUE`, images a second over PyTorch's, which `cargo xtask bench --compare` reads.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use pixelrate_runlog::StepRow;
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::batches::{Augmentation, TrainSet};
use pixelrate_trainer::precision::{Precision, PrecisionChoice};
use pixelrate_trainer::spec::{Found, OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Observer, Progress, Stop, begin};
use pixelrate_trainer::{data, device};
use tch::Device;

const BATCH: u32 = 128;
/// The word that the benchmark's own processes begin with.
const OWN: &str = "--own";
/// Seconds that a turn takes at the least. pixelrate's turns are whole numbers of the steps that it logs at a time.
const TURN: f64 = 2.0;
/// What is trained in PyTorch: words that `pytorch.py` knows.
const PEERS: [&str; 6] = [
    "eager",
    "channels_last",
    "compile",
    "compile+channels_last",
    "channels_last+bfloat16",
    "compile+channels_last+bfloat16",
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [OWN, file, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return play(file, folder);
    }
    let options = Options::read(words.into_iter());
    println!(
        "{}, {} threads, batch {BATCH}",
        device::machine(),
        options.threads
    );
    let mut ratios = Vec::new();
    for model in &options.models {
        ratios.extend(compare(model, &options));
    }
    println!();
    for (name, ratio) in ratios {
        println!("ratio {name} {ratio:.3}");
    }
}

struct Options {
    models: Vec<String>,
    threads: u32,
    rounds: usize,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = Self {
            models: Vec::new(),
            threads: cores as u32,
            rounds: 5,
        };
        while let Some(word) = words.next() {
            let mut number = || words.next().unwrap().parse::<u32>().unwrap();
            match word.as_str() {
                "--threads" => options.threads = number(),
                "--rounds" => options.rounds = number() as usize,
                // Cargo's own.
                "--bench" => {}
                model => options.models.push(model.to_owned()),
            }
        }
        if options.models.is_empty() {
            options.models = ["resnet-20", "mnist-convnet", "convnet"]
                .map(str::to_owned)
                .into();
        }
        options
    }
}

/// Runs all variants of a model in turns, prints what came of it, and gives its ratios.
fn compare(model: &str, options: &Options) -> Vec<(String, f64)> {
    let mut precisions = vec![Precision::Float32];
    if PrecisionChoice::Auto.resolve(Device::Cpu) == Precision::Bfloat16 {
        precisions.push(Precision::Bfloat16);
    }
    let place = tempfile::tempdir().unwrap();
    small_mnist(&place.path().join("mnist"));
    let mut own: Vec<Own> = precisions
        .iter()
        .map(|&precision| {
            Own::start(
                &spec(model, precision, options.threads, place.path()),
                place.path(),
            )
        })
        .collect();
    let peers = if precisions.len() == 2 {
        &PEERS[..]
    } else {
        &PEERS[..4]
    };
    let mut torch = Torch::start(model, options.threads, peers);
    let mut own_times = vec![Vec::new(); own.len()];
    let mut torch_times = vec![Vec::new(); torch.as_ref().map_or(0, |torch| torch.variants.len())];
    for _ in 0..options.rounds {
        for (run, times) in own.iter_mut().zip(&mut own_times) {
            times.push(run.turn());
        }
        for (variant, times) in torch_times.iter_mut().enumerate() {
            times.push(torch.as_mut().unwrap().turn(variant));
        }
    }
    let data = data_seconds(&own[0].spec);
    println!(
        "\n{model}: milliseconds a step, images a second (medians of {} turns)",
        options.rounds
    );
    let shown = |name: &str, seconds: f64| {
        let images = f64::from(BATCH) / seconds;
        println!("  {name:<44} {:>9.2} {images:>9.0}", seconds * 1e3);
    };
    let own_medians: Vec<f64> = own_times
        .into_iter()
        .map(|turns| median(turns.iter().map(|turn: &Turn| turn.step).collect()))
        .collect();
    for (precision, &seconds) in precisions.iter().zip(&own_medians) {
        shown(&format!("pixelrate, {precision}"), seconds);
    }
    let torch_medians: Vec<f64> = torch_times.into_iter().map(median).collect();
    let names = torch.as_ref().map_or(&[][..], |torch| &torch.variants[..]);
    if let Some(torch) = &torch {
        for (name, &seconds) in names.iter().zip(&torch_medians) {
            shown(&format!("PyTorch {}, {name}", torch.version), seconds);
        }
    }
    for (index, run) in own.iter().enumerate() {
        run.shares(precisions[index], own_medians[index], data);
    }
    let peers: Vec<(&str, f64)> = names
        .iter()
        .map(String::as_str)
        .zip(torch_medians)
        .collect();
    let mut ratios = Vec::new();
    let mut ratio = |name: String, of: Option<f64>, seconds: f64| {
        if let Some(other) = of {
            ratios.push((format!("{model}.{name}"), other / seconds));
        }
    };
    let quickest = |bfloat16: bool| {
        let same = peers
            .iter()
            .filter(|(name, _)| name.contains("bfloat16") == bfloat16);
        same.map(|&(_, seconds)| seconds).min_by(f64::total_cmp)
    };
    let eager = peers
        .iter()
        .find(|(name, _)| *name == "eager")
        .map(|&(_, seconds)| seconds);
    for (precision, &seconds) in precisions.iter().zip(&own_medians) {
        ratio(
            format!("{precision}-to-best"),
            quickest(*precision == Precision::Bfloat16),
            seconds,
        );
    }
    // The last is what `auto` chooses here.
    if let Some(&seconds) = own_medians.last() {
        ratio("default-to-eager".to_owned(), eager, seconds);
    }
    for (name, value) in &ratios {
        println!("  {name:<44} {value:>9.2} times as fast");
    }
    ratios
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn spec(model: &str, precision: Precision, threads: u32, place: &Path) -> RunSpec {
    let mnist = model == "mnist-convnet";
    RunSpec {
        study: "bench".into(),
        run: format!("{model}-{precision}"),
        label: "one".into(),
        label_index: 0,
        seed: 0,
        training: Training {
            dataset: if mnist { "mnist" } else { "synthetic" }.into(),
            data_folder: place.to_owned(),
            model: model.into(),
            batch_size: BATCH,
            epochs: 1e7,
            train_examples: 0,
            validation_examples: 0.0,
            optimizer: if mnist {
                OptimizerKind::Adam
            } else {
                OptimizerKind::Momentum
            },
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: if mnist { 0.0 } else { 2e-4 },
            eval_every_epochs: 1e7,
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
            threads,
            precision: match precision {
                Precision::Float32 => PrecisionChoice::Float32,
                Precision::Bfloat16 => PrecisionChoice::Bfloat16,
            },
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

/// Random pictures in MNIST's format: how quick training is does not depend on what they show.
fn small_mnist(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let count = 10 * BATCH;
    let noise = |bytes: u32, most: u32| {
        (0..bytes).map(move |i| (i.wrapping_mul(2_654_435_761) >> 16) as u8 % most as u8)
    };
    for split in ["train", "t10k"] {
        let head = |magic: u32, sizes: &[u32]| {
            let numbers = [&[magic][..], sizes].concat();
            numbers
                .into_iter()
                .flat_map(u32::to_be_bytes)
                .collect::<Vec<u8>>()
        };
        let mut pictures = head(0x803, &[count, 28, 28]);
        pictures.extend(noise(count * 784, 255));
        fs::write(folder.join(format!("{split}-images-idx3-ubyte")), pictures).unwrap();
        let mut labels = head(0x801, &[count]);
        labels.extend(noise(count, 10));
        fs::write(folder.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Seconds of one batch of the run's pictures, drawn and augmented.
fn data_seconds(spec: &RunSpec) -> f64 {
    const BATCHES: u64 = 200;
    let dataset = data::load(&spec.training.dataset, &spec.training.data_folder).unwrap();
    let examples = dataset.train.labels.len() as u64;
    let augmentation = Augmentation::of(&spec.training);
    let mut set = TrainSet::new(&dataset, examples, 0, augmentation, Device::Cpu);
    let began = Instant::now();
    for step in 0..BATCHES {
        drop(set.batch(step, BATCH));
    }
    began.elapsed().as_secs_f64() / BATCHES as f64
}

/// A run of pixelrate's in a process of its own, which waits between its turns. Two runs in one process would each have
/// their threads in it, and OpenMP lets threads that are more than the cores wait for one another asleep.
struct Own {
    spec: RunSpec,
    child: Child,
    go: Option<ChildStdin>,
    turns: BufReader<ChildStdout>,
    all: Vec<Turn>,
}

/// Seconds of a step in one turn: all of it; from the question to the schedule to the optimizer's end; the question.
#[derive(Clone, Copy)]
struct Turn {
    step: f64,
    trained: f64,
    schedule: f64,
}

impl Own {
    fn start(spec: &RunSpec, place: &Path) -> Self {
        let file = place.join(format!("{}.json", spec.run));
        fs::write(&file, serde_json::to_vec(spec).unwrap()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(OWN)
            .args([&file, &place.join(&spec.run)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut own = Self {
            spec: spec.clone(),
            go: child.stdin.take(),
            turns: BufReader::new(child.stdout.take().unwrap()),
            child,
            all: Vec::new(),
        };
        // What warms up.
        own.turn();
        own.all.clear();
        own
    }

    fn turn(&mut self) -> Turn {
        writeln!(self.go.as_mut().unwrap()).unwrap();
        let mut line = String::new();
        self.turns.read_line(&mut line).unwrap();
        let numbers: Vec<f64> = line
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        let turn = Turn {
            step: numbers[0],
            trained: numbers[1],
            schedule: numbers[2],
        };
        self.all.push(turn);
        turn
    }

    fn shares(&self, precision: Precision, step: f64, data: f64) {
        let of = |part: fn(&Turn) -> f64| median(self.all.iter().map(part).collect()) / step;
        println!(
            "  of a step in {precision}: data and augmentation {:.2} %, the schedule's call {:.4} %, the log and what else is \
             around {:.2} %",
            100.0 * data / step,
            100.0 * of(|turn| turn.schedule),
            100.0 * of(|turn| turn.step - turn.trained),
        );
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.go = None;
        let _ = self.child.wait();
    }
}

/// Trains the run of the spec in `file` into `folder`: a turn for each line of standard input, whose numbers go to standard
/// output, until that ends.
fn play(file: &str, folder: &str) {
    let spec: RunSpec = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let stop = Stop::default();
    let mut player = Player {
        stop: stop.clone(),
        rows: Vec::new(),
        began: Instant::now(),
    };
    begin(&spec, Path::new(folder), &mut player, &stop).unwrap();
}

/// Lets a run go on for a turn at a time.
struct Player {
    stop: Stop,
    rows: Vec<StepRow>,
    began: Instant,
}

impl Player {
    fn wait(&mut self) {
        self.rows.clear();
        if std::io::stdin().read_line(&mut String::new()).unwrap() == 0 {
            self.stop.ask();
        }
        self.began = Instant::now();
    }
}

impl Observer for Player {
    fn started(&mut self, _: &Found, _: u64) {
        self.wait();
    }

    fn step(&mut self, row: &StepRow) {
        self.rows.push(row.clone());
    }

    fn progress(&mut self, _: &Progress) {
        let seconds = self.began.elapsed().as_secs_f64();
        if seconds < TURN || self.stop.asked() {
            return;
        }
        let steps = self.rows.len() as f64;
        let sum = |part: fn(&StepRow) -> u64| {
            self.rows.iter().map(|row| part(row) as f64).sum::<f64>() / 1e9 / steps
        };
        println!(
            "{} {} {}",
            seconds / steps,
            sum(|row| row.step_ns),
            sum(|row| row.schedule_ns)
        );
        self.wait();
    }
}

/// PyTorch in a process of its own.
struct Torch {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    version: String,
    variants: Vec<String>,
    /// Steps of a turn, by variant.
    steps: Vec<u64>,
}

impl Torch {
    /// `None` without a Python that has it.
    fn start(model: &str, threads: u32, variants: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("PIXELRATE_BENCH_PYTHON") else {
            println!("without PyTorch: PIXELRATE_BENCH_PYTHON names no Python that has it");
            return None;
        };
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch.py"))
            .args([model, &BATCH.to_string(), &threads.to_string()])
            .args(variants)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut torch = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            version: String::new(),
            variants: Vec::new(),
            steps: Vec::new(),
        };
        loop {
            let line = torch.line();
            match line.split_once(' ') {
                Some(("ready", variant)) => torch.variants.push(variant.to_owned()),
                Some(("go", version)) => {
                    torch.version = version.to_owned();
                    break;
                }
                _ => println!("{model}: PyTorch {line}"),
            }
        }
        for variant in 0..torch.variants.len() {
            let step = torch.ask(variant, 5) / 5.0;
            torch.steps.push((TURN / step).ceil().max(1.0) as u64);
        }
        Some(torch)
    }

    /// Seconds a step.
    fn turn(&mut self, variant: usize) -> f64 {
        let steps = self.steps[variant];
        self.ask(variant, steps) / steps as f64
    }

    fn ask(&mut self, variant: usize, steps: u64) -> f64 {
        let variant = &self.variants[variant];
        writeln!(self.input.as_mut().unwrap(), "{variant} {steps}").unwrap();
        self.line().parse().unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.output.read_line(&mut line).unwrap() > 0,
            "pytorch.py ended"
        );
        line.trim_end().to_owned()
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
