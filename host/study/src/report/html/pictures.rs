//! The pictures that schedules read.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat};
use maud::{Markup, html};
use pixelrate_sandbox::{DecodedPicture, Value};
use pixelrate_trainer::pictures;

use crate::report::gather::Group;

/// Pixels of a picture's longer side at most.
const SIDE: u32 = 480;

/// A picture, and the label that reads it.
pub(super) struct Picture {
    label: String,
    told: String,
    /// A PNG, as an address that holds it.
    address: String,
    size: (u32, u32),
}

/// The pictures of the labels at the places `shown`. One that cannot be read any more is left out: what the runs read is
/// in their log.
pub(super) fn pictures(groups: &[Group<'_>], shown: &[usize]) -> Vec<Picture> {
    let found = shown.iter().filter_map(|&place| picture(&groups[place]));
    found.collect()
}

fn picture(group: &Group<'_>) -> Option<Picture> {
    let spec = &group.first().file.spec;
    let Value::Text(name) = spec.schedule.params.get("image")? else {
        return None;
    };
    let decoded = pictures::of(spec).open(name, &spec.limits).ok()?;
    let png = png(&decoded)?;
    Some(Picture {
        label: group.name.clone(),
        told: spec.schedule.told(),
        address: format!("data:image/png;base64,{}", STANDARD.encode(png)),
        size: (decoded.width, decoded.height),
    })
}

/// The picture as PNG, no larger than a page needs it.
fn png(picture: &DecodedPicture) -> Option<Vec<u8>> {
    let (width, height, values) = (picture.width, picture.height, picture.values.clone());
    let whole = match picture.channels {
        1 => DynamicImage::ImageLuma8(image::GrayImage::from_raw(width, height, values)?),
        _ => DynamicImage::ImageRgb8(image::RgbImage::from_raw(width, height, values)?),
    };
    let fits = width.max(height) <= SIDE;
    let small = if fits {
        whole
    } else {
        whole.resize(SIDE, SIDE, FilterType::Triangle)
    };
    let mut bytes = Cursor::new(Vec::new());
    small.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}

pub(super) fn gallery(pictures: &[Picture]) -> Markup {
    html! {
        div.gallery {
            @for picture in pictures {
                figure {
                    img src=(picture.address) alt={ "The picture that " (picture.label) " reads" };
                    figcaption {
                        strong { (picture.label) } " – " (picture.told) ", " (picture.size.0) " × " (picture.size.1) " pixels"
                    }
                }
            }
        }
    }
}
