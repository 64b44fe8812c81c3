//! The table: what each schedule came to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pixelrate_control::pictures_folder;
use pixelrate_runlog::{RunStatus, SummaryRow};
use pixelrate_sandbox::Value;
use serde::Serialize;

use super::gather::{Group, Run};
use super::trace::{Reach, Trace};
use crate::statistics::{Estimate, bca, estimate};

/// What one schedule came to.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its label.
    pub schedule: String,
    /// The plugin, and the parameters that it was given; the others are its defaults.
    pub told: String,
    /// Accuracy after the last step, a share, over the runs that ended, those that diverged included.
    pub accuracy: Option<Estimate>,
    /// The 95 % interval of the mean accuracy by the BCa bootstrap, beside Student's.
    pub bootstrap: Option<[f64; 2]>,
    /// Mean accuracy over the steps, from the first test to the last planned step.
    pub area: Option<Estimate>,
    /// How soon the runs came to the target.
    pub reached: Option<Reached>,
    /// Cross-entropy of the last training step, over the runs whose loss is finite.
    pub train_loss: Option<Estimate>,
    /// Seconds a run.
    pub seconds: Option<Estimate>,
    /// Runs that diverged.
    pub diverged: usize,
    /// Runs that ended, and have no accuracy.
    pub untested: usize,
    /// Runs that there are, with or without a result.
    pub runs: usize,
    /// Of these, the runs in which another schedule took over while they trained: they are no longer all that the label
    /// names.
    pub changed: usize,
    /// Plugins that the runs began under, told apart by their hashes: more than one if a file was edited before the last of
    /// them began.
    pub plugins: usize,
    /// Sets of pictures that the runs have kept, told apart by their files' names and sizes: more than one if a picture was
    /// another before the last of them began.
    pub pictures: usize,
    /// Runs with an accuracy that repeat another's seed: of each seed, the mean of its runs is what counts.
    pub repeats: usize,
    /// Accuracy of each seed's run, or of its runs on average.
    pub accuracies: BTreeMap<u64, f64>,
    /// The least accuracy of a run that did not diverge.
    #[serde(skip)]
    pub(super) least_finished: Option<f64>,
}

/// How soon the runs of a label, each of them, came to the target accuracy. A run that never did so counts as later than all others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reached {
    /// Runs that did.
    pub runs: usize,
    /// Runs that have a result.
    pub of: usize,
    /// The median run's steps, if it came so far.
    pub steps: Option<f64>,
    /// The median run's seconds of training, if it came so far.
    pub seconds: Option<f64>,
}

pub(super) fn row(group: &Group<'_>) -> Row {
    let results: Vec<&SummaryRow> = group.runs.iter().filter_map(|run| run.result()).collect();
    let seconds: Vec<f64> = results.iter().map(|row| row.wall_seconds).collect();
    let tested: Vec<(u64, f64)> = results
        .iter()
        .filter_map(|row| Some((row.seed, row.final_eval_accuracy?)))
        .filter(|(_, accuracy)| accuracy.is_finite())
        .collect();
    let by_seed = each_seed(&tested);
    let accuracies: Vec<f64> = by_seed.values().copied().collect();
    let losses = results
        .iter()
        .filter_map(|row| Some((row.seed, row.final_train_loss?)))
        .filter(|(_, loss)| loss.is_finite());
    let losses = each_seed(&losses.collect::<Vec<_>>());
    let changed = |run: &&&Run| !run.takeovers.is_empty();
    let plugins: BTreeSet<&str> = (group.runs.iter())
        .filter_map(|run| run.schedule_sha256.as_deref())
        .collect();
    Row {
        schedule: group.name.clone(),
        told: group.first().schedule.told(),
        accuracy: estimate(&accuracies),
        bootstrap: bca(&accuracies),
        area: None,
        reached: None,
        train_loss: estimate(&losses.into_values().collect::<Vec<_>>()),
        seconds: estimate(&seconds),
        diverged: results
            .iter()
            .filter(|row| row.status == RunStatus::Diverged)
            .count(),
        untested: results.len() - tested.len(),
        repeats: tested.len() - by_seed.len(),
        runs: group.runs.len(),
        changed: group.runs.iter().filter(changed).count(),
        plugins: plugins.len(),
        pictures: pictures(group),
        accuracies: by_seed,
        least_finished: results
            .iter()
            .filter(|row| row.status != RunStatus::Diverged)
            .filter_map(|row| row.final_eval_accuracy)
            .min_by(f64::total_cmp),
    }
}

