//! A step on a device: what it draws, what it is made with and what it measures lie there, so that its operations are the
//! same in every step, and on CUDA are recorded once and repeated. The host writes a few numbers before each, and waits for
//! nothing.

use pixelrate_cuda::Graph;
use tch::{Device, Reduction, Tensor};

use crate::Error;
use crate::batches::TrainSet;
use crate::model::Model;
use crate::optimizer::{Optimizer, StepSizes};

/// Steps that are done one operation after another before they are recorded: libtorch, cuDNN and cuBLAS choose their ways
/// and take their memory meanwhile.
const WARM_UP: u32 = 3;

/// How steps are done.
pub(super) struct DeviceStep {
    /// What the step shows, written anew before each.
    draws: Tensor,
    way: Way,
    /// Why steps are not repeated, until somebody asks.
    refused: Option<pixelrate_cuda::Error>,
}

enum Way {
    /// One operation after another, from now on.
    Operations,
    /// The same, so many times more; then they are recorded.
    WarmUp(u32),
    /// Repeated as they were recorded; the tensor holds what the newest one measured.
    Recorded(Graph, Tensor),
}

/// What a step changes.
pub(super) struct Changed<'a> {
    pub(super) model: &'a Model,
    /// The model's, which are the optimizer's views.
    pub(super) parameters: &'a [Tensor],
    pub(super) optimizer: &'a mut Optimizer,
}

impl DeviceStep {
    /// Steps of `batch_size` pictures of `train`; `None` if those lie on the host. `records`: whether the steps are recorded,
    /// which CUDA does in a stream of the run's own.
    pub(super) fn new(
        train: &TrainSet,
        batch_size: u32,
        model: &Model,
        records: bool,
    ) -> Option<Self> {
        // A generator's state is none of what is recorded: several runs share it.
        let recordable = records && matches!(model.device(), Device::Cuda(_)) && !model.draws();
        Some(Self {
            draws: train.draws(batch_size)?,
            way: if recordable {
                Way::WarmUp(WARM_UP)
            } else {
                Way::Operations
            },
            refused: None,
        })
    }

    /// Why the steps could not be recorded, told once: they are done one operation after another from there on.
    pub(super) fn take_refusal(&mut self) -> Option<pixelrate_cuda::Error> {
        self.refused.take()
    }

    /// Step `step`, whose dropout draws from `seed`. Gives the batch's loss and the gradient's norm, which are still on the
    /// device.
    ///
    /// # Errors
    /// libtorch's, or CUDA's.
    pub(super) fn learn(
        &mut self,
        step: u64,
        seed: u64,
        sizes: StepSizes,
        train: &mut TrainSet,
        changed: &mut Changed,
    ) -> Result<(Tensor, Tensor), Error> {
        train.draw(step, &mut self.draws);
        changed.optimizer.write(sizes);
        let measured = match &mut self.way {
            Way::Operations => work(&self.draws, seed, train, changed)?,
            Way::WarmUp(left) => {
                *left -= 1;
                let last = *left == 0;
                let measured = work(&self.draws, seed, train, changed)?;
                if last {
                    // Nothing is done by this: the next step is the first to be repeated.
                    match Graph::record(|| work(&self.draws, seed, train, changed)) {
                        Ok((graph, measured)) => self.way = Way::Recorded(graph, measured?),
                        Err(problem) => {
                            self.way = Way::Operations;
                            self.refused = Some(problem);
                        }
                    }
                }
                measured
            }
            Way::Recorded(graph, measured) => {
                graph.replay()?;
                // The next step measures into the same place.
                measured.copy()
            }
        };
        Ok((measured.get(0), measured.get(1)))
    }
}

