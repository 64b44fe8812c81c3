//! The official MNIST convnet, and a small one for quick studies.

use tch::Tensor;
use tch::nn;

use super::Forward;
use super::layers::{Layers, mean_over_picture, relu};
use super::resnet::BATCH_NORM;
use super::variance_scaling;

/// tensorflow/models, `official/mnist/mnist.py` at 059631bd (April 2018): 5x5 convolutions of 32 and 64
/// filters, each with ReLU and 2x2 max-pooling, a dense layer of 1024 with dropout 0.4, and the classes.
pub(super) fn mnist(layers: &Layers, [channels, height, width]: [i64; 3], classes: i64) -> Forward {
    let conv1 = layers.convolution("conv1", [channels, 32], 5, 1, true);
    let conv2 = layers.convolution("conv2", [32, 64], 5, 1, true);
    // `padding="same"` of TensorFlow's pooling rounds up.
    let pooled = |side: i64| (side + 1) / 2;
    let features = pooled(pooled(height)) * pooled(pooled(width)) * 64;
    let dense1 = layers.dense("dense1", features, 1024);
    let dense2 = layers.dense("dense2", 1024, classes);
    // tf.layers draws weights from Glorot's uniform and begins with biases of zero.
    glorot(conv1.weight(), conv1.bias(), channels * 25, 32 * 25);
    glorot(conv2.weight(), conv2.bias(), 32 * 25, 64 * 25);
    glorot(dense1.weight(), dense1.bias(), features, 1024);
    glorot(dense2.weight(), dense2.bias(), 1024, classes);
    Box::new(move |pictures, train| {
        // The order of these two changes neither values nor gradients, and pooling leaves a quarter to be rectified.
        let pool = |x: Tensor| relu(x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], true));
        let x = pool(conv1.forward(pictures));
        let x = pool(conv2.forward(&x));
        let x = relu(dense1.forward(&x.flatten(1, -1))).dropout(0.4, train);
        dense2.forward(&x)
    })
}

/// Three 3x3 convolutions of 16, 32 and 64 filters, each halving the picture and followed by batch norm and
/// ReLU, then the mean over the picture and the classes: some 24,000 parameters.
pub(super) fn small(layers: &Layers, channels: i64, classes: i64) -> Forward {
    let widths = [channels, 16, 32, 64];
    let stages: Vec<_> = (0..3)
        .map(|i| {
            let stage = layers.within(format!("layer{i}"));
            let conv = stage.convolution("conv", [widths[i], widths[i + 1]], 3, 2, false);
            variance_scaling(conv.weight());
            // A run of a few hundred steps needs faster running moments than the ResNet's.
            let config = nn::BatchNormConfig {
                momentum: 0.1,
                ..BATCH_NORM
            };
            (conv, stage.batch_norm("norm", widths[i + 1], config))
        })
        .collect();
    let dense = layers.dense("dense", 64, classes);
    glorot(dense.weight(), dense.bias(), 64, classes);
    Box::new(move |pictures, train| {
        let mut x = pictures.shallow_clone();
        for (conv, norm) in &stages {
            x = relu(norm.forward(&conv.forward(&x), train));
        }
        dense.forward(&mean_over_picture(&x))
    })
}

/// Glorot's uniform (Glorot and Bengio, 2010, equation 16), and biases of zero.
pub(super) fn glorot(weight: &Tensor, bias: Option<&Tensor>, fan_in: i64, fan_out: i64) {
    let limit = (6.0 / (fan_in + fan_out) as f64).sqrt();
    tch::no_grad(|| {
        let _ = weight.shallow_clone().uniform_(-limit, limit);
        if let Some(bias) = bias {
            let _ = bias.shallow_clone().zero_();
        }
    });
}
