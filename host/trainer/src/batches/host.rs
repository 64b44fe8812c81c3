//! Pictures in the CPU's memory, each made into what a model takes in one go, as long as it is in the cache.

use multiversion::multiversion;
use tch::{Device, Kind, Tensor};

use super::{Crop, PADDING};
use crate::data::Split;
use crate::memory::numbers;

/// Pictures as bytes, the channels of a pixel side by side.
pub(super) struct Pictures {
    bytes: Vec<u8>,
    labels: Vec<i64>,
    frame: Frame,
    standardise: bool,
}

/// A picture's sides.
#[derive(Clone, Copy)]
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
}

impl Frame {
    fn values(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl Pictures {
    /// The first `examples` of `split`, whose pictures are of `shape`: channels, height, width.
    pub(super) fn new(
        split: &Split,
        shape: [usize; 3],
        examples: usize,
        standardise: bool,
    ) -> Self {
        let [channels, height, width] = shape;
        let frame = Frame {
            channels,
            height,
            width,
        };
        let plane = height * width;
        let mut bytes = Vec::with_capacity(examples * frame.values());
        // The pictures of a dry run's set have no values, and there are none.
        let values = frame.values().max(1);
        for picture in split.pixels.chunks_exact(values).take(examples) {
            for pixel in 0..plane {
                bytes.extend((0..channels).map(|channel| picture[channel * plane + pixel]));
            }
        }
        Self {
            bytes,
            labels: split
                .labels
                .iter()
                .take(examples)
                .map(|&l| i64::from(l))
                .collect(),
            frame,
            standardise,
        }
    }

    /// Those of these numbers, cropped where a crop comes with them: pictures (`[count, channels, height, width]`, floats,
    /// the channels of a pixel side by side) and labels.
    pub(super) fn batch(&self, chosen: &[(usize, Option<Crop>)]) -> (Tensor, Tensor) {
        let Frame {
            channels,
            height,
            width,
        } = self.frame;
        let size = [chosen.len(), height, width, channels].map(|side| side as i64);
        let mut pixels = Tensor::empty(size, (Kind::Float, Device::Cpu));
        let values = self.frame.values();
        let Some(floats) = numbers(&mut pixels) else {
            unreachable!("they are dense floats of the CPU, made just now")
        };
        let mut cropped = vec![0; values];
        for (&(index, crop), out) in chosen.iter().zip(floats.chunks_exact_mut(values)) {
            let mut picture = &self.bytes[index * values..][..values];
            if let Some(crop) = crop {
                self.frame.crop(picture, crop, &mut cropped);
                picture = &cropped;
            }
            if self.standardise {
                let (mean, deviation) = moments(picture);
                standardise(picture, mean, deviation, out);
            } else {
                // As the official MNIST code.
                standardise(picture, 0.0, 255.0, out);
            }
        }
        let labels: Vec<i64> = chosen
            .iter()
            .map(|&(index, _)| self.labels[index])
            .collect();
        (pixels.permute([0, 3, 1, 2]), Tensor::from_slice(&labels))
    }
}

impl Frame {
    /// `crop` of `picture` as it would be with [`PADDING`] zeros around it.
    fn crop(self, picture: &[u8], crop: Crop, out: &mut [u8]) {
        let padding = usize::from(PADDING);
        let row = self.width * self.channels;
        // Where the crop's columns begin to be the picture's, in either, and how many are.
        let (to, from) = (
            padding.saturating_sub(crop.left),
            crop.left.saturating_sub(padding),
        );
        let columns = self.width - to - from;
        out.fill(0);
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            let Some(y) = (y + crop.top)
                .checked_sub(padding)
                .filter(|&y| y < self.height)
            else {
                continue;
            };
            let source = &picture[y * row..][from * self.channels..][..columns * self.channels];
            if crop.mirrored {
                let end = (self.width - to) * self.channels;
                let out = &mut out[end - source.len()..end];
                // A copy of a number of bytes that is not known before is a call for each pixel.
                match self.channels {
                    3 => mirror::<3>(source, out),
                    channels => {
                        let pixels = source.chunks_exact(channels);
                        for (out, pixel) in out.rchunks_exact_mut(channels).zip(pixels) {
                            out.copy_from_slice(pixel);
                        }
                    }
                }
            } else {
                out[to * self.channels..][..source.len()].copy_from_slice(source);
            }
        }
    }
}

/// The pixels of a row, the last first.
fn mirror<const CHANNELS: usize>(row: &[u8], out: &mut [u8]) {
    let (pixels, _) = row.as_chunks::<CHANNELS>();
    let (out, _) = out.as_chunks_mut::<CHANNELS>();
    for (out, pixel) in out.iter_mut().rev().zip(pixels) {
        *out = *pixel;
    }
}

/// The mean and the deviation of TensorFlow's `per_image_standardization`: at least 1 / sqrt(values), so that a picture of
/// one colour is not divided by zero. From sums of whole numbers, which nothing rounds.
#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
fn moments(picture: &[u8]) -> (f32, f32) {
    let (mut sum, mut squares) = (0_u64, 0_u64);
    // As many as 32 bits hold the squares of: no sum wraps, and none is looked at whether it did, which would be one byte at
    // a time.
    for part in picture.chunks(1 << 16) {
        let of = |square: bool| {
            part.iter().fold(0_u32, |sum, &x| {
                let x = u32::from(x);
                sum.wrapping_add(if square { x.wrapping_mul(x) } else { x })
            })
        };
        sum += u64::from(of(false));
        squares += u64::from(of(true));
    }
    let count = picture.len() as f64;
    let mean = sum as f64 / count;
    let variance = (squares as f64 / count - mean * mean).max(0.0);
    (mean as f32, variance.sqrt().max(1.0 / count.sqrt()) as f32)
}

/// (x - mean) / deviation of each byte.
#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
fn standardise(picture: &[u8], mean: f32, deviation: f32, out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(picture) {
        *out = (f32::from(x) - mean) / deviation;
    }
}
