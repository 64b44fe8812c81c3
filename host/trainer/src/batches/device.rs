//! Pictures on a device, cropped and made into what a model takes by its operations alone, without a word from the host:
//! the same operations in every step, whatever the step shows, so that they can be recorded once and repeated.

use tch::{Device, IndexOp, Kind, Tensor};

use super::scale::Scale;
use super::{Crop, Padding};
use crate::data::Split;
use crate::spec::PaddingMode;

/// Pictures as bytes, the channels of a pixel side by side, padded where they are cropped.
pub(super) struct Pictures {
    /// `[examples, height, width, channels]`.
    pixels: Tensor,
    labels: Tensor,
    shape: [i64; 3],
    padded: bool,
    scaling: Scaling,
    /// `[1, height, 1]` and `[1, 1, width]`: where a pixel is in its picture.
    rows: Tensor,
    columns: Tensor,
}

/// What a [`Scale`] needs on the device. Numbers on the host would be multiplied by their reciprocals on a GPU, which rounds
/// otherwise than dividing by them.
enum Scaling {
    /// How many values a picture has, in 64 bits.
    Picture(Tensor),
    /// Means and deviations, floats: `[channels]` each, or one for all.
    Fixed(Tensor, Tensor),
}

impl Scaling {
    fn new(scale: &Scale, shape: [i64; 3], device: Device) -> Self {
        let floats = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        match scale {
            Scale::White => Self::Fixed(floats(&[0.0]), floats(&[255.0])),
            Scale::Picture => {
                let values = shape.iter().product::<i64>();
                Self::Picture(Tensor::full([1], values, (Kind::Double, device)))
            }
            Scale::Channels(moments) => {
                let means: Vec<f32> = moments.iter().map(|of| of.mean).collect();
                let deviations: Vec<f32> = moments.iter().map(|of| of.deviation).collect();
                Self::Fixed(floats(&means), floats(&deviations))
            }
        }
    }
}

/// Rows of draws, whole numbers of 64 bits: which picture, its crop's top and left, and 1 where it is mirrored. Without
/// crops, the first alone.
const CHOSEN: i64 = 0;
const TOP: i64 = 1;
const LEFT: i64 = 2;
const MIRRORED: i64 = 3;

impl Pictures {
    /// The first `examples` of `split`, whose pictures are of `shape`: channels, height, width. `padding` is of those
    /// that are cropped.
    pub(super) fn new(
        split: &Split,
        shape: [usize; 3],
        examples: usize,
        scale: Scale,
        padding: Option<Padding>,
        device: Device,
    ) -> Self {
        let shape = shape.map(|side| side as i64);
        let size = [split.labels.len() as i64, shape[0], shape[1], shape[2]];
        let examples = examples.min(split.labels.len()) as i64;
        let first = |tensor: Tensor| tensor.narrow(0, 0, examples).to_device(device);
        let pixels = first(Tensor::from_data_size(&split.pixels, &size, Kind::Uint8));
        let pixels = match padding {
            Some(padding) => padded(&pixels, padding),
            None => pixels,
        };
        let side = |dimension: usize| Tensor::arange(shape[dimension], (Kind::Int64, device));
        Self {
            pixels: pixels.permute([0, 2, 3, 1]).contiguous(),
            labels: first(Tensor::from_slice(&split.labels)).to_kind(Kind::Int64),
            shape,
            padded: padding.is_some(),
            scaling: Scaling::new(&scale, shape, device),
            rows: side(1).view([1, -1, 1]),
            columns: side(2).view([1, 1, -1]),
        }
    }

    /// Room for `count` draws, which [`write`](Self::write) fills and [`show`](Self::show) reads: `[4, count]`, or
    /// `[1, count]` where nothing is cropped.
    pub(super) fn draws(&self, count: usize) -> Tensor {
        let rows = if self.padded { 4 } else { 1 };
        Tensor::zeros([rows, count as i64], (Kind::Int64, self.pixels.device()))
    }

