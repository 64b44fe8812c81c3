//! A spiral galaxy, seen from above its disc. Scanned from the middle outwards it is a decay with ripples.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{add, hex, mix, scale, screen, smooth};

const MIDDLE: (f32, f32) = (186.0, 122.0);
/// How far the disc is turned in the sky, and how much it is tilted.
const TURNED: f32 = -0.42;
const TILT: f32 = 0.62;
/// How large it is.
const SIZE: f32 = 1.28;
/// The arms' pitch: how fast they open.
const PITCH: f32 = 0.27;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 240, 3, hex(0x04050C));
    let (veil, dust, knots) = (Noise::new(31), Noise::new(47), Noise::new(53));
    canvas.each(|x, y, _| {
        let haze = smooth(-0.1, 0.7, veil.cloud(x / 120.0, y / 90.0, 4));
        let sky = mix(hex(0x04050C), hex(0x141230), 0.7 * haze);
        let (u, v) = disc(x, y);
        let warp = 5.0 * dust.cloud(u / 34.0, v / 34.0, 3);
        let (r, angle) = (
            (u + warp).hypot(v - warp).max(0.6),
            (v - warp).atan2(u + warp),
        );
        // Two arms: the phase runs once around for each.
        let phase = 2.0 * (angle - (r / 9.0).ln() / PITCH);
        let arm = (0.5 + 0.5 * phase.cos()).powf(1.7);
        let clumps = 0.65 + 0.8 * smooth(-0.25, 0.6, knots.cloud(u / 13.0, v / 13.0, 4));
        let disc = (-r / 44.0).exp() * smooth(150.0, 70.0, r);
        let young = disc * arm * clumps * smooth(6.0, 26.0, r);
        let lane = (0.5 + 0.5 * (phase - 1.15).cos()).powf(7.0)
            * smooth(-0.5, 0.35, dust.cloud(u / 9.0, v / 9.0, 4))
            * smooth(8.0, 22.0, r)
            * smooth(120.0, 60.0, r);
        let mut light = screen(sky, hex(0x8FB4FF), 2.7 * young);
        light = screen(light, hex(0xC9A6E8), 1.05 * disc * clumps);
        let nursery = smooth(0.42, 0.62, knots.cloud(u / 6.0 + 9.0, v / 6.0, 3)) * arm;
        light = screen(
            light,
            hex(0xFF6F9C),
            2.2 * nursery * disc * smooth(12.0, 28.0, r),
        );
        light = mix(light, scale(light, 0.28), 0.85 * lane);
        let bulge = (-(r / 10.5).powf(1.15)).exp();
        light = screen(light, hex(0xFFDDA6), 1.15 * bulge);
        screen(light, hex(0xFFF6E4), 0.9 * (-(r / 4.5).powi(2)).exp())
    });
    stars(&mut canvas);
    canvas.bloom(5.0, 0.62, 0.35);
    canvas.each(|x, y, c| {
        let far = ((x - 180.0) / 230.0).hypot((y - 120.0) / 170.0);
        scale(c, 1.0 - 0.35 * far * far)
    });
    Some(canvas.finish(0.8, 8).into())
}

/// A place of the picture in the plane of the disc.
fn disc(x: f32, y: f32) -> (f32, f32) {
    let (dx, dy) = (x - MIDDLE.0, y - MIDDLE.1);
    let (sin, cos) = TURNED.sin_cos();
    (
        (dx * cos + dy * sin) / SIZE,
        (dy * cos - dx * sin) / TILT / SIZE,
    )
}

/// Many faint stars, a few bright ones with a glow.
fn stars(canvas: &mut Canvas) {
    let mut chance = Chance::new(23);
    let mut lights = Vec::new();
    for star in 0..420 {
        let place = (chance.between(0.0, 360.0), chance.between(0.0, 240.0));
        let rare = chance.between(0.0, 1.0).powi(9);
        let (bright, wide) = if star < 9 {
            (0.95, chance.between(0.75, 1.15))
        } else {
            (0.18 + 0.75 * rare, 0.42 + 0.2 * rare)
        };
        let colour = mix(hex(0xFFD9B0), hex(0xBCD2FF), chance.between(0.0, 1.0));
        lights.push((place, bright, wide, colour));
    }
    let (width, step) = (canvas.width, canvas.scale);
    for ((x, y), bright, wide, colour) in lights {
        let reach = 9.0 * wide;
        let (left, right) = ((x - reach) * step, (x + reach) * step);
        let (top, bottom) = ((y - reach) * step, (y + reach) * step);
        for row in top.max(0.0) as usize..(bottom.max(0.0) as usize).min(canvas.height) {
            for column in left.max(0.0) as usize..(right.max(0.0) as usize).min(width) {
                let d = (column as f32 / step - x).hypot(row as f32 / step - y) / wide;
                let light = bright * ((-d * d).exp() + 0.06 / (1.0 + d * d));
                let sample = &mut canvas.samples[row * width + column];
                *sample = add(*sample, colour, light * smooth(9.0, 6.0, d)).map(|v| v.min(1.0));
            }
        }
    }
}
