//! Pictures on a device, cropped and made into what a model takes by its operations.

use tch::{Device, IndexOp, Kind, Tensor};

use super::{Epoch, PADDING};
use crate::data::Split;

/// Pictures as bytes, padded where they are cropped.
pub(super) struct Pictures {
    pixels: Tensor,
    labels: Tensor,
    shape: [i64; 3],
    standardise: bool,
    rows: Tensor,
    columns: Tensor,
    channels: Tensor,
}

/// One epoch's order and augmentation, on the device.
pub(super) struct Order {
    /// `[examples]`, which picture comes when.
    order: Tensor,
    /// `[3, examples]`: the crop's top, its left, and 1 where it is mirrored. `None` if nothing is augmented.
    crops: Option<Tensor>,
}

impl Order {
    pub(super) fn new(epoch: &Epoch, device: Device) -> Self {
        let whole = |values: Vec<i64>| Tensor::from_slice(&values).to_device(device);
        let order = epoch.order.iter().map(|&index| index as i64).collect();
        let crops = epoch.crops.as_ref().map(|crops| {
            let tops = crops.iter().map(|crop| crop.top as i64);
            let lefts = crops.iter().map(|crop| crop.left as i64);
            let mirrored = crops.iter().map(|crop| i64::from(crop.mirrored));
            whole(tops.chain(lefts).chain(mirrored).collect()).view([3, -1])
        });
        Self {
            order: whole(order),
            crops,
        }
    }
}

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
        let side = |dimension: usize| Tensor::arange(shape[dimension], (Kind::Int64, device));
        Self {
            pixels: if pad {
                pixels.constant_pad_nd([i64::from(PADDING); 4])
            } else {
                pixels
            },
            labels: first(Tensor::from_slice(&split.labels)).to_kind(Kind::Int64),
            shape,
            standardise,
            rows: side(1).view([1, 1, -1, 1]),
            columns: side(2).view([1, 1, 1, -1]),
            channels: side(0).view([1, -1, 1, 1]),
        }
    }

    /// `count` of `order` from place `offset` on: pictures as bytes, cropped, and labels.
    pub(super) fn draw(&self, order: &Order, offset: usize, count: usize) -> (Tensor, Tensor) {
        let (offset, count) = (offset as i64, count as i64);
        let chosen = order.order.narrow(0, offset, count);
        let labels = self.labels.index_select(0, &chosen);
        let Some(crops) = &order.crops else {
            return (self.pixels.index_select(0, &chosen), labels);
        };
        let crops = crops.narrow(1, offset, count).view([3, -1, 1, 1, 1]);
        let (top, left, mirrored) = (crops.i(0), crops.i(1), crops.i(2));
        let rows = &self.rows + top;
        // A mirrored picture reads its columns from the right: left + (width - 1) - column.
        let columns = left + &mirrored * (self.shape[2] - 1) + &self.columns * (1 - 2 * &mirrored);
        let pixels = self.pixels.index(&[
            Some(chosen.view([-1, 1, 1, 1])),
            Some(self.channels.shallow_clone()),
            Some(rows),
            Some(columns),
        ]);
        (pixels, labels)
    }

    /// `count` from number `start` on, uncropped: pictures (floats) and labels.
    pub(super) fn slice(&self, start: usize, count: usize) -> (Tensor, Tensor) {
        let of = |tensor: &Tensor| tensor.narrow(0, start as i64, count as i64);
        (self.normalise(&of(&self.pixels)), of(&self.labels))
    }

    /// Bytes to floats: TensorFlow's `per_image_standardization`, (x - mean) / max(deviation, 1 / sqrt(values)) of each
    /// picture, or x / 255, as the official MNIST code.
    pub(super) fn normalise(&self, pixels: &Tensor) -> Tensor {
        let pixels = pixels.to_kind(Kind::Float);
        if !self.standardise {
            return pixels / 255.0;
        }
        let values = pixels.size()[1..].iter().product::<i64>() as f64;
        let over = [1, 2, 3].as_slice();
        let mean = pixels.mean_dim(over, true, Kind::Float);
        let deviation = pixels
            .std_dim(over, false, true)
            .clamp_min(1.0 / values.sqrt());
        (pixels - mean) / deviation
    }
}
