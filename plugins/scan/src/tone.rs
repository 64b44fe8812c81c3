//! How light and dark a picture is made, before its values become rates.

use crate::choice::choices;
use crate::moments::{mean, moments};

choices! {
    /// What a picture's values are brought to, each picture by itself.
    Normalise as "normalise" {
        /// As they are: the blog post's.
        None = "none",
        /// The darkest to 0, the lightest to 1.
        Stretch = "stretch",
        /// The 2nd percentile to 0, the 98th to 1; what lies beyond is clipped.
        Percentile = "percentile",
        /// To a mean and a standard deviation, by one factor and one shift; what leaves [0, 1] is clipped.
        Moments = "moments",
        /// Every value as often as every other: its rank, over the number of values (histogram equalisation).
        Equalise = "equalise",
    }
}

/// What is done to a scan's values, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tone {
    /// The negative: v becomes 1 - v.
    pub invert: bool,
    /// What the values are brought to.
    pub normalise: Normalise,
    /// The mean for [`Normalise::Moments`].
    pub mean: f64,
    /// The standard deviation for [`Normalise::Moments`].
    pub deviation: f64,
    /// v becomes 1/2 + contrast (v - 1/2), clipped to [0, 1].
    pub contrast: f64,
    /// v becomes v^gamma.
    pub gamma: f64,
    /// Each value becomes the mean of so many around it; 0 and 1 leave it.
    pub smooth: u64,
}

impl Tone {
    /// Leaves every value as it is.
    pub const NONE: Self = Self {
        invert: false,
        normalise: Normalise::None,
        mean: 0.5,
        deviation: 0.2,
        contrast: 1.0,
        gamma: 1.0,
        smooth: 0,
    };

    /// Whether it leaves every value as it is.
    pub fn is_none(&self) -> bool {
        !self.invert
            && self.normalise == Normalise::None
            && self.contrast == 1.0
            && self.gamma == 1.0
            && self.smooth < 2
    }

    /// Changes a whole scan's values.
    pub fn apply(&self, values: &mut [f64]) {
        if self.invert {
            each(values, |v| 1.0 - v);
        }
        self.normalise(values);
        if self.contrast != 1.0 {
            each(values, |v| {
                (0.5 + self.contrast * (v - 0.5)).clamp(0.0, 1.0)
            });
        }
        if self.gamma != 1.0 {
            each(values, |v| v.powf(self.gamma));
        }
        if self.smooth > 1 {
            smooth(values, self.smooth);
        }
    }

    fn normalise(&self, values: &mut [f64]) {
        let between = |values: &mut [f64], low: f64, high: f64| {
            if high > low {
                each(values, |v| ((v - low) / (high - low)).clamp(0.0, 1.0));
            }
        };
        match self.normalise {
            Normalise::None => {}
            Normalise::Stretch => {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                between(values, low, high);
            }
            Normalise::Percentile => {
                let sorted = sorted(values);
                let at = |share: f64| {
                    let place = share * (sorted.len() - 1) as f64;
                    let (below, rest) = (place as usize, place.fract());
                    let above = (below + 1).min(sorted.len() - 1);
                    sorted[below] + rest * (sorted[above] - sorted[below])
                };
                between(values, at(0.02), at(0.98));
            }
            Normalise::Moments => {
                let (mean, variance) = moments(values);
                let factor = if variance > 0.0 {
                    self.deviation / variance.sqrt()
                } else {
                    0.0
                };
                each(values, |v| {
                    (self.mean + factor * (v - mean)).clamp(0.0, 1.0)
                });
            }
            Normalise::Equalise => equalise(values),
        }
    }
}

fn each(values: &mut [f64], change: impl Fn(f64) -> f64) {
    values.iter_mut().for_each(|value| *value = change(*value));
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The middle of the ranks of equal values, from 0 for the least to 1 for the greatest.
fn equalise(values: &mut [f64]) {
    let sorted = sorted(values);
    let most = (sorted.len() - 1).max(1) as f64;
    each(values, |v| {
        let (below, up_to) = (
            sorted.partition_point(|other| *other < v),
            sorted.partition_point(|other| *other <= v),
        );
        (below + up_to - 1) as f64 / 2.0 / most
    });
}

/// A running mean over `width` values, fewer at the ends; an even width reaches one further back than ahead.
fn smooth(values: &mut [f64], width: u64) {
    let length = values.len();
    let width = usize::try_from(width).unwrap_or(length).min(2 * length);
    let (back, ahead) = (width / 2, (width - 1) / 2);
    // Sums from the start, of what is left over the mean: so they stay small.
    let middle = mean(values);
    let mut sums = Vec::with_capacity(length + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for value in values.iter() {
        sum += value - middle;
        sums.push(sum);
    }
    for (place, value) in values.iter_mut().enumerate() {
        let (from, to) = (place.saturating_sub(back), (place + ahead + 1).min(length));
        *value = (middle + (sums[to] - sums[from]) / (to - from) as f64).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toned(tone: Tone, values: &[f64]) -> Vec<f64> {
        let mut values = values.to_vec();
        tone.apply(&mut values);
        values
    }

    #[test]
    fn each_tone_is_the_known_one() {
        let values = [0.25, 0.5, 0.75, 0.5];
        let none = Tone::NONE;
        assert!(none.is_none());
        assert_eq!(toned(none, &values), values);
        let normalise = |normalise| toned(Tone { normalise, ..none }, &values);
        assert_eq!(normalise(Normalise::Stretch), [0.0, 0.5, 1.0, 0.5]);
        assert_eq!(normalise(Normalise::Equalise), [0.0, 0.5, 1.0, 0.5]);
        let found = normalise(Normalise::Moments);
        let (mean, variance) = moments(&found);
        assert!((mean - 0.5).abs() < 1e-15 && (variance.sqrt() - 0.2).abs() < 1e-15);
        let ramp: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
        let percentile = Tone {
            normalise: Normalise::Percentile,
            ..none
        };
        let found = toned(percentile, &ramp);
        assert_eq!(
            (found[2], found[1], found[98], found[100]),
            (0.0, 0.0, 1.0, 1.0)
        );
        assert!((found[50] - 0.5).abs() < 1e-15);
        assert_eq!(
            toned(
                Tone {
                    invert: true,
                    ..none
                },
                &values
            ),
            [0.75, 0.5, 0.25, 0.5]
        );
        assert_eq!(
            toned(
                Tone {
                    contrast: 3.0,
                    ..none
                },
                &values
            ),
            [0.0, 0.5, 1.0, 0.5]
        );
        assert_eq!(
            toned(Tone { gamma: 2.0, ..none }, &values),
            [0.0625, 0.25, 0.5625, 0.25]
        );
        let smooth = |smooth| toned(Tone { smooth, ..none }, &[0.0, 0.5, 1.0, 0.0]);
        assert_eq!(smooth(1), [0.0, 0.5, 1.0, 0.0]);
        assert_eq!(smooth(3), [0.25, 0.5, 0.5, 0.5]);
        assert_eq!(smooth(2), [0.0, 0.25, 0.75, 0.5]);
        assert_eq!(smooth(u64::MAX), [0.375; 4]);
    }

    #[test]
    fn a_picture_of_one_shade_stays_within_bounds() {
        for &normalise in Normalise::ALL {
            let found = toned(
                Tone {
                    normalise,
                    ..Tone::NONE
                },
                &[0.3; 5],
            );
            assert!(
                found.iter().all(|v| (0.0..=1.0).contains(v)),
                "{normalise:?}: {found:?}"
            );
        }
    }
}
