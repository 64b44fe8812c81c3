//! How many runs train side by side, and with how many threads each: found by measuring how quickly the study's own
//! training goes on this machine.
//!
//! The sums of an operation are cut by the number of its threads, so that threads are a part of what gives a run its bits.
//! What is found holds for all runs of a study, from its first to its last: the study's `split.toml` keeps it, beside what
//! each run's own `run.toml` says. Only a study that leaves `threads` out has them found.

mod choose;
mod kept;
mod machine;
mod measure;
mod order;
mod serve;

use std::path::Path;
use std::time::Duration;

use pixelrate_trainer::device;
use pixelrate_trainer::spec::RunSpec;
use pixelrate_trainer::train::Stop;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::counted::count;
use crate::ended::run_file;
use choose::choose;
use kept::Record;
use machine::Cores;
use measure::Measuring;

pub use serve::serve;

/// Of the time that a study will take, finding its split may take so much, unless it was asked for.
const SHARE: f64 = 0.05;
/// What it takes at the least: processes start, and warm up.
const LEAST: Duration = Duration::from_secs(6);
/// A study of fewer pictures is over before anything is found: it takes seconds, or minutes with the largest models.
const FEW_PICTURES: f64 = 50_000.0;

/// Runs side by side on a GPU: small nets fill one with as many, and there is room in its memory for them.
const RUNS_ON_A_GPU: usize = 8;

/// Why nothing was measured.
const TOO_SHORT: &str = "too short a study to measure which split is quickest";

/// How the machine is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Split {
    /// Runs side by side.
    pub runs: usize,
    /// Threads of each.
    pub threads: u32,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (runs, threads) = (
            count(self.runs, "run"),
            count(self.threads as usize, "thread"),
        );
        match self.runs {
            1 => write!(f, "1 run at a time of {threads}"),
            _ => write!(f, "{runs} side by side of {threads} each"),
        }
    }
}

/// How many runs train side by side, as a study or its user says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// As many as are quickest, which is measured.
    Auto,
    /// So many.
    Count(usize),
}

impl std::str::FromStr for Jobs {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match (word, word.parse()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(count)) if count > 0 => Ok(Self::Count(count)),
            _ => Err("use a number of 1 or more, or auto".to_owned()),
        }
    }
}

impl Serialize for Jobs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Count(count) => count.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Jobs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Jobs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of 1 or more, or \"auto\"")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Jobs, E> {
                let count = usize::try_from(number).ok().filter(|&count| count > 0);
                let wrong = || E::invalid_value(Unexpected::Unsigned(number), &self);
                count.map(Jobs::Count).ok_or_else(wrong)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Jobs, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Jobs, E> {
                let wrong = || E::invalid_value(Unexpected::Str(word), &self);
                word.parse().map_err(|_| wrong())
            }
        }
        from.deserialize_any(Either)
    }
}

/// What is to be split, and what was said of it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// All runs of the study.
    pub runs: &'a [RunSpec],
    /// Whether the runs' threads are to be found, too: the study says nothing of them.
    pub threads_open: bool,
    /// Runs side by side, if the study or its user says.
    pub jobs: Option<Jobs>,
    /// The study's folder.
    pub folder: &'a Path,
    /// This program, which has the hidden command `pace`.
    pub program: &'a Path,
}

/// How a study's runs share the machine, and how that came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The split.
    pub split: Split,
    /// What was measured, or why nothing was, in a line; `None` where it was asked for.
    pub why: Option<String>,
}

