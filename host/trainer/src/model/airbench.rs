//! The network of `cifar10-airbench` (Keller Jordan, 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", arXiv
//! 2404.00498, section 3): a frozen convolution that whitens patches of the pictures, three groups of two convolutions that
//! begin as the identity, and a head whose logits are scaled down. Written from the paper and the authors' description.

use tch::nn::{Init, Path};
use tch::{Kind, Tensor};

use super::Forward;
use super::layers::{Convolution, Layers};
use crate::batches;
use crate::data::Dataset;
use crate::precision::Precision;

/// Sides of the patches that are whitened.
const PATCH: i64 = 2;
/// Pictures whose patches are looked at.
const PICTURES: usize = 5000;
/// What is added to the patches' variances before they are divided by.
const WHITENING_EPSILON: f64 = 5e-4;
const WIDTHS: [i64; 3] = [64, 256, 256];
const LOGIT_SCALE: f64 = 1.0 / 9.0;
/// The paper changes batch norm's biases at 64 times the rate of all others. Held at an eighth of what they are, they get
/// eight times the gradient, and what changes them counts eight times: the same, with one rate for all.
const BIAS_SCALE: f64 = 8.0;
const NORM_MOMENTUM: f64 = 0.4;
const NORM_EPSILON: f64 = 1e-12;

/// `dataset`'s pictures are what is whitened; for one that was not read, the filters are drawn.
pub(super) fn build(layers: &Layers, dataset: &Dataset) -> Forward {
    let channels = dataset.shape[0] as i64;
    let whitening = Whitening::new(layers, channels, dataset);
    let mut input = whitening.filters();
    let groups: Vec<_> = (1..)
        .zip(WIDTHS)
        .map(|(number, width)| {
            let group = Group::new(&layers.within(format!("group{number}")), input, width);
            input = width;
            group
        })
        .collect();
    let dense = layers.dense_without_bias("dense", input, dataset.classes as i64);
    uniform(dense.weight());
    Box::new(move |pictures, train| {
        let mut x = whitening.forward(pictures).gelu("none");
        for group in &groups {
            x = group.forward(&x, train);
        }
        // All that is left of a picture of 32x32 are three by three.
        let x = x.max_pool2d([3, 3], [3, 3], [0, 0], [1, 1], false);
        dense.forward(&x.flatten(1, -1)) * LOGIT_SCALE
    })
}

/// A convolution whose filters are the principal directions of the pictures' patches, each divided by the deviation along it,
/// and their negatives. They are not trained; a bias is.
struct Whitening {
    weight: Tensor,
    bias: Tensor,
    precision: Precision,
}

impl Whitening {
    fn new(layers: &Layers, channels: i64, dataset: &Dataset) -> Self {
        let path = layers.path() / "whitening";
        let directions = channels * PATCH * PATCH;
        let weight = path.zeros_no_train("weight", &[2 * directions, channels, PATCH, PATCH]);
        if dataset.train.labels.is_empty() {
            uniform(&weight);
        } else {
            let found = directions_of(dataset, directions);
            let found = found.view([directions, channels, PATCH, PATCH]);
            let both = Tensor::cat(&[&found, &-&found], 0);
            tch::no_grad(|| weight.shallow_clone().copy_(&both));
        }
        Self {
            bias: path.zeros("bias", &[2 * directions]),
            weight,
            precision: layers.precision(),
        }
    }

    fn filters(&self) -> i64 {
        self.weight.size()[0]
    }

    fn forward(&self, pictures: &Tensor) -> Tensor {
        let p = self.precision;
        let bias = p.of(&self.bias);
        p.of(pictures)
            .conv2d(&p.of(&self.weight), Some(&bias), 1, 0, 1, 1)
    }
}

/// The principal directions of the patches of the first training pictures, as a model is shown them without augmentation, a
/// row each: the widest first, divided by the deviation along it.
fn directions_of(dataset: &Dataset, directions: i64) -> Tensor {
    // So few that their patches stay in a processor's cache.
    const AT_A_TIME: usize = 20;
    let count = dataset.train.labels.len().min(PICTURES);
    let mut products = Tensor::zeros([directions; 2], (Kind::Double, tch::Device::Cpu));
    let mut patches = 0;
    for start in (0..count).step_by(AT_A_TIME) {
        let pictures = batches::training_pictures(dataset, start..count.min(start + AT_A_TIME));
        // Columns of patches: `[pictures, directions, patches]`.
        let pictures = pictures.to_kind(Kind::Double);
        let found = pictures.im2col([PATCH; 2], [1, 1], [0, 0], [1, 1]);
        patches += found.size()[0] * found.size()[2];
        let of_each = found.matmul(&found.transpose(1, 2));
        products += of_each.sum_dim_intlist([0].as_slice(), false, Kind::Double);
    }
    let (variances, vectors) = (products / patches as f64).linalg_eigh("U");
    let scaled = vectors / (variances + WHITENING_EPSILON).sqrt();
    scaled.tr().flip([0]).to_kind(Kind::Float)
}

/// Two convolutions, each with batch norm and GELU; the picture is halved after the first.
struct Group {
    convolutions: [Convolution; 2],
    norms: [Norm; 2],
}

