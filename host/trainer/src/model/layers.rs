//! The layers that models are built from, in a [`Precision`].

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use tch::nn::{self, ModuleT, Path};
use tch::{Kind, TchError, Tensor};

use crate::device;
use crate::precision::Precision;

/// What layers of one model have in common: where their parameters are kept, and in which numbers they compute.
pub(super) struct Layers<'a> {
    path: Path<'a>,
    precision: Precision,
    weights: Rc<RefCell<Vec<Weight>>>,
}

/// A weight of a convolution or a dense layer.
#[derive(Debug)]
pub(super) struct Weight {
    whole: Tensor,
    /// The weight in the model's precision, where somebody else rounds it before it is needed.
    rounded: Rc<OnceCell<Tensor>>,
}

impl Weight {
    fn new(whole: &Tensor) -> Self {
        Self {
            whole: whole.shallow_clone(),
            rounded: Rc::default(),
        }
    }

    /// Another handle of it.
    fn handle(&self) -> Self {
        Self {
            whole: self.whole.shallow_clone(),
            rounded: Rc::clone(&self.rounded),
        }
    }

    /// The weight as it is trained.
    pub(super) fn whole(&self) -> &Tensor {
        &self.whole
    }

    /// From now on it is `rounded` that layers compute with.
    pub(super) fn take(&self, rounded: &Tensor) {
        let first = self.rounded.set(rounded.shallow_clone());
        debug_assert!(first.is_ok(), "a weight is rounded by one");
    }

    fn of(&self, precision: Precision) -> Tensor {
        match self.rounded.get() {
            Some(rounded) => rounded.shallow_clone(),
            None => precision.of(&self.whole),
        }
    }
}

impl<'a> Layers<'a> {
    pub(super) fn new(path: Path<'a>, precision: Precision) -> Self {
        Self {
            path,
            precision,
            weights: Rc::default(),
        }
    }

    /// The weights of all convolutions and dense layers that were made of these.
    pub(super) fn weights(&self) -> Vec<Weight> {
        self.weights.borrow().iter().map(Weight::handle).collect()
    }

    fn weight(&self, whole: &Tensor) -> Weight {
        let weight = Weight::new(whole);
        self.weights.borrow_mut().push(weight.handle());
        weight
    }

    /// Where parameters of layers that are not among these are kept.
    pub(super) fn path(&self) -> &Path<'a> {
        &self.path
    }

    /// In which numbers they compute.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Those whose names begin with `name`.
    pub(super) fn within(&self, name: impl ToString) -> Self {
        Self {
            path: &self.path / name,
            precision: self.precision,
            weights: Rc::clone(&self.weights),
        }
    }

    /// A convolution of `kernel` x `kernel` that keeps the size, or divides it by `stride`. Whoever builds a model draws
    /// its weights.
    pub(super) fn convolution(
        &self,
        name: impl ToString,
        [input, output]: [i64; 2],
        kernel: i64,
        stride: i64,
        bias: bool,
    ) -> Convolution {
        let config = nn::ConvConfig {
            stride,
            padding: kernel / 2,
            bias,
            ..Default::default()
        };
        let layer = nn::conv2d(&self.path / name, input, output, kernel, config);
        Convolution {
            has_kernel: kernel == 3 && stride == 1 && !bias,
            weight: self.weight(&layer.ws),
            bias: layer.bs,
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            precision: self.precision,
        }
    }

    /// A dense layer. Whoever builds a model draws its weights.
    pub(super) fn dense(&self, name: impl ToString, input: i64, output: i64) -> Dense {
        self.dense_of(name, [input, output], true)
    }

    /// A dense layer without a bias. Whoever builds a model draws its weights.
    pub(super) fn dense_without_bias(&self, name: impl ToString, input: i64, output: i64) -> Dense {
        self.dense_of(name, [input, output], false)
    }

    fn dense_of(&self, name: impl ToString, [input, output]: [i64; 2], bias: bool) -> Dense {
        let config = nn::LinearConfig {
            bias,
            ..Default::default()
        };
        let layer = nn::linear(&self.path / name, input, output, config);
        Dense {
            weight: self.weight(&layer.ws),
            bias: layer.bs,
            precision: self.precision,
        }
    }

    /// Batch norm over `channels`.
    pub(super) fn batch_norm(
        &self,
        name: impl ToString,
        channels: i64,
        config: nn::BatchNormConfig,
    ) -> BatchNorm {
        let layer = nn::batch_norm2d(&self.path / name, channels, config);
        BatchNorm { layer, config }
    }
}

/// A convolution.
pub(super) struct Convolution {
    /// Whether it is one that [`pixelrate_cuda::convolution`] computes.
    has_kernel: bool,
    weight: Weight,
    bias: Option<Tensor>,
    stride: [i64; 2],
    padding: [i64; 2],
    precision: Precision,
}

impl Convolution {
    pub(super) fn weight(&self) -> &Tensor {
        self.weight.whole()
    }

