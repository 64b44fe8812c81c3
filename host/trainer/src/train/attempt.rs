//! One process's part in a run: from its beginning, or from a checkpoint, to its end or to a stop.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pixelrate_runlog::{
    EvalRow, EventKind, EventRow, Identity, RunLog, RunStatus, StepRow, SummaryRow,
};
use pixelrate_sandbox::{
    Engine, EngineOptions, Plugin, RunFacts, Schedule, TrainingValues, conformance,
};
use tch::{Device, Reduction, Tensor};

use super::evaluate::evaluate;
use super::pending::Pending;
use super::{Ending, Observer, Outcome, Progress, Stop};
use crate::batches::{TestSet, TrainSet};
use crate::checkpoint::{self, Position};
use crate::data::{self, Dataset};
use crate::model::Model;
use crate::optimizer::{Optimizer, StepSizes};
use crate::spec::{Found, RunFile, RunSpec, Training};
use crate::{Error, device, pictures};

/// All that a run needs between two steps.
pub(super) struct Attempt {
    spec: RunSpec,
    found: Found,
    folder: PathBuf,
    log: RunLog,
    schedule: Schedule,
    sha256: Arc<str>,
    model: Model,
    parameters: Vec<Tensor>,
    optimizer: Optimizer,
    train: TrainSet,
    test: TestSet,
    pending: Pending,
    at: Position,
    last: Option<StepRow>,
    began: Instant,
    seconds_before: f64,
    started_unix_ms: i64,
}