/// All of a step that is done on the device: pictures, forward, backward, and the parameters' change. Gives `[loss, norm]`.
fn work(
    draws: &Tensor,
    seed: u64,
    train: &TrainSet,
    changed: &mut Changed,
) -> Result<Tensor, Error> {
    let (pictures, labels) = train.show(draws);
    let logits = changed.model.forward_train(&pictures, seed);
    let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
    let gradients = Tensor::f_run_backward(&[&loss], changed.parameters, false, false)?;
    let norm = changed.optimizer.change(&gradients);
    Ok(Tensor::f_stack(&[loss.detach(), norm], 0)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pixelrate_runlog::{EvalRow, StepRow, read_evals, read_steps};
    use pixelrate_sandbox::{Limits, OnFault, Value};

    use crate::device::tests::AS_A_DEVICE;
    use crate::precision::PrecisionChoice;
    use crate::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
    use crate::train::{Ending, Observer, Stop, begin, resume};

    fn spec(model: &str, optimizer: OptimizerKind, max_lr: f64) -> RunSpec {
        RunSpec {
            study: "test".into(),
            run: "one".into(),
            label: "cyclic".into(),
            label_index: 0,
            seed: 3,
            training: Training {
                dataset: "synthetic".into(),
                data_folder: "data".into(),
                model: model.into(),
                batch_size: 8,
                epochs: 3.0,
                // Two blocks of losses that are read back together in an epoch, and more; batches cross its border.
                train_examples: 1204,
                optimizer,
                momentum: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 2e-4,
                eval_every_epochs: 1.0,
                checkpoint_seconds: 1e6,
                log_grad_norm: true,
                device: "cpu".into(),
                threads: 1,
                precision: PrecisionChoice::Float32,
            },
            schedule: ScheduleSpec {
                plugin: "cyclic".into(),
                params: [
                    ("step_size".to_owned(), Value::Number(10.0)),
                    ("max_lr".to_owned(), Value::Number(max_lr)),
                ]
                .into(),
                picture_folder: None,
                max_learning_rate: 1e9,
                on_fault: OnFault::Abort,
                rollback_steps: 100,
            },
            limits: Limits::default(),
            watch: false,
            tuned: None,
            parent: None,
        }
    }

    /// A run as on a device, whatever this one is.
    fn as_a_device<T>(train: impl FnOnce() -> T) -> T {
        AS_A_DEVICE.set(true);
        let given = train();
        AS_A_DEVICE.set(false);
        given
    }

    /// All that both must agree on, the gradients' norms apart.
    fn logged(folder: &Path) -> (Vec<StepRow>, Vec<f64>, Vec<EvalRow>) {
        let mut steps = read_steps(folder).unwrap();
        let mut norms = Vec::new();
        for row in &mut steps {
            (row.step_ns, row.schedule_ns) = (0, 0);
            norms.extend(row.grad_norm.take());
        }
        (steps, norms, read_evals(folder).unwrap())
    }

    #[test]
    fn a_devices_steps_are_the_hosts() {
        for (model, optimizer) in [
            ("convnet", OptimizerKind::Momentum),
            ("convnet", OptimizerKind::Adam),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (host, device) = (folder.path().join("host"), folder.path().join("device"));
            let spec = spec(model, optimizer, 1e-2);
            begin(&spec, &host, &mut (), &Stop::default()).unwrap();
            as_a_device(|| begin(&spec, &device, &mut (), &Stop::default())).unwrap();
            let (steps, norms, evals) = logged(&host);
            let (other_steps, other_norms, other_evals) = logged(&device);
            assert_eq!(steps.len(), 451);
            if optimizer == OptimizerKind::Momentum {
                assert_eq!((&steps, &evals), (&other_steps, &other_evals));
            }
            // Adam's roots are not the same to the bit, and what comes of that grows.
            for (one, other) in steps.iter().zip(&other_steps).take(20) {
                let (a, b) = (one.train_loss.unwrap(), other.train_loss.unwrap());
                assert!((a - b).abs() < 1e-3 * a.abs(), "step {}: {a} {b}", one.step);
            }
            // Of all numbers at once, and of each tensor's norm.
            for (a, b) in norms.iter().zip(&other_norms).take(20) {
                assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
            }
        }
    }

    struct StopAtFirstEvaluation(Stop);

    impl Observer for StopAtFirstEvaluation {
        fn evaluated(&mut self, _: &EvalRow) {
            self.0.ask();
        }
    }

    #[test]
    fn a_run_on_a_device_is_taken_up_to_the_same_bits() {
        for optimizer in [OptimizerKind::Momentum, OptimizerKind::Adam] {
            let folder = tempfile::tempdir().unwrap();
            let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
            let spec = spec("resnet-8", optimizer, 1e-2);
            let spec = RunSpec {
                training: Training {
                    train_examples: 404,
                    epochs: 2.0,
                    ..spec.training
                },
                ..spec
            };
            as_a_device(|| {
                begin(&spec, &whole, &mut (), &Stop::default()).unwrap();
                let stop = Stop::default();
                let mut observer = StopAtFirstEvaluation(stop.clone());
                let outcome = begin(&spec, &stopped, &mut observer, &stop).unwrap();
                assert_eq!(outcome.ending, Ending::Stopped);
                let outcome = resume(&stopped, &mut (), &Stop::default()).unwrap();
                assert_eq!(outcome.ending, Ending::Finished);
            });
            assert_eq!(logged(&whole), logged(&stopped), "{optimizer}");
        }
    }

    #[test]
    fn a_run_on_a_device_that_diverges_ends_at_the_step_where_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let (host, device) = (folder.path().join("host"), folder.path().join("device"));
        let spec = spec("convnet", OptimizerKind::Momentum, 1e8);
        for (folder, as_one) in [(&host, false), (&device, true)] {
            AS_A_DEVICE.set(as_one);
            let outcome = begin(&spec, folder, &mut (), &Stop::default()).unwrap();
            AS_A_DEVICE.set(false);
            assert_eq!(outcome.ending, Ending::Diverged);
        }
        let ((steps, _, _), (others, _, _)) = (logged(&host), logged(&device));
        let told = |rows: &[StepRow]| {
            let last = rows.last().unwrap();
            assert!(!last.train_loss.unwrap().is_finite());
            (rows.len(), last.step)
        };
        assert_eq!(told(&steps), told(&others));
    }
}
