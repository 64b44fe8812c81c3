//! One process's part in a run: from its beginning, or from a checkpoint, to its end or to a stop.

mod step;
mod told;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pixelrate_control::{Desk, DeskOptions, Stage, Takeovers, watch};
use pixelrate_cuda::Entered;
use pixelrate_runlog::{EvalRow, EventKind, RunLog, RunStatus, StepRow};
use pixelrate_sandbox::TrainingValues;
use tch::Tensor;

use super::caught::caught;
use super::device_step::DeviceStep;
use super::evaluate::evaluate;
use super::pending::Pending;
use super::probation::Probation;
use super::redo::Redo;
use super::setup::Setup;
use super::takeover::{InForce, Previous, Then, Turn};
use super::{Ending, Observer, Outcome, Stop};
use crate::batches::{Augmentation, TestSet, TrainSet};
use crate::checkpoint::{self, Position};
use crate::model::Model;
use crate::optimizer::Optimizer;
use crate::spec::{Found, RunSpec};
use crate::{Error, device};

/// A checkpoint comes no sooner than so many times what the last one took: it costs less than 2 % of the time.
const CHECKPOINT_SHARE: u32 = 50;

/// All that a run needs between two steps.
pub(super) struct Attempt {
    pub(super) spec: RunSpec,
    pub(super) found: Found,
    pub(super) folder: PathBuf,
    /// Dropped before the log: whoever asked for something and sees the lock gone finds the answer.
    pub(super) desk: Desk,
    pub(super) log: RunLog,
    pub(super) stage: Stage,
    pub(super) in_force: InForce,
    pub(super) probation: Probation<Previous>,
    pub(super) takeovers: Takeovers,
    /// What took over after the checkpoint that the run goes on from, and must do so again.
    pub(super) redo: Redo,
    /// Whether it has just been forked: the takeover that makes it a branch comes for the first time.
    pub(super) branches: bool,
    pub(super) swaps: u64,
    /// What was in force before the takeovers of the step that is next.
    pub(super) turn: Option<Turn>,
    pub(super) at: Position,
    /// Time that the run was told to wait in.
    pub(super) paused: Duration,
    pub(super) stop_request: Option<String>,
    pub(super) seconds_before: f64,
    model: Model,
    parameters: Vec<Tensor>,
    optimizer: Optimizer,
    train: TrainSet,
    test: TestSet,
    pending: Pending,
    /// How steps are done on a device.
    on_device: Option<DeviceStep>,
    /// Held for as long as this is.
    _stream: Option<Entered>,
    /// Whether nothing is trained.
    dry: bool,
    last: Option<StepRow>,
    checkpoint_took: Duration,
    began: Instant,
    started_unix_ms: i64,
}

/// What an attempt begins with, besides what it builds.
pub(super) struct Start {
    pub(super) log: RunLog,
    pub(super) in_force: InForce,
    pub(super) probation: Probation<Previous>,
    pub(super) redo: Redo,
    /// Whether it is a forked run that no process has had yet.
    pub(super) branches: bool,
    pub(super) swaps: u64,
    /// Where it goes on from; `None`: from its first step.
    pub(super) position: Option<Position>,
    /// Whether the files of its schedules are watched.
    pub(super) watch: bool,
    /// Whether it is taken up again.
    pub(super) resumed: bool,
    /// When the run began, in milliseconds since 1970, if that was before.
    pub(super) started_unix_ms: Option<i64>,
    /// The step that was logged last.
    pub(super) last: Option<StepRow>,
}

