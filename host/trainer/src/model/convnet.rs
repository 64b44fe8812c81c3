//! The official MNIST convnet, and a small one for quick studies.

use tch::Tensor;
use tch::nn::{self, ModuleT, Path};

use super::Forward;
use super::resnet::{BATCH_NORM, convolution};

/// tensorflow/models, `official/mnist/mnist.py` at 059631bd (April 2018): 5x5 convolutions of 32 and 64
/// filters, each with ReLU and 2x2 max-pooling, a dense layer of 1024 with dropout 0.4, and the classes.
pub(super) fn mnist(root: &Path, channels: i64, height: i64, width: i64, classes: i64) -> Forward {
    let same = nn::ConvConfig {
        padding: 2,
        ..Default::default()
    };
    let conv1 = nn::conv2d(root / "conv1", channels, 32, 5, same);
    let conv2 = nn::conv2d(root / "conv2", 32, 64, 5, same);
    // `padding="same"` of TensorFlow's pooling rounds up.
    let pooled = |side: i64| (side + 1) / 2;
    let features = pooled(pooled(height)) * pooled(pooled(width)) * 64;
    let dense1 = nn::linear(root / "dense1", features, 1024, nn::LinearConfig::default());
    let dense2 = nn::linear(root / "dense2", 1024, classes, nn::LinearConfig::default());
    // tf.layers draws weights from Glorot's uniform and begins with biases of zero.
    glorot(&conv1.ws, conv1.bs.as_ref(), channels * 25, 32 * 25);
    glorot(&conv2.ws, conv2.bs.as_ref(), 32 * 25, 64 * 25);
    glorot(&dense1.ws, dense1.bs.as_ref(), features, 1024);
    glorot(&dense2.ws, dense2.bs.as_ref(), 1024, classes);
    Box::new(move |pictures, train| {
        let pool = |x: Tensor| x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], true);
        let x = pool(conv1.forward_t(pictures, train));
        let x = pool(conv2.forward_t(&x, train));
        let x = x.flatten(1, -1).apply(&dense1).relu().dropout(0.4, train);
        x.apply(&dense2)
    })
}

/// Three 3x3 convolutions of 16, 32 and 64 filters, each halving the picture and followed by batch norm and
/// ReLU, then the mean over the picture and the classes: some 24,000 parameters.
pub(super) fn small(root: &Path, channels: i64, classes: i64) -> Forward {
    let widths = [channels, 16, 32, 64];
    let layers: Vec<_> = (0..3)
        .map(|i| {
            let path = root / format!("layer{i}");
            let conv = convolution(&(&path / "conv"), widths[i], widths[i + 1], 3, 2);
            // A run of a few hundred steps needs faster running moments than the ResNet's.
            let config = nn::BatchNormConfig {
                momentum: 0.1,
                ..BATCH_NORM
            };
            (conv, nn::batch_norm2d(path / "norm", widths[i + 1], config))
        })
        .collect();
    let dense = nn::linear(root / "dense", 64, classes, nn::LinearConfig::default());
    glorot(&dense.ws, dense.bs.as_ref(), 64, classes);
    Box::new(move |pictures, train| {
        let mut x = pictures.shallow_clone();
        for (conv, norm) in &layers {
            x = norm.forward_t(&conv.forward_t(&x, train), train).relu();
        }
        x.mean_dim([2, 3].as_slice(), false, tch::Kind::Float)
            .apply(&dense)
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