    pub(super) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let (x, weight) = (self.precision.of(x), self.weight.of(self.precision));
        if self.has_kernel && device::has_kernels(x.device()) {
            return or_panic(pixelrate_cuda::convolution(&x, &weight, None));
        }
        self.by_libtorch(&x, &weight)
    }

    /// The convolution of `x`, and `other`, which is of its size, added to it.
    pub(super) fn forward_and_add(&self, x: &Tensor, other: &Tensor) -> Tensor {
        let (x, weight) = (self.precision.of(x), self.weight.of(self.precision));
        if self.has_kernel && device::has_kernels(x.device()) {
            return or_panic(pixelrate_cuda::convolution(&x, &weight, Some(other)));
        }
        self.by_libtorch(&x, &weight) + other
    }

    fn by_libtorch(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| self.precision.of(bias));
        x.conv2d(weight, bias.as_ref(), self.stride, self.padding, [1, 1], 1)
    }
}

/// A dense layer.
pub(super) struct Dense {
    weight: Weight,
    bias: Option<Tensor>,
    precision: Precision,
}

impl Dense {
    pub(super) fn weight(&self) -> &Tensor {
        self.weight.whole()
    }

    pub(super) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let p = self.precision;
        let bias = self.bias.as_ref().map(|bias| p.of(bias));
        p.of(x).linear(&self.weight.of(p), bias.as_ref())
    }
}

/// Batch norm: its moments and what it is scaled with are 32-bit floats whatever it is given, and what it gives is of the
/// kind that it was given.
pub(super) struct BatchNorm {
    layer: nn::BatchNorm,
    config: nn::BatchNormConfig,
}

impl BatchNorm {
    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        self.layer.forward_t(x, train)
    }

    /// The rectifier of what it gives.
    pub(super) fn forward_relu(&self, x: &Tensor, train: bool) -> Tensor {
        let nn::BatchNorm {
            running_mean,
            running_var,
            ws,
            bs,
            ..
        } = &self.layer;
        match (ws, bs) {
            (Some(weight), Some(bias)) if train && device::has_kernels(x.device()) => {
                let norm = pixelrate_cuda::Norm {
                    weight,
                    bias,
                    running_mean,
                    running_var,
                    momentum: self.config.momentum,
                    eps: self.config.eps,
                };
                or_panic(pixelrate_cuda::norm_relu(x, &norm))
            }
            _ => relu(self.forward(x, train)),
        }
    }
}

/// Panics with what libtorch throws, in the words of tch's own operations, by which whoever trains knows and catches it.
#[allow(clippy::unwrap_used, reason = "as tch's operations")]
fn or_panic(made: Result<Tensor, pixelrate_cuda::Error>) -> Tensor {
    made.map_err(|problem| TchError::Torch(problem.to_string()))
        .unwrap()
}

/// The rectifier, in the place of what it is given, which no layer's backward pass may need.
pub(super) fn relu(mut x: Tensor) -> Tensor {
    x.relu_()
}

/// The mean over the picture, `[batch, channels]`, in 32 bits.
pub(super) fn mean_over_picture(x: &Tensor) -> Tensor {
    // Summed with the channels last, as they lie in memory: so does the gradient then, and the rectifier's backward pass goes
    // over both in one line. It would go from number to number otherwise, for a tenth of a step of `convnet`.
    let pixels = x.size()[2..].iter().product::<i64>();
    let sum = (x.permute([0, 2, 3, 1])).sum_dim_intlist([1, 2].as_slice(), false, Kind::Float);
    sum / pixels as f64
}

/// `tensor` (`[n, channels, height, width]`) with the channels of a pixel side by side in memory, which is how oneDNN's
/// convolutions compute.
pub(crate) fn channels_last(tensor: &Tensor) -> Tensor {
    let side_by_side = tensor.permute([0, 2, 3, 1]).contiguous();
    side_by_side.permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn the_mean_over_a_picture_is_libtorchs_and_its_gradients_channels_are_side_by_side() {
        // It draws from the generator that other tests' models are drawn from.
        let _generator = crate::model::seeded(6);
        for kind in [Kind::Float, Kind::BFloat16] {
            let picture = Tensor::randn([3, 5, 4, 6], (Kind::Float, Device::Cpu)).to_kind(kind);
            let picture = channels_last(&picture).set_requires_grad(true);
            let mean = mean_over_picture(&picture);
            let theirs = picture.mean_dim([2, 3].as_slice(), false, Kind::Float);
            assert_eq!(mean, theirs, "{kind:?}");
            let slope = |mean: Tensor| {
                let square = mean.square().sum(Kind::Float);
                Tensor::run_backward(&[square], &[&picture], false, false).remove(0)
            };
            let (ours, theirs) = (slope(mean), slope(theirs));
            assert_eq!(ours, theirs, "{kind:?}");
            assert_eq!((ours.stride()[1], picture.stride()[1]), (1, 1), "{kind:?}");
        }
    }
}
