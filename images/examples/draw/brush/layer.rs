//! A transparent sheet for many strokes: hair, grass, ink, chalk.

use tiny_skia::{Color, FillRule, Paint, Pixmap, Transform};

use super::canvas::Canvas;
use super::colour::Rgb;
use super::shape::{At, Shape};

/// A transparent sheet of a canvas' size.
pub(crate) struct Layer {
    pub(crate) pixmap: Pixmap,
    scale: f32,
}

impl Layer {
    /// An empty sheet for this canvas; none if the canvas has no area.
    pub(crate) fn new(canvas: &Canvas) -> Option<Self> {
        let pixmap = Pixmap::new(canvas.width as u32, canvas.height as u32)?;
        Some(Self {
            pixmap,
            scale: canvas.scale,
        })
    }

    /// Fills a shape with a colour of this opacity.
    pub(crate) fn fill(&mut self, shape: &Shape, colour: Rgb, opacity: f32) {
        let Some(path) = &shape.0 else { return };
        let [red, green, blue] = colour.map(|v| v.clamp(0.0, 1.0));
        let mut paint = Paint::default();
        if let Some(colour) = Color::from_rgba(red, green, blue, opacity.clamp(0.0, 1.0)) {
            paint.set_color(colour);
        }
        self.pixmap.fill_path(
            path,
            &paint,
            FillRule::Winding,
            Transform::from_scale(self.scale, self.scale),
            None,
        );
    }

    /// A hair: thin at its tip (the last point), `width` broad at a third of its length.
    pub(crate) fn hair(&mut self, points: &[At], width: f32, colour: Rgb, opacity: f32) {
        let swell = |t: f32| width * (0.35 + 2.2 * t.min(0.33)).min(1.0) * (1.0 - t * t).max(0.0);
        self.fill(&Shape::stroke(points, swell), colour, opacity);
    }
}
