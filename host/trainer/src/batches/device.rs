//! Pictures on a device, cropped and made into what a model takes by its operations alone, without a word from the host:
//! the same operations in every step, whatever the step shows, so that they can be recorded once and repeated.

use tch::{Device, IndexOp, Kind, Tensor};

use super::{Crop, PADDING};
use crate::data::Split;

/// Pictures as bytes, the channels of a pixel side by side, padded where they are cropped.
pub(super) struct Pictures {
    /// `[examples, height, width, channels]`.
    pixels: Tensor,
    labels: Tensor,
    shape: [i64; 3],
    padded: bool,
    standardise: bool,
    /// `[1, height, 1]` and `[1, 1, width]`: where a pixel is in its picture.
    rows: Tensor,
    columns: Tensor,
    /// What is divided by: 255 (a float), and how many values a picture has (64 bits). Numbers on the host would be
    /// multiplied by their reciprocals on a GPU, which rounds otherwise.
    white: Tensor,
    values: Tensor,
}

/// Rows of draws, whole numbers of 64 bits: which picture, its crop's top and left, and 1 where it is mirrored. Without
/// crops, the first alone.
const CHOSEN: i64 = 0;
const TOP: i64 = 1;
const LEFT: i64 = 2;
const MIRRORED: i64 = 3;

impl Pictures {
    /// The first `examples` of `split`, whose pictures are of `shape`: channels, height, width. `pad` for those that are
    /// cropped.
    pub(super) fn new(
        split: &Split,
        shape: [usize; 3],
        examples: usize,
        standardise: bool,
        pad: bool,
        device: Device,
    ) -> Self {
        let shape = shape.map(|side| side as i64);
        let size = [split.labels.len() as i64, shape[0], shape[1], shape[2]];
        let examples = examples.min(split.labels.len()) as i64;
        let first = |tensor: Tensor| tensor.narrow(0, 0, examples).to_device(device);
        let pixels = first(Tensor::from_data_size(&split.pixels, &size, Kind::Uint8));
        let pixels = if pad {
            pixels.constant_pad_nd([i64::from(PADDING); 4])
        } else {
            pixels
        };
        let side = |dimension: usize| Tensor::arange(shape[dimension], (Kind::Int64, device));
        Self {
            pixels: pixels.permute([0, 2, 3, 1]).contiguous(),
            labels: first(Tensor::from_slice(&split.labels)).to_kind(Kind::Int64),
            shape,
            padded: pad,
            standardise,
            rows: side(1).view([1, -1, 1]),
            columns: side(2).view([1, 1, -1]),
            white: Tensor::full([1], 255.0, (Kind::Float, device)),
            values: Tensor::full([1], shape.iter().product::<i64>(), (Kind::Double, device)),
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
    /// max(deviation, 1 / sqrt(values)) of each picture, or x / 255, as the official MNIST code. The moments are of sums of
    /// whole numbers in 64 bits, which nothing rounds, so that they are the host's to the bit.
    fn normalise(&self, pixels: &Tensor) -> Tensor {
        let floats = pixels.to_kind(Kind::Float);
        let floats = if self.standardise {
            let over = [1, 2, 3].as_slice();
            let exact = pixels.to_kind(Kind::Double);
            let mean = exact.sum_dim_intlist(over, true, Kind::Double) / &self.values;
            let squares = exact.square().sum_dim_intlist(over, true, Kind::Double);
            let variance = squares / &self.values - mean.square();
            let least = 1.0 / (self.shape.iter().product::<i64>() as f64).sqrt();
            let deviation = variance.clamp_min(0.0).sqrt().clamp_min(least);
            (floats - mean.to_kind(Kind::Float)) / deviation.to_kind(Kind::Float)
        } else {
            floats / &self.white
        };
        floats.permute([0, 3, 1, 2])
    }
}
