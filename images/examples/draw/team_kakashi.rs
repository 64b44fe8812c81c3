//! Four friends on a ridge against the evening.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{bell, hex, mix, ramp, screen, smooth};
use crate::brush::shape::Shape;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 220, 3, hex(0xE88F5A));
    let noise = Noise::new(14);
    let sun = (232.0, 128.0);
    canvas.each(|x, y, _| {
        let sky = ramp(
            &[
                (0.0, 0x2B3A6B),
                (0.35, 0x8A5A8C),
                (0.6, 0xE77C63),
                (0.8, 0xF9B866),
                (1.0, 0xFFE2A0),
            ],
            y / 168.0,
        );
        let cloud = smooth(0.12, 0.5, noise.cloud(x / 85.0, y / 17.0, 4));
        let lit = mix(
            sky,
            ramp(&[(0.0, 0x6C5A8C), (1.0, 0xFFC68A)], y / 150.0),
            0.7 * cloud,
        );
        screen(
            lit,
            hex(0xFFD890),
            0.75 * (-((x - sun.0).hypot(y - sun.1) / 52.0)).exp(),
        )
    });
    canvas.fill(&Shape::oval(sun, 23.0, 23.0, 0.0), 0.8, hex(0xFFF6DA), 1.0);
    for (level, height, colour, wide, seed) in [
        (150.0, 34.0, 0xB4697A, 60.0, 2.0),
        (168.0, 26.0, 0x7A4A6C, 44.0, 5.0),
        (186.0, 18.0, 0x47325A, 34.0, 8.0),
    ] {
        canvas.each(|x, y, c| {
            let edge = level - height * noise.crest(x / wide, seed * 7.3, 4);
            mix(c, hex(colour), smooth(edge - 0.8, edge + 0.8, y))
        });
    }
    let ridge = [
        (-6.0, 206.0),
        (60.0, 192.0),
        (130.0, 184.0),
        (210.0, 186.0),
        (290.0, 196.0),
        (366.0, 210.0),
    ];
    canvas.fill(
        &Shape::ground(&ridge, &[(366.0, 226.0), (-6.0, 226.0)]),
        0.6,
        hex(0x1B1428),
        1.0,
    );
    let mut chance = Chance::new(6);
    for _ in 0..420 {
        let x = chance.between(-4.0, 364.0);
        let base = 188.0 + (x - 170.0).powi(2) / 1900.0;
        let blade = [
            (x, base + 5.0),
            (x + chance.around(3.0), base - chance.between(1.0, 8.0)),
        ];
        canvas.fill(&Shape::line(&blade).outlined(0.9), 0.3, hex(0x1B1428), 0.95);
    }
    for (x, foot, tall, spikes) in [
        (120.0, 187.0, 46.0, 7),
        (148.0, 186.0, 49.0, 0),
        (178.0, 186.0, 47.0, 5),
        (212.0, 187.0, 66.0, 9),
    ] {
        figure(&mut canvas, x, foot, tall, spikes);
    }
    for (x, y) in [(70.0, 52.0), (86.0, 44.0), (100.0, 58.0), (300.0, 40.0)] {
        let bird = Shape::curve(&[
            (x - 6.0, y - 2.0),
            (x - 2.0, y - 3.0),
            (x, y),
            (x + 2.0, y - 3.0),
            (x + 6.0, y - 2.0),
        ]);
        canvas.fill(&bird.outlined(1.2), 0.3, hex(0x2A1E3C), 0.85);
    }
    canvas.bloom(8.0, 0.85, 0.2);
    canvas.each(|x, y, c| {
        mix(
            c,
            hex(0x140E22),
            0.35 * (1.0 - bell(190.0, 210.0, x) * bell(110.0, 150.0, y)),
        )
    });
    Some(canvas.finish(1.4, 5).into())
}

/// A silhouette with the evening at its back: legs, cloak, head, and hair in so many spikes (or smooth).
fn figure(canvas: &mut Canvas, x: f32, foot: f32, tall: f32, spikes: usize) {
    let dark = hex(0x191226);
    let u = tall / 10.0;
    for side in [-1.0, 1.0] {
        let leg = [
            (x + side * 0.5 * u, foot - 4.2 * u),
            (x + side * 0.8 * u, foot + 2.0),
        ];
        canvas.fill(&Shape::line(&leg).outlined(0.95 * u), 0.4, dark, 1.0);
        let arm = [
            (x + side * 1.1 * u, foot - 7.0 * u),
            (x + side * 1.7 * u, foot - 5.2 * u),
            (x + side * 1.2 * u, foot - 3.9 * u),
        ];
        canvas.fill(&Shape::line(&arm).outlined(0.75 * u), 0.4, dark, 1.0);
    }
    let body = [
        (x - 1.2 * u, foot - 7.3 * u),
        (x + 1.2 * u, foot - 7.3 * u),
        (x + 1.0 * u, foot - 3.6 * u),
        (x - 1.0 * u, foot - 3.6 * u),
    ];
    canvas.fill(&Shape::polygon(&body), 0.5, dark, 1.0);
    let head = (x, foot - 8.5 * u);
    canvas.fill(&Shape::oval(head, 1.05 * u, 1.2 * u, 0.0), 0.4, dark, 1.0);
    if spikes == 0 {
        let hair = [
            (x - 1.25 * u, head.1 - 0.4 * u),
            (x, head.1 - 1.5 * u),
            (x + 1.25 * u, head.1 - 0.4 * u),
            (x + 1.2 * u, head.1 + 2.2 * u),
            (x - 1.2 * u, head.1 + 2.2 * u),
        ];
        canvas.fill(&Shape::blob(&hair), 0.5, dark, 1.0);
    }
    for spike in 0..spikes {
        let angle = std::f32::consts::PI * (1.0 + (spike as f32 + 0.5) / spikes as f32);
        let (dx, dy) = (angle.cos(), angle.sin());
        let base = (head.0 + 0.6 * u * dx, head.1 + 0.7 * u * dy);
        let points = [
            (base.0 - 0.45 * u * dy, base.1 + 0.45 * u * dx),
            (head.0 + 2.1 * u * dx, head.1 + 2.2 * u * dy),
            (base.0 + 0.45 * u * dy, base.1 - 0.45 * u * dx),
        ];
        canvas.fill(&Shape::polygon(&points), 0.4, dark, 1.0);
    }
    let rim = Shape::line(&[
        (x + 1.15 * u, foot - 7.2 * u),
        (x + 1.0 * u, foot - 3.8 * u),
    ]);
    canvas.fill(&rim.outlined(0.8), 0.4, hex(0xFFB774), 0.75);
}
