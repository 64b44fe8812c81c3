//! Controls: schedules that share something with a picture's and lack the rest, to tell what of the picture matters.

use crate::chance::Chance;
use crate::choice::choices;
use crate::moments::{bound, mean, moments};
use crate::spectrum::{noise, phase_randomised};

choices! {
    /// What takes the picture's place.
    Control as "control" {
        /// Nothing: the picture itself.
        None = "none",
        /// The rates of all steps in an order drawn by chance: the same values, with no order at all.
        Shuffled = "shuffled",
        /// The same values, falling.
        Sorted = "sorted",
        /// The same values, rising.
        SortedRising = "sorted_rising",
        /// The picture upside down: its last row first, each row still from the left.
        UpsideDown = "upside_down",
        /// Each row of the picture backwards: its mirror image.
        RowsReversed = "rows_reversed",
        /// The picture turned by half a turn: upside down, and each row backwards.
        Rotated = "rotated",
        /// The mean at every step.
        Constant = "constant",
        /// Normal noise of the same mean and variance, with the same power at every frequency.
        White = "white",
        /// The same with a power of 1/f.
        Pink = "pink",
        /// The same with a power of 1/f^2.
        Brown = "brown",
        /// Noise of the schedule's own spectrum: the power at every frequency is kept, and phases are drawn by chance.
        PhaseRandomised = "phase_randomised",
        /// A picture of the picture's own spectrum in the plane, with phases drawn by chance, the same for all colours:
        /// its texture and its colours, without its shapes (Galerne, Gousseau and Morel, 2011).
        Texture = "texture",
        /// A straight line to zero from the highest rate: the rate of step k of n is (1 - k/n) of it.
        Linear = "linear",
        /// A straight line to zero with the same mean.
        LinearMean = "linear_mean",
    }
}

/// Steps at most of a run whose rates a control changes: all of them lie in memory, and so does their spectrum.
pub const MOST_STEPS: u64 = 1 << 21;

impl Control {
    /// Whether the picture is read with its columns, and with its rows, in the opposite order.
    pub(crate) fn flips(self) -> (bool, bool) {
        match self {
            Self::UpsideDown => (false, true),
            Self::RowsReversed => (true, false),
            Self::Rotated => (true, true),
            _ => (false, false),
        }
    }

    /// Whether it is made from the rates of all steps.
    pub(crate) fn is_of_steps(self) -> bool {
        !matches!(
            self,
            Self::None | Self::UpsideDown | Self::RowsReversed | Self::Rotated | Self::Texture
        )
    }

    /// Changes the value, in [0, 1], of every step. Noise leaves no bounds and has the same mean and variance: see
    /// `moments::bound`.
    pub(crate) fn apply(self, values: &mut [f64], seed: u64) {
        let mut chance = Chance::new(seed, self.word());
        let steps = values.len();
        let mut other = match self {
            Self::Shuffled => return chance.shuffle(values),
            Self::Sorted => return values.sort_unstable_by(|a, b| b.total_cmp(a)),
            Self::SortedRising => return values.sort_unstable_by(f64::total_cmp),
            Self::Constant => return values.fill(mean(values)),
            Self::White => noise(steps, 0.0, &mut chance),
            Self::Pink => noise(steps, 1.0, &mut chance),
            Self::Brown => noise(steps, 2.0, &mut chance),
            Self::PhaseRandomised => phase_randomised(values, &mut chance),
            _ => return,
        };
        let (mean, variance) = moments(values);
        bound(&mut other, mean, variance);
        values.copy_from_slice(&other);
    }

    /// Replaces the rates of all steps by a line to zero, where it is one.
    pub(crate) fn straighten(self, rates: &mut [f64]) {
        let steps = rates.len() as f64;
        let peak = match self {
            Self::Linear => rates.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            // The mean of 1 - k/n over k = 0 … n - 1 is (n + 1) / 2n.
            Self::LinearMean => mean(rates) * 2.0 * steps / (steps + 1.0),
            _ => return,
        };
        for (step, rate) in rates.iter_mut().enumerate() {
            *rate = peak * (1.0 - step as f64 / steps);
        }
    }
}
