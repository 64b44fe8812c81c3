//! What others say of a run that no process trains, written into its log.

use std::path::{Path, PathBuf};

use pixelrate_runlog::{
    EventKind, EventRow, RunLog, RunStatus, SummaryRow, logged_steps, read_evals, read_events,
    read_step, read_summary,
};

use super::attempt::unix_ms;
use super::setup::{self, found, identity};
use crate::Error;
use crate::checkpoint;
use crate::spec::{Found, RunSpec};

/// Adds an event to the log of a stopped run, at its newest checkpoint, unless that very event is there already. A run that
/// finished, diverged or failed is left unchanged.
///
/// # Errors
/// A process trains the run; its log cannot be read or written.
pub fn note(folder: &Path, kind: EventKind, message: &str) -> Result<(), Error> {
    match Noted::open(folder, kind, message)? {
        Some(mut noted) => Ok(noted.log.sync()?),
        None => Ok(()),
    }
}

/// As [`note`]; and closes the log of a run that nobody means to go on with: each table becomes one part, and its
/// summary says `stopped`, and why. It can be resumed all the same.
///
/// # Errors
/// As [`note`].
pub fn set_aside(folder: &Path, kind: EventKind, message: &str) -> Result<(), Error> {
    let Some(noted) = Noted::open(folder, kind, message)? else {
        return Ok(());
    };
    let summary = noted.summary(folder, message)?;
    Ok(noted.log.finish(&summary)?)
}

/// A stopped run, its log open, the event in it.
struct Noted {
    spec: RunSpec,
    found: Found,
    newest: Option<PathBuf>,
    done: u64,
    log: RunLog,
}

impl Noted {
    /// `None` if the run has ended.
    fn open(folder: &Path, kind: EventKind, message: &str) -> Result<Option<Self>, Error> {
        if read_summary(folder)?.is_some_and(|row| row.status != RunStatus::Stopped) {
            return Ok(None);
        }
        let spec = RunSpec::read(&folder.join("run.toml"))?;
        let found = found(folder)?;
        let newest = checkpoint::list(folder)?.pop();
        let done = newest.as_deref().and_then(checkpoint::step_of).unwrap_or(0);
        let mut log = RunLog::resume(folder, identity(&spec, &found), done)?;
        let is_it = |row: &EventRow| row.kind == kind && row.message == message;
        if !read_events(folder)?.iter().any(is_it) {
            log.event(EventRow {
                step: done,
                time_unix_ms: unix_ms(),
                kind,
                schedule: None,
                message: message.to_owned(),
                duration_ns: None,
            })?;
        }
        log.flush()?;
        Ok(Some(Self {
            spec,
            found,
            newest,
            done,
            log,
        }))
    }

    fn summary(&self, folder: &Path, why: &str) -> Result<SummaryRow, Error> {
        let last = match logged_steps(folder)?.checked_sub(1) {
            Some(step) => read_step(folder, step)?,
            None => None,
        };
        let evals = read_evals(folder)?;
        let best = evals
            .iter()
            .map(|row| row.accuracy)
            .fold(f64::NAN, f64::max);
        let began = read_events(folder)?.first().map(|row| row.time_unix_ms);
        let seconds = self.newest.as_deref().map(checkpoint::seconds);
        let why = Some(why.to_owned());
        Ok(SummaryRow {
            steps_done: self.done,
            final_train_loss: last.and_then(|row| row.train_loss),
            final_eval_loss: evals.last().map(|row| row.loss),
            final_eval_accuracy: evals.last().map(|row| row.accuracy),
            best_eval_accuracy: (!best.is_nan()).then_some(best),
            wall_seconds: seconds.transpose()?.unwrap_or(0.0),
            started_unix_ms: began.unwrap_or_else(unix_ms),
            ..setup::summary(&self.spec, &self.found, RunStatus::Stopped, why)
        })
    }
}
