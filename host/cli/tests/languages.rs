//! Every example of every language of `sdk/`, built from its sources by its real compiler through `pixelrate new` and
//! `pixelrate build`: all cosines within 4 ULP of a reference, all pictures' scans and all plateaus bit for bit equal,
//! and a plateau's state goes from any language to any other.
//!
//! `cargo xtask languages` fetches the compilers and runs it; so does `cargo xtask test` where PIXELRATE_LANGUAGES is set.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::{pixelrate, said};
use pixelrate_author::language::{self, Language};
use pixelrate_author::template;
use pixelrate_sandbox::{
    Engine, EngineOptions, GuardOptions, Limits, Pictures, Plugin, RunFacts, Schedule,
    TrainingValues, Value,
};

/// Plugins by example and language, and what failed.
#[derive(Default)]
struct Built {
    plugins: BTreeMap<String, BTreeMap<&'static str, PathBuf>>,
    problems: Vec<String>,
}

/// Makes and builds every example, as many languages at a time as there are cores.
fn built(place: &Path) -> Built {
    let (next, all) = (AtomicUsize::new(0), Mutex::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(one) = language::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    build_examples(place, one, &all);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn build_examples(place: &Path, language: &Language, all: &Mutex<Built>) {
    for example in template::examples(language) {
        let folder = place.join(language.name).join(&example);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        let name = folder.to_string_lossy().into_owned();
        let new = ["new", &name, "--lang", language.name, "--example", &example];
        let (good, _, err) = said(pixelrate(place).args(new));
        assert!(good, "{err}");
        share(place, &folder, language.name);
        let began = Instant::now();
        let (good, out, err) = said(pixelrate(&folder).arg("build"));
        let took = began.elapsed().as_secs_f64();
        println!("{example}, {}: built in {took:.0} s", language.name);
        let mut all = all.lock().unwrap();
        if good {
            let file = folder.join(format!("{example}.wasm"));
            let of_example = all.plugins.entry(example).or_default();
            of_example.insert(language.name, file);
        } else {
            let problem = format!("{} {example}:\n{out}{err}", language.title);
            all.problems.push(problem);
        }
    }
}

/// What examples of one language fetch or compile alike is done once: Rust's dependencies, npm's packages.
fn share(place: &Path, folder: &Path, language: &str) {
    let shared = match language {
        "rust" => "target",
        "assemblyscript" | "javascript" | "moonbit" => "node_modules",
        _ => return,
    };
    // Node looks for packages in folders of that name alone.
    let all = place.join(format!("{language}-shared")).join(shared);
    let parent = all.parent().unwrap();
    let versions = |folder: &Path| {
        let text = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
        let (_, versions) = text.split_once("devDependencies").unwrap_or_default();
        versions.to_owned()
    };
    if shared == "node_modules"
        && (!all.join(".package-lock.json").exists() || versions(parent) != versions(folder))
    {
        fs::create_dir_all(parent).unwrap();
        fs::copy(folder.join("package.json"), parent.join("package.json")).unwrap();
        let install = ["install", "--no-audit", "--no-fund"];
        // Where npm is missing, `pixelrate build` says so.
        let _ = Command::new("npm")
            .current_dir(parent)
            .args(install)
            .status();
    }
    fs::create_dir_all(&all).unwrap();
    std::os::unix::fs::symlink(&all, folder.join(shared)).unwrap();
}

fn facts(steps: u64, params: &[(&str, Value)]) -> RunFacts {
    RunFacts {
        total_steps: steps,
        steps_per_epoch: 10,
        train_examples: 1280,
        batch_size: 128,
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        pictures: Pictures::default()
            .with_fallback(|name| pixelrate_trainer::pictures::builtin(name, &Limits::default())),
        ..RunFacts::default()
    }
}

fn start(plugin: &Plugin, facts: &RunFacts) -> Schedule {
    Schedule::start(plugin, facts, &Limits::default(), &GuardOptions::default()).unwrap()
}

fn rates(plugin: &Plugin, facts: &RunFacts) -> Vec<f64> {
    let mut schedule = start(plugin, facts);
    (0..facts.total_steps)
        .map(|step| schedule.step(step, shown(step)).unwrap().learning_rate)
        .collect()
}

/// A loss that gets better for 200 steps and then worse, tested every ten steps.
fn shown(step: u64) -> TrainingValues {
    let eval_step = step / 10 * 10;
    TrainingValues {
        train_loss: 1.0,
        grad_norm: 1.0,
        eval_loss: (eval_step as f64 - 200.0).abs() / 100.0 + 0.5,
        eval_accuracy: 0.5,
        eval_step,
        weight_norm: 1.0,
    }
}

/// How many doubles lie between two positive ones.
fn ulps(one: f64, other: f64) -> u64 {
    one.to_bits().abs_diff(other.to_bits())
}

/// A number as the sum of two doubles (Dekker 1971): some 32 digits.
#[derive(Clone, Copy)]
struct Double(f64, f64);

impl Double {
    fn sum(a: f64, b: f64) -> Self {
        let sum = a + b;
        let rest = sum - a;
        Self(sum, (a - (sum - rest)) + (b - rest))
    }

    fn plus(self, other: Self) -> Self {
        let Self(high, low) = Self::sum(self.0, other.0);
        Self::sum(high, low + self.1 + other.1)
    }

    fn times(self, other: Self) -> Self {
        let product = self.0 * other.0;
        let rest = self.0.mul_add(other.0, -product) + self.0 * other.1 + self.1 * other.0;
        Self::sum(product, rest)
    }

    fn over(self, divisor: f64) -> Self {
        let quotient = self.0 / divisor;
        let rest = quotient.mul_add(-divisor, self.0) + self.1;
        Self::sum(quotient, rest / divisor)
    }

    /// The series of the sine (from 1) or the cosine (from 0), for at most pi / 4.
    fn series(self, from: u32) -> Self {
        let square = self.times(self);
        let square = Self(-square.0, -square.1);
        let mut term = if from == 0 { Self(1.0, 0.0) } else { self };
        let mut sum = term;
        for n in (from + 2..28).step_by(2) {
            term = term.times(square).over(f64::from(n * (n - 1)));
            sum = sum.plus(term);
        }
        sum
    }
}

/// The rate as the examples have it, from a cosine of 32 digits: what is compared is not another library's rounding.
fn cosine(step: u64, steps: u64, max: f64, min: f64, warmup: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};
    let (step, steps) = (step as f64, steps as f64);
    if step < warmup {
        return max * ((step + 1.0) / warmup);
    }
    let part = ((step - warmup) / (steps - warmup).max(1.0)).min(1.0);
    let angle = part * FRAC_PI_2;
    let cosine = if angle <= FRAC_PI_4 {
        Double(angle, 0.0).series(0)
    } else {
        // The second double of pi / 2, beyond the first.
        Double(FRAC_PI_2, 6.123_233_995_736_766e-17)
            .plus(Double(-angle, 0.0))
            .series(1)
    };
    let rate = cosine.times(cosine).times(Double(max - min, 0.0));
    rate.plus(Double(min, 0.0)).0
}

#[test]
fn the_reference_is_right() {
    // By mpmath with 50 digits, of the angles as doubles have them.
    for (step, wanted) in [
        (0, 1.0),
        (45, 0.5),
        (60, 0.250_000_000_000_000_1),
        (89, 0.000_304_586_490_452_137_97),
    ] {
        let rate = cosine(step, 90, 1.0, 0.0, 0.0);
        assert!(ulps(rate, wanted) <= 1, "step {step}: {rate:?}");
    }
}

#[test]
fn every_example_in_every_language_agrees() {
    if std::env::var_os("PIXELRATE_LANGUAGES").is_none() {
        println!("skipped: `cargo xtask languages` builds every example in every language");
        return;
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages");
    fs::create_dir_all(&place).unwrap();
    let Built {
        plugins: files,
        mut problems,
    } = built(&place);
    let none = BTreeMap::new();
    let engine = Engine::new(&EngineOptions::default()).unwrap();
    let load = |file: &PathBuf| engine.load(&file.to_string_lossy()).unwrap();

    let number = |value: f64| Value::Number(value);
    let runs = [
        (1000, 0.1, 0.0, 0.0),
        (997, 0.3, 1e-3, 100.0),
        (10, 1.0, 0.5, 20.0),
    ];
    for (name, file) in files.get("cosine").unwrap_or(&none) {
        let plugin = load(file);
        let mut worst = 0;
        for (steps, max, min, warmup) in runs {
            let params = [
                ("max_lr", number(max)),
                ("min_lr", number(min)),
                ("warmup_steps", number(warmup)),
            ];
            for (step, rate) in rates(&plugin, &facts(steps, &params))
                .into_iter()
                .enumerate()
            {
                let wanted = cosine(step as u64, steps, max, min, warmup);
                worst = worst.max(ulps(rate, wanted));
            }
        }
        println!(
            "cosine, {name}: {} bytes, at most {worst} ULP off",
            plugin.bytes().len()
        );
        if worst > 4 {
            problems.push(format!("{name} cosine: {worst} ULP from the reference"));
        }
    }

    // Compiling these takes seconds, which `pixelrate build` has spent: what comes after it does not.
    for name in ["python", "javascript"] {
        let Some(file) = files.get("cosine").unwrap_or(&none).get(name) else {
            continue;
        };
        let next = Engine::new(&EngineOptions::default()).unwrap();
        next.load(&file.to_string_lossy()).unwrap();
        if next.cache_hits() != 1 {
            problems.push(format!("{name} cosine: not in the compile cache"));
        }
    }

    let picture = [("image", Value::Text("puppy".to_owned()))];
    let scan = facts(5000, &picture);
    let wanted = rates(&engine.load("image").unwrap(), &scan);
    for (name, file) in files.get("image").unwrap_or(&none) {
        let plugin = load(file);
        println!("image, {name}: {} bytes", plugin.bytes().len());
        if rates(&plugin, &scan) != wanted {
            problems.push(format!(
                "{name} image: other rates than the built-in schedule"
            ));
        }
    }

    let params = [("patience", number(3.0)), ("factor", number(0.5))];
    let plateau = facts(400, &params);
    let plugins: BTreeMap<_, _> = files
        .get("plateau")
        .unwrap_or(&none)
        .iter()
        .map(|(name, file)| (*name, load(file)))
        .collect();
    let Some(rust) = plugins.get("rust") else {
        panic!("{}", problems.join("\n\n"));
    };
    let wanted = rates(rust, &plateau);
    assert!(
        wanted[239] == 0.1 && wanted[240] == 0.05 && wanted[399] < 0.01,
        "{wanted:?}"
    );
    for (name, plugin) in &plugins {
        println!("plateau, {name}: {} bytes", plugin.bytes().len());
        if rates(plugin, &plateau) != wanted {
            problems.push(format!("{name} plateau: other rates than Rust's"));
        }
        let mut first = start(plugin, &plateau);
        for step in 0..260 {
            first.step(step, shown(step)).unwrap();
        }
        let state = first.save().unwrap().unwrap();
        for (other, second) in &plugins {
            let mut second = start(second, &plateau);
            second.restore(&state).unwrap();
            let future: Vec<f64> = (260..400)
                .map(|step| second.step(step, shown(step)).unwrap().learning_rate)
                .collect();
            if future != wanted[260..] {
                problems.push(format!("{other} does not go on with the state of {name}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    assert_eq!(files["cosine"].len(), language::ALL.len());
    assert_eq!(files["image"].len(), language::ALL.len());
    assert_eq!(
        plugins.keys().copied().collect::<Vec<_>>(),
        ["assemblyscript", "c", "javascript", "python", "rust", "zig"]
    );
}
