//! The step loop: ask, guard, forward, backward, change, log.

mod attempt;
mod caught;
mod device_step;
mod evaluate;
mod gradients;
mod pace;
mod pending;
mod probation;
mod redo;
mod set_aside;
mod setup;
mod start;
mod takeover;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pixelrate_control::Stage;
pub use pixelrate_control::{Herald, Refusal};
use pixelrate_runlog::{EvalRow, EventRow, RunLog, StepRow, SummaryRow};

use crate::spec::{Found, RunFile, RunSpec};
use crate::{Error, data};

pub use pace::Pace;
pub use set_aside::{note, set_aside};

/// Who looks on while a run trains. Nothing here may take long: it is called between steps.
pub trait Observer {
    /// The run is set up and begins (or goes on) at `first_step`.
    fn started(&mut self, _found: &Found, _first_step: u64) {}
    /// A step is done and logged. Steps come in their order, many at a time.
    fn step(&mut self, _row: &StepRow) {}
    /// Some more steps are done and logged.
    fn progress(&mut self, _progress: &Progress) {}
    /// The model was tested.
    fn evaluated(&mut self, _row: &EvalRow) {}
    /// An event was logged. Refusals that the [`herald`](Self::herald) has told already are not repeated here.
    fn event(&mut self, _row: &EventRow) {}
    /// What tells of a schedule that is refused while it is being prepared, at once and from another thread. Without one such
    /// a refusal is an [`event`](Self::event), which comes only between two steps.
    fn herald(&self) -> Option<Herald> {
        None
    }
}

/// Nobody looks on.
impl Observer for () {}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Passes over the training set done, a fraction.
    pub epoch: f64,
    /// The newest step's learning rate.
    pub learning_rate: f64,
    /// The newest step's cross-entropy, in nats; `None` in a run that trains nothing.
    pub train_loss: Option<f64>,
}

/// Asks a run to end after the step that it is at, from any thread or a signal handler.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    /// `None`: before no step.
    before: Option<Arc<AtomicU64>>,
}

impl Stop {
    /// Asks. The run keeps a checkpoint and can be resumed.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether anybody asked.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The same, which besides ends a run before `step`, whoever asks. What is asked of one is asked of both.
    #[must_use]
    pub fn before(&self, step: u64) -> Self {
        Self {
            asked: Arc::clone(&self.asked),
            before: Some(Arc::new(AtomicU64::new(step))),
        }
    }

    /// Moves the step of [`before`](Self::before), for this and its clones: 0 ends the run after the step that it is at.
    pub fn end_before(&self, step: u64) {
        if let Some(before) = &self.before {
            before.store(step, Ordering::Relaxed);
        }
    }

    fn is_due(&self, step: u64) -> bool {
        let before = self.before.as_ref();
        self.asked() || before.is_some_and(|before| step >= before.load(Ordering::Relaxed))
    }
}

/// How an attempt at a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// It was asked to stop, and can be resumed.
    Stopped,
    /// The loss became infinite or NaN: no later step can mend that, so the run is over.
    Diverged,
}

/// What an attempt at a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The run's row of `summary.parquet`; `None` for a run that was stopped.
    pub summary: Option<SummaryRow>,
}

/// Trains a new run in `folder`.
///
/// # Errors
/// [`Error::RunExists`] if the folder holds a run; whatever the data, the plugin or the disk has against it;
/// and a schedule's fault, if the spec says `abort`. What was logged by then stays, the error too.
pub fn begin(
    spec: &RunSpec,
    folder: &Path,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, Error> {
    spec.check()?;
    if folder.join("run.toml").exists() {
        setup::misspelt(spec, folder)?;
        return Err(Error::RunExists(folder.to_owned()));
    }
    attempt::Attempt::begin(spec, folder, observer)?.train(observer, stop)
}

/// Goes on with the run in `folder` from its newest good checkpoint, or from its first step if it has none.
/// What was logged past that point is dropped and trained again, to the same bits on the CPU.
///
/// # Errors
/// [`Error::NoRun`] if there is none; else as [`begin`].
pub fn resume(folder: &Path, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome, Error> {
    taken_up(folder, true, observer)?.train(observer, stop)
}

/// As [`resume`], without watching the files of schedules: what the run's record says takes over, and nothing else. Ends
/// with a checkpoint before step `until`, if there is one.
///
/// # Errors
/// As [`resume`].
pub fn replay(
    folder: &Path,
    until: Option<u64>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, Error> {
    let stop = until.map_or_else(|| stop.clone(), |step| stop.before(step));
    taken_up(folder, false, observer)?.train(observer, &stop)
}

/// Where schedules that are offered to the run in `folder` are prepared, and what it found when it began. Reads no data
/// and needs no model.
///
/// # Errors
/// [`Error::NoRun`] if there is none, or it has not begun; what is wrong with its `run.toml`.
pub fn stage(folder: &Path) -> Result<(RunSpec, Found, Stage), Error> {
    if !folder.join("run.toml").exists() {
        return Err(Error::NoRun(folder.to_owned()));
    }
    let (spec, found) = (
        RunSpec::read(&folder.join("run.toml"))?,
        setup::found(folder)?,
    );
    let stage = setup::stage(&spec, folder, &setup::engine(&spec)?, &found);
    Ok((spec, found, stage))
}

/// Leaves a log without rows in the folder of a run that no process has had yet: whoever reads its log before it is taken
/// up finds that nothing happened.
///
/// # Errors
/// There is a log, or the disk's.
pub fn leave_log(folder: &Path, spec: &RunSpec, found: &Found) -> Result<(), Error> {
    drop(RunLog::create(folder, setup::identity(spec, found))?);
    Ok(())
}

/// Tells the run in `folder` that its data set lies in `data` from now on, as it may on another machine. Nothing changes
/// unless it is the same data set.
///
/// # Errors
/// [`Error::NoRun`] if there is none; the data cannot be read, or are not those that the run began with.
pub fn move_data(folder: &Path, data: &Path) -> Result<(), Error> {
    let (mut spec, found, _) = stage(folder)?;
    spec.training.data_folder =
        std::path::absolute(data).map_err(|source| Error::io("find", data, source))?;
    let training = &spec.training;
    if !training.is_dry() {
        let dataset = data::load(&training.dataset, &training.data_folder)?;
        start::same_data(training, &dataset.sha256, &found)?;
    }
    let file = RunFile {
        spec,
        found: Some(found),
    };
    file.write(folder)
}

fn taken_up(
    folder: &Path,
    watch: bool,
    observer: &mut dyn Observer,
) -> Result<attempt::Attempt, Error> {
    if !folder.join("run.toml").exists() {
        return Err(Error::NoRun(folder.to_owned()));
    }
    attempt::Attempt::resume(folder, watch, observer)
}