impl Attempt {
    pub(super) fn new(
        setup: Setup,
        spec: &RunSpec,
        folder: &Path,
        start: Start,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let at = start.position.unwrap_or_else(|| Position {
            step: 0,
            schedule: start.in_force.sha256.to_string(),
            schedule_state: None,
            training: TrainingValues::NONE,
            best_accuracy: f64::NAN,
            seconds: 0.0,
        });
        let options = DeskOptions {
            run: folder.to_owned(),
            stage: setup.stage.clone(),
            total_steps: setup.found.total_steps,
            step: at.step,
            schedule: start.in_force.spec.clone(),
            sha256: start.in_force.sha256.to_string(),
            swaps: start.swaps,
            watch: start.watch.then(watch::Options::default),
            // Whoever takes a run up again is told of a change instead.
            take_changes: !start.resumed,
        };
        let desk = Desk::open(options, observer.herald())?;
        let shared = device::share(setup.device);
        let train = TrainSet::new(
            &setup.dataset,
            setup.found.train_examples,
            spec.seed,
            Augmentation::of(&spec.training),
            setup.device,
        );
        let test = TestSet::new(&setup.dataset, setup.device);
        let streams = setup.stream.is_some();
        let on_device = DeviceStep::new(&train, &spec.training, &setup.model, streams);
        drop(shared);
        Ok(Self {
            spec: spec.clone(),
            folder: folder.to_owned(),
            log: start.log,
            desk,
            stage: setup.stage,
            in_force: start.in_force,
            probation: start.probation,
            takeovers: Takeovers::open(folder)?,
            redo: start.redo,
            branches: start.branches,
            swaps: start.swaps,
            turn: None,
            paused: Duration::ZERO,
            stop_request: None,
            seconds_before: at.seconds,
            parameters: setup.model.parameters(),
            on_device,
            train,
            _stream: setup.stream,
            test,
            model: setup.model,
            optimizer: setup.optimizer,
            pending: Pending::default(),
            dry: spec.training.is_dry(),
            at,
            last: start.last,
            checkpoint_took: Duration::ZERO,
            began: Instant::now(),
            started_unix_ms: start.started_unix_ms.unwrap_or_else(unix_ms),
            found: setup.found,
        })
    }

