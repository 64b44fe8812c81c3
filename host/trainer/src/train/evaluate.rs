//! The model on the pictures that a run is evaluated on.

use tch::{Kind, Reduction, Tensor};

use crate::batches::TestSet;
use crate::model::Model;
use crate::{Error, device};

/// Pictures at a time: large enough to fill a device, small enough for a CPU's cache.
pub(super) const BATCH: usize = 500;

/// Mean cross-entropy (nats) and the fraction of pictures whose largest logit is their label's, by the mean logits of so many
/// `views`.
pub(super) fn evaluate(model: &Model, test: &TestSet, views: u32) -> Result<(f64, f64), Error> {
    let _shared = device::share(model.device());
    // A guard, which what libtorch throws takes back, too.
    let _off = tch::no_grad_guard();
    let (mut losses, mut hits) = (Vec::new(), Vec::new());
    for (pictures, labels) in test.batches(BATCH) {
        let logits = logits(model, &pictures, views);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0);
        losses.push(loss.to_kind(Kind::Double));
        hits.push(logits.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64));
    }
    let examples = test.examples() as f64;
    let loss = f64::try_from(Tensor::stack(&losses, 0).sum(Kind::Double))?;
    let hits = i64::try_from(Tensor::stack(&hits, 0).sum(Kind::Int64))?;
    Ok((loss / examples, hits as f64 / examples))
}

/// Logits of pictures by [`Training::test_views`](crate::spec::Training::test_views), as cifar10-airbench has them.
fn logits(model: &Model, pictures: &Tensor, views: u32) -> Tensor {
    let both = |pictures: &Tensor| {
        let mirrored = pictures.flip([3]);
        (model.forward(pictures) + model.forward(&mirrored)) * 0.5
    };
    match views {
        1 => model.forward(pictures),
        2 => both(pictures),
        _ => {
            let size = pictures.size();
            let padded = pictures.reflection_pad2d([1; 4]);
            let moved = |from| both(&padded.narrow(2, from, size[2]).narrow(3, from, size[3]));
            both(pictures) * 0.5 + (moved(0) + moved(2)) * 0.25
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::data;
    use crate::model::Architecture;
    use crate::precision::Precision;

    #[test]
    fn views_are_weighed_as_airbench_weighs_them() {
        let dataset = data::load("synthetic", "data".as_ref()).unwrap();
        let (on, precision) = (Device::Cpu, Precision::Float32);
        let model = Model::new(Architecture::Convnet, &dataset, 1, on, precision);
        let test = TestSet::new(&dataset, on);
        let (pictures, _) = test.batches(8).next().unwrap();
        // By the numbers of rows and columns: what comes in from beyond an edge is the row next to it.
        let shifted = |places: Vec<i64>| {
            let places = Tensor::from_slice(&places);
            pictures.index_select(2, &places).index_select(3, &places)
        };
        let down = shifted([1].into_iter().chain(0..31).collect());
        let up = shifted((1..32).chain([30]).collect());
        let of = |pictures: &Tensor| model.forward(pictures);
        let sum = |parts: [(&Tensor, f64); 3]| {
            let weighed = parts.map(|(x, weight)| (of(x) + of(&x.flip([3]))) * (weight / 2.0));
            weighed.into_iter().reduce(|sum, part| sum + part).unwrap()
        };
        let alike = |views, expected: &Tensor| {
            let found = logits(&model, &pictures, views);
            assert!(found.allclose(expected, 1e-5, 1e-6, false), "{views}");
        };
        tch::no_grad(|| {
            alike(1, &of(&pictures));
            alike(2, &sum([(&pictures, 1.0), (&down, 0.0), (&up, 0.0)]));
            alike(6, &sum([(&pictures, 0.5), (&down, 0.25), (&up, 0.25)]));
        });
    }
}
