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

/// What lies in a study's folders.
pub(crate) struct Runs {
    /// The runs, ordered by name; never none.
    pub(crate) read: Vec<Run>,
    /// The folders whose run cannot be read, each with why: they hide no other.
    pub(crate) unread: Vec<String>,
}

/// The runs in `study`'s folders.
///
/// # Errors
/// There is no such folder, no run in it, or none that can be read.
pub(crate) fn runs(study: &Path) -> Result<Runs, Error> {
    if !study.is_dir() {
        return Err(Error::NoStudy(study.to_owned()));
    }
    let entries = std::fs::read_dir(study).map_err(|source| Error::io("read", study, source))?;
    let folders: Result<Vec<PathBuf>, Error> = entries
        .map(|entry| match entry {
            Ok(entry) => Ok(entry.path()),
            Err(source) => Err(Error::io("read", study, source)),
        })
        .collect();
    let ended = EndedRuns::of(study);
    let found: Vec<_> = folders?
        .into_par_iter()
        .map(|folder| (one(&ended, &folder), folder))
        .collect();
    let (mut runs, mut problems) = (Vec::new(), Vec::new());
    for (one, folder) in found {
        match one {
            Ok(run) => runs.extend(run),
            Err(problem) => problems.push((folder, problem)),
        }
    }
    problems.sort_by(|(one, _), (other, _)| one.cmp(other));
    if runs.is_empty() && !problems.is_empty() {
        return Err(problems.swap_remove(0).1);
    }
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
    let unread = problems
        .iter()
        .map(|(folder, problem)| cannot_be_read(folder, problem));
    Ok(Runs {
        read: runs,
        unread: unread.collect(),
    })
}

/// A folder whose run cannot be read, and why, in a line.
pub(super) fn cannot_be_read(folder: &Path, problem: &Error) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}: cannot be read: {problem}")
}

/// Takes copies out, which would count as one seed more: a run's folder that was copied (a run of one name that began and ended
/// in the same moments), and runs that repeat another: its settings, seed and schedule's file, and all that came of it. Gives their
/// folders' names, each with that of the run that is left.
pub(crate) fn take_copies(runs: &mut Vec<Run>) -> Vec<String> {
    let mut first: HashMap<(String, i64, i64), String> = HashMap::new();
    let mut repeated: HashMap<_, Vec<(RunSpec, String)>> = HashMap::new();
    let mut copies = Vec::new();
    runs.retain(|run| {
        let Some(summary) = &run.summary else {
            return true;
        };
        let folder = run.folder.file_name().unwrap_or_default();
        let folder = folder.to_string_lossy().into_owned();
        let moments = (summary.started_unix_ms, summary.finished_unix_ms);
        match first.entry((run.file.spec.run.clone(), moments.0, moments.1)) {
            Entry::Vacant(new) => new.insert(folder.clone()),
            Entry::Occupied(known) => {
                copies.push(format!("{folder} (of {})", known.get()));
                return false;
            }
        };
        // What was swapped under way may be what a repetition is for, and so may a fork.
        if run.result().is_none() || !run.takeovers.is_empty() || run.first_step() > 0 {
            return true;
        }
        let spec = &run.file.spec;
        // A picture or a plugin that was edited in between is another schedule under the same settings.
        let outcome = (
            summary.steps_done,
            [
                summary.final_train_loss,
                summary.final_eval_loss,
                summary.final_eval_accuracy,
            ]
            .map(|value| value.map(f64::to_bits)),
        );
        let key = (
            spec.label.clone(),
            spec.seed,
            run.schedule_sha256.clone(),
            outcome,
        );
        let alike = repeated.entry(key).or_default();
        let settings = settings(run);
        match alike.iter().find(|(other, _)| *other == settings) {
            Some((_, other)) => {
                copies.push(format!("{folder} (of {other})"));
                false
            }
            None => {
                alike.push((settings, folder));
                true
            }
        }
    });
    copies
}

/// What may differ between two labels, of which there may be two in a folder that no study wrote: not a run's name, seed and
/// lineage, where things lie, nor on what it trains.
fn settings(run: &Run) -> RunSpec {
    let mut spec = run.spec();
    (spec.study, spec.run) = (String::new(), String::new());
    (spec.label_index, spec.seed, spec.watch) = (0, 0, false);
    (spec.parent, spec.tuned) = (None, None);
    let training = &mut spec.training;
    (training.data_folder, training.device) = (PathBuf::new(), String::new());
    (training.checkpoint_seconds, training.threads) = (1.0, 1);
    let schedule = &mut spec.schedule;
    (schedule.picture_folder, schedule.rollback_steps) = (None, 0);
    spec
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

/// Labels in the study's order, each with its runs by their seeds. Runs of one label with other settings, as single runs may
/// have them, are never averaged, nor is a branch with the runs that trained from their beginning.
pub(crate) fn by_label(runs: &[Run]) -> Vec<Group<'_>> {
    let mut all: BTreeMap<&str, Vec<RunSpec>> = BTreeMap::new();
    let mut labels: BTreeMap<(u32, &str, Option<u64>, usize), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let spec = &run.file.spec;
        let fork = spec.parent.as_ref().map(|parent| parent.step);
        let (known, settings) = (all.entry(&spec.label).or_default(), settings(run));
        let place = known.iter().position(|other| *other == settings);
        let place = place.unwrap_or_else(|| {
            known.push(settings);
            known.len() - 1
        });
        labels
            .entry((spec.label_index, &spec.label, fork, place))
            .or_default()
            .push(run);
    }
    let mut named: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for (_, label, _, place) in labels.keys() {
        *named.entry((*label, *place)).or_default() += 1;
    }
    let group = |((_, label, fork, place), mut runs): ((_, &str, Option<u64>, usize), Vec<_>)| {
        runs.sort_by_key(|run: &&Run| run.file.spec.seed);
        let mut name = label.to_owned();
        if place > 0 {
            name += &format!(" ({})", place + 1);
        }
        if let Some(step) = fork.filter(|_| named[&(label, place)] > 1) {
            name += &format!(", from step {step}");
        }
        Group { name, runs }
    };
    let labels: Vec<((u32, _, _, _), _)> = labels.into_iter().collect();
    labels.into_iter().map(group).collect()
}