    /// Trains to the end, or until asked to stop.
    pub(super) fn train(
        mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Outcome, Error> {
        observer.started(&self.found, self.at.step);
        let ended = self.steps(observer, stop).and_then(|ending| {
            if ending == Ending::Stopped {
                self.checkpoint(observer)?;
            }
            Ok(ending)
        });
        match ended {
            Ok(Ending::Stopped) => {
                self.last_refusals(observer)?;
                self.answer_stop();
                self.event(
                    observer,
                    EventKind::Stopped,
                    format!("at step {}", self.at.step),
                    None,
                )?;
                self.log.sync()?;
                Ok(Outcome {
                    ending: Ending::Stopped,
                    summary: None,
                })
            }
            Ok(ending) => {
                self.last_refusals(observer)?;
                let (kind, status) = match ending {
                    Ending::Diverged => (EventKind::Failed, RunStatus::Diverged),
                    _ => (EventKind::Finished, RunStatus::Finished),
                };
                self.event(
                    observer,
                    kind,
                    format!("{status} at step {}", self.at.step),
                    None,
                )?;
                let summary = self.summary(status, None);
                drop(self.desk);
                self.log.finish(&summary)?;
                Ok(Outcome {
                    ending,
                    summary: Some(summary),
                })
            }
            Err(problem) => {
                // The problem is what the user must read; that it could not be logged comes second to it.
                let rows = self.flush_losses(observer);
                let rows = rows.and_then(|()| self.last_refusals(observer));
                let event = self.event(observer, EventKind::Failed, problem.to_string(), None);
                let summary = self.summary(RunStatus::Failed, Some(problem.to_string()));
                drop(self.desk);
                let _ = rows
                    .and(event)
                    .and_then(|()| Ok(self.log.finish(&summary)?));
                Err(problem)
            }
        }
    }

    fn steps(&mut self, observer: &mut dyn Observer, stop: &Stop) -> Result<Ending, Error> {
        if self.at.step == 0
            && !self.dry
            && self.found.precision.is_imitated_on(self.model.device())
        {
            let message = "this processor only imitates bfloat16, which takes longer than float32";
            self.event(observer, EventKind::Note, message.to_owned(), None)?;
        }
        let total = self.found.total_steps;
        let mut checkpointed = Instant::now();
        while self.at.step < total {
            let step = self.at.step;
            let stops = stop.is_due(step);
            if stops || self.desk.wanted(step) || self.redo.due(step) {
                // A loss that nobody has read yet may be where the run ended.
                self.flush_losses(observer)?;
                if self.diverged() {
                    self.evaluate(observer)?;
                    return Ok(Ending::Diverged);
                }
                if stops || self.attend(observer, stop)? == Then::Stop {
                    return Ok(Ending::Stopped);
                }
            }
            self.step(observer)?;
            self.drain_schedule(observer)?;
            let (evaluates, last) = (self.evaluation_due(), self.at.step == total);
            let keeps = checkpointed.elapsed() >= self.checkpoint_distance();
            if self.in_force.reads_training || evaluates || keeps || last {
                self.flush_losses(observer)?;
            } else if self.pending.is_full() {
                if self.on_device.is_some() {
                    let rows = self.pending.turn_over()?;
                    self.log_steps(rows, observer)?;
                } else {
                    self.flush_losses(observer)?;
                }
            }
            if self.diverged() {
                self.evaluate(observer)?;
                return Ok(Ending::Diverged);
            }
            if evaluates {
                self.evaluate(observer)?;
            }
            if keeps || last {
                match self.checkpoint(observer) {
                    // Nothing is left that it would be needed for.
                    Err(problem @ Error::Unsaved(_)) if last => {
                        self.event(observer, EventKind::Fault, problem.to_string(), None)?;
                    }
                    kept => kept?,
                }
                checkpointed = Instant::now();
            }
        }
        Ok(Ending::Finished)
    }

    /// Whether the newest loss that was read back is infinite or NaN.
    fn diverged(&self) -> bool {
        let loss = self.last.as_ref().and_then(|row| row.train_loss);
        loss.is_some_and(|loss| !loss.is_finite())
    }

    fn checkpoint_distance(&self) -> Duration {
        let asked = Duration::try_from_secs_f64(self.spec.training.checkpoint_seconds);
        // One of more seconds than can be counted never comes.
        asked
            .unwrap_or(Duration::MAX)
            .max(self.checkpoint_took * CHECKPOINT_SHARE)
    }

    /// Whether the steps done have just crossed a multiple of the evaluation's distance, or are all.
    fn evaluation_due(&self) -> bool {
        if self.dry {
            return false;
        }
        let every = self.spec.training.eval_every_epochs;
        let count = |step: u64| (self.epoch(step) / every + 1e-9).floor();
        self.at.step == self.found.total_steps || count(self.at.step) > count(self.at.step - 1)
    }

    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let (loss, accuracy) =
            caught(|| evaluate(&self.model, &self.test, self.spec.training.test_views))?;
        let step = self.at.step;
        let row = EvalRow {
            step,
            epoch: self.epoch(step),
            split: self.spec.training.evaluated_on().to_string(),
            loss,
            accuracy,
            examples: self.test.examples(),
        };
        self.at.training.eval_loss = loss;
        self.at.training.eval_accuracy = accuracy;
        self.at.training.eval_step = step;
        // `max` takes the number where one of both is NaN.
        self.at.best_accuracy = self.at.best_accuracy.max(accuracy);
        self.log.eval(row.clone())?;
        self.log.flush()?;
        observer.evaluated(&row);
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.named_checkpoint(observer, None)
    }

    /// The log and the takeovers reach the disk first: a checkpoint never stands beyond what is known.
    pub(super) fn named_checkpoint(
        &mut self,
        observer: &mut dyn Observer,
        name: Option<&str>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        self.flush_losses(observer)?;
        (self.at.schedule, self.at.schedule_state) = self.state_before(observer)?;
        self.at.seconds = self.seconds();
        self.log.sync()?;
        self.takeovers.sync()?;
        let path = checkpoint::write(&self.folder, &self.model, &self.optimizer, &self.at, name)?;
        self.checkpoint_took = began.elapsed();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.event(
            observer,
            EventKind::Checkpoint,
            name,
            Some(nanoseconds(began)),
        )
    }

    fn answer_stop(&mut self) {
        if let Some(request) = self.stop_request.take() {
            self.desk.done(&request, self.at.step);
        }
    }

    fn seconds(&self) -> f64 {
        let waited = self.began.elapsed().saturating_sub(self.paused);
        self.seconds_before + waited.as_secs_f64()
    }

    fn epoch(&self, step: u64) -> f64 {
        step as f64 * f64::from(self.spec.training.batch_size) / self.train.examples() as f64
    }
}

pub(super) fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
