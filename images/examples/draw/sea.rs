//! The sun sets over the sea. Row by row its rates rise to the sun and then glitter down.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::Noise;
use crate::brush::colour::{Rgb, hex, mix, ramp, scale, screen, smooth};
use crate::brush::shape::Shape;

const HORIZON: f32 = 126.0;
const SUN: (f32, f32) = (206.0, 104.0);

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 240, 3, hex(0x0E2340));
    let clouds = Noise::new(19);
    let sky = |x: f32, y: f32| -> Rgb {
        let bare = ramp(
            &[
                (0.0, 0x1F3A6E),
                (0.32, 0x5C6FA6),
                (0.58, 0xD68C8F),
                (0.78, 0xF7A862),
                (1.0, 0xFFD98A),
            ],
            y / HORIZON,
        );
        let away = (x - SUN.0).hypot(1.5 * (y - SUN.1));
        let band = smooth(0.04, 0.42, clouds.cloud(x / 92.0 + 4.0, y / 15.0, 5));
        let under = mix(hex(0xFF9E6B), hex(0x4C4C82), smooth(20.0, 190.0, away));
        let lit = mix(
            bare,
            under,
            0.78 * band * smooth(HORIZON, HORIZON - 24.0, y),
        );
        screen(lit, hex(0xFFE3A0), 0.9 * (-away / 46.0).exp())
    };
    canvas.each(|x, y, _| sky(x, y.min(HORIZON)));
    canvas.fill(&Shape::oval(SUN, 15.5, 15.5, 0.0), 0.5, hex(0xFFF7DC), 1.0);
    let (swell, chop) = (Noise::new(5), Noise::new(61));
    canvas.each(|x, y, above| {
        if y < HORIZON {
            return above;
        }
        // Waves lie closer the farther they are.
        let down = y - HORIZON + 0.8;
        let far = 130.0 / down;
        let (across, along) = ((x - 180.0) * far / 44.0, 11.0 * far.ln() * 4.2);
        let long = swell.cloud(across * 0.6, along * 0.55, 3);
        let short = chop.cloud(across * 2.4, along * 1.9, 3);
        let slope = long + 0.75 * short;
        let mirror = HORIZON - (0.9 * down + 26.0 * slope.max(-0.4)).clamp(2.0, HORIZON - 2.0);
        let water = mix(
            scale(sky(x + 20.0 * slope, mirror), 0.74),
            hex(0x0C2747),
            (0.3 + 0.48 * smooth(0.0, 110.0, down) - 0.45 * slope).clamp(0.08, 0.92),
        );
        // The sun's road: facets that happen to face it.
        let width = 9.0 + 0.42 * down;
        let road = (-((x - SUN.0) / width).powi(2)).exp();
        let facet = smooth(0.02, 0.3, slope * 0.8 + 0.45 * road - 0.14);
        screen(water, hex(0xFFDE9C), 1.1 * facet * road)
    });
    // The horizon's haze, and two sails.
    canvas.each(|_, y, c| {
        mix(
            c,
            hex(0xFFC98A),
            0.4 * (-((y - HORIZON) / 2.2).powi(2)).exp(),
        )
    });
    for (x, tall, dark) in [(96.0, 17.0, 0x2B2447), (118.0, 10.0, 0x4A3A5C)] {
        sail(&mut canvas, x, tall, hex(dark));
    }
    for (x, y, wide) in [
        (262.0, 52.0, 7.0),
        (278.0, 44.0, 6.0),
        (290.0, 57.0, 5.0),
        (66.0, 66.0, 5.0),
    ] {
        let wings = [
            (x - wide, y - 0.3 * wide),
            (x - 0.4 * wide, y - 0.55 * wide),
            (x, y),
            (x + 0.4 * wide, y - 0.55 * wide),
            (x + wide, y - 0.3 * wide),
        ];
        canvas.fill(
            &Shape::curve(&wings).outlined(1.1),
            0.3,
            hex(0x2B2447),
            0.85,
        );
    }
    canvas.bloom(7.0, 0.78, 0.3);
    canvas.each(|x, y, c| {
        let off = ((x - 190.0) / 260.0).hypot((y - 110.0) / 190.0);
        scale(c, 1.0 - 0.32 * off * off)
    });
    Some(canvas.finish(1.0, 6).into())
}

/// A small boat on the horizon, with its shadow.
fn sail(canvas: &mut Canvas, x: f32, tall: f32, dark: Rgb) {
    let foot = HORIZON + 2.0;
    let main = [
        (x, foot - tall),
        (x + 0.45 * tall, foot - 2.2),
        (x, foot - 2.2),
    ];
    let jib = [
        (x - 0.8, foot - 0.85 * tall),
        (x - 0.8, foot - 2.2),
        (x - 0.36 * tall, foot - 2.2),
    ];
    let hull = [
        (x - 0.42 * tall, foot - 1.6),
        (x + 0.52 * tall, foot - 1.6),
        (x + 0.36 * tall, foot + 0.6),
        (x - 0.3 * tall, foot + 0.6),
    ];
    for shape in [&main[..], &jib[..], &hull[..]] {
        canvas.fill(&Shape::polygon(shape), 0.35, dark, 0.95);
    }
    let shadow = Shape::oval((x, foot + 0.35 * tall), 0.3 * tall, 0.3 * tall, 0.0);
    canvas.fill(&shadow, 0.16 * tall, dark, 0.4);
}
