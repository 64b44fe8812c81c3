//! How a picture's bytes become the floats that a model is shown.

use crate::data::{Dataset, Moments};

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

impl Scale {
    /// That of `dataset`'s pictures.
    pub(super) fn of(dataset: &Dataset) -> Self {
        match &dataset.channels {
            _ if !dataset.augment => Self::White,
            Some(moments) => Self::Channels(moments.clone()),
            None => Self::Picture,
        }
    }
}
