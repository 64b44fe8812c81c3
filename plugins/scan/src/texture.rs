//! A picture's texture: its spectrum in the plane, with other phases.

use crate::chance::Chance;
use crate::moments::{bound, moments};
use crate::spectrum::{Number, Transform, complex, turned, white};

/// Gives every channel's plane the phases of one white noise (Galerne, Gousseau and Morel, "Random Phase Textures", 2011),
/// with its mean and variance, within [0, 1]. `values` lie row by row, pixel by pixel, channel by channel.
pub(crate) fn texture(values: &mut [f64], width: usize, channels: usize, chance: &mut Chance) {
    let pixels = values.len() / channels;
    let mut plane = Plane::new(width, pixels / width);
    let mut noise = complex(&white(pixels, chance));
    plane.each(&mut noise, Transform::forward);
    for channel in 0..channels {
        let of_channel = || (channel..pixels * channels).step_by(channels);
        let before: Vec<f64> = of_channel().map(|place| values[place]).collect();
        let mut spectrum = complex(&before);
        plane.each(&mut spectrum, Transform::forward);
        // The mean of the plane stays as it is.
        for (value, noise) in spectrum.iter_mut().zip(&noise).skip(1) {
            *value = turned(*value, *noise);
        }
        plane.each(&mut spectrum, Transform::inverse);
        let mut after: Vec<f64> = spectrum.iter().map(|v| v.re).collect();
        let (mean, variance) = moments(&before);
        bound(&mut after, mean, variance);
        for (place, value) in of_channel().zip(after) {
            values[place] = value;
        }
    }
}

/// Transforms along rows and columns.
struct Plane {
    rows: Transform,
    columns: Transform,
    width: usize,
    height: usize,
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        Self {
            rows: Transform::new(width),
            columns: Transform::new(height),
            width,
            height,
        }
    }

    fn each(&mut self, values: &mut [Number], transform: fn(&mut Transform, &mut [Number])) {
        for row in values.chunks_exact_mut(self.width) {
            transform(&mut self.rows, row);
        }
        let mut column = vec![Number::default(); self.height];
        for x in 0..self.width {
            let places = || (x..values.len()).step_by(self.width);
            for (to, from) in column.iter_mut().zip(places()) {
                *to = values[from];
            }
            transform(&mut self.columns, &mut column);
            for (from, to) in column.iter().zip((x..values.len()).step_by(self.width)) {
                values[to] = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_of_every_wave_in_the_plane_is_kept() {
        let (width, height) = (12, 9);
        let mut values: Vec<f64> = (0..width * height)
            .map(|i| 0.5 + 0.1 * (i as f64 * 0.7).sin() * (i as f64 / 12.0).cos())
            .collect();
        let power = |values: &[f64]| -> Vec<f64> {
            let mut spectrum = complex(values);
            Plane::new(width, height).each(&mut spectrum, Transform::forward);
            spectrum.iter().map(|v| v.norm()).collect()
        };
        let (before, old) = (power(&values), values.clone());
        texture(&mut values, width, 1, &mut Chance::new(1, "test"));
        assert_ne!(values, old);
        // Nothing is clipped here.
        for (found, wanted) in power(&values).iter().zip(&before) {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
    }
}