    /// Fills `draws` with pictures' numbers, and how each is cropped. Nothing waits for the device: so few bytes reach it
    /// along with the command to copy them.
    pub(super) fn write(&self, chosen: &[(usize, Option<Crop>)], draws: &mut Tensor) {
        let mut values: Vec<i64> = chosen.iter().map(|&(index, _)| index as i64).collect();
        if self.padded {
            let crops = || chosen.iter().filter_map(|&(_, crop)| crop);
            values.extend(crops().map(|crop| crop.top as i64));
            values.extend(crops().map(|crop| crop.left as i64));
            values.extend(crops().map(|crop| i64::from(crop.mirrored)));
        }
        let held = Tensor::from_slice(&values).view([-1, chosen.len() as i64]);
        draws.copy_(&held.to_device_(draws.device(), Kind::Int64, true, false));
    }

    /// Pictures (`[count, channels, height, width]`, floats, the channels of a pixel side by side) and labels of `draws`.
    pub(super) fn show(&self, draws: &Tensor) -> (Tensor, Tensor) {
        let chosen = draws.i(CHOSEN);
        let labels = self.labels.index_select(0, &chosen);
        if !self.padded {
            return (
                self.normalise(&self.pixels.index_select(0, &chosen)),
                labels,
            );
        }
        let drawn = |row: i64| draws.i(row).view([-1, 1, 1]);
        let rows = &self.rows + drawn(TOP);
        // A mirrored picture reads its columns from the right: left + (width - 1) - column.
        let mirrored = drawn(MIRRORED);
        let columns =
            drawn(LEFT) + &mirrored * (self.shape[2] - 1) + &self.columns * (1 - 2 * &mirrored);
        let pixels = self
            .pixels
            .index(&[Some(chosen.view([-1, 1, 1])), Some(rows), Some(columns)]);
        (self.normalise(&pixels), labels)
    }

    /// `count` from number `start` on, uncropped: pictures (floats) and labels.
    pub(super) fn slice(&self, start: usize, count: usize) -> (Tensor, Tensor) {
        let of = |tensor: &Tensor| tensor.narrow(0, start as i64, count as i64);
        (self.normalise(&of(&self.pixels)), of(&self.labels))
    }

    /// Bytes (`[count, height, width, channels]`) to floats: TensorFlow's `per_image_standardization`, (x - mean) /
    /// max(deviation, 1 / sqrt(values)) of each picture, or the same by moments that are fixed. A picture's are of sums of
    /// whole numbers in 64 bits, which nothing rounds, so that they are the host's to the bit.
    fn normalise(&self, pixels: &Tensor) -> Tensor {
        let floats = pixels.to_kind(Kind::Float);
        let floats = match &self.scaling {
            Scaling::Picture(values) => {
                let over = [1, 2, 3].as_slice();
                let exact = pixels.to_kind(Kind::Double);
                let mean = exact.sum_dim_intlist(over, true, Kind::Double) / values;
                let squares = exact.square().sum_dim_intlist(over, true, Kind::Double);
                let variance = squares / values - mean.square();
                let least = 1.0 / (self.shape.iter().product::<i64>() as f64).sqrt();
                let deviation = variance.clamp_min(0.0).sqrt().clamp_min(least);
                (floats - mean.to_kind(Kind::Float)) / deviation.to_kind(Kind::Float)
            }
            Scaling::Fixed(means, deviations) => (floats - means) / deviations,
        };
        floats.permute([0, 3, 1, 2])
    }
}

/// `pixels` (`[examples, channels, height, width]`) with what is around them.
fn padded(pixels: &Tensor, padding: Padding) -> Tensor {
    match padding.mode {
        PaddingMode::Zeros => pixels.constant_pad_nd([padding.pixels as i64; 4]),
        // libtorch has no reflection of bytes.
        PaddingMode::Reflect => {
            let sides = pixels.size();
            let sources = |length: usize| {
                let places = 0..length + 2 * padding.pixels;
                let sources = places.filter_map(|place| padding.source(place, length));
                let sources: Vec<i64> = sources.map(|source| source as i64).collect();
                Tensor::from_slice(&sources).to_device(pixels.device())
            };
            let rows = pixels.index_select(2, &sources(sides[2] as usize));
            rows.index_select(3, &sources(sides[3] as usize))
        }
    }
}
