//! Pictures in the CPU's memory, each made into what a model takes in one go, as long as it is in the cache.

use multiversion::multiversion;
use tch::{Device, Kind, Tensor};

use super::scale::Scale;
use super::{Crop, Padding};
use crate::data::{Moments, Split};
use crate::memory::numbers;
use crate::spec::PaddingMode;

/// Pictures as bytes, the channels of a pixel side by side.
pub(super) struct Pictures {
    bytes: Vec<u8>,
    labels: Vec<i64>,
    frame: Frame,
    scaling: Scaling,
    padding: Padding,
}

/// What a [`Scale`] needs here.
enum Scaling {
    White,
    Picture,
    /// What each byte of a channel becomes.
    Channels(Vec<[f32; 256]>),
}

impl Scaling {
    fn new(scale: &Scale) -> Self {
        let table = |moments: &Moments| {
            std::array::from_fn(|byte| (byte as f32 - moments.mean) / moments.deviation)
        };
        match scale {
            Scale::White => Self::White,
            Scale::Picture => Self::Picture,
            Scale::Channels(moments) => Self::Channels(moments.iter().map(table).collect()),
        }
    }
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
    /// The first `examples` of `split`, whose pictures are of `shape`: channels, height, width. `padding` is around those that
    /// are cropped.
    pub(super) fn new(
        split: &Split,
        shape: [usize; 3],
        examples: usize,
        scale: Scale,
        padding: Padding,
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
            scaling: Scaling::new(&scale),
            padding,
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
        let (mut cropped, mut mirrored) = (vec![0; values], vec![0; values]);
        for (&(index, crop), out) in chosen.iter().zip(floats.chunks_exact_mut(values)) {
            let mut picture = &self.bytes[index * values..][..values];
            if let Some(mut crop) = crop {
                if crop.mirrored {
                    // A window's mirror is the window at the other side of the mirrored picture.
                    crop.left = 2 * self.padding.pixels - crop.left;
                    self.frame.mirror(picture, &mut mirrored);
                    picture = &mirrored;
                }
                match self.padding.mode {
                    PaddingMode::Zeros => {
                        (self.frame).crop(picture, crop, self.padding.pixels, &mut cropped);
                    }
                    PaddingMode::Reflect => {
                        (self.frame).crop_reflected(picture, crop, self.padding, &mut cropped);
                    }
                }
                picture = &cropped;
            }
            match &self.scaling {
                Scaling::White => standardise(picture, 0.0, 255.0, out),
                Scaling::Picture => {
                    let (mean, deviation) = moments(picture);
                    standardise(picture, mean, deviation, out);
                }
                Scaling::Channels(tables) => look_up(picture, tables, out),
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
    /// Each row of `picture`, the last pixel first.
    fn mirror(self, picture: &[u8], out: &mut [u8]) {
        if self.channels == 3 && self.width.is_multiple_of(BLOCK) {
            return mirror_blocks(picture, self.width, out);
        }
        let row = self.width * self.channels;
        for (row, out) in picture.chunks_exact(row).zip(out.chunks_exact_mut(row)) {
            let pixels = row.chunks_exact(self.channels);
            for (pixel, out) in pixels.zip(out.rchunks_exact_mut(self.channels)) {
                out.copy_from_slice(pixel);
            }
        }
    }

    /// The window of `crop` in `picture` as it would be with `padding` zeros around it, not mirrored.
    fn crop(self, picture: &[u8], crop: Crop, padding: usize, out: &mut [u8]) {
        let row = self.width * self.channels;
        // How far the picture is moved into the window: down or up, and right or left.
        let (down, up) = (
            padding.saturating_sub(crop.top),
            crop.top.saturating_sub(padding),
        );
        let right = padding.saturating_sub(crop.left) * self.channels;
        let left = crop.left.saturating_sub(padding) * self.channels;
        let bytes = (self.height - down - up) * row;
        let (above, rest) = out.split_at_mut(down * row);
        let (inside, below) = rest.split_at_mut(bytes);
        above.fill(0);
        below.fill(0);
        // All rows in one copy: what comes of one over its edge into the next is taken back.
        let source = &picture[up * row..][..bytes];
        inside[right..bytes - left].copy_from_slice(&source[left..bytes - right]);
        for byte in (0..right).chain(row - left..row) {
            for row in inside.chunks_exact_mut(row) {
                row[byte] = 0;
            }
        }
    }

    /// The window of `crop` in `picture` as it would be with its own mirror image around it, not mirrored.
    fn crop_reflected(self, picture: &[u8], crop: Crop, padding: Padding, out: &mut [u8]) {
        let side = |at: usize, length| padding.source(at, length).unwrap_or_default();
        let bytes = self.width * self.channels;
        for (row, out) in out.chunks_exact_mut(bytes).enumerate() {
            let source = &picture[side(row + crop.top, self.height) * bytes..][..bytes];
            for (column, out) in out.chunks_exact_mut(self.channels).enumerate() {
                let from = side(column + crop.left, self.width) * self.channels;
                out.copy_from_slice(&source[from..][..self.channels]);
            }
        }
    }
}

/// Pixels of three channels that are mirrored at once.
const BLOCK: usize = 16;
const BYTES: usize = 3 * BLOCK;
/// Where each byte of a mirrored block comes from.
const MIRRORED: [usize; BYTES] = {
    let mut places = [0; BYTES];
    let mut byte = 0;
    while byte < BYTES {
        places[byte] = (BLOCK - 1 - byte / 3) * 3 + byte % 3;
        byte += 1;
    }
    places
};

/// Rows of `width` pixels of three channels, a multiple of [`BLOCK`], the last pixel of each first. An order that is known
/// beforehand is an instruction or two a block; pixel by pixel it would be a third of a batch's time.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vbmi", "x86_64+avx2"))]
fn mirror_blocks(rows: &[u8], width: usize, out: &mut [u8]) {
    for (row, out) in rows
        .chunks_exact(3 * width)
        .zip(out.chunks_exact_mut(3 * width))
    {
        let (blocks, _) = row.as_chunks::<BYTES>();
        let (out, _) = out.as_chunks_mut::<BYTES>();
        for (block, out) in blocks.iter().zip(out.iter_mut().rev()) {
            let mut mirrored = [0; BYTES];
            for byte in 0..BYTES {
                mirrored[byte] = block[MIRRORED[byte]];
            }
            *out = mirrored;
        }
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

/// What `tables` have for each byte, one a channel.
fn look_up(picture: &[u8], tables: &[[f32; 256]], out: &mut [f32]) {
    let pixels = picture.chunks_exact(tables.len());
    for (pixel, out) in pixels.zip(out.chunks_exact_mut(tables.len())) {
        for ((out, &byte), table) in out.iter_mut().zip(pixel).zip(tables) {
            *out = table[usize::from(byte)];
        }
    }
}
