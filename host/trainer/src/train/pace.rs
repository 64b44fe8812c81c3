//! How quickly a run trains, without a run: its data, model, batch, optimizer and precision, and neither a schedule nor a
//! log, which take less than a hundredth of a step.

use tch::Tensor;

use super::evaluate;
use super::gradients::{Batch, gradients};
use super::setup::{build, dataset};
use crate::batches::{Augmentation, TestSet, TrainSet};
use crate::model::Model;
use crate::optimizer::{Optimizer, StepSizes};
use crate::spec::RunSpec;
use crate::{Error, device, memory};

/// What would be trained in a run. Its steps take what the run's own steps take.
pub struct Pace {
    train: TrainSet,
    model: Model,
    parameters: Vec<Tensor>,
    optimizer: Optimizer,
    batch_size: u32,
    label_smoothing: f64,
    step: u64,
}

impl Pace {
    /// Reads the data set and builds the model of `spec`, and tests the model on one batch: no step needs more memory.
    ///
    /// # Errors
    /// Something in the spec cannot be, or the data set cannot be read. A dry run trains nothing whose pace could be taken.
    pub fn new(spec: &RunSpec) -> Result<Self, Error> {
        let training = &spec.training;
        if training.is_dry() {
            return Err(Error::Spec {
                key: "model".to_owned(),
                problem: format!("\"{}\" trains nothing, and has no pace", training.model),
            });
        }
        memory::keep_freed();
        Self::use_threads(training.threads);
        let device = device::open(&training.device)?;
        let (dataset, examples) = dataset(training)?;
        let precision = training.precision.resolve(device);
        let (model, optimizer) = build(spec, &dataset, device, precision)?;
        let test = TestSet::new(&dataset, device);
        if let Some((pictures, _)) = test.batches(evaluate::BATCH).next() {
            tch::no_grad(|| drop(model.forward(&pictures)));
        }
        Ok(Self {
            train: TrainSet::new(
                &dataset,
                examples,
                spec.seed,
                Augmentation::of(training),
                device,
            ),
            parameters: model.parameters(),
            model,
            optimizer,
            batch_size: training.batch_size,
            label_smoothing: training.label_smoothing,
            step: 0,
        })
    }

    /// Lets the steps of this thread use so many threads from now on.
    pub fn use_threads(threads: u32) {
        device::set_threads(threads);
    }

    /// A step: a batch, forward, backward, and the change of the parameters, by nothing, so that they stay as good as any.
    ///
    /// # Errors
    /// libtorch's.
    pub fn step(&mut self) -> Result<(), Error> {
        let (pictures, labels) = self.train.batch(self.step, self.batch_size);
        let batch = Batch {
            pictures,
            labels,
            label_smoothing: self.label_smoothing,
            seed: self.step,
        };
        let (_, gradients) = gradients(&self.model, &batch)?;
        let sizes = StepSizes {
            learning_rate: 0.0,
            momentum: 0.9,
            weight_decay: 0.0,
        };
        self.optimizer.step(&mut self.parameters, &gradients, sizes);
        self.step += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NONE;
    use crate::precision::PrecisionChoice;
    use crate::spec::{OptimizerKind, ScheduleSpec, Training};
    use pixelrate_sandbox::{Limits, OnFault};

    fn spec(model: &str) -> RunSpec {
        RunSpec {
            study: "test".into(),
            run: "one".into(),
            label: "one".into(),
            label_index: 0,
            seed: 3,
            training: Training {
                dataset: "synthetic".into(),
                data_folder: "data".into(),
                model: model.into(),
                batch_size: 16,
                epochs: 1.0,
                train_examples: 320,
                validation_examples: 0.0,
                optimizer: OptimizerKind::Momentum,
                momentum: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 2e-4,
                eval_every_epochs: 1.0,
                checkpoint_seconds: 60.0,
                log_grad_norm: false,
                device: "cpu".into(),
                threads: 1,
                precision: PrecisionChoice::Float32,
                label_smoothing: 0.0,
                crop_padding: 4,
                crop_padding_mode: Default::default(),
                flip: Default::default(),
                normalization: Default::default(),
                test_views: 1,
                deterministic: false,
            },
            schedule: ScheduleSpec {
                plugin: "fixed".into(),
                params: Default::default(),
                picture_folder: None,
                max_learning_rate: 1.0,
                on_fault: OnFault::Abort,
                rollback_steps: 0,
            },
            limits: Limits::default(),
            watch: false,
            tuned: None,
            parent: None,
        }
    }

    #[test]
    fn a_pace_trains_what_a_run_would_and_changes_nothing() {
        let mut pace = Pace::new(&spec("convnet")).unwrap();
        let copies = |pace: &Pace| -> Vec<Tensor> {
            pace.parameters.iter().map(|p| p.detach().copy()).collect()
        };
        let before = copies(&pace);
        for _ in 0..2 {
            pace.step().unwrap();
        }
        assert_eq!(pace.step, 2);
        assert!(!before.is_empty());
        assert_eq!(copies(&pace), before);
    }

    #[test]
    fn what_trains_nothing_has_no_pace() {
        let problem = Pace::new(&spec(NONE)).err().unwrap().to_string();
        assert!(problem.contains("no pace"), "{problem}");
    }
}
