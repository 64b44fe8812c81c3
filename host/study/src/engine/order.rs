//! Where the labels of a study's runs stand, in reports and tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use pixelrate_trainer::spec::{RunFile, RunSpec};

use super::kept::Kept;
use super::unchanged::same;
use crate::Error;
use crate::ended::run_file;
use crate::plan::Plan;

/// Writes each run's position in the current plan into its folder: forks follow their trunk, and runs that the plan no longer
/// contains come last. Reports sort by it.
///
/// # Errors
/// [`Error::Changed`], as by [`run`](super::run), before anything is told; a run's `run.toml` cannot be read, or written.
pub fn put_in_order(plan: &Plan, study: &Path) -> Result<(), Error> {
    let kept = Kept::of(study);
    let mut files = BTreeMap::new();
    let entries = std::fs::read_dir(study).map_err(|e| Error::io("list", study, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", study, e))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let ended = kept.ended.get(&name).ok().flatten();
        let file = match ended.and_then(|ended| ended.file) {
            None => run_file(&entry.path())?,
            known => known,
        };
        files.extend(file.map(|file| (name, file)));
    }
    for spec in &plan.runs {
        if let Some(file) = files.get(&spec.run) {
            same(&file.spec, spec, &study.join(&spec.run))?;
        }
    }
    let planned = plan.runs.iter();
    let mut stands: HashMap<String, u32> = planned
        .map(|spec| (spec.label.clone(), spec.label_index))
        .collect();
    let behind = stands.values().max().map_or(0, |last| last + 1);
    let roots = files
        .values()
        .filter(|file| file.spec.parent.is_none())
        .map(|file| (file.spec.label_index, file.spec.label.clone()));
    let gone: BTreeSet<(u32, String)> = roots
        .filter(|(_, label)| !stands.contains_key(label))
        .collect();
    for ((_, label), place) in gone.into_iter().zip(behind..) {
        stands.entry(label).or_insert(place);
    }
    for (name, file) in &files {
        let Some(&place) = stands.get(&root_of(name, &files).label) else {
            // Its trunk lies in another study, or is gone.
            continue;
        };
        if file.spec.label_index != place {
            let mut file = file.clone();
            file.spec.label_index = place;
            file.write(&study.join(name))?;
        }
    }
    Ok(())
}

/// What the run of this name came from first, as far as that is among `files`.
fn root_of<'a>(name: &'a str, files: &'a BTreeMap<String, RunFile>) -> &'a RunSpec {
    let mut at = &files[name].spec;
    // Whoever edited a `run.toml` may have made a circle.
    let mut seen = BTreeSet::from([name]);
    while let Some(parent) = &at.parent
        && let Some(file) = files.get(&parent.run)
        && seen.insert(&parent.run)
    {
        at = &file.spec;
    }
    at
}
