//! Words of a run's spec, of which one is chosen.

use serde::{Deserialize, Serialize};

/// The pictures that a run is evaluated on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalSplit {
    /// The data set's own test pictures.
    #[default]
    Test,
    /// Training pictures that were held back.
    Validation,
}

impl std::fmt::Display for EvalSplit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Validation => "validation",
        })
    }
}

/// How the values of pictures are normalised: (x - mean) / deviation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// By each picture's own moments: TensorFlow's `per_image_standardization`, as the official ResNet code.
    #[default]
    Image,
    /// By each channel's moments over all training pictures that are not held back: `torchvision.transforms.Normalize`, as most PyTorch code.
    Channel,
}

/// What pixels around a picture show; the words are those of `torch.nn.Conv2d`'s `padding_mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingMode {
    /// Nothing: their bytes are 0.
    #[default]
    Zeros,
    /// The picture, mirrored at its outermost pixels.
    Reflect,
}

/// When training pictures are mirrored, left to right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Each time with a chance of one half.
    #[default]
    Random,
    /// In the first epoch with a chance of one half, and from then on whenever it was not in the epoch before (Jordan, 2024, "94% on CIFAR-10 in
    /// 3.29 Seconds on a Single GPU", arXiv 2404.00498, section 3.6).
    Alternate,
}

/// How parameters are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// SGD with (heavy-ball) momentum.
    Momentum,
    /// SGD with Nesterov's momentum (Sutskever et al., 2013).
    Nesterov,
    /// Adam (Kingma and Ba, 2015), with its weight decay added to the gradient.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Momentum, Self::Nesterov, Self::Adam, Self::AdamW];
}

impl std::fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Momentum => "momentum",
            Self::Nesterov => "nesterov",
            Self::Adam => "adam",
            Self::AdamW => "adamw",
        })
    }
}
