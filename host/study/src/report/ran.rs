//! What ran: each label's schedule with its parameters, and what of its training is its own.

use std::collections::{BTreeMap, HashMap};

use pixelrate_control::plugin_path;
use pixelrate_sandbox::{Composition, Value};
use pixelrate_trainer::spec::Training;
use serde::Serialize;
use serde_json::Value as Json;

use super::gather::{Group, Run};

/// What a run's spec says of where it ran and what it wrote, and not of what was trained.
const NOT_TOLD: [&str; 3] = ["data_folder", "checkpoint_seconds", "log_grad_norm"];

/// What ran under all labels.
#[derive(Debug, Clone, Serialize)]
pub struct Ran {
    /// Each key of the training, and of the guard, with the value that most labels have for it.
    pub training: BTreeMap<String, Json>,
    /// A row a label, in the study's order.
    pub schedules: Vec<RanSchedule>,
}

/// What ran under a label.
#[derive(Debug, Clone, Serialize)]
pub struct RanSchedule {
    /// The label.
    pub schedule: String,
    /// The plugin's name.
    pub plugin: String,
    /// How the composition that it is was put together, as a table of TOML; `None` for a plugin that is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composition: Option<String>,
    /// SHA-256 of the plugin's file, if the run began.
    pub sha256: Option<String>,
    /// The parameters that it was given; all others are its defaults.
    pub params: BTreeMap<String, Value>,
    /// What of the training of [`Ran`] is otherwise for this label.
    pub training: BTreeMap<String, Json>,
}

/// What ran under the labels of `groups`.
pub(super) fn ran(groups: &[Group<'_>]) -> Ran {
    let mut kinds: Vec<Kind> = Vec::new();
    let mut places = Vec::with_capacity(groups.len());
    for group in groups {
        let run = group.first();
        let mut known = kinds.iter().take(MOST_KINDS);
        let place = known.position(|kind| alike(kind.run, run));
        let place = place.unwrap_or_else(|| {
            kinds.push(Kind {
                run,
                keys: keys(run),
                labels: 0,
            });
            kinds.len() - 1
        });
        kinds[place].labels += 1;
        places.push(place);
    }
    let training = common(&kinds);
    let own = |kind: &Kind| {
        let keys = kind.keys.iter();
        keys.filter(|&(key, value)| training.get(key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let own: Vec<BTreeMap<String, Json>> = kinds.iter().map(own).collect();
    let rows = groups.iter().zip(places);
    let schedules = rows.map(|(group, kind)| {
        let run = group.first();
        RanSchedule {
            schedule: group.name.clone(),
            plugin: run.schedule.name(),
            composition: composition(run),
            sha256: run.schedule_sha256.clone(),
            params: run.schedule.params.clone(),
            training: own[kind].clone(),
        }
    });
    Ran {
        schedules: schedules.collect(),
        training,
    }
}

/// So many are looked through for one that trains alike. Most studies have few; of those that have more, some are written out
/// more than once.
const MOST_KINDS: usize = 32;

/// Labels that train alike.
struct Kind<'a> {
    run: &'a Run,
    keys: BTreeMap<String, Json>,
    labels: usize,
}

/// Whether two runs have the same training and guard.
fn alike(a: &Run, b: &Run) -> bool {
    let guard = |run: &Run| (run.schedule.max_learning_rate, run.schedule.on_fault);
    a.file.spec.training == b.file.spec.training && guard(a) == guard(b)
}

/// The keys of a training that say what was trained.
pub(super) fn training_keys(training: &Training) -> BTreeMap<String, Json> {
    let Ok(Json::Object(keys)) = serde_json::to_value(training) else {
        return BTreeMap::new();
    };
    let idle = training.keys_without_effect();
    let told = keys.into_iter();
    told.filter(|(key, _)| !NOT_TOLD.contains(&key.as_str()) && !idle.contains(&key.as_str()))
        .collect()
}

/// The keys of a run's training, and of its guard.
fn keys(run: &Run) -> BTreeMap<String, Json> {
    let mut keys = training_keys(&run.file.spec.training);
    let guard = &run.schedule;
    keys.insert("max_learning_rate".into(), guard.max_learning_rate.into());
    if let Ok(on_fault) = serde_json::to_value(guard.on_fault) {
        keys.insert("on_fault".into(), on_fault);
    }
    keys
}

/// Of each key the value that most have; of values that as many have, the one that comes first.
fn common(all: &[Kind<'_>]) -> BTreeMap<String, Json> {
    let mut counts: BTreeMap<&str, HashMap<String, (usize, usize)>> = BTreeMap::new();
    for (place, kind) in all.iter().enumerate() {
        for (key, value) in &kind.keys {
            let values = counts.entry(key).or_default();
            values.entry(value.to_string()).or_insert((0, place)).0 += kind.labels;
        }
    }
    let most = |(key, values): (&str, HashMap<String, (usize, usize)>)| {
        let (_, first) = values
            .into_values()
            .max_by_key(|&(count, first)| (count, std::cmp::Reverse(first)))?;
        Some((key.to_owned(), all[first].keys[key].clone()))
    };
    counts.into_iter().filter_map(most).collect()
}

/// The tree of the composition that the run kept: it names no files. Of one that was not kept, as the study names it.
fn composition(run: &Run) -> Option<String> {
    let named = &run.schedule.plugin;
    if !pixelrate_compose::is_composition(named) {
        return None;
    }
    let tree = || {
        let bytes =
            std::fs::read(plugin_path(&run.folder, run.schedule_sha256.as_deref()?)).ok()?;
        let node = Composition::from_bytes(&bytes).ok()?.node;
        Some(toml::Value::try_from(&node).ok()?.to_string())
    };
    Some(tree().unwrap_or_else(|| named.clone()))
}

impl Ran {
    /// The training of most labels, in a line.
    pub(super) fn training(&self) -> String {
        told(&self.training)
    }
}

impl RanSchedule {
    /// Its parameters, in a line.
    pub(super) fn params(&self) -> String {
        let params = self.params.iter();
        let params = params.map(|(name, value)| format!("{name} = {value}"));
        params.collect::<Vec<_>>().join(", ")
    }

    /// What of its training is its own, in a line.
    pub(super) fn training(&self) -> String {
        told(&self.training)
    }
}

fn told(keys: &BTreeMap<String, Json>) -> String {
    let one = |(key, value): (&String, &Json)| match value {
        Json::String(text) => format!("{key} = {text}"),
        Json::Number(number) if number.is_f64() => {
            format!("{key} = {}", number.as_f64().unwrap_or(f64::NAN))
        }
        other => format!("{key} = {other}"),
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}
