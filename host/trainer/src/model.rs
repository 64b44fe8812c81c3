//! What is trained: the post's ResNets, the official MNIST convnet, a small one, and airbench's.

mod airbench;
mod convnet;
mod layers;
mod resnet;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor, nn};

use crate::data::Dataset;
use crate::precision::{AtOnce, Precision};
pub(crate) use layers::channels_last;
use layers::{Layers, Weight};

/// A model by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `resnet-N`: TensorFlow's official CIFAR model of April 2018, N = 6n + 2 layers.
    ResNet {
        /// Blocks in each of the three stages: n.
        blocks: u32,
    },
    /// `mnist-convnet`: TensorFlow's official MNIST model of April 2018.
    MnistConvnet,
    /// `convnet`: three convolutions with batch norm, for quick studies.
    Convnet,
    /// `airbench`: that of cifar10-airbench, for pictures of 32x32.
    Airbench,
    /// [`NONE`]: nothing is trained.
    None,
}

/// The model of a dry run: the schedule is asked, guarded, watched and logged step by step as in any run, and no data set
/// is read.
pub const NONE: &str = "none";

impl std::str::FromStr for Architecture {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "mnist-convnet" => return Ok(Self::MnistConvnet),
            "convnet" => return Ok(Self::Convnet),
            "airbench" => return Ok(Self::Airbench),
            NONE => return Ok(Self::None),
            _ => {}
        }
        let layers = name
            .strip_prefix("resnet-")
            .and_then(|layers| layers.parse::<u32>().ok());
        match layers {
            Some(layers @ 8..=1202) if layers % 6 == 2 => Ok(Self::ResNet { blocks: layers / 6 }),
            Some(layers) => Err(format!(
                "resnet-{layers} cannot be built: the number of layers is 6n + 2, such as 8, 20, 32, 56"
            )),
            None => Err(format!(
                "\"{name}\" is not known: use resnet-N (N = 6n + 2), mnist-convnet, convnet, airbench, or none"
            )),
        }
    }
}

/// Logits from pictures, in the model's precision; whether it is training decides on dropout and batch norm's moments.
type Forward = Box<dyn Fn(&Tensor, bool) -> Tensor>;

/// A network, its parameters and its buffers.
pub struct Model {
    store: nn::VarStore,
    forward: Forward,
    /// Names and tensors in a fixed order, trainable ones first.
    named: Vec<(String, Tensor)>,
    trainable: usize,
    draws: bool,
    weights: Vec<Weight>,
    /// What a gradient is taken by, one a trainable tensor: itself, or what it is rounded to.
    leaves: Vec<Tensor>,
    at_once: Option<AtOnce>,
}

impl Model {
    /// Builds `architecture` for `dataset`'s shape and classes. The weights depend on `seed` alone: they are
    /// drawn on the CPU, then moved to `device`. They are 32-bit floats in any `precision`.
    pub fn new(
        architecture: Architecture,
        dataset: &Dataset,
        seed: u64,
        device: Device,
        precision: Precision,
    ) -> Self {
        let _generator = seeded(seed);
        let mut store = nn::VarStore::new(Device::Cpu);
        let layers = Layers::new(store.root(), precision);
        let shape = dataset.shape.map(|side| side as i64);
        let classes = dataset.classes as i64;
        let forward = match architecture {
            Architecture::ResNet { blocks } => resnet::build(&layers, shape[0], classes, blocks),
            Architecture::MnistConvnet => convnet::mnist(&layers, shape, classes),
            Architecture::Convnet => convnet::small(&layers, shape[0], classes),
            Architecture::Airbench => airbench::build(&layers, dataset),
            Architecture::None => Box::new(|pictures: &Tensor, _| pictures.shallow_clone()),
        };
        let weights = layers.weights();
        if device == Device::Cpu {
            for weight in store.variables().values_mut().filter(|w| w.dim() == 4) {
                weight.set_data(&channels_last(&weight.detach()));
            }
        }
        store.set_device(device);
        let mut named: Vec<_> = store.variables().into_iter().collect();
        // The store hands them out in no fixed order.
        named.sort_by(|a, b| (!a.1.requires_grad(), &a.0).cmp(&(!b.1.requires_grad(), &b.0)));
        let trainable = named
            .iter()
            .filter(|(_, tensor)| tensor.requires_grad())
            .count();
        let leaf = |(_, tensor): &(String, Tensor)| tensor.shallow_clone();
        Self {
            leaves: named[..trainable].iter().map(leaf).collect(),
            weights,
            at_once: None,
            store,
            forward,
            named,
            trainable,
            draws: architecture == Architecture::MnistConvnet,
        }
    }

