//! Asking runs for something, whether they run now or not.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pixelrate_control::{
    Mailbox, Offer, Reply, ScheduleSpec, Takeovers, What, in_force, plugin_path,
};
use pixelrate_runlog::{Held, RunStatus, held, read_summary};
use pixelrate_sandbox::Value;
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::spec::{Found, RunSpec};
use pixelrate_trainer::train::{self, Stop};

use crate::Error;

/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// What came of asking a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done before this step.
    Done(u64),
    /// It will be done before this step.
    Planned(u64),
    /// The run is not running: it will be done when the run is resumed, before its first step if no step was named.
    Kept(Option<u64>),
    /// It was not done, and nothing changed. Why.
    Rejected(String),
    /// The caller stopped waiting, and the request was withdrawn. It may still have taken effect if it was being carried out at
    /// that moment.
    TakenBack,
}

/// A schedule that somebody wants to offer to runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// A built-in schedule or a file; `None`: the one in force.
    pub schedule: Option<String>,
    /// Parameters. Those of the schedule in force that are not named stay, if it is the one in force that is wanted.
    pub params: std::collections::BTreeMap<String, Value>,
    /// When it is to take over.
    pub at: At,
    /// Whether it is given the state of the schedule before it.
    pub carry_state: bool,
}

/// When a schedule is to take over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// As soon as it is ready.
    Once,
    /// Before this step.
    Step(u64),
    /// Before the first step at which so many passes over the training set are done.
    Epoch(f64),
}

impl At {
    /// The step in the run of `spec`, if one is named.
    pub fn step(self, spec: &RunSpec, found: &Found) -> Option<u64> {
        match self {
            Self::Once => None,
            Self::Step(step) => Some(step),
            Self::Epoch(epoch) => {
                let steps =
                    epoch * found.train_examples as f64 / f64::from(spec.training.batch_size);
                // A float's last bit must not cost a step.
                Some((steps - 1e-9).ceil().max(0.0) as u64)
            }
        }
    }
}

/// Offers a schedule to the run in `folder`, and waits until it took over, is planned or was refused, or `stop` is asked:
/// then the offer is taken back. A run that does not run now is offered it when it is taken up again; what is wrong with
/// it is known now all the same.
///
/// # Errors
/// There is no run, it has ended, or its folder cannot be written.
pub fn swap(folder: &Path, wish: &Wish, stop: &Stop) -> Result<Answer, Error> {
    let (spec, found, stage) = train::stage(folder)?;
    // Looked up before its summary, which it writes before it ends.
    let runs = held(folder)? != Held::No;
    not_over(folder)?;
    let (schedule, bytes) = offered(folder, &spec, &found, wish, None)?;
    let offer = Offer {
        at_step: wish.at.step(&spec, &found),
        carry_state: wish.carry_state,
        schedule,
    };
    if !runs {
        let done = newest_step(folder)?;
        let at_step = offer.at_step;
        let refused = match at_step {
            Some(at) if at < done => {
                Some(format!("step {at} is over: the run goes on at step {done}"))
            }
            Some(at) if at >= found.total_steps => Some(format!(
                "the run has {} steps, from 0: there is no step {at}",
                found.total_steps
            )),
            _ => stage
                .admit(
                    folder,
                    &offer.schedule,
                    bytes.as_deref(),
                    at_step.unwrap_or(done),
                )
                .err(),
        };
        if let Some(reason) = refused {
            return Ok(Answer::Rejected(reason));
        }
        Mailbox::of(folder).post(What::Swap(offer), bytes.as_deref())?;
        return Ok(Answer::Kept(at_step));
    }
    ask(folder, What::Swap(offer), bytes.as_deref(), stop)
}

/// Asks the run in `folder`, which must run now, and waits for its answer, or until `stop` is asked: then the request is
/// taken back.
///
/// # Errors
/// It does not run, or ended before it answered.
pub fn ask(folder: &Path, what: What, plugin: Option<&[u8]>, stop: &Stop) -> Result<Answer, Error> {
    let runs = held(folder)? != Held::No;
    not_over(folder)?;
    if !runs {
        return Err(Error::NotRunning(folder.to_owned()));
    }
    let swap = match &what {
        What::Swap(offer) => Some(offer.at_step),
        _ => None,
    };
    let mailbox = Mailbox::of(folder);
    let id = mailbox.post(what, plugin)?;
    loop {
        // Looked up first: what it answers before it ends is there then.
        let runs = held(folder)? != Held::No;
        if let Some(reply) = mailbox.reply(&id)? {
            return Ok(match reply {
                Reply::Done { step } => {
                    mailbox.clear(&id)?;
                    Answer::Done(step)
                }
                // The request itself waits for its step.
                Reply::Planned { step } => Answer::Planned(step),
                Reply::Rejected { reason } => {
                    mailbox.clear(&id)?;
                    Answer::Rejected(reason)
                }
            });
        }
        if !runs {
            if let Some(at_step) = swap
                && read_summary(folder)?.is_none()
            {
                return Ok(Answer::Kept(at_step));
            }
            mailbox.clear(&id)?;
            return Err(Error::EndedUnasked(folder.to_owned()));
        }
        if stop.asked() {
            mailbox.clear(&id)?;
            return Ok(Answer::TakenBack);
        }
        std::thread::sleep(LOOK);
    }
}

/// The schedule that is wished for in the run of `spec`, and its file's bytes unless it is built in. Where the wish names
/// none, it is the one in force before `step`, or now.
///
/// # Errors
/// Its file cannot be read.
pub fn offered(
    folder: &Path,
    spec: &RunSpec,
    found: &Found,
    wish: &Wish,
    step: Option<u64>,
) -> Result<(ScheduleSpec, Option<Vec<u8>>), Error> {
    let mut takeovers = Takeovers::read(folder)?;
    if let Some(step) = step {
        takeovers.truncate(in_force(&takeovers, step));
    }
    let mut schedule = takeovers
        .last()
        .map_or(&spec.schedule, |takeover| &takeover.schedule)
        .clone();
    let read = |path: &Path| fs::read(path).map_err(|source| Error::io("read", path, source));
    let bytes = match &wish.schedule {
        None => {
            schedule.params.extend(wish.params.clone());
            let sha256 = takeovers
                .last()
                .map_or(&found.schedule_sha256, |takeover| &takeover.sha256);
            Some(read(&plugin_path(folder, sha256))?)
        }
        Some(name) => {
            // A file that is named alone lies in the working folder.
            schedule.plugin = pixelrate_compose::located(name, Path::new(""));
            schedule.params.clone_from(&wish.params);
            schedule.read().map_err(pixelrate_trainer::Error::from)?
        }
    };
    Ok((schedule, bytes))
}

/// Refuses a run that is over.
///
/// # Errors
/// [`Error::Over`], or its summary cannot be read.
pub fn not_over(folder: &Path) -> Result<(), Error> {
    match read_summary(folder)? {
        Some(summary) if matches!(summary.status, RunStatus::Finished | RunStatus::Diverged) => {
            Err(Error::Over {
                folder: folder.to_owned(),
                status: summary.status.to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// The step that a run which does not run now goes on at.
pub(crate) fn newest_step(folder: &Path) -> Result<u64, Error> {
    let newest = checkpoint::list(folder)?;
    Ok(newest
        .last()
        .and_then(|path| checkpoint::step_of(path))
        .unwrap_or(0))
}
