//! The run folders below a path, and what each tells of itself from outside: who trains it, where it is, how it ended.
//!
//! To find runs, and to tell which are under way, costs a few small files a run: no Parquet is read, and `run.toml` only
//! where somebody asks for it. What runs that have ended tell comes from their study's index. So a folder of ten thousand
//! runs is looked through in a moment.

mod filter;
mod state;
#[cfg(test)]
pub(crate) mod tests;

use std::cell::OnceCell;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixelrate_control::{Activity, Mailbox, Request, Status, Takeovers, What};
use pixelrate_runlog::{Held, SummaryRow, held, read_summary};
use pixelrate_trainer::spec::RunFile;

pub use self::filter::{Filter, told};
pub use self::state::State;
use crate::ended::{Ended, EndedRuns, run_file};
use crate::steer;

/// Folders between the path that is searched and a run's: the study's.
const DEPTH: usize = 2;

/// Why there are no runs to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path leads nowhere.
    #[error(
        "there is no {}: name the folder of a run, of a study, or of all studies (as `runs`)", .0.display()
    )]
    NotThere(PathBuf),
    /// The path leads to a folder without runs.
    #[error(
        "{} holds no run: name the folder of a run, of a study, or of all studies (as `runs`)", .0.display()
    )]
    NoRuns(PathBuf),
    /// One run was asked for, and the path leads to many.
    #[error("{} is not a run but contains several: name one, such as {}", path.display(), first.display())]
    Many {
        /// What was named.
        path: PathBuf,
        /// A run in it.
        first: PathBuf,
    },
    /// No run is as the filters want it.
    #[error("none of the {count} runs in {} has {filters}: `pixelrate ps {} --all` lists them", path.display(), path.display())]
    NoneMatches {
        /// Where was searched.
        path: PathBuf,
        /// Runs that are there.
        count: usize,
        /// What was wanted.
        filters: String,
    },
    /// A run's file or folder.
    #[error(transparent)]
    Run(#[from] crate::Error),
}

/// A run's folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    file: OnceCell<RunFile>,
    /// The runs beside it that have ended, where it was found among many.
    study: Option<Arc<EndedRuns>>,
}

/// What a run was like at the moment of looking.
#[derive(Debug, Clone)]
pub struct Look {
    /// What it does, or how it ended.
    pub state: State,
    /// The process that has it.
    pub process: Option<u32>,
    /// Where it is; of a run that no process has, where its last one left it. `None` before the first step of a process.
    pub status: Option<Status>,
    /// How it ended, where it has.
    pub summary: Option<SummaryRow>,
    /// The step that a run which was stopped, was killed or failed goes on at: that of its newest checkpoint.
    pub resumes_at: Option<u64>,
}

impl Look {
    /// Steps done, as far as that is known.
    pub fn step(&self) -> Option<u64> {
        let ended = self.summary.as_ref().map(|row| row.steps_done);
        // The status is up to half a second old where the process was killed, and its last checkpoint may be newer.
        let told = self.status.as_ref().map(|status| status.step);
        ended.or_else(|| told.map(|step| step.max(self.resumes_at.unwrap_or(0))))
    }

    /// The step that it goes on at, where that is another than the last that it came to.
    pub fn goes_back_to(&self) -> Option<u64> {
        self.resumes_at.filter(|step| Some(*step) != self.step())
    }

    /// Steps of the whole run, as far as that is known.
    pub fn total_steps(&self) -> Option<u64> {
        let ended = self.summary.as_ref().map(|row| row.total_steps);
        ended.or_else(|| self.status.as_ref().map(|status| status.total_steps))
    }

    /// The newest loss of a batch, where it is known and finite.
    pub fn train_loss(&self) -> Option<f64> {
        let ended = self.summary.as_ref().and_then(|row| row.final_train_loss);
        ended
            .or_else(|| self.status.as_ref()?.train_loss)
            .filter(|loss| loss.is_finite())
    }
}

