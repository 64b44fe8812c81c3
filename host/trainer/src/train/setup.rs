//! What a run is built from: data, model, optimizer, and the stage that its schedules are prepared on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use pixelrate_control::{Stage, pictures_folder};
use pixelrate_cuda::Entered;
use pixelrate_runlog::{Identity, RunStatus, SummaryRow};
use pixelrate_sandbox::{self as sandbox, Engine, EngineOptions, RunFacts, Schedule};
use tch::Device;

use super::attempt::unix_ms;
use crate::data::{self, Dataset};
use crate::model::Model;
use crate::optimizer::Optimizer;
use crate::precision::Precision;
use crate::spec::{Found, Normalization, RunFile, RunSpec, ScheduleSpec, Training};
use crate::{Error, device, memory, pictures};

/// What both a new and a resumed run build from the spec.
pub(super) struct Setup {
    pub(super) found: Found,
    pub(super) stage: Stage,
    pub(super) dataset: Dataset,
    pub(super) device: Device,
    /// That this thread works in the run's own stream of the device.
    pub(super) stream: Option<Entered>,
    pub(super) model: Model,
    pub(super) optimizer: Optimizer,
}

impl Setup {
    /// `began`: what a run that is taken up again found when it began.
    ///
    /// # Errors
    /// Something in the spec cannot be.
    pub(super) fn new(
        spec: &RunSpec,
        folder: &Path,
        engine: &Engine,
        schedule_sha256: &str,
        began: Option<&Found>,
    ) -> Result<Self, Error> {
        let training = &spec.training;
        memory::keep_freed();
        device::set_threads(training.threads);
        let device = if training.is_dry() {
            // Nothing is trained, wherever it is said to be.
            Device::Cpu
        } else {
            device::open(&training.device)?
        };
        device::set_arithmetic(device, training.deterministic)?;
        let stream = device::own_stream(device)?;
        let (dataset, examples) = dataset(training)?;
        // A run that was begun is as long as it was then.
        let total_steps = began.map_or_else(|| training.total_steps(examples), |it| it.total_steps);
        if total_steps == 0 {
            return Err(Error::Spec {
                key: "epochs".to_owned(),
                problem: format!(
                    "{} epochs of {examples} pictures are less than one batch of {}",
                    training.epochs, training.batch_size
                ),
            });
        }
        let precision = match began {
            Some(began) => began.precision,
            None => training.precision.resolve(device),
        };
        let (model, optimizer) = build(spec, &dataset, device, precision)?;
        let found = Found {
            schedule_sha256: schedule_sha256.to_owned(),
            dataset_sha256: dataset.sha256.clone(),
            dataset_origin: dataset.origin.to_string(),
            train_examples: examples,
            total_steps,
            parameters: model.parameter_count(),
            device: device::name(device),
            precision,
            own_kernels: precision == Precision::Bfloat16 && device::has_kernels(device),
            pixelrate_version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch_version: option_env!("PIXELRATE_LIBTORCH")
                .unwrap_or("unknown")
                .to_owned(),
            git_commit: option_env!("PIXELRATE_GIT_COMMIT").map(str::to_owned),
            machine: device::machine(),
        };
        let stage = stage(spec, folder, engine, &found);
        Ok(Self {
            found,
            stage,
            dataset,
            device,
            stream,
            model,
            optimizer,
        })
    }

    /// Weights and optimizer as they were before the first step.
    pub(super) fn rebuild(&mut self, spec: &RunSpec) -> Result<(), Error> {
        (self.model, self.optimizer) =
            build(spec, &self.dataset, self.device, self.found.precision)?;
        Ok(())
    }
}

/// Where the schedules of the run in `folder` are prepared.
pub(super) fn stage(spec: &RunSpec, folder: &Path, engine: &Engine, found: &Found) -> Stage {
    let training = &spec.training;
    let facts = RunFacts {
        total_steps: found.total_steps,
        steps_per_epoch: training.steps_per_epoch(found.train_examples),
        train_examples: found.train_examples,
        batch_size: training.batch_size,
        seed: spec.seed,
        ..RunFacts::default()
    };
    let (data, limits) = (training.data_folder.clone(), spec.limits.clone());
    let kept = pictures_folder(folder);
    Stage {
        engine: engine.clone(),
        limits: spec.limits.clone(),
        facts: Arc::new(move |schedule: &ScheduleSpec| RunFacts {
            params: schedule.params.clone(),
            pictures: pictures::under(schedule, &data, &limits).with_kept(kept.clone()),
            ..facts.clone()
        }),
    }
}

