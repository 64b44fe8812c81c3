//! Repaints a canvas with brush strokes, big ones first, finer ones where the picture asks for them.

use super::canvas::Canvas;
use super::chance::Noise;
use super::colour::{mix, scale};

/// Lets the weave of a cloth show through thin paint.
pub(crate) fn weave(canvas: &mut Canvas, amount: f32, seed: u32) {
    let noise = Noise::new(seed);
    canvas.each(|x, y, c| {
        let thread = (x * 2.6).sin() * (y * 2.6).sin() + 0.6 * noise.at(x * 0.7, y * 0.7);
        mix(c, scale(c, 1.0 + thread * 0.5), amount)
    });
}
