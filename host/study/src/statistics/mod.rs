//! Means, and how far they can be trusted; differences between schedules, and what they would take to be told.
//!
//! Runs are paired by their seed: a seed gives every schedule the same first weights and the same order of the pictures,
//! so that what is left of a difference is the schedules'. Picard (arXiv 2109.08203) and "Calibrated Chaos" (arXiv
//! 2304.01910) show how far seeds alone take runs apart.

mod bootstrap;
mod holm;
mod paired;
mod power;

use std::sync::OnceLock;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

pub use bootstrap::bca;
pub use holm::holm;
pub use paired::{Paired, paired};
pub use power::{MOST_PAIRS, POWER, detectable, pairs_needed, power};

/// Where a result counts as more than chance, before it is corrected for their number.
pub const ALPHA: f64 = 0.05;

/// Degrees of freedom whose quantile is kept: curves ask for it at every point.
const KEPT: usize = 64;

/// t(0.975, freedom) for each number of degrees of freedom that was asked for.
static QUANTILES: [OnceLock<f64>; KEPT] = [const { OnceLock::new() }; KEPT];

/// What a sample says of its mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The sample's mean.
    pub mean: f64,
    /// Half of the 95 % interval by Student's t: t(0.975, n - 1) * s / sqrt(n). `None` for a sample of one.
    pub half_width: Option<f64>,
    /// The sample's standard deviation s, over n - 1. `None` for a sample of one.
    pub deviation: Option<f64>,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values there are.
    pub count: usize,
}

/// The mean of `values` and its 95 % interval; `None` if there are none.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let mut running = Running::default();
    values.iter().for_each(|&value| running.add(value));
    running.estimate()
}

/// A mean and its spread, of values that are added one by one and not kept (Welford, 1962).
#[derive(Debug, Clone, Copy, Default)]
pub struct Running {
    count: usize,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Running {
    /// Takes a value in.
    pub fn add(&mut self, value: f64) {
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = if self.count == 0 {
            value
        } else {
            self.max.max(value)
        };
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// What the values say of their mean; `None` if there were none.
    pub fn estimate(&self) -> Option<Estimate> {
        let freedom = self.count.checked_sub(1)?;
        let deviation = (freedom > 0).then(|| (self.squares / freedom as f64).sqrt());
        let quantile = || {
            let found = || critical(freedom as f64, ALPHA);
            let kept = QUANTILES.get(freedom);
            kept.map_or_else(found, |kept| *kept.get_or_init(found))
        };
        Some(Estimate {
            mean: self.mean,
            half_width: deviation.map(|s| quantile() * s / (self.count as f64).sqrt()),
            deviation,
            min: self.min,
            max: self.max,
            count: self.count,
        })
    }
}

/// What |t| exceeds by chance with probability `alpha`: t(1 - alpha / 2, freedom).
fn critical(freedom: f64, alpha: f64) -> f64 {
    // The distribution exists for any positive number of degrees of freedom.
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(1.0 - alpha / 2.0))
}

/// The chance of a |t| as large as this or larger, exact also where it is tiny: the regularised incomplete beta function
/// I(v / (v + t^2); v / 2, 1 / 2).
fn two_sided(t: f64, freedom: f64) -> f64 {
    beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

#[cfg(test)]
mod tests;
