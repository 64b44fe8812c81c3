//! A Julia set: where z becomes z^2 + c again and again, how slowly it flees. Its rates repeat themselves at every size.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::colour::{hex, mix, ramp, scale, screen, smooth};

/// The set's number: spirals in spirals.
const C: (f64, f64) = (-0.7453, 0.1127);
const ROUNDS: u32 = 420;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 240, 4, hex(0x060A1C));
    let (sin, cos) = 0.16_f64.sin_cos();
    canvas.each(|x, y, _| {
        let (u, v) = (
            (f64::from(x) - 180.0) / 119.0,
            (f64::from(y) - 120.0) / 119.0,
        );
        let (flight, trap) = flight(u * cos + v * sin, v * cos - u * sin);
        let Some(flight) = flight else {
            return mix(hex(0x060A1C), hex(0x1B2A5A), smooth(0.35, 0.0, trap));
        };
        let t = (flight / 8.0).ln().max(0.0) / 3.3;
        let colour = ramp(
            &[
                (0.0, 0x070B22),
                (0.16, 0x142B66),
                (0.34, 0x2A6FA8),
                (0.5, 0x7CC6C8),
                (0.64, 0xF6E7B4),
                (0.78, 0xF0A044),
                (0.9, 0xB8442E),
                (1.0, 0x4A1530),
            ],
            t.min(1.0),
        );
        // The nearest that it came to a cross through the middle: threads of light.
        let thread = (-trap * 26.0).exp();
        screen(colour, hex(0xFFF3CF), 0.55 * thread * smooth(0.05, 0.5, t))
    });
    canvas.bloom(4.0, 0.72, 0.22);
    canvas.each(|x, y, c| {
        let far = ((x - 180.0) / 220.0).hypot((y - 120.0) / 165.0);
        scale(c, 1.0 - 0.3 * far * far)
    });
    Some(canvas.finish(0.5, 3).into())
}

/// After how many rounds a place has fled, with its fraction (none if it never does), and how near it came to an axis.
fn flight(mut x: f64, mut y: f64) -> (Option<f32>, f32) {
    let mut trap = f64::INFINITY;
    for round in 0..ROUNDS {
        let (xx, yy) = (x * x, y * y);
        let size = xx + yy;
        if size > 400.0 {
            let rest = (size.ln() / 2.0 / 20.0_f64.ln()).log2();
            return (Some((f64::from(round) + 1.0 - rest) as f32), trap as f32);
        }
        if round > 1 {
            trap = trap.min(x.abs().min(y.abs()) + 0.02 * size);
        }
        (x, y) = (xx - yy + C.0, 2.0 * x * y + C.1);
    }
    (None, trap as f32)
}
