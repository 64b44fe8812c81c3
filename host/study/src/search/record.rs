//! A search's own files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pixelrate_control::write_whole;
use pixelrate_runlog::{RunStatus, SummaryRow};
use pixelrate_sandbox::Value;
use pixelrate_trainer::spec::EvalSplit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::candidates::Search;
use super::file::Metric;
use super::judge::Choice;
use crate::Error;
use crate::engine;

/// The file that a search's folder has, and a study's has not.
pub const FILE: &str = "search.json";
const CHOICES: &str = "choices.jsonl";
const TUNING: &str = "tuning.json";

/// What a search cost and found: `tuning.json`, for whoever compares what it found with something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The search's name.
    pub search: String,
    /// The schedules that were searched.
    pub schedules: Vec<String>,
    /// What candidates were ranked by.
    pub metric: Metric,
    /// What they were ranked on.
    #[serde(default)]
    pub evaluated_on: EvalSplit,
    /// Seeds of each candidate.
    pub seeds: Vec<u64>,
    /// Candidates that ran.
    pub candidates: usize,
    /// Candidates that could not run.
    pub refused: usize,
    /// What it took.
    pub cost: Cost,
    /// The best candidate.
    pub best: Best,
    /// What the best came to with seeds that the search did not use, if that was asked for; the first is `best`'s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<Confirmed>,
}

/// What runs took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Runs that were begun.
    pub runs: usize,
    /// Of these, runs that diverged.
    pub diverged: usize,
    /// Of these, runs that an error ended.
    pub failed: usize,
    /// Steps of all runs.
    pub steps: u64,
    /// The same in runs of full length.
    pub full_runs: f64,
    /// Seconds of all runs, each times its threads.
    pub core_seconds: f64,
}

/// A search's best candidate, and what it was chosen for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its name.
    pub candidate: String,
    /// Its schedule's name in the search.
    pub schedule: String,
    /// The parameters that varied, and what it has for them.
    pub params: BTreeMap<String, Value>,
    /// The mean of the metric at the full budget. It was chosen for that: on average it is better than what the same
    /// parameters come to again.
    pub mean: f64,
    /// Half of the mean's 95 % interval by Student's t.
    pub half_width: Option<f64>,
}

/// What a candidate came to with fresh seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Its name.
    pub candidate: String,
    /// Seeds that the search did not use.
    pub seeds: Vec<u64>,
    /// The mean of the metric at the full budget; `None` if no run has it.
    pub mean: Option<f64>,
    /// Half of the mean's 95 % interval by Student's t; `None` for one seed.
    pub half_width: Option<f64>,
    /// Runs that diverged: they count with the accuracy that they ended with, and have no loss to count with.
    pub diverged: usize,
}

impl Cost {
    pub(crate) fn add(&mut self, row: &SummaryRow) {
        self.runs += 1;
        self.diverged += usize::from(row.status == RunStatus::Diverged);
        self.failed += usize::from(row.status == RunStatus::Failed);
        self.steps += row.steps_done;
        self.full_runs += row.steps_done as f64 / row.total_steps.max(1) as f64;
        self.core_seconds += row.wall_seconds * f64::from(row.threads);
    }
}

/// What the search in `folder` cost and found; `None` if it has not ended, or there is none.
///
/// # Errors
/// The file cannot be read.
pub fn tuning(folder: &Path) -> Result<Option<Tuning>, Error> {
    read(&folder.join(TUNING))
}

pub(crate) fn write_tuning(folder: &Path, tuning: &Tuning) -> Result<(), Error> {
    write(&folder.join(TUNING), tuning)
}

impl Search {
    /// The search that was begun in `folder`.
    ///
    /// # Errors
    /// There is none, or its file cannot be read.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        read(&folder.join(FILE))?.ok_or_else(|| Error::NoSearch(folder.to_owned()))
    }

    /// Keeps the search in its folder.
    ///
    /// # Errors
    /// [`Error::Changed`] if another was begun there; the disk's.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let Some(began) = read::<Self>(&path)? else {
            fs::create_dir_all(folder).map_err(|source| Error::io("make", folder, source))?;
            return write(&path, self);
        };
        let candidates = began.others_than(self);
        let changed =
            candidates.or_else(|| engine::difference("", &began.comparable(), &self.comparable()));
        engine::refuse(folder, changed)
    }

    /// The first candidate that only one of both has, as a difference.
    fn others_than(&self, now: &Self) -> Option<(String, String, String)> {
        let names = |search: &Self| -> BTreeSet<String> {
            let labels = search.candidates.iter().map(|one| one.label.clone());
            labels.collect()
        };
        let (before, after) = (names(self), names(now));
        let other = before.symmetric_difference(&after).next()?;
        let told = |has: bool| format!("{} {other}", if has { "with" } else { "without" });
        Some((
            "candidates".to_owned(),
            told(before.contains(other)),
            told(after.contains(other)),
        ))
    }

    /// What may not change from call to call.
    fn comparable(&self) -> serde_json::Value {
        let candidates: BTreeMap<_, _> = self
            .candidates
            .iter()
            .map(|one| (one.label.clone(), engine::comparable(&one.spec)))
            .collect();
        let refused: Vec<_> = self.refused.iter().map(|one| &one.label).collect();
        serde_json::json!({
            "seed": self.seed,
            "seeds": self.seeds,
            "eta": self.eta,
            "metric": self.metric,
            "rungs": self.rungs,
            "candidates": candidates,
            "refused": refused,
        })
    }
}

/// All choices that were made in `folder`, in their order.
pub(crate) fn choices(folder: &Path) -> Result<Vec<Choice>, Error> {
    let path = folder.join(CHOICES);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read", &path, source)),
    };
    let lines = text.lines().map(|line| {
        serde_json::from_str(line).map_err(|source| Error::io("read", &path, source.into()))
    });
    lines.collect()
}

/// Writes all choices, whole or not at all: a rung is decided once, and for all of its candidates.
pub(crate) fn write_choices(folder: &Path, choices: &[Choice]) -> Result<(), Error> {
    let path = folder.join(CHOICES);
    let mut text = String::new();
    for choice in choices {
        let line = serde_json::to_string(choice);
        text += &line.map_err(|source| Error::io("write", &path, source.into()))?;
        text.push('\n');
    }
    Ok(write_whole(&path, text.as_bytes())?)
}

fn read<T: DeserializeOwned>(path: &PathBuf) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::io("read", path, source.into())),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io("read", path, source)),
    }
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::io("write", path, source.into()))?;
    Ok(write_whole(path, &text)?)
}
