//! Smooth resizing as Pillow's (libImaging/Resample.c): a convolution with a filter as wide as the reduction, in
//! 22-bit fixed point, first along the rows and then along the columns, with bytes between. Bit for bit the same.

use std::f64::consts::PI;

/// Bits after the point of a coefficient: 32 less 8 of a value and 2 for what a sum overshoots.
const PRECISION: u32 = 32 - 8 - 2;

/// A filter's shape and half its width.
pub(super) struct Kernel {
    pub(super) weight: fn(f64) -> f64,
    pub(super) support: f64,
}

/// A triangle.
pub(super) const BILINEAR: Kernel = Kernel {
    weight: |x| (1.0 - x.abs()).max(0.0),
    support: 1.0,
};

/// A cubic spline with a = -1/2 (Keys 1981).
pub(super) const BICUBIC: Kernel = Kernel {
    weight: |x| {
        const A: f64 = -0.5;
        let x = x.abs();
        if x < 1.0 {
            ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            (((x - 5.0) * x + 8.0) * x - 4.0) * A
        } else {
            0.0
        }
    },
    support: 2.0,
};

/// sinc(x) under the middle lobe of sinc(x / 3).
pub(super) const LANCZOS: Kernel = Kernel {
    weight: |x| {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (x * PI).sin() / (x * PI)
            }
        };
        if (-3.0..3.0).contains(&x) {
            sinc(x) * sinc(x / 3.0)
        } else {
            0.0
        }
    },
    support: 3.0,
};

/// What one target place takes of the source: `coefficients.len()` places from `first` on.
struct Window {
    first: usize,
    coefficients: Vec<i32>,
}

fn windows(kernel: &Kernel, from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let filter_scale = scale.max(1.0);
    let support = kernel.support * filter_scale;
    let window = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        // Both are rounded, as C's cast of a positive x + 0.5 does; a negative one counts as 0.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end)
            .map(|x| (kernel.weight)((x as f64 - center + 0.5) * (1.0 / filter_scale)))
            .collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let exact = if sum == 0.0 { *weight } else { weight / sum };
            let scaled = exact * f64::from(1 << PRECISION);
            (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        Window {
            first,
            coefficients: weights.iter().map(fixed).collect(),
        }
    };
    (0..to).map(window).collect()
}

/// The sum of `values` by `coefficients`, rounded, within a byte.
fn convolve(values: impl Iterator<Item = u8>, coefficients: &[i32]) -> u8 {
    let sum = values
        .zip(coefficients)
        .fold(1_i32 << (PRECISION - 1), |sum, (value, coefficient)| {
            sum.wrapping_add(i32::from(value).wrapping_mul(*coefficient))
        });
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Resizes rows of `channels` interleaved channels from `from` to `to` (width, height).
pub(super) fn resample(
    values: &[u8],
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
    kernel: &Kernel,
) -> Vec<u8> {
    let narrowed;
    let rows = if from.0 == to.0 {
        values
    } else {
        narrowed = along_rows(values, channels, from.0, &windows(kernel, from.0, to.0));
        &narrowed
    };
    if from.1 == to.1 {
        rows.to_vec()
    } else {
        along_columns(rows, to.0 * channels, &windows(kernel, from.1, to.1))
    }
}

fn along_rows(values: &[u8], channels: usize, width: usize, windows: &[Window]) -> Vec<u8> {
    let mut result = Vec::with_capacity(values.len() / width * windows.len());
    for row in values.chunks_exact(width * channels) {
        for window in windows {
            for channel in 0..channels {
                let taken = row.iter().skip(window.first * channels + channel);
                let taken = taken.step_by(channels).copied();
                result.push(convolve(taken, &window.coefficients));
            }
        }
    }
    result
}

fn along_columns(values: &[u8], stride: usize, windows: &[Window]) -> Vec<u8> {
    let mut result = Vec::with_capacity(stride * windows.len());
    for window in windows {
        for column in 0..stride {
            let taken = values.iter().skip(window.first * stride + column);
            let taken = taken.step_by(stride).copied();
            result.push(convolve(taken, &window.coefficients));
        }
    }
    result
}
