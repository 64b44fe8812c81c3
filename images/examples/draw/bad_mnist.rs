//! A digit that cannot decide between 4 and 7: 28 x 28, grey, white ink on black.

use image::{DynamicImage, GrayImage, Luma};

use crate::brush::canvas::Canvas;
use crate::brush::colour::{hex, luma};
use crate::brush::shape::Shape;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(28, 28, 8, hex(0x000000));
    let white = hex(0xFFFFFF);
    // The left arm of a 4 so short that the bar seems a 7's.
    for stroke in [
        &[(8.0, 6.5), (8.2, 9.0), (10.0, 10.4), (19.0, 9.0)][..],
        &[(19.5, 6.5), (18.0, 12.0), (15.6, 18.0), (14.5, 23.5)][..],
    ] {
        canvas.fill(&Shape::curve(stroke).outlined(2.5), 0.5, white, 1.0);
    }
    let picture = GrayImage::from_fn(28, 28, |x, y| {
        let grey = luma(canvas.at(x as f32 + 0.5, y as f32 + 0.5));
        Luma([(grey.clamp(0.0, 1.0) * 255.0).round() as u8])
    });
    Some(picture.into())
}
