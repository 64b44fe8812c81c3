//! A search's TOML: a study's, whose schedules have ranges for parameters, and a table `[search]`.

use std::collections::BTreeMap;
use std::path::Path;

use pixelrate_sandbox::{GuardOptions, Limits};
use serde::{Deserialize, Serialize};

use super::space::Domain;
use crate::Error;
use crate::spec::{Study, TrainingKeys};

/// A search, as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchFile {
    /// Name, seeds, pictures.
    pub study: Study,
    /// What is trained on what; `epochs` is the full budget.
    pub training: TrainingKeys,
    /// What schedules are held to.
    #[serde(default)]
    pub guard: GuardOptions,
    /// What schedules may use.
    #[serde(default)]
    pub limits: Limits,
    /// How candidates are drawn, and dropped.
    #[serde(default)]
    pub search: SearchKeys,
    /// What is searched: all candidates of all of these are held against one another.
    #[serde(default)]
    pub schedule: Vec<SearchedSchedule>,
}

/// The table `[search]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SearchKeys {
    /// Candidates of each schedule; by default all combinations of its choices, and where it has ranges at least 27.
    pub candidates: Option<usize>,
    /// By what candidates become fewer, and budgets larger, from rung to rung; 3 by default.
    pub eta: Option<u32>,
    /// The first rung is no shorter; by default `epochs` over the square of `eta`.
    pub min_epochs: Option<f64>,
    /// Seeds the draw of the candidates; the seeds of the runs are the study's.
    #[serde(default)]
    pub seed: u64,
    /// What candidates are ranked by.
    #[serde(default)]
    pub metric: Metric,
}

/// What candidates are ranked by, as measured at a rung's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The share of pictures classified rightly: the more the better.
    #[default]
    Accuracy,
    /// The mean cross-entropy: the less the better.
    Loss,
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Accuracy => "accuracy",
            Self::Loss => "loss",
        })
    }
}

/// A schedule whose parameters are searched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SearchedSchedule {
    /// How its candidates' names begin; by default the plugin's name.
    pub label: Option<String>,
    /// A built-in schedule, or a file, from the search's place.
    pub plugin: String,
    /// Values, choices and ranges.
    #[serde(default)]
    pub params: BTreeMap<String, Domain>,
    /// Keys of training that differ for it, such as `optimizer`.
    #[serde(default)]
    pub training: TrainingKeys,
}

impl SearchFile {
    /// Reads a search's TOML.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Toml`] with line, column and key.
    pub fn read(path: &Path) -> Result<(Self, String), Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let search = toml::from_str(&text).map_err(|source| Error::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok((search, text))
    }
}