impl Group {
    fn new(layers: &Layers, input: i64, width: i64) -> Self {
        let convolution = |name: &str, input| {
            let layer = layers.convolution(name, [input, width], 3, 1, false);
            identity(layer.weight());
            layer
        };
        Self {
            convolutions: [convolution("conv1", input), convolution("conv2", width)],
            norms: ["norm1", "norm2"].map(|name| Norm::new(&(layers.path() / name), width)),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let [conv1, conv2] = &self.convolutions;
        let [norm1, norm2] = &self.norms;
        let x = conv1
            .forward(x)
            .max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        let x = norm1.forward(&x, train).gelu("none");
        norm2.forward(&conv2.forward(&x), train).gelu("none")
    }
}

/// Batch norm whose scale is one, and is not trained.
struct Norm {
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl Norm {
    fn new(path: &Path, width: i64) -> Self {
        Self {
            scale: path.ones_no_train("weight", &[width]),
            bias: path.var("bias", &[width], Init::Const(0.0)),
            mean: path.zeros_no_train("running_mean", &[width]),
            variance: path.ones_no_train("running_var", &[width]),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x.batch_norm(
            Some(&self.scale),
            Some(&(&self.bias * BIAS_SCALE)),
            Some(&self.mean),
            Some(&self.variance),
            train,
            NORM_MOMENTUM,
            NORM_EPSILON,
            true,
        )
    }
}

/// PyTorch's own beginning of convolutions and dense layers: uniform up to the root of one over the fan-in.
fn uniform(weight: &Tensor) {
    let fan_in: i64 = weight.size()[1..].iter().product();
    let limit = 1.0 / (fan_in as f64).sqrt();
    tch::no_grad(|| {
        let _ = weight.shallow_clone().uniform_(-limit, limit);
    });
}

/// As `uniform`, but that the first filters hand the channels on, one each (Zagoruyko and Komodakis, 2017).
fn identity(weight: &Tensor) {
    uniform(weight);
    let [_, input, height, width] = weight.size()[..] else {
        unreachable!("a convolution's weight has four dimensions")
    };
    tch::no_grad(|| {
        let mut first = weight.narrow(0, 0, input);
        let _ = first.zero_();
        let mut middle = first.narrow(2, height / 2, 1).narrow(3, width / 2, 1);
        middle
            .copy_(&Tensor::eye(input, (Kind::Float, weight.device())).view([input, input, 1, 1]));
    });
}

#[cfg(test)]
mod tests {
    use tch::{Device, IndexOp};

    use super::*;
    use crate::data;
    use crate::model::{Architecture, Model};

    #[test]
    fn whitened_patches_have_no_correlations() {
        let dataset = data::load("synthetic", "data".as_ref()).unwrap();
        let directions = directions_of(&dataset, 12);
        let pictures = batches::training_pictures(&dataset, 0..1000);
        let filters = directions.view([12, 3, 2, 2]);
        let none: Option<Tensor> = None;
        let found = pictures.conv2d(&filters, none, 1, 0, 1, 1);
        let flat = found.transpose(0, 1).reshape([12, -1]);
        let products = flat.matmul(&flat.tr()) / flat.size()[1] as f64;
        // Of other pictures among them, and a little less than one where the patches hardly differ.
        let diagonal: Vec<f64> = Vec::try_from(products.diag(0).to_kind(Kind::Double)).unwrap();
        assert!(
            diagonal.iter().all(|&it| it > 0.5 && it < 1.1),
            "{diagonal:?}"
        );
        let others = &products - products.diag(0).diag_embed(0, -2, -1);
        assert!(f64::try_from(others.abs().max()).unwrap() < 0.1);
    }

    #[test]
    fn it_begins_as_the_identity_of_whitened_pictures() {
        let dataset = data::load("synthetic", "data".as_ref()).unwrap();
        let model = Model::new(
            Architecture::Airbench,
            &dataset,
            1,
            Device::Cpu,
            Precision::Float32,
        );
        let named = |name: &str| {
            let mut tensors = model.tensors();
            tensors
                .find(|(held, _)| *held == name)
                .map(|(_, tensor)| tensor.shallow_clone())
                .unwrap()
        };
        // 24 filters of the whitening, then 64, of which the first 24 hand their channels on.
        let weight = named("group1.conv1.weight");
        assert_eq!(weight.size(), [64, 24, 3, 3]);
        let first = weight.i(0..24).i((.., .., 1, 1));
        assert_eq!(first, Tensor::eye(24, (Kind::Float, Device::Cpu)));
        assert_eq!(
            f64::try_from(weight.i(0..24).abs().sum(Kind::Double)).unwrap(),
            24.0
        );
        let rest = f64::try_from(weight.i(24..).std(true)).unwrap();
        let expected = 1.0 / (3.0_f64 * 24.0 * 9.0).sqrt();
        assert!((rest / expected - 1.0).abs() < 0.05, "{rest} {expected}");
        // The whitening is a buffer, and so are the norms' scales: 24 + 64 * (24 + 64) * 9 + 256 * (64 + 256) * 9
        // + 256 * 512 * 9 weights, biases of the whitening and of six norms, and the head.
        let weights = (64 * (24 + 64) + 256 * (64 + 256) + 256 * 512) * 9;
        let biases = 24 + 2 * (64 + 256 + 256);
        assert_eq!(model.parameter_count(), weights + biases + 2560);
        let both = named("whitening.weight");
        assert_eq!(both.i(..12), -both.i(12..));
        // No filter is empty.
        let largest = both.abs().amax([1, 2, 3], false);
        assert!(f64::try_from(largest.min()).unwrap() > 0.1);
    }
}
