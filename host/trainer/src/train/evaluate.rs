//! The model on the pictures that a run is evaluated on.

use tch::{Kind, Reduction, Tensor};

use crate::batches::TestSet;
use crate::model::Model;
use crate::{Error, device};

/// Pictures at a time: large enough to fill a device, small enough for a CPU's cache.
pub(super) const BATCH: usize = 500;

/// Mean cross-entropy (nats) and the fraction of pictures whose largest logit is their label's.
pub(super) fn evaluate(model: &Model, test: &TestSet) -> Result<(f64, f64), Error> {
    let _shared = device::share(model.device());
    // A guard, which what libtorch throws takes back, too.
    let _off = tch::no_grad_guard();
    let (mut losses, mut hits) = (Vec::new(), Vec::new());
    for (pictures, labels) in test.batches(BATCH) {
        let logits = model.forward(&pictures);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0);
        losses.push(loss.to_kind(Kind::Double));
        hits.push(logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64));
    }
    let examples = test.examples() as f64;
    let loss = f64::try_from(Tensor::stack(&losses, 0).sum(Kind::Double))?;
    let hits = i64::try_from(Tensor::stack(&hits, 0).sum(Kind::Int64))?;
    Ok((loss / examples, hits as f64 / examples))
}
