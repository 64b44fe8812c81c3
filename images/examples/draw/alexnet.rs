//! A network as an architect would draw it: slabs of feature maps in ink and wash on paper.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::Noise;
use crate::brush::colour::{Rgb, hex, mix, scale, smooth};
use crate::brush::shape::{At, Shape};

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 200, 3, hex(0xF3EAD6));
    let noise = Noise::new(5);
    canvas.each(|x, y, c| {
        scale(
            c,
            0.97 + 0.05 * noise.cloud(x / 60.0, y / 60.0, 4)
                - 0.10 * smooth(120.0, 210.0, (x - 180.0).hypot((y - 100.0) * 1.5)),
        )
    });
    // Left, height and depth of each stage, and its wash.
    let stages = [
        (22.0, 130.0, 16.0, 0xD98E73),
        (74.0, 104.0, 26.0, 0xE0B56C),
        (134.0, 78.0, 34.0, 0x9DB57C),
        (198.0, 58.0, 38.0, 0x6FA3A0),
        (262.0, 84.0, 10.0, 0x7287AE),
        (300.0, 84.0, 10.0, 0x8F77A3),
    ];
    let middle = |stage: &(f32, f32, f32, u32)| (stage.0 + stage.2 * 0.7, 104.0 - stage.2 * 0.2);
    for pair in stages.windows(2) {
        let (from, to) = (middle(&pair[0]), middle(&pair[1]));
        for spread in [-1.0, 0.0, 1.0] {
            let ray = Shape::line(&[(from.0, from.1 + spread * 14.0), to]);
            canvas.fill(&ray.outlined(0.7), 0.3, hex(0x4A4038), 0.55);
        }
    }
    for (left, height, depth, colour) in stages {
        slab(
            &mut canvas,
            (left, 108.0 - height / 2.0),
            height,
            depth,
            hex(colour),
        );
    }
    canvas.fill(
        &Shape::oval((342.0, 108.0), 7.0, 7.0, 0.0),
        0.6,
        hex(0xB8504A),
        0.95,
    );
    Some(canvas.finish(1.6, 4).into())
}

/// A box seen from the front left, its faces in three lights, with a few maps' edges on its side.
fn slab(canvas: &mut Canvas, (x, y): At, height: f32, depth: f32, colour: Rgb) {
    let (width, rise) = (depth * 0.55 + 8.0, depth * 0.5);
    let ink = hex(0x4A4038);
    let front = [
        (x, y),
        (x + width, y),
        (x + width, y + height),
        (x, y + height),
    ];
    let side = [
        (x + width, y),
        (x + width + rise, y - rise),
        (x + width + rise, y + height - rise),
        (x + width, y + height),
    ];
    let top = [
        (x, y),
        (x + rise, y - rise),
        (x + width + rise, y - rise),
        (x + width, y),
    ];
    canvas.fill(
        &Shape::polygon(&front.map(|(x, y)| (x + 5.0, y + 6.0))),
        6.0,
        hex(0x5A4A3A),
        0.28,
    );
    for (face, light) in [(front, 1.0), (side, 0.78), (top, 1.14)] {
        canvas.fill(
            &Shape::polygon(&face),
            0.4,
            mix(scale(colour, light), hex(0xFFF8E8), 0.10),
            0.94,
        );
        let closed = [face[0], face[1], face[2], face[3], face[0]];
        canvas.fill(&Shape::line(&closed).outlined(0.9), 0.3, ink, 0.85);
    }
    for i in 1..5 {
        let t = i as f32 / 5.0 * rise;
        let edge = [(x + width + t, y - t), (x + width + t, y + height - t)];
        canvas.fill(&Shape::line(&edge).outlined(0.5), 0.2, ink, 0.45);
    }
    let window = Shape::rect(
        x + width * 0.3,
        y + height * 0.3,
        x + width * 0.7,
        y + height * 0.3 + width * 0.4,
    );
    canvas.fill(&window.outlined(0.8), 0.2, ink, 0.8);
}