pub(super) fn build(
    spec: &RunSpec,
    dataset: &Dataset,
    device: Device,
    precision: Precision,
) -> Result<(Model, Optimizer), Error> {
    let training = &spec.training;
    let architecture = training.model.parse().map_err(|problem| Error::Spec {
        key: "model".to_owned(),
        problem,
    })?;
    let _shared = device::share(device);
    let mut model = Model::new(architecture, dataset, spec.seed, device, precision);
    let (kind, beta2, epsilon) = (training.optimizer, training.beta2, training.epsilon);
    if device::is_host(device) {
        let optimizer = Optimizer::new(kind, beta2, epsilon, &model.parameters());
        return Ok((model, optimizer));
    }
    let mut optimizer = Optimizer::on_device(kind, beta2, epsilon, &mut model.parameters());
    if precision != Precision::Float32 {
        let (at_once, leaves) = optimizer.round_at_once(precision.kind());
        model.round_at_once(at_once, leaves);
    }
    Ok((model, optimizer))
}

/// The data set that a run is trained and evaluated on, and how many of its pictures are trained on.
pub(super) fn dataset(training: &Training) -> Result<(Dataset, u64), Error> {
    let mut dataset = if training.is_dry() {
        data::unread(&training.dataset)?
    } else {
        data::load(&training.dataset, &training.data_folder)?
    };
    let all = match dataset.origin {
        data::Origin::Unread => data::train_examples(&dataset.name).unwrap_or_default(),
        _ => dataset.train.labels.len() as u64,
    };
    training.check_examples(all)?;
    let held_back = training.held_back_of(all);
    if held_back > 0 && dataset.origin != data::Origin::Unread {
        dataset.hold_back(held_back as usize);
    }
    if training.normalization == Normalization::Channel {
        dataset.normalise_by_channel();
    }
    Ok((dataset, training.examples_of(all)))
}

pub(super) fn engine(spec: &RunSpec) -> Result<Engine, Error> {
    Ok(Engine::new(&EngineOptions::from(&spec.limits))?)
}

/// What is wrong with the schedule of `spec` or the names of its parameters, before it is said that `folder` holds another run:
/// that is the lesser mistake. Numbers that fit no run as long as that one say nothing of this one.
pub(super) fn misspelt(spec: &RunSpec, folder: &Path) -> Result<(), Error> {
    let engine = engine(spec)?;
    let plugin = pixelrate_compose::load(&engine, &spec.schedule.plugin)?;
    let facts = (stage(spec, folder, &engine, &found(folder)?).facts)(&spec.schedule);
    match Schedule::start(&plugin, &facts, &spec.limits, &spec.schedule.guard()) {
        Err(
            problem @ (sandbox::Error::Parameter { .. } | sandbox::Error::ParameterValue { .. }),
        ) => Err(problem.into()),
        _ => Ok(()),
    }
}

pub(super) fn found(folder: &Path) -> Result<Found, Error> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
    let file: RunFile = toml::from_str(&text).map_err(|source| Error::SpecFile {
        path,
        source: Box::new(source),
    })?;
    file.found.ok_or_else(|| Error::NoRun(folder.to_owned()))
}

/// What every file of the run's log tells of it.
pub(super) fn identity(spec: &RunSpec, found: &Found) -> Identity {
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
        ("precision".to_owned(), found.precision.to_string()),
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

/// The row of `summary.parquet` of a run that ends like this now, with what its spec and its beginning tell; what came of
/// it is left to whoever knows.
pub(super) fn summary(
    spec: &RunSpec,
    found: &Found,
    status: RunStatus,
    error: Option<String>,
) -> SummaryRow {
    let training = &spec.training;
    SummaryRow {
        study: spec.study.clone(),
        run: spec.run.clone(),
        schedule: spec.label.clone(),
        schedule_sha256: found.schedule_sha256.clone(),
        seed: spec.seed,
        dataset: training.dataset.clone(),
        model: training.model.clone(),
        optimizer: training.optimizer.to_string(),
        batch_size: training.batch_size,
        epochs: training.epochs,
        total_steps: found.total_steps,
        steps_done: 0,
        status,
        final_train_loss: None,
        final_eval_loss: None,
        final_eval_accuracy: None,
        best_eval_accuracy: None,
        wall_seconds: 0.0,
        started_unix_ms: 0,
        finished_unix_ms: unix_ms(),
        error,
        device: found.device.clone(),
        threads: training.threads,
        pixelrate_version: found.pixelrate_version.clone(),
        git_commit: found.git_commit.clone(),
    }
}
