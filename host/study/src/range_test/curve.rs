//! The curve of a range test: smoothed, cut and read as fastai 2.8 does (`fastai/callback/schedule.py`, `fastai/learner.py`).

use serde::Serialize;

/// fastai's `AvgSmoothLoss`.
const BETA: f64 = 0.98;
/// fastai's `LRFinder` stops above so many times the least smoothed loss.
const EXPLODED: f64 = 4.0;
/// fastai's `lr_find` reads no more than this before the end.
const SKIP_END: usize = 5;
/// Steps below which a curve cannot be read.
pub(super) const LEAST_STEPS: u64 = 20;

/// The running mean of a loss, and the least that it has been.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    losses: Vec<f64>,
    value: f64,
    best: Option<f64>,
}

impl Watch {
    /// Takes the next step's loss. Whether it has exploded by now.
    pub(super) fn see(&mut self, loss: f64) -> bool {
        self.losses.push(loss);
        self.value = loss + BETA * (self.value - loss);
        let smooth = self.smooth();
        let best = self.best.map_or(smooth, |best| best.min(smooth));
        self.best = Some(best);
        smooth > EXPLODED * best
    }

    /// The mean, less the pull of the zero that it began with: val / (1 - beta^count).
    fn smooth(&self) -> f64 {
        self.value / (1.0 - BETA.powi(self.losses.len() as i32))
    }

    /// Forgets all steps from `step` on.
    pub(super) fn back_to(&mut self, step: u64) {
        let losses = std::mem::take(self).losses;
        for loss in losses.into_iter().take(step as usize) {
            self.see(loss);
        }
    }
}

/// fastai's `AvgSmoothLoss` of each step.
pub(super) fn smoothed(losses: &[f64]) -> Vec<f64> {
    let mut watch = Watch::default();
    losses
        .iter()
        .map(|&loss| {
            watch.see(loss);
            watch.smooth()
        })
        .collect()
}

/// A rate that a curve suggests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Suggestion {
    /// The rate.
    pub learning_rate: f64,
    /// The smoothed loss there.
    pub loss: f64,
}

/// What a curve suggests, after each of three rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Suggestions {
    /// Two thirds into the longest valley, the longest stretch of ever smaller losses: fastai's `valley`, its default since
    /// version 2.4.
    pub valley: Suggestion,
    /// Where the loss falls fastest against the logarithm of the rate: fastai's `steep`; PyTorch Lightning's
    /// `lr_find().suggestion()` and torch-lr-finder's are of this kind.
    pub steepest: Suggestion,
    /// A tenth of the rate of the least loss: fastai's `minimum`.
    pub minimum_tenth: Suggestion,
}

impl Suggestions {
    /// All three with their names.
    pub fn all(&self) -> [(&'static str, Suggestion); 3] {
        [
            ("valley", self.valley),
            ("steepest", self.steepest),
            ("minimum / 10", self.minimum_tenth),
        ]
    }
}

/// Reads a smoothed curve of a test of `steps` steps, without its first tenth and its last five steps. `None` if too little
/// is left.
pub(super) fn suggest(rates: &[f64], losses: &[f64], steps: u64) -> Option<Suggestions> {
    let (first, end) = (steps as usize / 10, rates.len().checked_sub(SKIP_END)?);
    if end < first + 3 {
        return None;
    }
    let (rates, losses) = (&rates[first..end], &losses[first..end]);
    let at = |index: usize| Suggestion {
        learning_rate: rates[index],
        loss: losses[index],
    };
    let least = |values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.collect();
        (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b]))
    };
    let slopes = |i: usize| (losses[i + 1] - losses[i]) / (rates[i + 1].ln() - rates[i].ln());
    let steepest = least(&mut (0..rates.len() - 1).map(slopes))?;
    let minimum = at(least(&mut losses.iter().copied())?).learning_rate / 10.0;
    let near = least(&mut rates.iter().map(|rate| (rate.ln() - minimum.ln()).abs()))?;
    Some(Suggestions {
        valley: at(valley(losses)),
        steepest: at(steepest),
        minimum_tenth: Suggestion {
            learning_rate: minimum,
            loss: losses[near],
        },
    })
}

