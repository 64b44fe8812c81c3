//! Draws the pictures that pixelrate brings along: `cargo run -p pixelrate-images --example draw`.
//!
//! Without arguments it writes every PNG of `images/`; with names, just those. The sheet that shows all of them is always
//! written. The same code gives the same pictures.

mod alexnet;
mod bad_mnist;
mod brush;
mod galaxy;
mod garden;
mod get_out;
mod glass;
mod hinton;
mod julia;
mod mona_lisa;
mod puppy;
mod sea;
mod sheet;
mod team_kakashi;

use std::error::Error;
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder};

/// A picture's name and what draws it; none where a canvas could not be had.
type Picture = (&'static str, fn() -> Option<DynamicImage>);

const PICTURES: [Picture; 12] = [
    ("alexnet", alexnet::draw),
    ("bad_mnist", bad_mnist::draw),
    ("galaxy", galaxy::draw),
    ("garden", garden::draw),
    ("get_out", get_out::draw),
    ("glass", glass::draw),
    ("hinton", hinton::draw),
    ("julia", julia::draw),
    ("mona_lisa", mona_lisa::draw),
    ("puppy", puppy::draw),
    ("sea", sea::draw),
    ("team_kakashi", team_kakashi::draw),
];

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|name| PICTURES.iter().all(|(known, _)| known != name))
    {
        let known: Vec<&str> = PICTURES.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no picture \"{unknown}\"; there are {}",
            known.join(", ")
        )
        .into());
    }
    for (name, draw) in PICTURES {
        if !wanted.is_empty() && !wanted.iter().any(|want| want == name) {
            continue;
        }
        save(name, &draw().ok_or("the canvas has no area")?)?;
    }
    let pictures: Result<Vec<_>, _> = sheet::ROWS
        .as_flattened()
        .iter()
        .map(|name| image::open(path(name)).map(DynamicImage::into_rgb8))
        .collect();
    save("sheet", &sheet::of(&pictures?).into())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.png"))
}

fn save(name: &str, picture: &DynamicImage) -> Result<(), Box<dyn Error>> {
    let png = encoded(picture)?;
    std::fs::write(path(name), &png)?;
    println!(
        "{name}: {} x {}, {} bytes",
        picture.width(),
        picture.height(),
        png.len()
    );
    Ok(())
}

/// The picture as a small PNG file.
fn encoded(picture: &DynamicImage) -> Result<Vec<u8>, image::ImageError> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(
            picture.as_bytes(),
            picture.width(),
            picture.height(),
            picture.color().into(),
        )?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pictures_are_what_the_code_draws() {
        for (name, draw) in PICTURES {
            let drawn = draw().unwrap();
            let committed = image::load_from_memory(pixelrate_images::get(name).unwrap()).unwrap();
            assert_eq!(
                (committed.width(), committed.height(), committed.color()),
                (drawn.width(), drawn.height(), drawn.color()),
                "{name}"
            );
            // Sines and blending may round a value to its neighbour on another processor.
            let furthest = committed
                .as_bytes()
                .iter()
                .zip(drawn.as_bytes())
                .map(|(one, other)| one.abs_diff(*other))
                .max();
            assert!(
                furthest <= Some(2),
                "{name}: draw it again, values differ by {furthest:?}"
            );
        }
        let mut shown = sheet::ROWS.as_flattened().to_vec();
        shown.sort_unstable();
        assert_eq!(
            shown,
            PICTURES.map(|(name, _)| name),
            "the sheet shows each once"
        );
        assert_eq!(
            PICTURES.map(|(name, _)| name).as_slice(),
            pixelrate_images::names().collect::<Vec<_>>()
        );
    }
}
