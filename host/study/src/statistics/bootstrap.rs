//! The bootstrap's interval of a mean.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::ALPHA;

/// Values up to which every resample is made: 5^5 of them.
const MOST_EXACT: usize = 5;
/// Resamples that are drawn of more values.
const DRAWN: usize = 9_999;
/// Values that all resamples of a sample have together at the most, about: of hundreds of values, whose interval is hardly
/// another than Student's, fewer resamples are drawn, but never less than a thousand.
const VALUES: usize = 1_000_000;

/// The 95 % interval of the mean by the bias-corrected and accelerated bootstrap (Efron, "Better Bootstrap Confidence
/// Intervals", 1987), as `scipy.stats.bootstrap` computes it: over every resample of up to five values, and over 9,999 of
/// more (fewer of more than a hundred), drawn alike each time. `None` for fewer than three values, and for equal ones.
///
/// Of few values it covers the true mean more rarely than it says, since no resample reaches beyond them: with three to
/// five seeds Student's t is the honest one.
pub fn bca(values: &[f64]) -> Option<[f64; 2]> {
    let count = values.len();
    if count < 3 || values.iter().all(|value| *value == values[0]) {
        return None;
    }
    // Summed by how often each value was drawn, equal resamples have equal means to the last bit.
    let mean_of = |times: &[usize]| {
        let terms = times.iter().zip(values).map(|(&n, value)| n as f64 * value);
        terms.sum::<f64>() / count as f64
    };
    let mut means = Vec::new();
    let mut times = vec![0; count];
    let mut note = |drawn: &mut dyn Iterator<Item = usize>| {
        times.fill(0);
        drawn.for_each(|place| times[place] += 1);
        means.push(mean_of(&times));
    };
    if count <= MOST_EXACT {
        for number in 0..count.pow(count as u32) {
            note(&mut (0..count as u32).map(|place| number / count.pow(place) % count));
        }
    } else {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..DRAWN.min((VALUES / count).max(1_000)) {
            note(&mut (0..count).map(|_| random.random_range(0..count)));
        }
    }
    means.sort_by(f64::total_cmp);
    let mean = mean_of(&vec![1; count]);

    let below = means.partition_point(|value| *value < mean);
    let up_to = means.partition_point(|value| *value <= mean);
    let normal = Normal::standard();
    let bias = normal.inverse_cdf((below + up_to) as f64 / (2 * means.len()) as f64);
    // Leaving a value out moves the mean by (mean - value) / (n - 1): the jackknife's influences, but for their sign.
    let moment = |power: i32| {
        values
            .iter()
            .map(|value| (value - mean).powi(power))
            .sum::<f64>()
    };
    let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
    let end = |level: f64| {
        let z = bias + normal.inverse_cdf(level);
        quantile(&means, normal.cdf(bias + z / (1.0 - acceleration * z)))
    };
    let ends = [end(ALPHA / 2.0), end(1.0 - ALPHA / 2.0)];
    ends.iter().all(|end| end.is_finite()).then_some(ends)
}

/// The quantile of rising values, with straight lines between them (type 7 of Hyndman and Fan, 1996).
fn quantile(rising: &[f64], level: f64) -> f64 {
    let place = level * (rising.len() - 1) as f64;
    let before = place.floor();
    let value = |place: f64| rising.get(place as usize).copied().unwrap_or(f64::NAN);
    value(before) + (place - before) * (value(place.ceil()) - value(before))
}
