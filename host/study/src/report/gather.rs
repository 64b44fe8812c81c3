//! The runs of a study, and which of them belong together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use pixelrate_control::{Cause, Takeover, Takeovers};
use pixelrate_runlog::{RunStatus, SummaryRow, read_summary};
use pixelrate_trainer::spec::{RunFile, RunSpec, ScheduleSpec};
use rayon::prelude::*;

use crate::Error;
use crate::ended::{Ended, EndedRuns, run_file};

/// A run, as a report sees it.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) file: RunFile,
    /// The schedule that it began under. A branch's file has that of its trunk, which it was forked from to this one.
    pub(crate) schedule: ScheduleSpec,
    /// SHA-256 of that schedule's file, if the run began.
    pub(crate) schedule_sha256: Option<String>,
    pub(crate) summary: Option<SummaryRow>,
    /// The schedules that took over while it trained; what its trunk took over before a fork is the trunk's.
    pub(crate) takeovers: Vec<Takeover>,
}

impl Run {
    /// Reads the run in `folder`; `None` if there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let Some(file) = run_file(folder)? else {
            return Ok(None);
        };
        let (summary, takeovers) = (read_summary(folder)?, Takeovers::read(folder)?);
        Ok(Some(Self::new(folder, file, summary, takeovers)))
    }

    fn new(
        folder: &Path,
        file: RunFile,
        summary: Option<SummaryRow>,
        takeovers: Vec<Takeover>,
    ) -> Self {
        let (schedule, sha256) = match takeovers.iter().rev().find(|it| it.cause == Cause::Fork) {
            Some(fork) => (fork.schedule.clone(), Some(fork.sha256.clone())),
            None => {
                let found = file.found.as_ref();
                let sha256 = found.map(|found| found.schedule_sha256.clone());
                (file.spec.schedule.clone(), sha256)
            }
        };
        let mut run = Self {
            summary,
            folder: folder.to_owned(),
            file,
            schedule,
            schedule_sha256: sha256,
            takeovers,
        };
        let begins = run.first_step();
        run.takeovers
            .retain(|takeover| takeover.cause != Cause::Fork && takeover.step >= begins);
        run
    }

    /// What it trained, with the schedule that it began under.
    pub(crate) fn spec(&self) -> RunSpec {
        RunSpec {
            schedule: self.schedule.clone(),
            ..self.file.spec.clone()
        }
    }

    /// Steps of the whole run.
    pub(crate) fn total_steps(&self) -> u64 {
        let found = self.file.found.as_ref();
        found.map_or(1, |found| found.total_steps.max(1))
    }

    /// The first step that is the run's own, and not that of the run that it was forked from.
    pub(crate) fn first_step(&self) -> u64 {
        let parent = self.file.spec.parent.as_ref();
        parent.map_or(0, |parent| parent.step)
    }

    /// A result, if the run has one: finished, or diverged.
    pub(crate) fn result(&self) -> Option<&SummaryRow> {
        let ended =
            |row: &&SummaryRow| matches!(row.status, RunStatus::Finished | RunStatus::Diverged);
        self.summary.as_ref().filter(ended)
    }

    /// Why the run has no result; `None` if it has one.
    pub(crate) fn missing(&self) -> Option<String> {
        let name = &self.file.spec.run;
        match &self.summary {
            None => Some(format!("{name}: not finished")),
            Some(summary) if self.result().is_none() => Some(format!(
                "{name}: {}: {}",
                summary.status,
                summary.error.as_deref().unwrap_or("no reason was logged")
            )),
            Some(_) => None,
        }
    }
}

/// The runs of one row of the report.
pub(crate) struct Group<'a> {
    /// Their label, and where it is not theirs alone, from which step they were forked.
    pub(crate) name: String,
    /// Never empty.
    pub(crate) runs: Vec<&'a Run>,
}

