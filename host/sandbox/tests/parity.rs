//! The built-in schedules beside the ones that users know, over whole runs: by what PyTorch, optax, timm, Transformers
//! and Keras gave (`golden/parity.jsonl`), and, where `PIXELRATE_PARITY_PYTHON` has them (`cargo xtask parity`), by what
//! they give. `parity/cases.toml` lists the runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use common::{engine, facts, limits};
use pixelrate_sandbox::{
    GuardOptions, Plugin, RunFacts, Schedule, StepValues, TrainingValues, Value,
};
use serde::Deserialize;

/// What `parity.py` printed.
const GOLDEN: &str = include_str!("golden/parity.jsonl");
const CASES: &str = include_str!("parity/cases.toml");

/// How far a value may be from its origin's, as a share of that.
const RELATIVE: f64 = 1e-12;

/// A run; `cases.toml` says what the fields are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    origin: String,
    // What only the origin is told.
    #[serde(rename = "lr")]
    _lr: Option<f64>,
    #[serde(rename = "optimizer")]
    _optimizer: Option<String>,
    args: serde_json::Value,
    steps: usize,
    plugin: String,
    params: BTreeMap<String, Value>,
    total: Option<u64>,
    #[serde(default = "one")]
    epoch: u64,
    #[serde(default)]
    momentum: bool,
    metric: Option<String>,
    #[serde(default)]
    except: Vec<usize>,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// What an origin gave, by step.
#[derive(Deserialize)]
struct Given {
    origin: String,
    args: serde_json::Value,
    rates: Vec<f64>,
    momenta: Option<Vec<f64>>,
    #[serde(default)]
    metrics: Vec<f64>,
}

fn cases() -> Vec<Case> {
    toml::from_str::<Cases>(CASES).unwrap().case
}

impl Case {
    fn facts(&self) -> RunFacts {
        let batch = 128;
        RunFacts {
            total_steps: self.total.unwrap_or(self.steps as u64) * self.epoch,
            steps_per_epoch: self.epoch,
            train_examples: self.epoch * batch,
            params: self.params.clone(),
            ..facts(&[])
        }
    }

    fn start(&self, plugin: &Plugin) -> Schedule {
        let guard = GuardOptions::default();
        Schedule::start(plugin, &self.facts(), &limits(), &guard)
            .unwrap_or_else(|e| panic!("{} {}: {e}", self.origin, self.args))
    }

    /// What the plugin gives at each step of the origin: asked from the last to the first, since it may not matter; one
    /// with a state from the first to the last, through a save and a restore.
    fn run(&self, plugin: &Plugin, metrics: &[f64]) -> Vec<StepValues> {
        let mut schedule = self.start(plugin);
        let at = |step: usize| {
            let metric = step.checked_sub(1).and_then(|before| metrics.get(before));
            metric.map_or(TrainingValues::NONE, |&metric| TrainingValues {
                train_loss: metric,
                grad_norm: metric,
                eval_loss: metric,
                eval_accuracy: metric,
                eval_step: step as u64,
                weight_norm: metric,
            })
        };
        if !plugin.exports().save {
            let steps = (0..self.steps).rev().map(|step| {
                // Any step of the origin's epoch gives its value.
                let within = step as u64 % self.epoch;
                let step = step as u64 * self.epoch + within;
                schedule.step(step, TrainingValues::NONE).unwrap()
            });
            let mut values: Vec<_> = steps.collect();
            values.reverse();
            return values;
        }
        let mut values = Vec::new();
        for step in 0..self.steps {
            if step % 50 == 33 {
                let state = schedule.save().unwrap().unwrap();
                schedule = self.start(plugin);
                schedule.restore(&state).unwrap();
            }
            values.push(schedule.step(step as u64, at(step)).unwrap());
        }
        values
    }

    /// The first step at which `found` and the origin's are not the same, in words.
    fn compare(
        &self,
        what: &str,
        found: impl Iterator<Item = f64>,
        given: &[f64],
    ) -> Option<String> {
        let found: Vec<f64> = found.collect();
        assert_eq!((found.len(), given.len()), (self.steps, self.steps));
        let apart = |step: usize| (found[step] - given[step]).abs() > RELATIVE * given[step].abs();
        // An origin that is wrong has to be so, or the case says what is not true any more.
        let step = (0..self.steps).find(|&step| apart(step) != self.except.contains(&step))?;
        Some(format!(
            "{} {}: at step {step} `{}` has the {what} {:e}, the origin {:e}",
            self.origin, self.args, self.plugin, found[step], given[step]
        ))
    }

    fn problems(&self, plugin: &Plugin, given: &Given) -> Vec<String> {
        assert_eq!(
            (&self.origin, &self.args),
            (&given.origin, &given.args),
            "{STALE}"
        );
        assert_eq!(self.metric.is_some(), !given.metrics.is_empty(), "{STALE}");
        let values = self.run(plugin, &given.metrics);
        let rates = values.iter().map(|values| values.learning_rate);
        let mut problems = Vec::from_iter(self.compare("rate", rates, &given.rates));
        if self.momentum {
            let momenta = values.iter().map(|values| values.momentum.unwrap());
            problems.extend(self.compare("momentum", momenta, given.momenta.as_ref().unwrap()));
        }
        problems
    }
}

const STALE: &str = "the golden file is of other cases: run `cargo xtask parity --bless`";

fn all_agree(lines: &str) {
    let engine = engine();
    let plugins: BTreeMap<&str, Plugin> = pixelrate_sandbox::builtin_names()
        .map(|name| (name, engine.load(name).unwrap()))
        .collect();
    let cases = cases();
    assert_eq!(lines.lines().count(), cases.len(), "{STALE}");
    let problems: Vec<String> = cases
        .iter()
        .zip(lines.lines())
        .flat_map(|(case, line)| {
            case.problems(
                &plugins[case.plugin.as_str()],
                &serde_json::from_str(line).unwrap(),
            )
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn plugins_agree_with_what_the_origins_gave() {
    all_agree(GOLDEN);
}

#[test]
fn plugins_agree_with_the_origins_that_are_here() {
    let Some(python) = std::env::var_os("PIXELRATE_PARITY_PYTHON") else {
        let required = std::env::var_os("PIXELRATE_PARITY").is_some();
        assert!(
            !required,
            "`cargo xtask parity` could not fetch the origins"
        );
        println!("skipped: no PIXELRATE_PARITY_PYTHON; the golden file was held");
        return;
    };
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let output = Command::new(python)
        .args([
            format!("{tests}/parity.py"),
            format!("{tests}/parity/cases.toml"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    if std::env::var_os("PIXELRATE_PARITY_BLESS").is_some() {
        std::fs::write(format!("{tests}/golden/parity.jsonl"), &lines).unwrap();
    }
    all_agree(&lines);
}

#[test]
fn every_built_in_schedule_has_its_cases() {
    let held: BTreeSet<String> = cases().into_iter().map(|case| case.plugin).collect();
    let missing: Vec<&str> = pixelrate_sandbox::builtin_names()
        .filter(|name| !held.contains(*name))
        .collect();
    // No package has these: pictures, noise and range tests, and ABEL. They have tests of their own.
    assert_eq!(missing, ["abel", "image", "noise", "ramp"]);
}