impl Attempt {
    /// Sets a new run up in `folder`, and keeps in it what is needed to run it again.
    pub(super) fn begin(spec: &RunSpec, folder: &Path) -> Result<Self, Error> {
        let engine = engine(spec)?;
        let plugin = engine.load(&spec.schedule.plugin)?;
        let setup = Setup::new(spec, &plugin)?;
        let guard = spec.schedule.guard();
        conformance::admit(&plugin, &setup.facts, &spec.limits, &guard)?;
        let schedule = Schedule::start(&plugin, &setup.facts, &spec.limits, &guard)?;
        // Everything that can be wrong with the spec has been found by now: the folder is made last.
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins).map_err(|source| Error::io("make", &plugins, source))?;
        write_whole(&plugin_path(folder, plugin.sha256()), plugin.bytes())?;
        let log = RunLog::create(folder, identity(spec, &setup.found))?;
        let file = RunFile {
            spec: spec.clone(),
            found: Some(setup.found.clone()),
        };
        let text = toml::to_string_pretty(&file).map_err(|problem| Error::Spec {
            key: "run.toml".to_owned(),
            problem: problem.to_string(),
        })?;
        write_whole(&folder.join("run.toml"), text.as_bytes())?;
        let mut attempt = setup.attempt(spec, folder, log, schedule);
        attempt.event(
            &mut (),
            EventKind::Loaded,
            attempt.spec.schedule.plugin.clone(),
            None,
        )?;
        Ok(attempt)
    }

    /// Takes a run up again, from its newest checkpoint that can be read.
    pub(super) fn resume(folder: &Path) -> Result<Self, Error> {
        let spec = RunSpec::read(&folder.join("run.toml"))?;
        let began = found(folder)?;
        let engine = engine(&spec)?;
        let path = plugin_path(folder, &began.schedule_sha256);
        let plugin = engine.load(&path.to_string_lossy())?;
        let setup = Setup::new(&spec, &plugin)?;
        if setup.found.dataset_sha256 != began.dataset_sha256 {
            return Err(Error::Spec {
                key: "dataset".to_owned(),
                problem: format!(
                    "{} in {} is not what the run began with (its hash was {}, and is {}): give back the old files",
                    spec.training.dataset,
                    spec.training.data_folder.display(),
                    began.dataset_sha256,
                    setup.found.dataset_sha256
                ),
            });
        }
        let schedule =
            Schedule::start(&plugin, &setup.facts, &spec.limits, &spec.schedule.guard())?;
        let mut damaged = Vec::new();
        let mut setup = setup;
        let mut position = None;
        for path in checkpoint::list(folder)?.into_iter().rev() {
            match checkpoint::read(&path, &setup.model, &mut setup.optimizer) {
                Ok(at) => {
                    position = Some(at);
                    break;
                }
                Err(problem @ Error::Checkpoint { .. }) => {
                    damaged.push(problem.to_string());
                    // What was read of it must not stay.
                    setup.rebuild(&spec);
                }
                Err(other) => return Err(other),
            }
        }
        let step = position.as_ref().map_or(0, |at| at.step);
        let log = RunLog::resume(folder, identity(&spec, &setup.found), step)?;
        let mut attempt = setup.attempt(&spec, folder, log, schedule);
        if let Some(at) = position {
            if let Some(state) = &at.schedule_state {
                attempt.schedule.restore(state)?;
            }
            attempt.seconds_before = at.seconds;
            attempt.at = at;
        }
        for problem in damaged {
            attempt.event(&mut (), EventKind::Fault, problem, None)?;
        }
        attempt.event(&mut (), EventKind::Resumed, format!("at step {step}"), None)?;
        Ok(attempt)
    }

    /// Trains to the end, or until asked to stop.
    pub(super) fn train(
        mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Outcome, Error> {
        observer.started(&self.found, self.at.step);
        match self.steps(observer, stop) {
            Ok(Ending::Stopped) => {
                self.checkpoint(observer)?;
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
                self.log.finish(&summary)?;
                Ok(Outcome {
                    ending,
                    summary: Some(summary),
                })
            }
            Err(problem) => {
                // The problem is what the user must read; that it could not be logged comes second to it.
                let rows = self.flush_losses(observer);
                let event = self.event(observer, EventKind::Failed, problem.to_string(), None);
                let summary = self.summary(RunStatus::Failed, Some(problem.to_string()));
                let _ = rows
                    .and(event)
                    .and_then(|()| Ok(self.log.finish(&summary)?));
                Err(problem)
            }
        }
    }

    fn steps(&mut self, observer: &mut dyn Observer, stop: &Stop) -> Result<Ending, Error> {
        let total = self.found.total_steps;
        let reads_training = self.schedule.plugin().reads_training();
        let wants_norm = reads_training || self.spec.training.log_grad_norm;
        let mut checkpointed = Instant::now();
        while self.at.step < total {
            if stop.asked() {
                return Ok(Ending::Stopped);
            }
            self.step(wants_norm)?;
            self.drain_schedule(observer)?;
            let (evaluates, last) = (self.evaluation_due(), self.at.step == total);
            let keeps =
                checkpointed.elapsed().as_secs_f64() >= self.spec.training.checkpoint_seconds;
            if reads_training || self.pending.is_full() || evaluates || keeps || last {
                self.flush_losses(observer)?;
            }
            if self
                .last
                .as_ref()
                .and_then(|row| row.train_loss)
                .is_some_and(|loss| !loss.is_finite())
            {
                self.evaluate(observer)?;
                return Ok(Ending::Diverged);
            }
            if evaluates {
                self.evaluate(observer)?;
            }
            if keeps || last {
                self.checkpoint(observer)?;
                checkpointed = Instant::now();
            }
        }
        Ok(Ending::Finished)
    }

    fn step(&mut self, wants_norm: bool) -> Result<(), Error> {
        let (step, training) = (self.at.step, &self.spec.training);
        let began = Instant::now();
        let said = self.schedule.step(step, self.at.training)?;
        let schedule_ns = nanoseconds(began);
        let sizes = StepSizes {
            learning_rate: said.learning_rate,
            momentum: said.momentum.unwrap_or(training.momentum),
            weight_decay: said.weight_decay.unwrap_or(training.weight_decay),
        };
        let (pictures, labels) = self.train.batch(step, training.batch_size);
        // Dropout is seeded by the step, so that a resumed run draws alike.
        let logits = self
            .model
            .forward_train(&pictures, mix(self.spec.seed, step));
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
        let gradients = Tensor::f_run_backward(&[&loss], &self.parameters, false, false)?;
        let norm = wants_norm.then(|| {
            let norms: Vec<_> = gradients.iter().map(Tensor::norm).collect();
            Tensor::stack(&norms, 0).norm()
        });
        self.optimizer.step(&mut self.parameters, &gradients, sizes);
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
            schedule: Arc::clone(&self.sha256),
        };
        self.pending.push(row, loss.detach(), norm);
        self.at.step += 1;
        Ok(())
    }

    /// Logs the steps whose losses were waiting, up to the first that is not finite.
    fn flush_losses(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        for row in self.pending.read_back()? {
            let loss = row.train_loss.unwrap_or(f64::NAN);
            self.at.training.train_loss = loss;
            self.at.training.grad_norm = row.grad_norm.unwrap_or(f64::NAN);
            self.log.step(row.clone())?;
            self.at.step = row.step + 1;
            self.last = Some(row);
            if !loss.is_finite() {
                break;
            }
        }
        if let Some(row) = &self.last {
            observer.progress(&Progress {
                step: row.step + 1,
                total_steps: self.found.total_steps,
                epoch: self.epoch(row.step + 1),
                learning_rate: row.learning_rate,
                train_loss: row.train_loss.unwrap_or(f64::NAN),
            });
        }
        Ok(())
    }

    fn drain_schedule(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        for event in self.schedule.drain_events() {
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
        let every = self.spec.training.eval_every_epochs;
        let count = |step: u64| (self.epoch(step) / every + 1e-9).floor();
        self.at.step == self.found.total_steps || count(self.at.step) > count(self.at.step - 1)
    }

    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let (loss, accuracy) = evaluate(&self.model, &self.test)?;
        let step = self.at.step;
        let row = EvalRow {
            step,
            epoch: self.epoch(step),
            split: "test".to_owned(),
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

    /// The log reaches the disk first: a checkpoint never stands beyond what is logged.
    fn checkpoint(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let began = Instant::now();
        self.flush_losses(observer)?;
        self.at.schedule_state = self.schedule.save()?;
        self.at.seconds = self.seconds();
        self.log.sync()?;
        let path = checkpoint::write(&self.folder, &self.model, &self.optimizer, &self.at)?;
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

    fn event(
        &mut self,
        observer: &mut dyn Observer,
        kind: EventKind,
        message: String,
        duration_ns: Option<u64>,
    ) -> Result<(), Error> {
        let row = EventRow {
            step: self.at.step,
            time_unix_ms: unix_ms(),
            kind,
            schedule: Some(self.sha256.to_string()),
            message,
            duration_ns,
        };
        self.log.event(row.clone())?;
        observer.event(&row);
        Ok(())
    }

    fn summary(&self, status: RunStatus, error: Option<String>) -> SummaryRow {
        let (spec, training) = (&self.spec, &self.spec.training);
        let known = |value: f64| (!value.is_nan()).then_some(value);
        SummaryRow {
            study: spec.study.clone(),
            run: spec.run.clone(),
            schedule: spec.label.clone(),
            schedule_sha256: self.sha256.to_string(),
            seed: spec.seed,
            dataset: training.dataset.clone(),
            model: training.model.clone(),
            optimizer: training.optimizer.to_string(),
            batch_size: training.batch_size,
            epochs: training.epochs,
            total_steps: self.found.total_steps,
            steps_done: self.at.step,
            status,
            final_train_loss: self.last.as_ref().and_then(|row| row.train_loss),
            final_eval_loss: known(self.at.training.eval_loss),
            final_eval_accuracy: known(self.at.training.eval_accuracy),
            best_eval_accuracy: known(self.at.best_accuracy),
            wall_seconds: self.seconds(),
            started_unix_ms: self.started_unix_ms,
            finished_unix_ms: unix_ms(),
            error,
            device: self.found.device.clone(),
            threads: training.threads,
            pixelrate_version: self.found.pixelrate_version.clone(),
            git_commit: self.found.git_commit.clone(),
        }
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }

    fn epoch(&self, step: u64) -> f64 {
        step as f64 * f64::from(self.spec.training.batch_size) / self.train.examples() as f64
    }
}

/// What both a new and a resumed run build from the spec.
struct Setup {
    found: Found,
    facts: RunFacts,
    dataset: Dataset,
    device: Device,
    model: Model,
    optimizer: Optimizer,
}

impl Setup {
    fn new(spec: &RunSpec, plugin: &Plugin) -> Result<Self, Error> {
        let training = &spec.training;
        device::set_threads(training.threads);
        let device = device::open(&training.device)?;
        let dataset = data::load(&training.dataset, &training.data_folder)?;
        let examples = examples(training, &dataset)?;
        let total_steps = training.total_steps(examples);
        if total_steps == 0 {
            return Err(Error::Spec {
                key: "epochs".to_owned(),
                problem: format!(
                    "{} epochs of {examples} pictures are less than one batch of {}",
                    training.epochs, training.batch_size
                ),
            });
        }
        let (model, optimizer) = build(spec, &dataset, device)?;
        let found = Found {
            schedule_sha256: plugin.sha256().to_owned(),
            dataset_sha256: dataset.sha256.clone(),
            dataset_origin: dataset.origin.to_string(),
            train_examples: examples,
            total_steps,
            parameters: model.parameter_count(),
            device: device::name(device),
            pixelrate_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch_version: option_env!("PIXELRATE_LIBTORCH")
                .unwrap_or("unknown")
                .to_owned(),
            git_commit: option_env!("PIXELRATE_GIT_COMMIT").map(str::to_owned),
            machine: device::machine(),
        };
        let facts = RunFacts {
            total_steps,
            steps_per_epoch: training.steps_per_epoch(examples),
            train_examples: examples,
            batch_size: training.batch_size,
            seed: spec.seed,
            params: spec.schedule.params.clone(),
            pictures: pictures::of(spec),
        };
        Ok(Self {
            found,
            facts,
            dataset,
            device,
            model,
            optimizer,
        })
    }

    /// Weights and optimizer as they were before the first step.
    fn rebuild(&mut self, spec: &RunSpec) {
        if let Ok((model, optimizer)) = build(spec, &self.dataset, self.device) {
            self.model = model;
            self.optimizer = optimizer;
        }
    }

    fn attempt(self, spec: &RunSpec, folder: &Path, log: RunLog, schedule: Schedule) -> Attempt {
        let sha256: Arc<str> = self.found.schedule_sha256.as_str().into();
        Attempt {
            spec: spec.clone(),
            folder: folder.to_owned(),
            log,
            schedule,
            parameters: self.model.parameters(),
            train: TrainSet::new(
                &self.dataset,
                self.found.train_examples,
                spec.seed,
                self.device,
            ),
            test: TestSet::new(&self.dataset, self.device),
            model: self.model,
            optimizer: self.optimizer,
            pending: Pending::default(),
            at: Position {
                step: 0,
                schedule: sha256.to_string(),
                schedule_state: None,
                training: TrainingValues {
                    train_loss: f64::NAN,
                    grad_norm: f64::NAN,
                    eval_loss: f64::NAN,
                    eval_accuracy: f64::NAN,
                    eval_step: 0,
                },
                best_accuracy: f64::NAN,
                seconds: 0.0,
            },
            last: None,
            began: Instant::now(),
            seconds_before: 0.0,
            started_unix_ms: unix_ms(),
            found: self.found,
            sha256,
        }
    }
}

fn build(spec: &RunSpec, dataset: &Dataset, device: Device) -> Result<(Model, Optimizer), Error> {
    let training = &spec.training;
    let architecture = training.model.parse().map_err(|problem| Error::Spec {
        key: "model".to_owned(),
        problem,
    })?;
    let model = Model::new(architecture, dataset, spec.seed, device);
    let optimizer = Optimizer::new(
        training.optimizer,
        training.beta2,
        training.epsilon,
        &model.parameters(),
    );
    Ok((model, optimizer))
}

fn examples(training: &Training, dataset: &Dataset) -> Result<u64, Error> {
    let all = dataset.train.labels.len() as u64;
    match training.train_examples {
        0 => Ok(all),
        some if some <= all => Ok(some),
        some => Err(Error::Spec {
            key: "train_examples".to_owned(),
            problem: format!(
                "is {some}, and {} has {all} training pictures: use at most that, or 0 for all",
                dataset.name
            ),
        }),
    }
}

fn engine(spec: &RunSpec) -> Result<Engine, Error> {
    Ok(Engine::new(&EngineOptions::from(&spec.limits))?)
}

fn found(folder: &Path) -> Result<Found, Error> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
    let file: RunFile = toml::from_str(&text).map_err(|source| Error::SpecFile {
        path,
        source: Box::new(source),
    })?;
    file.found.ok_or_else(|| Error::NoRun(folder.to_owned()))
}

/// What every file of the run's log tells of it.
fn identity(spec: &RunSpec, found: &Found) -> Identity {
    let training = &spec.training;
    let facts = BTreeMap::from([
        ("label".to_owned(), spec.label.clone()),
        ("label_index".to_owned(), spec.label_index.to_string()),
        ("seed".to_owned(), spec.seed.to_string()),
        ("dataset".to_owned(), training.dataset.clone()),
        ("dataset_sha256".to_owned(), found.dataset_sha256.clone()),
        ("dataset_origin".to_owned(), found.dataset_origin.clone()),
        ("model".to_owned(), training.model.clone()),
        ("optimizer".to_owned(), training.optimizer.to_string()),
        ("device".to_owned(), found.device.clone()),
        ("machine".to_owned(), found.machine.clone()),
        ("libtorch".to_owned(), found.libtorch_version.clone()),
        ("pixelrate".to_owned(), found.pixelrate_version.clone()),
        (
            "git_commit".to_owned(),
            found.git_commit.clone().unwrap_or_default(),
        ),
    ]);
    Identity {
        study: spec.study.clone(),
        run: spec.run.clone(),
        facts,
    }
}

fn plugin_path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join("plugins").join(format!("{sha256}.wasm"))
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let scratch = path.with_extension("part");
    fs::write(&scratch, bytes)
        .and_then(|()| fs::File::open(&scratch)?.sync_all())
        .and_then(|()| fs::rename(&scratch, path))
        .map_err(|source| Error::io("write", path, source))
}

/// One seed out of two numbers, spread over all bits: the finaliser of SplitMix64 (Steele et al., 2014).
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn unix_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
