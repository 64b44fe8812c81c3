//! Runs that were forked, with what they came from: families of one trunk and many branches.

mod picture;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use pixelrate_trainer::spec::EvalSplit;
use serde::Serialize;

use crate::Error;
use crate::report::{Run, accuracy_on};

/// Families at most that the picture shows, the first by their trunks' names: a panel each, and a reading of their logs.
const DRAWN: usize = 12;

/// A run that was forked from another, and what became of it beside its trunk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Branch {
    /// The run.
    pub run: String,
    /// Its label.
    pub schedule: String,
    /// The run that it was forked from.
    pub parent: String,
    /// The first step at which the two may differ.
    pub step: u64,
    /// The run that all of its family come from.
    pub trunk: String,
    /// Accuracy after the last step, a share.
    pub accuracy: Option<f64>,
    /// That, less the trunk's.
    pub difference: Option<f64>,
}

/// The families among a study's runs.
pub(crate) struct Families {
    /// The runs by name, with those of other studies that the study's were forked from.
    runs: BTreeMap<(String, String), Run>,
    /// Each trunk, and its branches in the order of their forks.
    families: BTreeMap<(String, String), Vec<(String, String)>>,
}

impl Families {
    /// Looks for forks among the runs of `study`. What they came from may be in another study beside it, or gone.
    pub(crate) fn of(study: &Path, runs: &[Run]) -> Result<Self, Error> {
        let mut all = Self {
            runs: BTreeMap::new(),
            families: BTreeMap::new(),
        };
        if runs.iter().all(|run| run.file.spec.parent.is_none()) {
            return Ok(all);
        }
        all.runs = runs.iter().map(|run| (key(run), run.clone())).collect();
        for run in runs.iter().filter(|run| run.file.spec.parent.is_some()) {
            let trunk = all.trunk_of(study, run)?;
            all.families.entry(trunk).or_default().push(key(run));
        }
        for branches in all.families.values_mut() {
            branches.sort_by_key(|branch| {
                let spec = &all.runs[branch].file.spec;
                (
                    spec.parent.as_ref().map(|parent| parent.step),
                    spec.run.clone(),
                )
            });
        }
        Ok(all)
    }

    /// Follows the parents of `run` up to a run that has none, or whose parent is gone.
    fn trunk_of(&mut self, study: &Path, run: &Run) -> Result<(String, String), Error> {
        let mut at = run.clone();
        // Whoever edited a `run.toml` may have made a circle.
        let mut seen = BTreeSet::from([key(&at)]);
        while let Some(parent) = at.file.spec.parent.clone() {
            let name = (parent.study, parent.run);
            if !seen.insert(name.clone()) {
                break;
            }
            if !self.runs.contains_key(&name) {
                let beside = study.join("..").join(&name.0).join(&name.1);
                let Some(found) = Run::read(&beside)? else {
                    return Ok(name);
                };
                self.runs.insert(name.clone(), found);
            }
            at = self.runs[&name].clone();
        }
        Ok(key(&at))
    }

    /// A row for each branch.
    pub(crate) fn branches(&self) -> Vec<Branch> {
        let accuracy = |name: &(String, String)| self.runs.get(name)?.result()?.final_eval_accuracy;
        let mut rows = Vec::new();
        for (trunk, branches) in &self.families {
            for branch in branches {
                let spec = &self.runs[branch].file.spec;
                let Some(parent) = &spec.parent else { continue };
                let own = accuracy(branch);
                rows.push(Branch {
                    run: spec.run.clone(),
                    schedule: spec.label.clone(),
                    parent: parent.run.clone(),
                    step: parent.step,
                    trunk: trunk.1.clone(),
                    accuracy: own,
                    difference: own.zip(accuracy(trunk)).map(|(own, trunk)| own - trunk),
                });
            }
        }
        rows
    }
}

/// The section of a report that tells of the branches; empty without any.
pub(crate) fn markdown(branches: &[Branch], of: Option<EvalSplit>) -> String {
    if branches.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Forks\n\n| branch | forked from | at step | {}, % | beside the trunk |\n\
         | --- | --- | ---: | ---: | ---: |\n",
        accuracy_on(of)
    );
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    for branch in branches {
        let accuracy = or_dash(branch.accuracy.map(|value| format!("{:.2}", 100.0 * value)));
        let difference = or_dash(branch.difference.map(|value| {
            // A difference that rounds to nothing has no sign.
            let points = (1e4 * value).round() / 1e2;
            if points == 0.0 {
                "0.00".to_owned()
            } else {
                format!("{points:+.2}")
            }
        }));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {accuracy} | {difference} |",
            branch.run, branch.parent, branch.step
        );
    }
    text.push_str(
        "\nUp to its step a branch is the run that it was forked from. The last column is its accuracy less that of its \
         trunk, in percentage points, both after the last step.\n\n![Branches beside their trunks](lineage.svg)\n",
    );
    if let Some(told) = left_out(branches) {
        let _ = writeln!(text, "\n{told}");
    }
    text
}

/// What the picture leaves out, in a sentence.
pub(crate) fn left_out(branches: &[Branch]) -> Option<String> {
    let trunks: BTreeSet<&str> = branches.iter().map(|branch| &*branch.trunk).collect();
    let all = trunks.len();
    (all > DRAWN).then(|| {
        format!("The picture has {DRAWN} of {all} families, the first by their trunks' names.")
    })
}

fn key(run: &Run) -> (String, String) {
    let spec = &run.file.spec;
    (spec.study.clone(), spec.run.clone())
}
