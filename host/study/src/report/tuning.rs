//! What it cost to choose parameters: a schedule that was tried with many is not to be held against one that was not as
//! if it had been free.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pixelrate_sandbox::Value;
use pixelrate_trainer::spec::EvalSplit;
use serde::Serialize;

use super::gather::Group;
use super::rows::Row;
use crate::{Error, search};

/// One schedule that the study ran with several parameters.
#[derive(Debug, Clone, Serialize)]
pub struct Tuning {
    /// The plugin, with the picture or the choices that it was given, and the optimizer.
    pub schedule: String,
    /// Labels that differ in their numbers alone.
    pub labels: Vec<String>,
    /// The label with the best mean accuracy, and that accuracy. Unless a search on other seeds chose its numbers
    /// ([`Searched`]), it was chosen on the same seeds that it is reported on.
    pub best: Option<(String, f64)>,
    /// The label that was given no numbers, and its accuracy.
    pub defaults: Option<(String, f64)>,
    /// Runs of all labels.
    pub runs: usize,
    /// Hours of all runs that ended, each times its threads.
    pub core_hours: f64,
}

/// A schedule whose parameters a search has chosen.
#[derive(Debug, Clone, Serialize)]
pub struct Searched {
    /// Its label in the study.
    pub label: String,
    /// The search's folder.
    pub folder: PathBuf,
    /// What the search cost; `None` if its folder is not there any more.
    pub cost: Option<SearchCost>,
    /// Seeds that the search chose on; `None` if its folder is not there any more.
    pub seeds: Option<Vec<u64>>,
    /// What the search chose on, if it is still there.
    pub chosen_on: Option<EvalSplit>,
    /// Seeds that the label is reported on.
    pub reported: Vec<u64>,
}

/// What a search cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SearchCost {
    /// Candidates that ran.
    pub candidates: usize,
    /// Runs that were begun.
    pub runs: usize,
    /// Hours of all its runs, each times its threads.
    pub core_hours: f64,
}

impl Searched {
    /// Seeds that are reported on, and that the search chose on, too; `None` if it is not known on which it chose.
    pub(super) fn shared(&self) -> Option<Vec<u64>> {
        let chosen = self.seeds.as_ref()?;
        let reported = self.reported.iter().copied();
        Some(reported.filter(|seed| chosen.contains(seed)).collect())
    }
}

/// The schedules whose study names the search that their parameters are from.
pub(super) fn searched(groups: &[Group<'_>]) -> Result<Vec<Searched>, Error> {
    // A branch trains under another schedule than the one that was searched for.
    let whole = groups.iter().filter(|group| !group.is_forked());
    let tuned = whole.filter_map(|group| {
        let spec = &group.first().file.spec;
        Some((group, spec.label.clone(), spec.tuned.clone()?))
    });
    tuned
        .map(|(group, label, folder)| {
            let found = search::tuning(&folder)?;
            let cost = found.as_ref().map(|tuning| SearchCost {
                candidates: tuning.candidates,
                runs: tuning.cost.runs,
                core_hours: tuning.cost.core_seconds / 3_600.0,
            });
            Ok(Searched {
                label,
                folder,
                cost,
                chosen_on: found.as_ref().map(|tuning| tuning.evaluated_on),
                seeds: found.map(|tuning| tuning.seeds),
                reported: group.runs.iter().map(|run| run.file.spec.seed).collect(),
            })
        })
        .collect()
}

/// Looks for schedules of one plugin, choices, picture and training whose numbers differ.
pub(super) fn tunings(groups: &[Group<'_>], rows: &[Row]) -> Vec<Tuning> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, group) in groups
        .iter()
        .enumerate()
        .filter(|(_, group)| !group.is_forked())
    {
        let spec = &group.first().file.spec;
        let words: Vec<_> = spec
            .schedule
            .params
            .iter()
            .filter(|(_, value)| matches!(value, Value::Text(_)))
            .collect();
        let key = format!("{}\n{words:?}\n{:?}", spec.schedule.plugin, spec.training);
        alike.entry(key).or_default().push(place);
    }
    let mut found: Vec<(usize, Tuning)> = alike
        .into_values()
        .filter(|places| {
            // Labels that were given the same numbers are no choice.
            let params = |place: usize| &groups[place].first().file.spec.schedule.params;
            places
                .iter()
                .any(|&place| params(place) != params(places[0]))
        })
        .map(|places| (places[0], one(&places, groups, rows)))
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, tuning)| tuning).collect()
}

fn one(places: &[usize], groups: &[Group<'_>], rows: &[Row]) -> Tuning {
    let mean = |place: usize| Some((rows[place].schedule.clone(), rows[place].accuracy?.mean));
    let numbers = |place: usize| {
        let params = &groups[place].first().file.spec.schedule.params;
        params
            .values()
            .any(|value| matches!(value, Value::Number(_)))
    };
    let mut common = groups[places[0]].first().file.spec.schedule.clone();
    common
        .params
        .retain(|_, value| matches!(value, Value::Text(_)));
    let runs = || places.iter().flat_map(|&place| &groups[place].runs);
    Tuning {
        schedule: format!(
            "{} with {}",
            common.told(),
            groups[places[0]].first().file.spec.training.optimizer
        ),
        labels: places
            .iter()
            .map(|&place| rows[place].schedule.clone())
            .collect(),
        best: places
            .iter()
            .filter_map(|&place| mean(place))
            .max_by(|a, b| a.1.total_cmp(&b.1)),
        defaults: places
            .iter()
            .find(|place| !numbers(**place))
            .and_then(|&place| mean(place)),
        runs: runs().count(),
        core_hours: runs()
            .filter_map(|run| run.summary.as_ref())
            .map(|row| row.wall_seconds * f64::from(row.threads) / 3_600.0)
            .sum(),
    }
}
