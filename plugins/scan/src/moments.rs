//! Mean and variance, and noise that has them within bounds.

/// The mean.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean, and the variance over all values (divided by their number).
pub fn moments(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, squares / values.len() as f64)
}

/// Rounds at the most; most need four, and those whose values nearly all lie at 0 or 1 some more.
const ROUNDS: usize = 60;
/// How close is close enough, for the mean and for the variance.
const CLOSE: f64 = 1e-13;

/// Stretches and shifts `noise` and clips it to [0, 1], by that factor and shift with which the clipped values have this
/// mean and variance (Newton's method; clipping first would shrink the variance and pull the mean to the middle).
///
/// Values in [0, 1] of mean m have a variance of m (1 - m) at the most; where that is asked for, or nearly, what comes
/// out has the mean and the closest variance that was reached.
pub(crate) fn bound(noise: &mut [f64], mean: f64, variance: f64) {
    let (centre, spread) = moments(noise);
    if !(variance > 0.0 && spread > 0.0) {
        return noise.fill(mean);
    }
    let scale = spread.sqrt().recip();
    noise.iter_mut().for_each(|z| *z = scale * (*z - centre));
    let wanted = (mean, variance + mean * mean);
    let (mut shift, mut factor) = (mean, variance.sqrt());
    let mut at = clipped(noise, shift, factor);
    for _ in 0..ROUNDS {
        let (first, second) = (wanted.0 - at.first, wanted.1 - at.second);
        if first.abs() < CLOSE && second.abs() < CLOSE {
            break;
        }
        // d first = inside ds + inside_z df; d second = 2 (value ds + value_z df).
        let determinant = 2.0 * (at.inside * at.value_z - at.inside_z * at.value);
        if determinant.abs() < f64::MIN_POSITIVE {
            break;
        }
        let by_shift = (first * 2.0 * at.value_z - second * at.inside_z) / determinant;
        let by_factor = (at.inside * second - 2.0 * at.value * first) / determinant;
        // A step that leads away, or past 0, is halved until it does not.
        let miss = |of: &Clipped| (wanted.0 - of.first).hypot(wanted.1 - of.second);
        let mut share = 1.0;
        let better = loop {
            let (to, by) = (shift + share * by_shift, factor + share * by_factor);
            if by > 0.0 {
                let next = clipped(noise, to, by);
                if miss(&next) < miss(&at) {
                    break Some((to, by, next));
                }
            }
            share /= 2.0;
            if share < 1e-4 {
                break None;
            }
        };
        let Some(better) = better else { break };
        (shift, factor, at) = better;
    }
    noise
        .iter_mut()
        .for_each(|z| *z = (shift + factor * *z).clamp(0.0, 1.0));
}

/// Means over c = clip(shift + factor z).
struct Clipped {
    /// Of c, and of its square.
    first: f64,
    second: f64,
    /// Over those that are not clipped, as shares of all: of 1, of z, of c, and of c z.
    inside: f64,
    inside_z: f64,
    value: f64,
    value_z: f64,
}

fn clipped(noise: &[f64], shift: f64, factor: f64) -> Clipped {
    let mut sums = [0.0; 6];
    for &z in noise {
        let line = shift + factor * z;
        let value = line.clamp(0.0, 1.0);
        sums[0] += value;
        sums[1] += value * value;
        if line == value {
            sums[2] += 1.0;
            sums[3] += z;
            sums[4] += value;
            sums[5] += value * z;
        }
    }
    let [first, second, inside, inside_z, value, value_z] =
        sums.map(|sum| sum / noise.len() as f64);
    Clipped {
        first,
        second,
        inside,
        inside_z,
        value,
        value_z,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn noise() -> Vec<f64> {
        let mut chance = Chance::new(5, "test");
        (0..20_000).map(|_| chance.normals().0).collect()
    }

    #[test]
    fn bounded_noise_has_the_mean_and_the_variance() {
        // Hardly clipped, much clipped, lopsided, and nearly black and white.
        for (mean, variance) in [
            (0.5, 0.01),
            (0.5, 0.09),
            (0.1, 0.03),
            (0.9, 0.05),
            (0.5, 0.22),
        ] {
            let mut values = noise();
            bound(&mut values, mean, variance);
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)));
            let found = moments(&values);
            assert!(
                (found.0 - mean).abs() < 1e-12,
                "{mean} {variance}: {found:?}"
            );
            assert!(
                (found.1 - variance).abs() < 1e-12,
                "{mean} {variance}: {found:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_had_comes_close() {
        let mut values = noise();
        bound(&mut values, 0.5, 0.25);
        let found = moments(&values);
        assert!(
            (found.0 - 0.5).abs() < 0.01 && (found.1 - 0.25).abs() < 0.01,
            "{found:?}"
        );
        let mut values = noise();
        bound(&mut values, 0.3, 0.0);
        assert!(values.iter().all(|v| *v == 0.3));
    }
}
