//! Resizing, as the post's code did it.

use std::str::FromStr;

use super::DecodedPicture;
use super::resample::{BICUBIC, BILINEAR, LANCZOS, resample};
use crate::Limits;

/// How a picture is resized: bit for bit as Pillow does, by each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel, as Pillow's `resize` picked it by default in 2018.
    Nearest,
    /// A triangle as wide as the reduction.
    Bilinear,
    /// A Catmull-Rom spline (a = -0.5) as wide as the reduction.
    Bicubic,
    /// Three lobes of a Lanczos window, as wide as the reduction.
    Lanczos,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "nearest" => Ok(Self::Nearest),
            "bilinear" => Ok(Self::Bilinear),
            "bicubic" => Ok(Self::Bicubic),
            "lanczos" => Ok(Self::Lanczos),
            other => Err(format!(
                "filter \"{other}\" is not known: use nearest, bilinear, bicubic or lanczos"
            )),
        }
    }
}

pub(super) fn resize(
    picture: &DecodedPicture,
    samples: u64,
    filter: Filter,
    limits: &Limits,
) -> Result<DecodedPicture, String> {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let f = (width * height * 3.0 / samples as f64).sqrt();
    // As Python's int(): towards zero.
    let (wide, high) = ((width / f).trunc(), (height / f).trunc());
    if wide < 1.0 || high < 1.0 {
        return Err(format!(
            "{samples} samples are too few for its shape, {} x {}",
            picture.width, picture.height
        ));
    }
    if wide * high > limits.picture_pixels as f64 {
        return Err(format!(
            "{samples} samples would make it {wide} x {high}, over the {} pixels of `picture_pixels`",
            limits.picture_pixels
        ));
    }
    let (wide, high) = (wide as u32, high as u32);
    let smooth = |kernel| {
        let from = (picture.width as usize, picture.height as usize);
        let to = (wide as usize, high as usize);
        resample(&picture.values, picture.channels as usize, from, to, kernel)
    };
    let values = match filter {
        Filter::Nearest => nearest(picture, wide, high),
        Filter::Bilinear => Some(smooth(&BILINEAR)),
        Filter::Bicubic => Some(smooth(&BICUBIC)),
        Filter::Lanczos => Some(smooth(&LANCZOS)),
    };
    Ok(DecodedPicture {
        width: wide,
        height: high,
        channels: picture.channels,
        values: values.ok_or("its values do not fit its size")?,
    })
}

/// Pillow's `ImagingScaleAffine` (libImaging/Geometry.c): the source of target pixel x is the whole part of
/// (x + 1/2) * scale, added up step by step in 64-bit floats, whose rounding is part of the result.
fn nearest(picture: &DecodedPicture, wide: u32, high: u32) -> Option<Vec<u8>> {
    let sources = |from: u32, to: u32| -> Vec<usize> {
        let scale = f64::from(from) / f64::from(to);
        let mut at = scale * 0.5;
        (0..to)
            .map(|_| {
                let source = (at as usize).min(from as usize - 1);
                at += scale;
                source
            })
            .collect()
    };
    let (columns, rows) = (sources(picture.width, wide), sources(picture.height, high));
    let (channels, stride) = (
        picture.channels as usize,
        picture.width as usize * picture.channels as usize,
    );
    let mut values = Vec::with_capacity(columns.len() * rows.len() * channels);
    for row in rows {
        let line = picture.values.get(row * stride..(row + 1) * stride)?;
        for &column in &columns {
            values.extend_from_slice(line.get(column * channels..(column + 1) * channels)?);
        }
    }
    Some(values)
}