impl Group<'_> {
    /// The first run: what a label's runs have in common is read from it.
    pub(crate) fn first(&self) -> &Run {
        self.runs[0]
    }

    /// Whether the runs were forked from others: they did not train from their beginning under their label.
    pub(crate) fn is_forked(&self) -> bool {
        self.first().file.spec.parent.is_some()
    }
}

/// The runs in `study`'s folders, ordered by name.
pub(crate) fn runs(study: &Path) -> Result<Vec<Run>, Error> {
    let entries = std::fs::read_dir(study).map_err(|source| Error::io("read", study, source))?;
    let folders: Result<Vec<PathBuf>, Error> = entries
        .map(|entry| match entry {
            Ok(entry) => Ok(entry.path()),
            Err(source) => Err(Error::io("read", study, source)),
        })
        .collect();
    let ended = EndedRuns::of(study);
    let read: Result<Vec<Option<Run>>, Error> = folders?
        .into_par_iter()
        .map(|folder| one(&ended, &folder))
        .collect();
    let mut runs: Vec<Run> = read?.into_iter().flatten().collect();
    // Of a run and its copy, the one comes first whose folder has its name.
    let order = |run: &Run| {
        let name = &run.file.spec.run;
        (
            name.clone(),
            !run.folder.ends_with(name),
            run.folder.clone(),
        )
    };
    runs.sort_by_cached_key(order);
    if runs.is_empty() && study.join("run.toml").is_file() {
        return Err(Error::OneRun(study.to_owned()));
    }
    if runs.is_empty() {
        return Err(Error::NoRuns(study.to_owned()));
    }
    Ok(runs)
}

/// Takes copies of a run's folder out, which would count as one seed more: runs of one name that began and ended in the
/// same moments. Gives their folders' names, each with that of the run that is left.
pub(crate) fn take_copies(runs: &mut Vec<Run>) -> Vec<String> {
    let mut first: HashMap<(String, i64, i64), String> = HashMap::new();
    let mut copies = Vec::new();
    runs.retain(|run| {
        let Some(summary) = &run.summary else {
            return true;
        };
        let folder = run.folder.file_name().unwrap_or_default();
        let folder = folder.to_string_lossy().into_owned();
        let moments = (summary.started_unix_ms, summary.finished_unix_ms);
        match first.entry((run.file.spec.run.clone(), moments.0, moments.1)) {
            Entry::Vacant(new) => {
                new.insert(folder);
                true
            }
            Entry::Occupied(known) => {
                copies.push(format!("{folder} (of {})", known.get()));
                false
            }
        }
    });
    copies
}

/// The run in `folder`, if it is one.
fn one(ended: &EndedRuns, folder: &Path) -> Result<Option<Run>, Error> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let kept = name.map(|name| ended.get(name)).transpose()?.flatten();
    match kept {
        Some(Ended {
            file: Some(file),
            summary,
            takeovers,
            ..
        }) => Ok(Some(Run::new(folder, file, Some(summary), takeovers))),
        _ => Run::read(folder),
    }
}

/// Labels in the study's order, each with its runs by their seeds. A branch is never averaged with the runs that trained
/// from their beginning, whatever its label.
pub(crate) fn by_label(runs: &[Run]) -> Vec<Group<'_>> {
    let mut labels: BTreeMap<(u32, &str, Option<u64>), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let spec = &run.file.spec;
        let fork = spec.parent.as_ref().map(|parent| parent.step);
        labels
            .entry((spec.label_index, &spec.label, fork))
            .or_default()
            .push(run);
    }
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, label, _) in labels.keys() {
        *named.entry(label).or_default() += 1;
    }
    let group = |((_, label, fork), mut runs): ((u32, &str, Option<u64>), Vec<_>)| {
        runs.sort_by_key(|run: &&Run| run.file.spec.seed);
        let name = match fork {
            Some(step) if named[label] > 1 => format!("{label}, from step {step}"),
            _ => label.to_owned(),
        };
        Group { name, runs }
    };
    labels.clone().into_iter().map(group).collect()
}
