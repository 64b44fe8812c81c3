//! A step on a device: what it draws, what it is made with and what it measures lie there, so that its operations are the
//! same in every step, and on CUDA are recorded once and repeated. The host writes a few numbers before each, and waits for
//! nothing.

use pixelrate_cuda::Graph;
use tch::{Device, Tensor};

use super::gradients::{Batch, gradients};
use crate::batches::TrainSet;
use crate::model::{self, Model};
use crate::optimizer::{Optimizer, StepSizes};
use crate::spec::Training;
use crate::{Error, device};

/// Steps that are done one operation after another before they are recorded: libtorch, cuDNN and cuBLAS choose their ways
/// and take their memory meanwhile.
const WARM_UP: u32 = 3;

/// What says in the environment, by `0`, that no step is to be recorded.
const SWITCH: &str = "PIXELRATE_CUDA_GRAPHS";

/// How steps are done.
pub(super) struct DeviceStep {
    /// What the step shows, written anew before each.
    draws: Tensor,
    label_smoothing: f64,
    way: Way,
    /// The CUDA device for which the first step compiles kernels of our own.
    compiles: Option<usize>,
    /// What makes steps slower than they might be, until somebody asks.
    drawbacks: Vec<String>,
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
    pub(super) optimizer: &'a mut Optimizer,
}

impl DeviceStep {
    /// Steps of `training` on the pictures of `train`; `None` if those lie on the host. `records`: whether the steps are
    /// recorded, which CUDA does in a stream of the run's own.
    pub(super) fn new(
        train: &TrainSet,
        training: &Training,
        model: &Model,
        records: bool,
    ) -> Option<Self> {
        #[cfg(test)]
        let records = records && !tests::BY_OPERATIONS.get();
        let records = records && std::env::var_os(SWITCH).is_none_or(|said| said != "0");
        // Dropout is seeded anew in each step, which a recorded one could not be: it would go on from where the generator was,
        // which all runs share.
        let recordable = records && matches!(model.device(), Device::Cuda(_)) && !model.draws();
        let mut drawbacks = Vec::new();
        let way = match recordable.then(pixelrate_cuda::can_record) {
            Some(Ok(())) => Way::WarmUp(WARM_UP),
            Some(Err(problem)) => {
                drawbacks.push(format!(
                    "steps are not recorded as a CUDA graph, and take longer: {problem}"
                ));
                Way::Operations
            }
            None => Way::Operations,
        };
        let compiles = match model.device() {
            Device::Cuda(index) if device::has_kernels(model.device()) => Some(index),
            _ => None,
        };
        Some(Self {
            draws: train.draws(training.batch_size)?,
            label_smoothing: training.label_smoothing,
            way,
            compiles,
            drawbacks,
        })
    }

    /// What this libtorch lacks that makes steps slower, told once.
    pub(super) fn take_drawbacks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.drawbacks)
    }

    /// Step `step`, whose dropout draws from `seed`. Gives the batch's loss and the gradient's norm, which are still on the
    /// device.
    ///
    /// # Errors
    /// libtorch's, or CUDA's; [`Error::Recording`] at the step that is recorded.
    pub(super) fn learn(
        &mut self,
        step: u64,
        seed: u64,
        sizes: StepSizes,
        train: &mut TrainSet,
        changed: &mut Changed,
    ) -> Result<(Tensor, Tensor), Error> {
        let shared = device::share(self.draws.device());
        train.draw(step, &mut self.draws);
        changed.optimizer.write(sizes);
        let shown = (&self.draws, self.label_smoothing);
        let measured = match &mut self.way {
            Way::Operations => work(shown, seed, train, changed)?,
            Way::WarmUp(left) => {
                *left -= 1;
                let last = *left == 0;
                let measured = work(shown, seed, train, changed)?;
                if last {
                    drop(shared);
                    // Nothing is done by this: the next step is the first to be repeated.
                    self.way = recorded(shown, train, changed)
                        .map_err(|problem| Error::Recording(Box::new(problem)))?;
                }
                measured
            }
            Way::Recorded(graph, measured) => {
                graph.replay()?;
                #[cfg(test)]
                tests::REPEATED.set(tests::REPEATED.get() + 1);
                // The next step measures into the same place.
                measured.copy()
            }
        };
        if let Some(index) = self.compiles.take()
            && let Err(problem) = pixelrate_cuda::can_compile(index)
        {
            self.drawbacks.push(format!(
                "libtorch computes what our own kernels would be quicker at: {problem}"
            ));
        }
        Ok((measured.get(0), measured.get(1)))
    }
}

/// Records a step, alone: no other thread uses a device meanwhile, nor libtorch's generators.
fn recorded(shown: (&Tensor, f64), train: &TrainSet, changed: &mut Changed) -> Result<Way, Error> {
    // In this order: whoever draws on a device holds the generator while it shares the device.
    let alone = pixelrate_cuda::alone()?;
    let _generator = model::keep_generator();
    let (graph, measured) = Graph::record(&alone, || work(shown, 0, train, changed))?;
    Ok(Way::Recorded(graph, measured))
}

/// All of a step that is done on the device: pictures, forward, backward, and the parameters' change, of draws and the
/// smoothing of their labels. Gives `[loss, norm]`.
fn work(
    (draws, label_smoothing): (&Tensor, f64),
    seed: u64,
    train: &TrainSet,
    changed: &mut Changed,
) -> Result<Tensor, Error> {
    let (pictures, labels) = train.show(draws);
    let batch = Batch {
        pictures,
        labels,
        label_smoothing,
        seed,
    };
    let (loss, gradients) = gradients(changed.model, &batch)?;
    let norm = changed.optimizer.change(&gradients);
    Ok(Tensor::f_stack(&[loss, norm], 0)?)
}

#[cfg(test)]
mod tests;
