//! How a picture's bytes become the floats that a model is shown.

use crate::data::Dataset;
use crate::spec::Normalization;

/// What is taken off each value of a picture, and what it is divided by.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scale {
    /// Nothing, and 255: as the official MNIST code.
    White,
    /// The picture's own moments: TensorFlow's `per_image_standardization`.
    Picture,
    /// The moments of each channel.
    Channels(Vec<Moments>),
}

/// Mean and deviation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f32,
    pub(super) deviation: f32,
}

impl Scale {
    /// That of `dataset`'s pictures.
    pub(super) fn of(dataset: &Dataset) -> Self {
        match (dataset.augment, dataset.normalization) {
            (false, _) => Self::White,
            (true, Normalization::Image) => Self::Picture,
            (true, Normalization::Channel) => Self::Channels(moments(dataset)),
        }
    }
}

/// Of each channel of the training pictures. From sums of whole numbers, which nothing rounds.
fn moments(dataset: &Dataset) -> Vec<Moments> {
    let [channels, height, width] = dataset.shape;
    let mut sums = vec![(0_u64, 0_u64); channels];
    let planes = dataset.train.pixels.chunks_exact((height * width).max(1));
    for (place, plane) in planes.enumerate() {
        // A plane's sums fit in 32 bits, in which more are added at once.
        let of = |value: fn(u32) -> u32| plane.iter().map(|&x| value(u32::from(x))).sum::<u32>();
        let (sum, squares) = &mut sums[place % channels];
        *sum += u64::from(of(|x| x));
        *squares += u64::from(of(|x| x * x));
    }
    let count = (dataset.train.labels.len() * height * width).max(1) as f64;
    let of = |(sum, squares): (u64, u64)| {
        let mean = sum as f64 / count;
        let variance = squares as f64 / count - mean * mean;
        Moments {
            mean: mean as f32,
            // Of a channel that shows nothing, nothing is divided by zero.
            deviation: variance.sqrt().max(1.0) as f32,
        }
    };
    sums.into_iter().map(of).collect()
}