    /// From now on the weights of convolutions and dense layers are rounded by `at_once`, before they are needed, to what lies
    /// in `leaves`, which tell for each [parameter](Self::parameters) whether it is one.
    pub(crate) fn round_at_once(&mut self, at_once: AtOnce, leaves: Vec<Option<Tensor>>) {
        for (own, rounded) in self.leaves.iter_mut().zip(leaves) {
            let Some(rounded) = rounded else { continue };
            let place = own.data_ptr();
            let mut weights = self.weights.iter();
            if let Some(weight) = weights.find(|weight| weight.whole().data_ptr() == place) {
                weight.take(&rounded);
            }
            *own = rounded;
        }
        self.at_once = Some(at_once);
    }

    /// What the gradient of a loss is taken by: one for each [parameter](Self::parameters), of its shape.
    pub(crate) fn leaves(&self) -> &[Tensor] {
        &self.leaves
    }

    /// Whether it draws from libtorch's generator in training, as dropout does.
    pub fn draws(&self) -> bool {
        self.draws
    }

    /// Logits, `[batch, classes]`, 32-bit floats, of `pictures`, `[batch, channels, height, width]`, as in testing.
    pub fn forward(&self, pictures: &Tensor) -> Tensor {
        self.logits(pictures, false)
    }

    /// Logits as in training: dropout, where the model has it, draws from `seed`, and batch norm takes the batch's moments
    /// in.
    pub fn forward_train(&self, pictures: &Tensor, seed: u64) -> Tensor {
        let _generator = self.draws.then(|| seeded(seed));
        self.logits(pictures, true)
    }

    fn logits(&self, pictures: &Tensor, train: bool) -> Tensor {
        if let Some(at_once) = &self.at_once {
            at_once.refresh();
        }
        let logits = if self.device() == Device::Cpu {
            (self.forward)(&channels_last(pictures), train)
        } else {
            (self.forward)(pictures, train)
        };
        logits.to_kind(Kind::Float)
    }

    /// The trainable tensors, in a fixed order.
    pub fn parameters(&self) -> Vec<Tensor> {
        let trainable = &self.named[..self.trainable];
        trainable
            .iter()
            .map(|(_, tensor)| tensor.shallow_clone())
            .collect()
    }

    /// How many numbers are trained.
    pub fn parameter_count(&self) -> u64 {
        self.parameters()
            .iter()
            .map(|tensor| tensor.numel() as u64)
            .sum()
    }

    /// Every tensor by name, buffers (batch norm's running moments) included, in a fixed order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Where the model lies.
    pub fn device(&self) -> Device {
        self.store.device()
    }
}

/// Seeds libtorch's generator, of which a process has one, and keeps it from all others until the guard is
/// dropped: models that draw side by side would else draw from each other's stream.
pub(crate) fn seeded(seed: u64) -> MutexGuard<'static, ()> {
    let guard = keep_generator();
    tch::manual_seed(seed as i64);
    guard
}

/// Keeps libtorch's generator from all others until the guard is dropped.
pub(crate) fn keep_generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    // libtorch looks for its CUDA part once, when it is first seeded, and tests of one process train on the CPU and on CUDA.
    #[cfg(test)]
    crate::device::load_cuda();
    // One that panicked leaves nothing behind that the next seed does not overwrite.
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Variance scaling as TensorFlow's `variance_scaling_initializer()` of 2018: a normal cut off at two
/// standard deviations, whose variance before the cut is 1 / fan-in. `weight` is of a convolution.
fn variance_scaling(weight: &Tensor) {
    let fan_in: i64 = weight.size()[1..].iter().product();
    let deviation = (1.0 / fan_in as f64).sqrt();
    truncated_normal(&mut weight.shallow_clone(), deviation);
}