/// The mean of each seed's values. Runs of one seed share their weights and batches: to statistics they are one observation.
fn each_seed(values: &[(u64, f64)]) -> BTreeMap<u64, f64> {
    let mut seeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (seed, value) in values {
        seeds.entry(*seed).or_default().push(*value);
    }
    let mean = |all: Vec<f64>| match all[..] {
        [only] => only,
        _ => all.iter().sum::<f64>() / all.len() as f64,
    };
    let means = seeds.into_iter().map(|(seed, all)| (seed, mean(all)));
    means.collect()
}

/// How many sets of pictures the runs have kept, of a schedule that names one.
fn pictures(group: &Group<'_>) -> usize {
    let named = |run: &&&Run| {
        let mut values = run.schedule.params.values();
        let may = values.any(|value| matches!(value, Value::Text(_)))
            || pixelrate_compose::is_composition(&run.schedule.plugin);
        // What took over meanwhile may have brought its own.
        run.takeovers.is_empty() && may
    };
    let sets = group.runs.iter().filter(named).map(|run| {
        let mut files = BTreeSet::new();
        list(&pictures_folder(&run.folder), Path::new(""), &mut files);
        files
    });
    // A run that has not begun has none.
    let kept = sets.filter(|set| !set.is_empty());
    kept.collect::<BTreeSet<_>>().len()
}

/// The files in a folder and below, as `place` in it, with their sizes.
fn list(folder: &Path, place: &Path, files: &mut BTreeSet<(PathBuf, u64)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, place) = (entry.path(), place.join(entry.file_name()));
        match entry.metadata() {
            Ok(it) if it.is_dir() => list(&path, &place, files),
            Ok(it) => drop(files.insert((place, it.len()))),
            // It is gone again.
            Err(_) => {}
        }
    }
}

impl Row {
    /// Adds what only the runs' logs tell.
    pub(super) fn add(&mut self, trace: &Trace, target: Option<f64>) {
        self.area = estimate(&each_seed(&trace.areas).into_values().collect::<Vec<_>>());
        self.reached = target.and_then(|_| reached(&trace.reached));
    }
}

fn reached(runs: &[Option<Reach>]) -> Option<Reached> {
    if runs.is_empty() {
        return None;
    }
    let median = |value: fn(&Reach) -> f64| {
        let never = f64::INFINITY;
        let mut all: Vec<f64> = runs
            .iter()
            .map(|reach| reach.as_ref().map_or(never, value))
            .collect();
        all.sort_by(f64::total_cmp);
        let middle = 0.5 * (all[(all.len() - 1) / 2] + all[all.len() / 2]);
        middle.is_finite().then_some(middle)
    };
    Some(Reached {
        runs: runs.iter().flatten().count(),
        of: runs.len(),
        steps: median(|reach| reach.steps as f64),
        seconds: median(|reach| reach.seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_never_came_there_is_later_than_all() {
        let at = |steps| {
            Some(Reach {
                steps,
                seconds: steps as f64 / 10.0,
            })
        };
        let found = reached(&[at(300), None, at(100)]).unwrap();
        assert_eq!((found.runs, found.of), (2, 3));
        assert_eq!((found.steps, found.seconds), (Some(300.0), Some(30.0)));
        assert_eq!(reached(&[at(100), at(200)]).unwrap().steps, Some(150.0));
        // Half of them came there: the median run did not.
        assert_eq!(reached(&[at(100), None]).unwrap().steps, None);
        assert_eq!(reached(&[None]).unwrap().runs, 0);
        assert_eq!(reached(&[]), None);
    }
}