impl RunFolder {
    /// The run in this folder.
    ///
    /// # Errors
    /// It is no run's folder; the error names one if it holds some.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::NotThere(path.to_owned()));
        }
        if is_run(path) {
            return Ok(Self::new(path));
        }
        match find(path)?.into_iter().next() {
            Some(first) => Err(Error::Many {
                path: path.to_owned(),
                first: first.path,
            }),
            None => Err(Error::NoRuns(path.to_owned())),
        }
    }

    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: OnceCell::new(),
            study: None,
        }
    }

    /// What the run tells if it has ended, out of its study's index; `None` also for a run that was not found with one.
    fn ended(&self) -> Result<Option<Ended>, crate::Error> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        match (&self.study, name) {
            (Some(study), Some(name)) => study.get(name),
            _ => Ok(None),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `run.toml`, read once; `None` if it has none yet, as in its first moment.
    ///
    /// # Errors
    /// It cannot be read, or is not what pixelrate wrote.
    pub fn file(&self) -> Result<Option<&RunFile>, crate::Error> {
        if let Some(file) = self.file.get() {
            return Ok(Some(file));
        }
        let kept = self.ended()?.and_then(|ended| ended.file);
        let file = match kept {
            None => run_file(&self.path)?,
            kept => kept,
        };
        Ok(file.map(|file| self.file.get_or_init(|| file)))
    }

    /// Whether a process has the run now: the quickest question of all.
    ///
    /// # Errors
    /// Its lock cannot be tried.
    pub fn held(&self) -> Result<Held, crate::Error> {
        Ok(held(&self.path)?)
    }

    /// Looks at the run now.
    ///
    /// # Errors
    /// A file of it cannot be read.
    pub fn look(&self) -> Result<Look, crate::Error> {
        if let Some(Ended {
            summary, status, ..
        }) = self.ended()?
        {
            return self.at_rest(status, Some(summary));
        }
        let status = Status::read(&self.path).map_err(pixelrate_trainer::Error::from)?;
        let Held::By(process) = self.held()? else {
            let summary = read_summary(&self.path)?;
            return self.at_rest(status, summary);
        };
        // A run that is taken up again has its last process' status until the new one comes to tell its own.
        let status = status.filter(|status| process.is_none_or(|held| held == status.process));
        let state = match status.as_ref().map(|status| status.activity) {
            None => State::Preparing,
            Some(Activity::Training) => State::Training,
            Some(Activity::Paused) => State::Paused,
        };
        Ok(Look {
            state,
            process,
            status,
            summary: None,
            resumes_at: None,
        })
    }

    /// What a run is like that no process has.
    fn at_rest(
        &self,
        status: Option<Status>,
        summary: Option<SummaryRow>,
    ) -> Result<Look, crate::Error> {
        let state = State::at_rest(summary.as_ref());
        let resumes_at = if state.is_over() {
            None
        } else {
            Some(steer::newest_step(&self.path)?)
        };
        Ok(Look {
            state,
            process: None,
            status,
            summary,
            resumes_at,
        })
    }

    /// The schedules that are to take over in the run, in words and in their order: `cosine (max_lr = 0.3) at 5000`. One that
    /// was asked for without a step comes `next`.
    ///
    /// # Errors
    /// Its requests or its record cannot be read.
    pub fn planned(&self) -> Result<Vec<String>, crate::Error> {
        let offers = self.offers()?;
        Ok(offers.into_iter().map(|(_, told)| told).collect())
    }

    /// Takes back the requests for those schedules, and tells them in the same words. One that takes over at this very moment may
    /// still do so; the run's log tells.
    ///
    /// # Errors
    /// As [`planned`](Self::planned), or a request cannot be removed.
    pub fn withdraw(&self) -> Result<Vec<String>, crate::Error> {
        let (offers, mailbox) = (self.offers()?, Mailbox::of(&self.path));
        for (id, _) in &offers {
            mailbox.clear(id)?;
        }
        Ok(offers.into_iter().map(|(_, told)| told).collect())
    }

    /// The requests that wait for a takeover, by their ids, and what each would bring.
    fn offers(&self) -> Result<Vec<(String, String)>, crate::Error> {
        let waiting = Mailbox::of(&self.path).waiting()?.into_iter();
        let mut offers: Vec<_> = waiting
            .filter_map(|Request { id, what }| match what {
                What::Swap(offer) => Some((id, offer)),
                _ => None,
            })
            .collect();
        if offers.is_empty() {
            return Ok(Vec::new());
        }
        // A crash may have come between a takeover and the answer to who asked for it.
        let done = Takeovers::read(&self.path)?;
        offers.retain(|(id, _)| done.iter().all(|it| it.request.as_ref() != Some(id)));
        offers.sort_by_key(|(_, offer)| offer.at_step);
        let told = offers.into_iter().map(|(id, offer)| {
            let told = offer.schedule.told();
            let told = match offer.at_step {
                Some(step) => format!("{told} at {step}"),
                None => format!("{told} next"),
            };
            (id, told)
        });
        Ok(told.collect())
    }
}

/// The runs at `path`, ordered by their folders' names: the folder of a run, of a study, or of all studies.
///
/// # Errors
/// [`Error::NotThere`], [`Error::NoRuns`], or a folder that cannot be listed.
pub fn find(path: &Path) -> Result<Vec<RunFolder>, Error> {
    if !path.exists() {
        return Err(Error::NotThere(path.to_owned()));
    }
    let mut found = Vec::new();
    gather(path, None, DEPTH, &mut found)?;
    if found.is_empty() {
        return Err(Error::NoRuns(path.to_owned()));
    }
    Ok(found)
}

/// The runs at `path` that all `filters` let through.
///
/// # Errors
/// As [`find`]; [`Error::NoneMatches`] if they let none through.
pub fn pick(path: &Path, filters: &[Filter]) -> Result<Vec<RunFolder>, Error> {
    let all = find(path)?;
    let count = all.len();
    let mut picked = Vec::new();
    for run in all {
        if Filter::all_match(filters, &run)? {
            picked.push(run);
        }
    }
    if picked.is_empty() {
        return Err(Error::NoneMatches {
            path: path.to_owned(),
            count,
            filters: told(filters),
        });
    }
    Ok(picked)
}

/// A run's folder has its lock before it has its `run.toml`.
fn is_run(path: &Path) -> bool {
    path.join("run.toml").is_file() || path.join(".lock").is_file()
}

fn gather(
    path: &Path,
    study: Option<&Arc<EndedRuns>>,
    depth: usize,
    found: &mut Vec<RunFolder>,
) -> Result<(), crate::Error> {
    if is_run(path) {
        found.push(RunFolder {
            study: study.cloned(),
            ..RunFolder::new(path)
        });
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        // Somebody moved it away since it was listed, or named a file.
        Err(source)
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(source) => return Err(crate::Error::io("list", path, source)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| crate::Error::io("list", path, source))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !hidden && !is_file {
            folders.push(entry.path());
        }
    }
    folders.sort();
    let study = Arc::new(EndedRuns::of(path));
    folders
        .iter()
        .try_for_each(|folder| gather(folder, Some(&study), depth - 1, found))
}
