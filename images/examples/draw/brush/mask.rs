//! Soft masks: where paint goes, and how thick.

use tiny_skia::{FillRule, Transform};

use super::canvas::Canvas;
use super::shape::Shape;

/// Coverage from 0 to 1 over a rectangle of a canvas' samples; 0 outside it.
#[derive(Clone)]
pub(crate) struct Mask {
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) cover: Vec<f32>,
    scale: f32,
}

impl Mask {
    /// The inside of a shape, with its edge blurred by `soft` pixels (a standard deviation).
    pub(crate) fn of(canvas: &Canvas, shape: &Shape, soft: f32) -> Self {
        let scale = canvas.scale;
        let nothing = Self {
            left: 0,
            top: 0,
            width: 0,
            height: 0,
            cover: Vec::new(),
            scale,
        };
        let Some(path) = &shape.0 else { return nothing };
        let (bounds, margin) = (path.bounds(), soft * 3.0 + 2.0);
        let clip = |v: f32, end: usize| {
            ((v * scale) as i32).clamp(
                -(margin * scale) as i32,
                end as i32 + (margin * scale) as i32,
            )
        };
        let (left, top) = (
            clip(bounds.left() - margin, canvas.width),
            clip(bounds.top() - margin, canvas.height),
        );
        let (right, bottom) = (
            clip(bounds.right() + margin, canvas.width),
            clip(bounds.bottom() + margin, canvas.height),
        );
        let (width, height) = (
            (right - left).max(0) as usize,
            (bottom - top).max(0) as usize,
        );
        let Some(mut raster) = tiny_skia::Mask::new(width as u32, height as u32) else {
            return nothing;
        };
        let place = Transform::from_scale(scale, scale).post_translate(-left as f32, -top as f32);
        raster.fill_path(path, FillRule::Winding, true, place);
        let cover = raster
            .data()
            .iter()
            .map(|&v| f32::from(v) / 255.0)
            .collect();
        let mut mask = Self {
            left,
            top,
            width,
            height,
            cover,
            scale,
        };
        mask.blur(soft);
        mask
    }

    /// Blurs by a standard deviation in pixels.
    pub(crate) fn blur(&mut self, soft: f32) {
        blur(&mut self.cover, self.width, self.height, soft * self.scale);
    }

    /// Coverage at a sample of the canvas.
    pub(crate) fn at(&self, x: i32, y: i32) -> f32 {
        let (x, y) = (x - self.left, y - self.top);
        if x < 0 || y < 0 || x as usize >= self.width || y as usize >= self.height {
            return 0.0;
        }
        self.cover[y as usize * self.width + x as usize]
    }

    /// Coverage at a place, in pixels of the picture.
    pub(crate) fn here(&self, x: f32, y: f32) -> f32 {
        self.at((x * self.scale) as i32, (y * self.scale) as i32)
    }
}

/// Three box blurs in each direction: close to a Gaussian. `sigma` is in samples.
pub(crate) fn blur(plane: &mut [f32], width: usize, height: usize, sigma: f32) {
    let radius = ((sigma * sigma * 4.0 + 1.0).sqrt() / 2.0).round() as usize;
    if sigma <= 0.0 || radius == 0 || width == 0 {
        return;
    }
    let mut line = vec![0.0; width.max(height)];
    for _ in 0..3 {
        for y in 0..height {
            box_blur(plane, y * width, 1, width, radius, &mut line);
        }
        for x in 0..width {
            box_blur(plane, x, width, height, radius, &mut line);
        }
    }
}

fn box_blur(
    plane: &mut [f32],
    start: usize,
    stride: usize,
    len: usize,
    radius: usize,
    line: &mut [f32],
) {
    for i in 0..len {
        line[i] = plane[start + i * stride];
    }
    let share = 1.0 / (2 * radius + 1) as f64;
    let (first, last) = (f64::from(line[0]), f64::from(line[len - 1]));
    let value = |i: isize| {
        if i < 0 {
            first
        } else if i as usize >= len {
            last
        } else {
            f64::from(line[i as usize])
        }
    };
    let reach = radius as isize;
    let mut sum: f64 = (-reach..=reach).map(value).sum();
    for i in 0..len as isize {
        plane[start + i as usize * stride] = (sum * share) as f32;
        sum += value(i + reach + 1) - value(i - reach);
    }
}