/// Fills `weight` from a normal of standard deviation `deviation` cut off at two of them, by inverting the
/// distribution's cumulative function.
fn truncated_normal(weight: &mut Tensor, deviation: f64) {
    // Phi(-2): what lies below the lower cut.
    const TAIL: f64 = 0.022_750_131_948_179_21;
    tch::no_grad(|| {
        let uniform = weight
            .empty_like()
            .to_kind(Kind::Double)
            .uniform_(TAIL, 1.0 - TAIL);
        let normal = (uniform * 2.0 - 1.0).erfinv() * std::f64::consts::SQRT_2;
        weight.copy_(&(normal * deviation));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    fn dataset(shape: [usize; 3]) -> Dataset {
        let split = || Split {
            pixels: Vec::new(),
            labels: Vec::new(),
        };
        Dataset {
            name: String::new(),
            classes: 10,
            shape,
            train: split(),
            test: split(),
            sha256: String::new(),
            origin: crate::data::Origin::Drawn,
            augment: true,
            channels: None,
        }
    }

    fn build(name: &str, shape: [usize; 3], seed: u64) -> Model {
        build_in(name, shape, seed, Precision::Float32)
    }

    fn build_in(name: &str, shape: [usize; 3], seed: u64, precision: Precision) -> Model {
        let (architecture, dataset) = (name.parse().unwrap(), dataset(shape));
        Model::new(architecture, &dataset, seed, Device::Cpu, precision)
    }

    #[test]
    fn sizes_are_the_papers() {
        // ResNet-32 v2 with projections: counted by hand from the official code: first convolution 432,
        // three stages of five blocks, batch norms, projections 16x16, 16x32, 32x64, and 64 x 10 + 10.
        let stage = |input: u64, width: u64| {
            let first =
                2 * input + input * width * 9 + 2 * width + width * width * 9 + input * width;
            let other = 2 * width + width * width * 9 + 2 * width + width * width * 9;
            first + 4 * other
        };
        let expected = 432 + stage(16, 16) + stage(16, 32) + stage(32, 64) + 128 + 650;
        assert_eq!(
            build("resnet-32", [3, 32, 32], 0).parameter_count(),
            expected
        );
        // 5x5x32 + 32, 5x5x32x64 + 64, 3136 x 1024 + 1024, 1024 x 10 + 10.
        let mnist = 832 + 51_264 + 3_212_288 + 10_250;
        assert_eq!(
            build("mnist-convnet", [1, 28, 28], 0).parameter_count(),
            mnist
        );
    }

    #[test]
    fn weights_depend_on_the_seed_alone() {
        for name in ["resnet-8", "convnet"] {
            let weights = |seed| build(name, [3, 32, 32], seed).parameters();
            assert!(weights(1).iter().zip(&weights(1)).all(|(a, b)| a == b));
            assert!(weights(1).iter().zip(&weights(2)).any(|(a, b)| a != b));
        }
    }

    #[test]
    fn the_normal_is_cut_at_two_deviations() {
        let _generator = seeded(1);
        let mut weight = Tensor::zeros([100_000], (Kind::Float, Device::Cpu));
        truncated_normal(&mut weight, 0.5);
        assert!(f64::try_from(weight.abs().max()).unwrap() <= 1.0 + 1e-6);
        // The cut leaves 0.8796 of the deviation.
        let deviation = f64::try_from(weight.std(true)).unwrap();
        assert!((deviation / 0.5 - 0.8796).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn names_that_are_none_say_what_may_be() {
        assert!(
            "resnet-21"
                .parse::<Architecture>()
                .unwrap_err()
                .contains("6n + 2")
        );
        assert!(
            "vgg"
                .parse::<Architecture>()
                .unwrap_err()
                .contains("mnist-convnet")
        );
    }

    const SHAPES: [(&str, [usize; 3]); 4] = [
        ("airbench", [3, 32, 32]),
        ("resnet-8", [3, 32, 32]),
        ("convnet", [3, 32, 32]),
        ("mnist-convnet", [1, 28, 28]),
    ];

    fn noise(shape: [usize; 3]) -> Tensor {
        let _generator = seeded(5);
        let [c, h, w] = shape.map(|side| side as i64);
        Tensor::randn([4, c, h, w], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn logits_have_a_column_a_class() {
        for (name, shape) in SHAPES {
            for precision in [Precision::Float32, Precision::Bfloat16] {
                let logits = build_in(name, shape, 0, precision).forward_train(&noise(shape), 0);
                assert_eq!(logits.size(), [4, 10], "{name}");
                assert_eq!(logits.kind(), Kind::Float, "{name}");
            }
        }
    }

    #[test]
    fn bfloat16_rounds_what_flows_and_leaves_parameters_and_their_gradients_whole() {
        for (name, shape) in SHAPES {
            let [exact, rounded] = [Precision::Float32, Precision::Bfloat16].map(|precision| {
                let model = build_in(name, shape, 1, precision);
                let logits = model.forward(&noise(shape));
                let parameters = model.parameters();
                let loss = logits.square().mean(Kind::Float);
                let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
                for tensor in parameters.iter().chain(&gradients) {
                    assert_eq!(tensor.kind(), Kind::Float, "{name}");
                }
                let of = |tensor: &Tensor| tensor.flatten(0, -1);
                let gradient = Tensor::cat(&gradients.iter().map(of).collect::<Vec<_>>(), 0);
                (logits, gradient)
            });
            // Eight bits of mantissa in each of up to twenty layers.
            for (exact, rounded) in [(&exact.0, &rounded.0), (&exact.1, &rounded.1)] {
                let error = f64::try_from((rounded - exact).norm() / exact.norm()).unwrap();
                assert!(error > 1e-4 && error < 0.05, "{name}: {error}");
            }
        }
    }

    #[test]
    fn convolutions_weights_have_their_channels_side_by_side() {
        let weights = build("resnet-8", [3, 32, 32], 0).parameters();
        // In a kernel of one pixel, every order is this one.
        let wide = |weight: &&Tensor| weight.dim() == 4 && weight.size()[2] > 1;
        assert_eq!(weights.iter().filter(wide).count(), 7);
        for weight in weights.iter().filter(wide) {
            let (size, stride) = (weight.size(), weight.stride());
            assert_eq!(
                stride,
                [size[1..].iter().product(), 1, size[3] * size[1], size[1]]
            );
        }
    }
}
