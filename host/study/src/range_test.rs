//! The learning-rate range test: train for a short while under a rate that rises from far too low to far too high, and see
//! where the loss falls (Smith 2017, arXiv 1506.01186, section 3.3; with the exponential rise and the stop of fastai's
//! `lr_find`).
//!
//! It is an ordinary run, under the plugin `ramp`, with an ordinary log. Its ceiling is the ramp's own end: no guard of
//! a study holds it back, and the ramp cannot leave its range.

mod curve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pixelrate_runlog::{
    EvalRow, EventKind, EventRow, RunStatus, StepRow, read_steps, read_summary,
};
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::data;
use pixelrate_trainer::model::NONE;
use pixelrate_trainer::spec::{Found, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{self, Herald, Observer, Progress, Stop};
use serde::Serialize;

use crate::figure::{self, Mark};
use crate::{Error, engine, plan};
pub use curve::{Suggestion, Suggestions};
use curve::{Watch, smoothed, suggest};

/// The study that the runs belong to.
pub const STUDY: &str = "find-lr";

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is trained on what. `epochs` is not read: the steps are told here.
    pub training: Training,
    /// The rate of the first step.
    pub min: f64,
    /// The rate of the last step.
    pub max: f64,
    /// Steps.
    pub steps: u64,
    /// Whether each step adds to the rate, as in the paper, instead of multiplying it.
    pub linear: bool,
    /// A run each.
    pub seeds: Vec<u64>,
}

/// What a test found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tested {
    /// Rates that the curve suggests.
    pub suggestions: Suggestions,
    /// The runs.
    pub runs: Vec<Tried>,
    /// The mean over the runs, as far as all of them came.
    pub curve: Vec<Point>,
}

/// One run of a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// Its seed.
    pub seed: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// Steps of the curve.
    pub steps: usize,
    /// How it ended.
    pub ending: Ending,
    #[serde(skip)]
    losses: Vec<f64>,
    #[serde(skip)]
    rates: Vec<f64>,
}

/// How a run of a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The smoothed loss came to four times the least.
    Exploded,
    /// The loss left the finite numbers.
    Diverged,
    /// It came to the greatest rate.
    Whole,
}

/// A step of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Its learning rate.
    pub learning_rate: f64,
    /// Cross-entropy of its batch, in nats, mean over the runs.
    pub loss: f64,
    /// The same, smoothed.
    pub smoothed: f64,
    /// The least smoothed loss of a run.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Options {
    /// The run with `seed`.
    ///
    /// # Errors
    /// [`Error::RangeTest`] for a range or a number of steps that cannot be; what is wrong with the training keys.
    pub fn spec(&self, seed: u64) -> Result<RunSpec, Error> {
        let wrong = |problem: String| Err(Error::RangeTest(problem));
        let Self { min, max, .. } = *self;
        if self.training.is_dry() {
            return wrong(format!(
                "`--model {NONE}` trains nothing, and a range test looks for the rate at which training goes best: name \
                 a model that trains"
            ));
        }
        if !(min > 0.0 && max > min && max.is_finite()) {
            return wrong(format!(
                "the rates are from {min} to {max}: the least must be above 0, and below the greatest"
            ));
        }
        if self.steps < curve::LEAST_STEPS {
            let least = curve::LEAST_STEPS;
            return wrong(format!(
                "{} steps are too few: use at least {least}",
                self.steps
            ));
        }
        let mut training = self.training.clone();
        if let Some(whole) = data::train_examples(&training.dataset) {
            training.check_examples(whole)?;
        }
        let examples = plan::expected_examples(&training);
        // Half a step more, so that rounding down gives the steps that are wanted.
        training.epochs =
            (self.steps as f64 + 0.5) * f64::from(training.batch_size) / examples as f64;
        training.eval_every_epochs = training.epochs;
        let number = |name: &str, value: f64| (name.to_owned(), Value::Number(value));
        let mut spec = RunSpec {
            study: STUDY.to_owned(),
            run: String::new(),
            label: String::new(),
            label_index: 0,
            seed,
            schedule: ScheduleSpec {
                plugin: "ramp".to_owned(),
                params: BTreeMap::from([
                    number("min_lr", min),
                    number("max_lr", max),
                    number("shape", f64::from(u8::from(self.linear))),
                ]),
                picture_folder: None,
                max_learning_rate: max,
                on_fault: OnFault::Abort,
                rollback_steps: ScheduleSpec::default_rollback_steps(),
            },
            training,
            limits: Limits::default(),
            watch: false,
            tuned: None,
            parent: None,
        };
        // Tests of one model on one data set differ in much: what tells them apart is a digest of all of it.
        let of_all_seeds = RunSpec {
            seed: 0,
            ..spec.clone()
        };
        let digest = curve::digest(&engine::comparable(&of_all_seeds).to_string());
        spec.label = format!(
            "{}-{}-{}-{digest}",
            spec.training.dataset, spec.training.model, spec.training.optimizer
        );
        spec.run = format!("{}-seed{seed}", spec.label);
        spec.check()?;
        Ok(spec)
    }
}

