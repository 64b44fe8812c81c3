//! What a report is asked for.

use std::path::Path;

use pixelrate_control::write_whole;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where a study's own choice is kept, in its folder.
const FILE: &str = "report.toml";

/// What a report compares with. A study's `[report]` has the same keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Options {
    /// The label that the others are compared with; by default the study's first schedule's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// The accuracy, a share, to which the time is taken; by default the least that a finished run of the
    /// baseline ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
}

/// Whether `wanted` names the label: a label of a grid is named with its values, or without them for all of them.
pub(crate) fn names(wanted: &str, label: &str) -> bool {
    label == wanted
        || label
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.starts_with('-') && rest.contains('='))
}

impl Options {
    /// These options, and where they say nothing, those that the study in `folder` was run with.
    ///
    /// # Errors
    /// Its `report.toml` is there and cannot be read.
    pub fn over_study(self, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let own: Self = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|source| Error::Toml {
                path,
                source: Box::new(source),
            })?,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(source) => return Err(Error::io("read", &path, source)),
        };
        Ok(Self {
            baseline: self.baseline.or(own.baseline),
            target: self.target.or(own.target),
        })
    }

    /// Keeps a study's choice in its folder, for reports to come.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        if *self == Self::default() && !path.exists() {
            return Ok(());
        }
        let text = toml::to_string(self).map_err(|problem| Error::Io {
            verb: "write",
            path: path.clone(),
            source: std::io::Error::other(problem),
        })?;
        Ok(write_whole(&path, text.as_bytes())?)
    }

    /// Says what is wrong with the target.
    ///
    /// # Errors
    /// The problem in words: an accuracy is a share, and not percent.
    pub fn check(&self) -> Result<(), String> {
        match self.target {
            Some(target) if !(target > 0.0 && target <= 1.0) => Err(format!(
                "`target` is {target}: an accuracy is a share, such as 0.9"
            )),
            _ => Ok(()),
        }
    }
}
