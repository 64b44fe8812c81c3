//! The canvas: several samples a pixel, painted through masks, averaged at the end.

use image::{Rgb as Pixel, RgbImage};

use super::chance::Noise;
use super::colour::{Rgb, luma, mix};
use super::layer::Layer;
use super::mask::{Mask, blur};
use super::shape::Shape;

/// A picture in the making.
#[derive(Clone)]
pub(crate) struct Canvas {
    /// Samples across.
    pub(crate) width: usize,
    /// Samples down.
    pub(crate) height: usize,
    /// Samples a pixel, in each direction.
    pub(crate) scale: f32,
    /// The samples, row by row.
    pub(crate) samples: Vec<Rgb>,
}

impl Canvas {
    /// A canvas for a picture of `width` by `height` pixels with `scale` samples a pixel in each direction.
    pub(crate) fn new(width: usize, height: usize, scale: usize, colour: Rgb) -> Self {
        let (width, height) = (width * scale, height * scale);
        Self {
            width,
            height,
            scale: scale as f32,
            samples: vec![colour; width * height],
        }
    }

    /// Every sample anew, from its place in pixels and its colour.
    pub(crate) fn each(&mut self, paint: impl Fn(f32, f32, Rgb) -> Rgb) {
        let (width, scale) = (self.width, self.scale);
        for (i, sample) in self.samples.iter_mut().enumerate() {
            *sample = paint(
                (i % width) as f32 / scale,
                (i / width) as f32 / scale,
                *sample,
            );
        }
    }

    /// The same where the mask lets paint through.
    pub(crate) fn through(&mut self, mask: &Mask, paint: impl Fn(f32, f32, Rgb) -> Rgb) {
        for row in 0..mask.height {
            let y = mask.top + row as i32;
            if y < 0 || y as usize >= self.height {
                continue;
            }
            for column in 0..mask.width {
                let x = mask.left + column as i32;
                let cover = mask.cover[row * mask.width + column];
                if cover < 0.002 || x < 0 || x as usize >= self.width {
                    continue;
                }
                let sample = &mut self.samples[y as usize * self.width + x as usize];
                *sample = mix(
                    *sample,
                    paint(x as f32 / self.scale, y as f32 / self.scale, *sample),
                    cover,
                );
            }
        }
    }

    /// A shape of one colour with a soft edge.
    pub(crate) fn fill(&mut self, shape: &Shape, soft: f32, colour: Rgb, opacity: f32) {
        let mask = Mask::of(self, shape, soft);
        self.through(&mask, |_, _, below| mix(below, colour, opacity));
    }

    /// A mask of a shape on this canvas.
    pub(crate) fn mask(&self, shape: &Shape, soft: f32) -> Mask {
        Mask::of(self, shape, soft)
    }

    /// A sheet of strokes on top.
    pub(crate) fn lay(&mut self, layer: &Layer) {
        for (sample, ink) in self.samples.iter_mut().zip(layer.pixmap.pixels()) {
            let rest = 1.0 - f32::from(ink.alpha()) / 255.0;
            let inks = [ink.red(), ink.green(), ink.blue()];
            *sample = [0, 1, 2].map(|i| sample[i] * rest + f32::from(inks[i]) / 255.0);
        }
    }

    /// The colour at a place in pixels; beyond the edge, the edge's.
    pub(crate) fn at(&self, x: f32, y: f32) -> Rgb {
        let clip = |v: f32, end: usize| ((v * self.scale).max(0.0) as usize).min(end - 1);
        self.samples[clip(y, self.height) * self.width + clip(x, self.width)]
    }

    /// A blurred copy; `soft` is a standard deviation in pixels.
    pub(crate) fn blurred(&self, soft: f32) -> Self {
        let mut copy = self.clone();
        for channel in 0..3 {
            let mut plane: Vec<f32> = self.samples.iter().map(|sample| sample[channel]).collect();
            blur(&mut plane, self.width, self.height, soft * self.scale);
            for (sample, value) in copy.samples.iter_mut().zip(plane) {
                sample[channel] = value;
            }
        }
        copy
    }

    /// Lets bright places shine over their surroundings.
    pub(crate) fn bloom(&mut self, soft: f32, threshold: f32, amount: f32) {
        let mut bright = self.clone();
        bright.each(|_, _, c| {
            let over = ((luma(c) - threshold) / (1.0 - threshold)).clamp(0.0, 1.0);
            c.map(|v| v * over)
        });
        let glow = bright.blurred(soft);
        for (sample, light) in self.samples.iter_mut().zip(glow.samples) {
            *sample = [0, 1, 2]
                .map(|i| 1.0 - (1.0 - sample[i]) * (1.0 - (light[i] * amount).clamp(0.0, 1.0)));
        }
    }

    /// The finished picture: each pixel the mean of its samples, with `grain` levels of film grain.
    pub(crate) fn finish(&self, grain: f32, seed: u32) -> RgbImage {
        let step = self.scale as usize;
        let (width, height) = (self.width / step, self.height / step);
        let noise = Noise::new(seed);
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let mut sum = [0.0; 3];
            for row in 0..step {
                let start = (y as usize * step + row) * self.width + x as usize * step;
                for sample in &self.samples[start..start + step] {
                    sum = [0, 1, 2].map(|i| sum[i] + sample[i]);
                }
            }
            let speck = (noise.grain(x as i32, y as i32) - 0.5) * 2.0 * grain;
            Pixel(
                sum.map(|v| {
                    (v / (step * step) as f32 * 255.0 + speck + 0.5).clamp(0.0, 255.0) as u8
                }),
            )
        })
    }
}
