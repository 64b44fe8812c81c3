//! ResNet v2 for 32x32 pictures: tensorflow/models, `official/resnet/resnet_model.py` and `cifar10_main.py`
//! at e5adf983 (April 2018). Pre-activation blocks, filters 16, 32 and 64, and in each stage's first block a
//! 1x1 projection without batch norm, after the block's first batch norm and ReLU.

use tch::{Tensor, nn};

use super::Forward;
use super::convnet::glorot;
use super::layers::{BatchNorm, Convolution, Layers, mean_over_picture};
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

pub(super) fn build(layers: &Layers, channels: i64, classes: i64, blocks: u32) -> Forward {
    let first = convolution(layers, "initial", [channels, 16], 3, 1);
    let mut stack = Vec::new();
    let mut input = 16;
    for (stage, width) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let own = layers
                .within(format!("stage{stage}"))
                .within(format!("block{block}"));
            stack.push(Block::new(&own, input, width, stride, block == 0));
            input = width;
        }
    }
    let norm = layers.batch_norm("final_norm", 64, BATCH_NORM);
    let dense = layers.dense("dense", 64, classes);
    // As tf.layers.dense.
    glorot(dense.weight(), dense.bias(), 64, classes);
    Box::new(move |pictures, train| {
        let mut x = first.forward(pictures);
        for block in &stack {
            x = block.forward(&x, train);
        }
        let x = norm.forward_relu(&x, train);
        dense.forward(&mean_over_picture(&x))
    })
}

struct Block {
    norm1: BatchNorm,
    projection: Option<Convolution>,
    conv1: Convolution,
    norm2: BatchNorm,
    conv2: Convolution,
}

impl Block {
    fn new(layers: &Layers, input: i64, width: i64, stride: i64, project: bool) -> Self {
        Self {
            norm1: layers.batch_norm("norm1", input, BATCH_NORM),
            projection: project
                .then(|| convolution(layers, "projection", [input, width], 1, stride)),
            conv1: convolution(layers, "conv1", [input, width], 3, stride),
            norm2: layers.batch_norm("norm2", width, BATCH_NORM),
            conv2: convolution(layers, "conv2", [width, width], 3, 1),
        }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let active = self.norm1.forward_relu(x, train);
        let shortcut = match &self.projection {
            Some(projection) => projection.forward(&active),
            None => x.shallow_clone(),
        };
        let y = self.conv1.forward(&active);
        let y = self.norm2.forward_relu(&y, train);
        self.conv2.forward_and_add(&y, &shortcut)
    }
}

/// A convolution without bias. The official code pads by hand where it strides, so that the padding is the same on both
/// sides: as PyTorch's.
fn convolution(
    layers: &Layers,
    name: &str,
    channels: [i64; 2],
    kernel: i64,
    stride: i64,
) -> Convolution {
    let layer = layers.convolution(name, channels, kernel, stride, false);
    variance_scaling(layer.weight());
    layer
}
