//! One process's part in a run: from its beginning, or from a checkpoint, to its end or to a stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pixelrate_control::{Desk, DeskOptions, Stage, Takeovers, watch};
use pixelrate_cuda::Entered;
use pixelrate_runlog::{EvalRow, EventKind, EventRow, RunLog, RunStatus, StepRow, SummaryRow};
use pixelrate_sandbox::TrainingValues;
use tch::Tensor;

use super::caught::caught;
use super::device_step::{Changed, DeviceStep};
use super::evaluate::evaluate;
use super::gradients::{Batch, gradients};
use super::pending::Pending;
use super::probation::Probation;
use super::redo::Redo;
use super::setup::{self, Setup};
use super::takeover::{InForce, Previous, Then, Turn};
use super::{Ending, Observer, Outcome, Progress, Stop};
use crate::batches::{TestSet, TrainSet};
use crate::checkpoint::{self, Position};
use crate::model::Model;
use crate::optimizer::{Optimizer, StepSizes};
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

    fn step(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let step = self.at.step;
        if self.probation.is_on() {
            self.settle_probation();
        }
        let began = Instant::now();
        let said = loop {
            let shown = self.shown()?;
            match self.in_force.schedule.step(step, shown) {
                Ok(said) => break said,
                Err(fault) => {
                    // The one before may read what training has shown up to now.
                    self.flush_losses(observer)?;
                    if self.diverged() {
                        return Ok(());
                    }
                    // Asks the one before, which takes its place, or gives the fault back.
                    self.roll_back(fault, observer)?;
                }
            }
        };
        let schedule_ns = nanoseconds(began);
        let training = &self.spec.training;
        let wants_norm = self.in_force.reads_training || training.log_grad_norm;
        let sizes = StepSizes {
            learning_rate: said.learning_rate,
            momentum: said.momentum.unwrap_or(training.momentum),
            weight_decay: said.weight_decay.unwrap_or(training.weight_decay),
        };
        let measured = match self.dry {
            false => Some(caught(|| self.learn(step, sizes, wants_norm))?),
            true => None,
        };
        let row = StepRow {
            step,
            epoch: self.epoch(step),
            learning_rate: sizes.learning_rate,
            momentum: Some(sizes.momentum),
            weight_decay: Some(sizes.weight_decay),
            train_loss: None,
            grad_norm: None,
            step_ns: nanoseconds(began),
            schedule_ns,
            schedule: Arc::clone(&self.in_force.sha256),
            swaps: self.swaps,
        };
        match measured {
            Some((loss, norm)) => self.pending.push(row, loss, norm),
            None => self.pending.push_unmeasured(row),
        }
        self.at.step += 1;
        let loss = self.at.training.train_loss;
        self.desk.tell(self.at.step, sizes.learning_rate, loss);
        let on_device = self.on_device.as_mut();
        if let Some(problem) = on_device.and_then(DeviceStep::take_refusal) {
            let message =
                format!("steps are not recorded as a CUDA graph, and take longer: {problem}");
            self.event(observer, EventKind::Note, message, None)?;
        }
        Ok(())
    }

    /// What the schedule in force may see before the next step.
    fn shown(&self) -> Result<TrainingValues, Error> {
        let weight_norm = if self.in_force.reads_weights && !self.parameters.is_empty() {
            let _shared = device::share(self.model.device());
            let norms: Vec<_> = self.parameters.iter().map(Tensor::norm).collect();
            f64::try_from(Tensor::stack(&norms, 0).norm())?
        } else {
            f64::NAN
        };
        Ok(TrainingValues {
            weight_norm,
            ..self.at.training
        })
    }

    /// Forward, backward, and the change of the parameters. Gives the batch's loss, and the gradient's norm where it is
    /// wanted; both are still on the device.
    fn learn(
        &mut self,
        step: u64,
        sizes: StepSizes,
        wants_norm: bool,
    ) -> Result<(Tensor, Option<Tensor>), Error> {
        // Dropout is seeded by the step, so that a resumed run draws alike.
        let seed = mix(self.spec.seed, step);
        if let Some(on_device) = &mut self.on_device {
            let mut changed = Changed {
                model: &self.model,
                parameters: &self.parameters,
                optimizer: &mut self.optimizer,
            };
            let (loss, norm) = on_device.learn(step, seed, sizes, &mut self.train, &mut changed)?;
            return Ok((loss, wants_norm.then_some(norm)));
        }
        let (pictures, labels) = self.train.batch(step, self.spec.training.batch_size);
        let batch = Batch {
            pictures,
            labels,
            label_smoothing: self.spec.training.label_smoothing,
            seed,
        };
        let (loss, gradients) = gradients(&self.model, &self.parameters, &batch)?;
        let norm = wants_norm.then(|| {
            let norms: Vec<_> = gradients.iter().map(Tensor::norm).collect();
            Tensor::stack(&norms, 0).norm()
        });
        self.optimizer.step(&mut self.parameters, &gradients, sizes);
        Ok((loss, norm))
    }

    /// Logs all steps whose losses were waiting, up to the first that is not finite.
    pub(super) fn flush_losses(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let rows = self.pending.read_back()?;
        self.log_steps(rows, observer)
    }

    /// Logs steps, up to the first whose loss is not finite, which ends the run.
    fn log_steps(&mut self, rows: Vec<StepRow>, observer: &mut dyn Observer) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let loss = row.train_loss.unwrap_or(f64::NAN);
            self.at.training.train_loss = loss;
            self.at.training.grad_norm = row.grad_norm.unwrap_or(f64::NAN);
            self.log.step(row.clone())?;
            observer.step(&row);
            // A dry run measures none.
            let diverged = row.train_loss.is_some() && !loss.is_finite();
            let next = row.step + 1;
            self.last = Some(row);
            if diverged {
                self.at.step = next;
                self.pending.forget();
                break;
            }
        }
        if let Some(row) = &self.last {
            observer.progress(&Progress {
                step: row.step + 1,
                total_steps: self.found.total_steps,
                epoch: self.epoch(row.step + 1),
                learning_rate: row.learning_rate,
                train_loss: row.train_loss,
            });
        }
        Ok(())
    }

    pub(super) fn drain_schedule(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        for event in self.in_force.schedule.drain_events() {
            let kind = if event.is_fault() {
                EventKind::Fault
            } else {
                EventKind::Log
            };
            self.event(observer, kind, event.to_string(), None)?;
        }
        Ok(())
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
        let (loss, accuracy) = caught(|| evaluate(&self.model, &self.test))?;
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

    pub(super) fn event(
        &mut self,
        observer: &mut dyn Observer,
        kind: EventKind,
        message: String,
        duration_ns: Option<u64>,
    ) -> Result<(), Error> {
        let row = self.event_row(kind, message, duration_ns);
        self.log.event(row.clone())?;
        observer.event(&row);
        Ok(())
    }

    /// Something that happens now, about the schedule in force.
    pub(super) fn event_row(
        &self,
        kind: EventKind,
        message: String,
        duration_ns: Option<u64>,
    ) -> EventRow {
        EventRow {
            step: self.at.step,
            time_unix_ms: unix_ms(),
            kind,
            schedule: Some(self.in_force.sha256.to_string()),
            message,
            duration_ns,
        }
    }

    fn summary(&self, status: RunStatus, error: Option<String>) -> SummaryRow {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        SummaryRow {
            steps_done: self.at.step,
            final_train_loss: self.last.as_ref().and_then(|row| row.train_loss),
            final_eval_loss: known(self.at.training.eval_loss),
            final_eval_accuracy: known(self.at.training.eval_accuracy),
            best_eval_accuracy: known(self.at.best_accuracy),
            wall_seconds: self.seconds(),
            started_unix_ms: self.started_unix_ms,
            ..setup::summary(&self.spec, &self.found, status, error)
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

/// One seed out of two numbers, spread over all bits: the finaliser of SplitMix64 (Steele et al., 2014).
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
