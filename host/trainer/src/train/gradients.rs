//! What a batch says about the parameters: one way for every step that is trained, wherever and whatever for.

use tch::{Reduction, Tensor};

use crate::Error;
use crate::model::Model;

/// What is learned from.
pub(super) struct Batch {
    /// `[batch, channels, height, width]`, floats.
    pub(super) pictures: Tensor,
    /// `[batch]`, whole numbers.
    pub(super) labels: Tensor,
    /// How much of each label is spread evenly over all classes.
    pub(super) label_smoothing: f64,
    /// What dropout draws from.
    pub(super) seed: u64,
}

/// The mean cross-entropy of `batch` in nats, and its gradients with regard to the model's parameters, in their order, or to what
/// they are rounded to. All of it lies on the model's device, and nothing waits for that.
///
/// # Errors
/// libtorch's.
pub(super) fn gradients(model: &Model, batch: &Batch) -> Result<(Tensor, Vec<Tensor>), Error> {
    let Batch {
        pictures,
        labels,
        label_smoothing,
        seed,
    } = batch;
    let logits = model.forward_train(pictures, *seed);
    let loss =
        logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, *label_smoothing);
    let gradients = Tensor::f_run_backward(&[&loss], model.leaves(), false, false)?;
    Ok((loss.detach(), gradients))
}
