//! One picture that shows them all.

use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};

/// Which picture is shown where.
pub(crate) const ROWS: [[&str; 4]; 3] = [
    ["sea", "puppy", "glass", "galaxy"],
    ["julia", "mona_lisa", "team_kakashi", "hinton"],
    ["get_out", "bad_mnist", "garden", "alexnet"],
];
/// How wide the sheet is, and what lies between pictures, in pixels.
const WIDTH: u32 = 600;
const GAP: u32 = 6;

/// The sheet, of pictures in the order of [`ROWS`]: each row as high as makes it as wide as the sheet.
pub(crate) fn of(pictures: &[RgbImage]) -> RgbImage {
    let mut rows = Vec::new();
    let mut whole = GAP;
    for row in pictures.chunks(ROWS[0].len()) {
        let shape = |picture: &RgbImage| f64::from(picture.width()) / f64::from(picture.height());
        let free = WIDTH - GAP * (row.len() as u32 + 1);
        let high = (f64::from(free) / row.iter().map(shape).sum::<f64>()).round() as u32;
        let wide = |picture| (shape(picture) * f64::from(high)).round() as u32;
        rows.push((whole, row, high, row.iter().map(wide).collect::<Vec<_>>()));
        whole += high + GAP;
    }
    let mut sheet = RgbImage::from_pixel(WIDTH, whole, Rgb([255, 255, 255]));
    for (top, row, high, widths) in rows {
        let mut left = GAP;
        for (picture, wide) in row.iter().zip(widths) {
            // A digit's pixels are to be seen.
            let filter = if picture.width() < wide {
                FilterType::Nearest
            } else {
                FilterType::Lanczos3
            };
            let small = resize(picture, wide, high, filter);
            overlay(&mut sheet, &small, i64::from(left), i64::from(top));
            left += wide + GAP;
        }
    }
    sheet
}
