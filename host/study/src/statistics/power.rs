//! How many seeds a difference would take.
//!
//! The power of the two-sided paired t test (Cohen, "Statistical Power Analysis", 1988): with an effect d, the mean
//! difference in standard deviations of the differences, over n pairs t has the noncentral distribution with n - 1 degrees
//! of freedom and noncentrality d sqrt(n). The numbers are those of `statsmodels.stats.power.TTestPower`.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::gamma_lr;

use super::critical;

/// How often a difference is to be found where it is: the usual 80 %.
pub const POWER: f64 = 0.8;
/// Pairs that are worth a number; what takes more is as good as none.
pub const MOST_PAIRS: usize = 1_000;

/// Intervals of the integral to a standard deviation: at most 1,000 pairs make its integrand no steeper than these resolve.
const INTERVALS: f64 = 45.0;
/// Standard deviations beyond which the normal density adds nothing.
const FAR: f64 = 9.0;

/// The chance that the two-sided paired t test over `pairs` finds the difference at level `alpha`. `effect` is the mean
/// difference in standard deviations of the differences.
pub fn power(effect: f64, pairs: usize, alpha: f64) -> f64 {
    if pairs < 2 {
        return 0.0;
    }
    let freedom = (pairs - 1) as f64;
    power_at(effect, pairs, critical(freedom, alpha))
}

fn power_at(effect: f64, pairs: usize, critical: f64) -> f64 {
    let (freedom, shift) = ((pairs - 1) as f64, effect.abs() * (pairs as f64).sqrt());
    exceeds(critical, freedom, shift) + exceeds(critical, freedom, -shift)
}

/// P(T > c) for c > 0 and T = (Z + shift) / sqrt(X / v), with Z normal and X chi-squared with v degrees of freedom: the
/// integral over Z's density of P(X < v ((z + shift) / c)^2), by Simpson's rule from z = -shift on, below which T is
/// negative.
fn exceeds(c: f64, freedom: f64, shift: f64) -> f64 {
    let from = (-shift).max(-FAR);
    if from >= FAR {
        return 0.0;
    }
    // Simpson's rule takes them two by two.
    let intervals = 2 * ((FAR - from) * INTERVALS / 2.0).ceil() as usize;
    let width = (FAR - from) / intervals as f64;
    let value = |place: usize| {
        let z = from + width * place as f64;
        let scaled = (z + shift) / c;
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let x = 0.5 * freedom * scaled * scaled;
        if x > 0.0 {
            density * gamma_lr(0.5 * freedom, x)
        } else {
            0.0
        }
    };
    let weighted = (0..=intervals).map(|place| {
        let weight = match place {
            end if end == 0 || end == intervals => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * value(place)
    });
    weighted.sum::<f64>() * width / 3.0
}

/// The least number of pairs over which the test finds the difference at level `alpha` with a power of 80 %; `None` if
/// that takes more than [`MOST_PAIRS`].
pub fn pairs_needed(effect: f64, alpha: f64) -> Option<usize> {
    let effect = effect.abs();
    let normal = Normal::standard();
    // With the deviation known and not estimated: a number close to the one that is looked for.
    let sum = normal.inverse_cdf(1.0 - alpha / 2.0) + normal.inverse_cdf(POWER);
    let about = (sum / effect).powi(2).ceil();
    // Also where there is no effect, or none that is a number.
    if about.is_nan() || about > MOST_PAIRS as f64 {
        return None;
    }
    let enough = |pairs: usize| power(effect, pairs, alpha) >= POWER;
    let mut pairs = (about as usize).max(2);
    while !enough(pairs) {
        pairs += 1;
        if pairs > MOST_PAIRS {
            return None;
        }
    }
    while pairs > 2 && enough(pairs - 1) {
        pairs -= 1;
    }
    Some(pairs)
}

/// The least effect that the test over `pairs` finds at level `alpha` with a power of 80 %; `None` for fewer than two
/// pairs.
pub fn detectable(pairs: usize, alpha: f64) -> Option<f64> {
    if !(2..=MOST_PAIRS).contains(&pairs) {
        return None;
    }
    let critical = critical((pairs - 1) as f64, alpha);
    let (mut low, mut high) = (0.0, 1.0);
    while power_at(high, pairs, critical) < POWER {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if power_at(middle, pairs, critical) < POWER {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}
