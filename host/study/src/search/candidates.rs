//! A search, resolved: its candidates, each of them a run that was checked, and its rungs.

use std::collections::BTreeMap;

use pixelrate_sandbox::Value;
use pixelrate_trainer::spec::{EvalSplit, RunSpec};
use serde::{Deserialize, Serialize};

use super::file::Metric;
use super::rungs::Rung;
use crate::spec::TrainingKeys;
use crate::split::Jobs;

/// A search, ready to run: what `search.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Its name, and its folder's.
    pub name: String,
    /// Seeds the draw of the candidates.
    pub seed: u64,
    /// Each candidate runs with all of these at every rung.
    pub seeds: Vec<u64>,
    /// By what candidates become fewer, and budgets larger, from rung to rung.
    pub eta: u32,
    /// What candidates are ranked by.
    pub metric: Metric,
    /// The budgets, the smallest first.
    pub rungs: Vec<Rung>,
    /// In the order in which they were drawn, which breaks ties.
    pub candidates: Vec<Candidate>,
    /// Those that were drawn and cannot run.
    pub refused: Vec<Refused>,
    /// Runs side by side, if the search says.
    pub jobs: Option<Jobs>,
}

/// What may turn out to be best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name: the schedule's, and what varies.
    pub label: String,
    /// The schedule's name in the search.
    pub schedule: String,
    /// The parameters that vary, and what it has for them.
    pub params: BTreeMap<String, Value>,
    /// Keys of training that are its schedule's own.
    #[serde(default)]
    pub training: TrainingKeys,
    /// Its run with the first seed.
    pub spec: RunSpec,
}

/// A candidate that cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its name.
    pub label: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Search {
    /// A run of each candidate with each seed, as the last rung has them.
    pub fn all_runs(&self) -> Vec<RunSpec> {
        let seeds = self.seeds.iter();
        let runs = seeds.flat_map(|&seed| {
            self.candidates
                .iter()
                .map(move |one| one.run(&self.name, seed))
        });
        runs.collect()
    }

    /// What candidates are ranked on.
    pub fn evaluated_on(&self) -> EvalSplit {
        // They train and are evaluated on the same, or else there would be no common rungs.
        let first = self.candidates.first();
        first.map_or(EvalSplit::Test, |one| one.spec.training.evaluated_on())
    }
}

impl Candidate {
    /// Its run with `seed`, in a study of this name.
    pub(crate) fn run(&self, study: &str, seed: u64) -> RunSpec {
        RunSpec {
            study: study.to_owned(),
            run: format!("{}-seed{seed}", self.label),
            seed,
            ..self.spec.clone()
        }
    }
}