/// Decides how the runs share this machine. What neither the study nor its user says is measured with short slices of the
/// study's own training, beside which no run trains; a study that has begun keeps its threads. `None`: it was stopped.
///
/// # Errors
/// A file of the study's folder cannot be read, or written.
pub fn decide(question: &Question<'_>, stop: &Stop) -> Result<Option<Decision>, Error> {
    let cores = Cores::here();
    let Some(first) = question.runs.first() else {
        return Ok(Some(plain(1, 1, None)));
    };
    let record = Record::read(question.folder)?;
    let said = first.training.threads;
    let most = question.runs.iter().map(|run| run.training.threads).max();
    let threads = match (question.threads_open, &record) {
        (false, _) => Some(most.unwrap_or(said)),
        (true, Some(record)) => Some(record.split.threads),
        (true, None) => begun(question)?,
    };
    if let Some(Jobs::Count(runs)) = question.jobs {
        let threads = threads.unwrap_or(said);
        let on_a_gpu = |run: &RunSpec| device::has_streams(&run.training);
        if runs > device::STREAMS && question.runs.iter().any(on_a_gpu) {
            let most = device::STREAMS;
            let why = format!("a GPU takes no more than {most} runs at a time");
            return Ok(Some(plain(most, threads, Some(&why))));
        }
        return Ok(Some(plain(runs, threads, None)));
    }
    let left: Vec<&RunSpec> = question
        .runs
        .iter()
        // Those that failed have a summary, too, and run again: a few more or less make no other split.
        .filter(|run| {
            !question
                .folder
                .join(&run.run)
                .join("summary.parquet")
                .exists()
        })
        .collect();
    let one = threads.unwrap_or(said);
    let by_rule = |why: &str| {
        let runs = (cores.count / one as usize).max(1);
        Ok(Some(plain(runs, one, Some(why))))
    };
    let Some(typical) = typical(&left) else {
        return by_rule("nothing is left to train");
    };
    if typical.training.is_dry() {
        return by_rule("nothing is trained");
    }
    if device::open(&typical.training.device).is_err() {
        return by_rule("its device is not on this machine");
    }
    if device::has_streams(&typical.training) {
        let runs = RUNS_ON_A_GPU.min(left.len());
        return Ok(Some(plain(runs, one, Some("so many share a GPU"))));
    }
    if cores.count == 1 {
        return by_rule("there is one core");
    }
    let asked = question.jobs == Some(Jobs::Auto);
    let pictures: f64 = left.iter().map(|run| pictures(run)).sum();
    let decision = if !asked && pictures < FEW_PICTURES {
        (
            Split {
                runs: (cores.count / one as usize).clamp(1, left.len()),
                threads: one,
            },
            TOO_SHORT.to_owned(),
            Vec::new(),
        )
    } else {
        let steps = pictures / f64::from(typical.training.batch_size);
        let mut measuring = Measuring::new(typical, question.program, &cores, stop);
        if let Some(record) = &record {
            measuring.remember(record.measured_on(&cores));
        }
        if !asked {
            measuring.spend_at_most(SHARE, LEAST, steps);
        }
        let found = choose(cores.count, left.len(), threads, &mut measuring);
        if stop.asked() {
            return Ok(None);
        }
        match found {
            Err(problem) => {
                return by_rule(&format!(
                    "which split is quickest could not be measured: {problem}"
                ));
            }
            Ok(split) => (split, measuring.told(split), measuring.all()),
        }
    };
    let (split, why, measured) = decision;
    if question.threads_open && record.is_none() {
        let record = Record::new(split, &cores, &why, measured);
        record.write(question.folder)?;
    }
    Ok(Some(Decision {
        split,
        why: Some(why),
    }))
}

/// How many of `runs` train side by side where nothing is measured: as many as are asked for, or as there are cores for; on a GPU,
/// as many as it has room for.
pub fn by_rule(runs: &[RunSpec], asked: Option<usize>) -> usize {
    let on_a_gpu = runs.iter().any(|run| device::has_streams(&run.training));
    let threads = runs.iter().map(|run| run.training.threads).max();
    let otherwise = || match on_a_gpu {
        true => RUNS_ON_A_GPU,
        false => Cores::here().count / threads.unwrap_or(1).max(1) as usize,
    };
    let most = if on_a_gpu {
        device::STREAMS
    } else {
        usize::MAX
    };
    asked.unwrap_or_else(otherwise).clamp(1, most)
}

fn plain(runs: usize, threads: u32, why: Option<&str>) -> Decision {
    Decision {
        split: Split { runs, threads },
        why: why.map(str::to_owned),
    }
}

/// Threads of the study's first run that has begun.
fn begun(question: &Question<'_>) -> Result<Option<u32>, Error> {
    for run in question.runs {
        if let Some(file) = run_file(&question.folder.join(&run.run))? {
            return Ok(Some(file.spec.training.threads));
        }
    }
    Ok(None)
}

/// Pictures that a run trains on.
fn pictures(run: &RunSpec) -> f64 {
    let facts = crate::plan::facts(run);
    facts.total_steps as f64 * f64::from(facts.batch_size)
}

/// A run of the kind that most of the pictures are trained by.
fn typical<'a>(runs: &[&'a RunSpec]) -> Option<&'a RunSpec> {
    let mut kinds: Vec<(&RunSpec, f64)> = Vec::new();
    for &run in runs {
        match kinds.iter_mut().find(|(one, _)| costs_alike(one, run)) {
            Some((_, sum)) => *sum += pictures(run),
            None => kinds.push((run, pictures(run))),
        }
    }
    let most = kinds
        .into_iter()
        .max_by(|(_, one), (_, other)| one.total_cmp(other));
    most.map(|(run, _)| run)
}

/// Whether a step of one takes what a step of the other takes.
fn costs_alike(one: &RunSpec, other: &RunSpec) -> bool {
    let (one, other) = (&one.training, &other.training);
    one.dataset == other.dataset
        && one.model == other.model
        && one.batch_size == other.batch_size
        && one.optimizer == other.optimizer
        && one.precision == other.precision
        && one.device == other.device
}