/// Runs what of a test is not done yet, in `runs/find-lr`. `None`: it was stopped, and the next call goes on.
///
/// # Errors
/// As [`Options::spec`]; whatever a run has against it; [`Error::RangeTest`] if the curve is too short to read.
pub fn test(
    options: &Options,
    runs: &Path,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Tested>, Error> {
    let mut tried = Vec::new();
    for &seed in &options.seeds {
        let spec = options.spec(seed)?;
        let folder = runs.join(STUDY).join(&spec.run);
        engine::unchanged(&spec, &folder)?;
        if over(&folder, seed)?.is_none() {
            // Its own end, and what is asked of `stop`.
            let own = stop.before(u64::MAX);
            let mut watcher = Watcher {
                watch: Watch::default(),
                stop: own.clone(),
                inner: observer,
            };
            if folder.join("run.toml").exists() {
                for row in read_steps(&folder)? {
                    watcher.watch.see(row.train_loss.unwrap_or(f64::NAN));
                }
                train::resume(&folder, &mut watcher, &own)?;
            } else {
                train::begin(&spec, &folder, &mut watcher, &own)?;
            }
        }
        let Some(run) = over(&folder, seed)? else {
            return Ok(None);
        };
        if run.ending == Ending::Exploded {
            let why = "its smoothed loss came to four times the least";
            train::set_aside(&folder, EventKind::Stopped, why)?;
        }
        tried.push(run);
    }
    tested(options, tried).map(Some)
}

/// A run that is over, cut where its loss exploded; `None` if it is not over.
fn over(folder: &Path, seed: u64) -> Result<Option<Tried>, Error> {
    if !folder.join("run.toml").exists() {
        return Ok(None);
    }
    let (mut watch, mut ending) = (Watch::default(), None);
    let (mut rates, mut losses) = (Vec::new(), Vec::new());
    for row in read_steps(folder)? {
        let loss = row.train_loss.unwrap_or(f64::NAN);
        if !loss.is_finite() {
            ending = Some(Ending::Diverged);
            break;
        }
        rates.push(row.learning_rate);
        losses.push(loss);
        if watch.see(loss) {
            ending = Some(Ending::Exploded);
            break;
        }
    }
    let status = read_summary(folder)?.map(|row| row.status);
    let ending = ending.or(match status {
        Some(RunStatus::Finished) => Some(Ending::Whole),
        Some(RunStatus::Diverged) => Some(Ending::Diverged),
        _ => None,
    });
    Ok(ending.map(|ending| Tried {
        seed,
        folder: folder.to_owned(),
        steps: losses.len(),
        ending,
        losses,
        rates,
    }))
}

fn tested(options: &Options, runs: Vec<Tried>) -> Result<Tested, Error> {
    let length = runs.iter().map(|run| run.steps).min().unwrap_or(0);
    let count = runs.len() as f64;
    let each: Vec<Vec<f64>> = runs.iter().map(|run| smoothed(&run.losses)).collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
    let curve: Vec<Point> = (0..length)
        .map(|step| Point {
            learning_rate: runs[0].rates[step],
            loss: mean(&mut runs.iter().map(|run| run.losses[step])),
            smoothed: mean(&mut each.iter().map(|run| run[step])),
            least: each
                .iter()
                .map(|run| run[step])
                .fold(f64::INFINITY, f64::min),
            most: each
                .iter()
                .map(|run| run[step])
                .fold(f64::NEG_INFINITY, f64::max),
        })
        .collect();
    let rates: Vec<f64> = curve.iter().map(|point| point.learning_rate).collect();
    let losses: Vec<f64> = curve.iter().map(|point| point.smoothed).collect();
    let suggestions = suggest(&rates, &losses, options.steps).ok_or_else(|| {
        Error::RangeTest(format!(
            "after {length} of {} steps the loss exploded: begin at a lower rate than {}",
            options.steps, options.min
        ))
    })?;
    Ok(Tested {
        suggestions,
        runs,
        curve,
    })
}

/// Draws a test: loss against rate, smoothed and as it was, the suggestions marked.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn draw(path: &Path, title: &str, tested: &Tested) -> Result<(), Error> {
    let rates = figure::Rates {
        raw: tested
            .runs
            .iter()
            .map(|run| {
                let points = run.rates.iter().copied().zip(run.losses.iter().copied());
                points.collect()
            })
            .collect(),
        smoothed: tested
            .curve
            .iter()
            .map(|point| (point.learning_rate, point.smoothed))
            .collect(),
        band: tested
            .curve
            .iter()
            .map(|point| (point.least, point.most))
            .collect(),
        marks: tested
            .suggestions
            .all()
            .into_iter()
            .map(|(name, suggestion)| Mark {
                name: name.to_owned(),
                rate: suggestion.learning_rate,
                loss: suggestion.loss,
            })
            .collect(),
    };
    figure::rates(path, title, &rates)
}

/// Ends a run once its loss explodes.
struct Watcher<'a> {
    watch: Watch,
    stop: Stop,
    inner: &'a mut dyn Observer,
}

impl Observer for Watcher<'_> {
    fn started(&mut self, found: &Found, first_step: u64) {
        // What comes after the checkpoint that the run goes on from is trained, and seen, again.
        self.watch.back_to(first_step);
        self.inner.started(found, first_step);
    }

    fn step(&mut self, row: &StepRow) {
        if self.watch.see(row.train_loss.unwrap_or(f64::NAN)) {
            self.stop.end_before(0);
        }
        self.inner.step(row);
    }

    fn progress(&mut self, progress: &Progress) {
        self.inner.progress(progress);
    }

    fn evaluated(&mut self, row: &EvalRow) {
        self.inner.evaluated(row);
    }

    fn event(&mut self, row: &EventRow) {
        self.inner.event(row);
    }

    fn herald(&self) -> Option<Herald> {
        self.inner.herald()
    }
}
