//! Differences between two schedules over the same seeds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::{Estimate, estimate, two_sided};

/// Pairs from which on the signs are flipped: with fewer no arrangement could be rarer than 5 %.
const LEAST_FLIPPED: usize = 6;
/// Pairs up to which all flips are tried.
const MOST_EXACT: usize = 14;
/// Flips that are drawn for more pairs.
const DRAWN: usize = 9_999;

/// What paired differences say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Mean of the differences, its 95 % interval by Student's t, and their spread.
    pub difference: Estimate,
    /// Two-sided p-value of the paired t test. `None` for a single pair, and for differences that are all the same: they
    /// show no spread to hold the mean against.
    pub p_t: Option<f64>,
    /// Two-sided p-value of the sign-flip permutation test of the mean, which asks for no normal distribution: from six
    /// pairs on.
    pub p_flip: Option<f64>,
}

/// Tests whether the mean of `differences` may be zero; `None` if there are none.
pub fn paired(differences: &[f64]) -> Option<Paired> {
    let difference = estimate(differences)?;
    let p_t = difference.deviation.and_then(|deviation| {
        let pairs = difference.count as f64;
        // What is left of equal numbers after rounding is no spread.
        let spreads = deviation > 1e-12 * difference.mean.abs();
        spreads.then(|| two_sided(difference.mean / (deviation / pairs.sqrt()), pairs - 1.0))
    });
    Some(Paired {
        difference,
        p_t,
        p_flip: (differences.len() >= LEAST_FLIPPED).then(|| flipped(differences)),
    })
}

/// Of each eight differences their sum under each choice of signs, a set bit for a minus: a hundred differences are a
/// dozen numbers to add up then.
fn signed_sums(differences: &[f64]) -> Vec<[f64; 256]> {
    let table = |eight: &[f64]| {
        std::array::from_fn(|signs| {
            let one = |(place, value): (usize, &f64)| match signs >> place & 1 {
                0 => *value,
                _ => -*value,
            };
            eight.iter().enumerate().map(one).sum()
        })
    };
    differences.chunks(8).map(table).collect()
}

/// How often a mean as far from zero comes of the same differences with any signs.
fn flipped(differences: &[f64]) -> f64 {
    let observed: f64 = differences.iter().sum::<f64>().abs();
    let size: f64 = differences.iter().map(|value| value.abs()).sum();
    // Sums of the same numbers differ by their rounding.
    let reaches = |signs: u64| {
        let signed = differences.iter().enumerate().map(|(place, value)| {
            if signs >> (place % 64) & 1 == 0 {
                *value
            } else {
                -*value
            }
        });
        signed.sum::<f64>().abs() >= observed - 1e-12 * size
    };
    if differences.len() <= MOST_EXACT {
        // Each arrangement and its mirror image are equally far from zero.
        let all = 1_u64 << (differences.len() - 1);
        return (0..all).filter(|&signs| reaches(signs)).count() as f64 / all as f64;
    }
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut signs = vec![0_u64; differences.len().div_ceil(64)];
    let sums = signed_sums(differences);
    let mut reached = 0;
    for _ in 0..DRAWN {
        signs.iter_mut().for_each(|word| *word = random.next_u64());
        let bytes = signs.iter().flat_map(|word| word.to_le_bytes());
        let sum: f64 = sums
            .iter()
            .zip(bytes)
            .map(|(sums, byte)| sums[usize::from(byte)])
            .sum();
        reached += usize::from(sum.abs() >= observed - 1e-12 * size);
    }
    // What was observed is one of the arrangements (Phipson and Smyth, 2010).
    (reached + 1) as f64 / (DRAWN + 1) as f64
}
