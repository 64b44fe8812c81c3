//! ResNet v2 for 32x32 pictures: tensorflow/models, `official/resnet/resnet_model.py` and `cifar10_main.py`
//! at e5adf983 (April 2018). Pre-activation blocks, filters 16, 32 and 64, and in each stage's first block a
//! 1x1 projection without batch norm, after the block's first batch norm and ReLU.

use tch::nn::{self, ModuleT, Path};
use tch::{Kind, Tensor};

use super::Forward;
use super::convnet::glorot;
use super::variance_scaling;

/// TensorFlow's decay of 0.997 is PyTorch's momentum of 0.003.
pub(super) const BATCH_NORM: nn::BatchNormConfig = nn::BatchNormConfig {
    cudnn_enabled: true,
    eps: 1e-5,
    momentum: 0.003,
    affine: true,
    ws_init: nn::Init::Const(1.0),
    bs_init: nn::Init::Const(0.0),
};

pub(super) fn build(root: &Path, channels: i64, classes: i64, blocks: u32) -> Forward {
    let first = convolution(&(root / "initial"), channels, 16, 3, 1);
    let mut layers = Vec::new();
    let mut input = 16;
    for (stage, width) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let path = root / format!("stage{stage}") / format!("block{block}");
            layers.push(Block::new(&path, input, width, stride, block == 0));
            input = width;
        }
    }
    let norm = nn::batch_norm2d(root / "final_norm", 64, BATCH_NORM);
    let dense = nn::linear(root / "dense", 64, classes, nn::LinearConfig::default());
    // As tf.layers.dense.
    glorot(&dense.ws, dense.bs.as_ref(), 64, classes);
    Box::new(move |pictures, train| {
        let mut x = first.forward_t(pictures, train);
        for layer in &layers {
            x = layer.forward(&x, train);
        }
        let x = norm.forward_t(&x, train).relu();
        x.mean_dim([2, 3].as_slice(), false, Kind::Float)
            .apply(&dense)
    })
}

struct Block {
    norm1: nn::BatchNorm,
    projection: Option<nn::Conv2D>,
    conv1: nn::Conv2D,
    norm2: nn::BatchNorm,
    conv2: nn::Conv2D,
}

impl Block {
    fn new(path: &Path, input: i64, width: i64, stride: i64, project: bool) -> Self {
        Self {
            norm1: nn::batch_norm2d(path / "norm1", input, BATCH_NORM),
            projection: project
                .then(|| convolution(&(path / "projection"), input, width, 1, stride)),
            conv1: convolution(&(path / "conv1"), input, width, 3, stride),
            norm2: nn::batch_norm2d(path / "norm2", width, BATCH_NORM),
            conv2: convolution(&(path / "conv2"), width, width, 3, 1),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let active = self.norm1.forward_t(x, train).relu();
        let shortcut = match &self.projection {
            Some(projection) => projection.forward_t(&active, train),
            None => x.shallow_clone(),
        };
        let y = self.conv1.forward_t(&active, train);
        let y = self.norm2.forward_t(&y, train).relu();
        self.conv2.forward_t(&y, train) + shortcut
    }
}

/// A convolution without bias that keeps the size (or divides it by `stride`). The official code pads
/// by hand where it strides, so that the padding is the same on both sides: as PyTorch's.
pub(super) fn convolution(
    path: &Path,
    input: i64,
    output: i64,
    kernel: i64,
    stride: i64,
) -> nn::Conv2D {
    let config = nn::ConvConfig {
        stride,
        padding: kernel / 2,
        bias: false,
        ..Default::default()
    };
    let layer = nn::conv2d(path, input, output, kernel, config);
    variance_scaling(layer.ws.shallow_clone(), input * kernel * kernel);
    layer
}
