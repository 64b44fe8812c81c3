//! A step on a device: what it draws, what it is made with and what it measures lie there, so that its operations are the
//! same in every step, and on CUDA are recorded once and repeated. The host writes a few numbers before each, and waits for
//! nothing.

use pixelrate_cuda::Graph;
use tch::{Device, Reduction, Tensor};

use crate::Error;
use crate::batches::TrainSet;
use crate::model::Model;
use crate::optimizer::{Optimizer, StepSizes};
use crate::spec::Training;

/// Steps that are done one operation after another before they are recorded: libtorch, cuDNN and cuBLAS choose their ways
/// and take their memory meanwhile.
const WARM_UP: u32 = 3;

/// How steps are done.
pub(super) struct DeviceStep {
    /// What the step shows, written anew before each.
    draws: Tensor,
    label_smoothing: f64,
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
        // A generator's state is none of what is recorded: several runs share it.
        let recordable = records && matches!(model.device(), Device::Cuda(_)) && !model.draws();
        Some(Self {
            draws: train.draws(training.batch_size)?,
            label_smoothing: training.label_smoothing,
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
        let shown = (&self.draws, self.label_smoothing);
        let measured = match &mut self.way {
            Way::Operations => work(shown, seed, train, changed)?,
            Way::WarmUp(left) => {
                *left -= 1;
                let last = *left == 0;
                let measured = work(shown, seed, train, changed)?;
                if last {
                    // Nothing is done by this: the next step is the first to be repeated.
                    match Graph::record(|| work(shown, seed, train, changed)) {
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

/// All of a step that is done on the device: pictures, forward, backward, and the parameters' change, of draws and the
/// smoothing of their labels. Gives `[loss, norm]`.
fn work(
    (draws, label_smoothing): (&Tensor, f64),
    seed: u64,
    train: &TrainSet,
    changed: &mut Changed,
) -> Result<Tensor, Error> {
    let (pictures, labels) = train.show(draws);
    let logits = changed.model.forward_train(&pictures, seed);
    let loss =
        logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, label_smoothing);
    let gradients = Tensor::f_run_backward(&[&loss], changed.parameters, false, false)?;
    let norm = changed.optimizer.change(&gradients);
    Ok(Tensor::f_stack(&[loss.detach(), norm], 0)?)
}

#[cfg(test)]
mod tests;
