//! Whether the split of runs and threads that a study finds is the quickest: a study of small nets with each split of the
//! cores, and with the one that is found.
//!
//! `cargo bench --profile dev --package pixelrate --bench split -- [MODEL …]`; on a machine that does nothing else, since
//! what is measured on a busy one is not what it will be. Run as a test (no `--bench`), its studies are a few steps.
//!
//! The last lines are `ratio NAME VALUE`: the best split's time over that of the one that is found by a search that was
//! asked for (`--jobs auto`), without and with what the search took; and over that of a study that says nothing, which
//! searches only as far as it is long enough for.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Models, and the epochs of a run: about as long, a few seconds on one core.
const MODELS: [(&str, f64); 2] = [("convnet", 16.0), ("resnet-8", 2.0)];
/// Runs of the study for each core.
const RUNS: usize = 3;

fn main() {
    let (mut full, mut named) = (false, Vec::new());
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => full = true,
            word if word.starts_with('-') => {}
            model => named.push(model.to_owned()),
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; studies of {} runs, seconds", RUNS * cores);
    let wanted = |model: &str| named.is_empty() || named.iter().any(|name| name == model);
    let models = MODELS.iter().filter(|(model, _)| wanted(model));
    let ratios: Vec<_> = models
        .flat_map(|&(model, epochs)| compare(model, if full { epochs } else { 0.1 }, cores))
        .collect();
    for (name, ratio) in ratios {
        println!("ratio {name} {ratio:.3}");
    }
}

/// Takes the time of all splits, and of the study that finds its own.
fn compare(model: &str, epochs: f64, cores: usize) -> [(String, f64); 3] {
    println!("{model}:");
    let mut times = Vec::new();
    for (runs, threads) in splits(cores) {
        let (seconds, _) = study(model, epochs, cores, Jobs::Split(runs, threads));
        println!("  {runs:3} side by side of {threads:3} threads {seconds:8.2} s");
        times.push(((runs, threads), seconds));
    }
    let (unasked, told) = study(model, epochs, cores, Jobs::Unsaid);
    println!("  by default:                 {unasked:8.2} s\n    {told}");
    let (whole, told) = study(model, epochs, cores, Jobs::Auto);
    println!("  found:                      {whole:8.2} s, the search and all\n    {told}");
    // Any split of the same threads with as many rounds is the same study.
    let found = number(&told, |words| {
        words.iter().position(|w| w.starts_with("run"))
    });
    let threads = number(&told, |words| {
        words.iter().position(|w| w.starts_with("thread"))
    });
    let best = times
        .iter()
        .map(|&(_, seconds)| seconds)
        .fold(f64::INFINITY, f64::min);
    let known = times.iter().find(|(split, _)| *split == (found, threads));
    // One that is not of those above has its time taken, too.
    let chosen = known.map_or_else(
        || study(model, epochs, cores, Jobs::Split(found, threads)).0,
        |&(_, seconds)| seconds,
    );
    [
        (
            format!("split-{model}-found-to-best"),
            best.min(chosen) / chosen,
        ),
        (
            format!("split-{model}-with-its-search"),
            best.min(chosen) / whole,
        ),
        (
            format!("split-{model}-by-default"),
            best.min(chosen) / unasked,
        ),
    ]
}

/// The number before a word of what a study told of its split.
fn number(told: &str, word: impl Fn(&[&str]) -> Option<usize>) -> usize {
    let (_, split) = told.rsplit_once("runs/split, ").unwrap();
    let words: Vec<&str> = split.split_whitespace().collect();
    words[word(&words).unwrap() - 1].parse().unwrap()
}

/// Splits that leave no core without work, and those that leave half of them.
fn splits(cores: usize) -> Vec<(usize, usize)> {
    let powers = || std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|&n| n <= cores);
    let mut all: Vec<_> = powers()
        .flat_map(|threads| {
            let runs = cores / threads;
            [(runs, threads), (runs / 2, threads)]
        })
        .filter(|&(runs, _)| runs > 0)
        .collect();
    all.dedup();
    all
}

/// What a study is told of how its runs share the machine.
#[derive(Clone, Copy)]
enum Jobs {
    /// So many runs of so many threads.
    Split(usize, usize),
    /// To find it.
    Auto,
    Unsaid,
}

/// Seconds of the whole study, and what it told of its split.
fn study(model: &str, epochs: f64, cores: usize, jobs: Jobs) -> (f64, String) {
    let place = tempfile::tempdir().unwrap();
    let seeds: Vec<String> = (0..RUNS * cores).map(|seed| seed.to_string()).collect();
    let (jobs, threads) = match jobs {
        Jobs::Split(runs, threads) => (Some(runs.to_string()), format!("threads = {threads}\n")),
        Jobs::Auto => (Some("auto".to_owned()), String::new()),
        Jobs::Unsaid => (None, String::new()),
    };
    let text = format!(
        "[study]\nname = \"split\"\nseeds = [{}]\n\n[training]\ndataset = \"synthetic\"\nmodel = \"{model}\"\n\
         epochs = {epochs:?}\neval_every_epochs = 1000.0\ndevice = \"cpu\"\n{threads}\n\
         [[schedule]]\nplugin = \"cyclic\"\nparams = {{ max_lr = 0.01 }}\n",
        seeds.join(", ")
    );
    std::fs::write(place.path().join("split.toml"), text).unwrap();
    let began = Instant::now();
    let output = pixelrate(place.path())
        .args(["study", "split.toml"])
        .args(jobs.iter().flat_map(|jobs| ["--jobs", jobs]))
        .output()
        .unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = said.lines().find(|line| line.starts_with("split: "));
    (seconds, told.unwrap().to_owned())
}

/// The program, which remembers nothing of what was measured before.
fn pixelrate(place: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixelrate"));
    command
        .current_dir(place)
        .env("XDG_CACHE_HOME", place.join("cache"))
        .stdin(Stdio::null());
    command
}
