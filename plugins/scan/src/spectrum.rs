//! Spectra of any length: noise of a given slope, and phases drawn by chance.

use std::sync::Arc;

use rustfft::algorithm::{BluesteinsAlgorithm, Dft, MixedRadix, Radix4};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftDirection};

use crate::chance::Chance;

pub(crate) type Number = Complex<f64>;

/// A discrete Fourier transform of one length.
pub(crate) struct Transform {
    fft: Arc<dyn Fft<f64>>,
    scratch: Vec<Number>,
}

/// A prime up to this is transformed by the sum itself.
const SMALL: usize = 31;

/// A transform of any length, of few algorithms: rustfft's planner would bring all of them into the plugin, which would
/// be four times as large.
fn plan(length: usize) -> Arc<dyn Fft<f64>> {
    let radix = |length| Arc::new(Radix4::new(length, FftDirection::Forward));
    if length.is_power_of_two() {
        return radix(length);
    }
    let twos = 1 << length.trailing_zeros();
    let odd = (3..)
        .step_by(2)
        .take_while(|factor| factor * factor <= length);
    let factor = match twos {
        1 => odd
            .into_iter()
            .find(|factor| length.is_multiple_of(*factor)),
        twos => Some(twos),
    };
    match factor {
        Some(factor) => Arc::new(MixedRadix::new(plan(factor), plan(length / factor))),
        None if length <= SMALL => Arc::new(Dft::new(length, FftDirection::Forward)),
        None => {
            let inner = radix((2 * length - 1).next_power_of_two());
            Arc::new(BluesteinsAlgorithm::new(length, inner))
        }
    }
}

impl Transform {
    pub(crate) fn new(length: usize) -> Self {
        let fft = plan(length);
        let scratch = vec![Number::default(); fft.get_inplace_scratch_len()];
        Self { fft, scratch }
    }

    /// The transform, not divided by anything.
    pub(crate) fn forward(&mut self, values: &mut [Number]) {
        self.fft.process_with_scratch(values, &mut self.scratch);
    }

    /// What the transform was of.
    pub(crate) fn inverse(&mut self, values: &mut [Number]) {
        values.iter_mut().for_each(|v| *v = v.conj());
        self.forward(values);
        let share = 1.0 / values.len() as f64;
        values.iter_mut().for_each(|v| *v = v.conj() * share);
    }
}

/// Normal noise with a power of 1/f^`slope` (Timmer and König, 1995). It is cut from a stretch of more than twice the
/// length, so that its end does not lead back to its beginning.
pub(crate) fn noise(length: usize, slope: f64, chance: &mut Chance) -> Vec<f64> {
    if slope == 0.0 {
        return white(length, chance);
    }
    let whole = (2 * length).next_power_of_two();
    let mut spectrum = vec![Number::default(); whole];
    // The real part of a spectrum without its negative half is that of the whole, up to a factor.
    for (place, value) in spectrum.iter_mut().enumerate().take(whole / 2).skip(1) {
        let (re, im) = chance.normals();
        *value = Number::new(re, im) * (place as f64).powf(-slope / 2.0);
    }
    Transform::new(whole).forward(&mut spectrum);
    spectrum.iter().take(length).map(|v| v.re).collect()
}

/// Normal noise with the same power at every frequency.
pub(crate) fn white(length: usize, chance: &mut Chance) -> Vec<f64> {
    let mut noise = Vec::with_capacity(length + 1);
    while noise.len() < length {
        let (one, other) = chance.normals();
        noise.extend([one, other]);
    }
    noise.truncate(length);
    noise
}

/// Real values as complex ones.
pub(crate) fn complex(values: &[f64]) -> Vec<Number> {
    values.iter().map(|&re| Number::new(re, 0.0)).collect()
}

/// Values with the power spectrum of `values` and phases drawn by chance (Theiler et al., 1992). They may leave the
/// bounds of `values`; their mean and variance are the same.
pub(crate) fn phase_randomised(values: &[f64], chance: &mut Chance) -> Vec<f64> {
    let length = values.len();
    let mut transform = Transform::new(length);
    // One transform serves both: the picture as real parts, the noise as imaginary ones.
    let noise = white(length, chance);
    let both = values
        .iter()
        .zip(&noise)
        .map(|(&re, &im)| Number::new(re, im));
    let mut both: Vec<Number> = both.collect();
    transform.forward(&mut both);
    let mut spectrum = vec![Number::default(); length];
    for (place, value) in spectrum.iter_mut().enumerate() {
        let (one, other) = (both[place], both[(length - place) % length].conj());
        *value = (one + other) / 2.0;
        if place > 0 {
            *value = turned(*value, (one - other) / Number::new(0.0, 2.0));
        }
    }
    drop(both);
    transform.inverse(&mut spectrum);
    spectrum.iter().map(|v| v.re).collect()
}

/// A number of one spectrum, by the phase that white noise has there: its size stays as it is.
pub(crate) fn turned(value: Number, noise: Number) -> Number {
    let size = noise.norm();
    if size > 0.0 {
        value * (noise / size)
    } else {
        value
    }
}

/// The power at each frequency from 0 to half the sampling rate: |DFT|^2 over the number of values.
pub fn power(values: &[f64]) -> Vec<f64> {
    let mut spectrum = complex(values);
    Transform::new(values.len()).forward(&mut spectrum);
    let half = values.len() / 2 + 1;
    let all = spectrum.iter().take(half);
    all.map(|v| v.norm_sqr() / values.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_the_sum_that_defines_it_and_back() {
        for length in [1, 2, 3, 8, 12, 15, 97, 128, 8 * 3 * 13 * 37] {
            let mut chance = Chance::new(length as u64, "test");
            let values = complex(&white(length, &mut chance));
            let mut spectrum = values.clone();
            let mut transform = Transform::new(length);
            transform.forward(&mut spectrum);
            for (k, found) in spectrum.iter().enumerate() {
                let wave = |n: usize| {
                    let turns = (k * n % length) as f64 / length as f64;
                    Number::from_polar(1.0, -std::f64::consts::TAU * turns)
                };
                let wanted: Number = values.iter().enumerate().map(|(n, v)| v * wave(n)).sum();
                assert!(
                    (found - wanted).norm() < 1e-12 * length as f64,
                    "{length} {k}"
                );
            }
            transform.inverse(&mut spectrum);
            for (found, wanted) in spectrum.iter().zip(&values) {
                assert!((found - wanted).norm() < 1e-13 * length as f64, "{length}");
            }
        }
    }
}