/// fastai's `valley`, to the letter: the longest decreasing subsequence, and the middle of its middle third.
fn valley(losses: &[f64]) -> usize {
    let count = losses.len();
    let mut lengths = vec![1_usize; count];
    let (mut start, mut end) = (0_isize, 0);
    for i in 1..count {
        for j in 0..i {
            if losses[i] < losses[j] && lengths[i] < lengths[j] + 1 {
                lengths[i] = lengths[j] + 1;
            }
            if lengths[end] < lengths[i] {
                end = i;
                start = end as isize - lengths[end] as isize;
            }
        }
    }
    let section = (end as isize - start) as f64 / 3.0;
    let index = start + section as isize + (section / 2.0) as isize;
    index.clamp(0, count as isize - 1) as usize
}

/// Eight hexadecimal digits that tell texts apart.
pub(super) fn digest(text: &str) -> String {
    // FNV-1a, 64 bits, folded to 32 (Fowler, Noll and Vo).
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}", (hash ^ (hash >> 32)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From 1e-7 to 10 in `steps` steps.
    fn rates(steps: usize) -> Vec<f64> {
        let last = (steps - 1) as f64;
        (0..steps)
            .map(|step| 1e-7 * 1e8_f64.powf(step as f64 / last))
            .collect()
    }

    /// A loss that falls around `middle`, under a noise of whole numbers.
    fn falling(step: usize, middle: f64, width: f64) -> f64 {
        let noise = ((step * 37 % 11) as f64 - 5.0) / 5.0;
        2.3 - 1.5 / (1.0 + (-(step as f64 - middle) / width).exp()) + 0.05 * noise
    }

    fn assert_suggests(steps: usize, losses: &[f64], expected: [f64; 3]) {
        let found = suggest(
            &rates(steps)[..losses.len()],
            &smoothed(losses),
            steps as u64,
        );
        let found = found.unwrap().all().map(|(_, one)| one.learning_rate);
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        }
    }

    // The numbers are those of fastai 2.8.12's own `valley`, `steep` and `minimum`, `AvgSmoothLoss` and the stop of
    // `LRFinder`, over tensors of 64 bits.
    #[test]
    fn suggests_what_fastai_does() {
        let rising = |step: usize| 0.004 * step.saturating_sub(150).pow(2) as f64;
        let losses: Vec<f64> = (0..200)
            .map(|step| falling(step, 120.0, 8.0) + rising(step))
            .collect();
        let smooth = smoothed(&losses);
        assert!((smooth[0] - 2.249_999_541_146_66).abs() < 1e-9);
        assert!((smooth[199] - 3.728_456_912_256_958).abs() < 1e-9);
        let expected = [
            0.004_198_707_084_443_905,
            0.024_374_441_501_222_217,
            0.035_707_859_649_004_62,
        ];
        assert_suggests(200, &losses, expected);
    }

    #[test]
    fn stops_and_suggests_where_fastai_does_when_the_loss_explodes() {
        let explosion = |step: usize| (0.4 * step.saturating_sub(80) as f64).exp() - 1.0;
        let mut watch = Watch::default();
        let mut losses = Vec::new();
        for step in 0..100 {
            losses.push(falling(step, 60.0, 4.0) + explosion(step));
            if watch.see(losses[step]) {
                break;
            }
        }
        assert_eq!(losses.len(), 92);
        let expected = [
            0.004_037_017_258_596_558,
            0.031_257_158_496_882_355,
            0.035_111_917_342_151_34,
        ];
        assert_suggests(100, &losses, expected);
        // What was seen after a checkpoint is forgotten with it.
        watch.back_to(80);
        assert_eq!(watch.losses, losses[..80]);
        assert!(!watch.see(losses[80]));
    }

    #[test]
    fn a_curve_that_ends_at_once_suggests_nothing() {
        assert_eq!(suggest(&rates(200)[..27], &[1.0; 27], 200), None);
        assert_eq!(suggest(&rates(200)[..3], &[1.0; 3], 200), None);
        assert_eq!(digest("a").len(), 8);
        assert_ne!(digest("a"), digest("b"));
    }
}
