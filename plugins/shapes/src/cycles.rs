//! A curve once, or again and again.

use pixelrate_schedule::Run;

use crate::clock::{Clock, times};
use crate::read;

/// Cycles of a run, by the parameters `length`, `cycles`, `cycle_mul`, `cycle_decay` and `k_decay`.
#[derive(Debug, Clone, Copy)]
pub struct Cycles {
    /// Of the first cycle.
    pub length: f64,
    /// How many; infinite if there is no end.
    count: f64,
    /// Each cycle's length over that of the one before it.
    mul: f64,
    /// Each cycle's height over that of the one before it.
    decay: f64,
    /// The power of the progress (k-decay: Zhang, Li 2020, arXiv 2004.05909).
    k: f64,
}

/// Where in the cycles a moment lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The cycle, from 0.
    pub cycle: f64,
    /// How much of it has passed: from 0 to below 1; 1 after the last.
    pub progress: f64,
    /// The cycle's height over the first one's.
    pub height: f64,
}

impl Cycles {
    /// The cycles of a run; `available` is what a `length` of 0 divides among them.
    ///
    /// # Errors
    /// A parameter is out of its range, or there is no end and no length either.
    pub fn read(run: &Run, clock: &Clock, available: f64) -> Result<Self, String> {
        let count = match read::count(run, "cycles")? {
            0 => f64::INFINITY,
            count => count as f64,
        };
        let mul = read::above_zero(run, "cycle_mul")?;
        let length = clock.duration(run, "length")?;
        if length == 0.0 && count.is_infinite() {
            return Err(
                "`length` is missing: with `cycles` 0 there is no end to divide among them".into(),
            );
        }
        if count.is_infinite() && mul < 1.0 {
            return Err(format!(
                "`cycle_mul` is {mul}: below 1 the cycles come to an end, so `cycles` must be above 0"
            ));
        }
        let mut cycles = Self {
            length: 1.0,
            count,
            mul,
            decay: read::above_zero(run, "cycle_decay")?,
            k: read::above_zero(run, "k_decay")?,
        };
        cycles.length = if length == 0.0 {
            available.max(0.0) / cycles.start(count)
        } else {
            length
        };
        Ok(cycles)
    }

    /// Where `time`, 0 or more, lies.
    pub fn place(&self, time: f64) -> Place {
        let cycle = self.cycle(time);
        if cycle >= self.count {
            return Place {
                cycle: self.count - 1.0,
                progress: 1.0,
                height: self.decay.powf(self.count - 1.0),
            };
        }
        let length = self.length * self.mul.powf(cycle);
        let passed = (time - self.start(cycle)).max(0.0) / length;
        Place {
            cycle,
            progress: if self.k == 1.0 {
                passed
            } else {
                passed.powf(self.k)
            }
            .min(1.0),
            height: self.decay.powf(cycle),
        }
    }

    /// When `cycle` begins: the lengths before it, a geometric series.
    fn start(&self, cycle: f64) -> f64 {
        if self.mul == 1.0 {
            self.length * cycle
        } else {
            self.length * ((self.mul.powf(cycle) - 1.0) / (self.mul - 1.0))
        }
    }

    /// In which cycle `time` lies.
    fn cycle(&self, time: f64) -> f64 {
        if self.length <= 0.0 {
            return self.count;
        }
        if self.mul == 1.0 {
            return times(time, self.length);
        }
        // The logarithm is right but for its rounding, which at a cycle's first step decides which it is.
        let left = 1.0 + (time / self.length) * (self.mul - 1.0);
        if left <= 0.0 {
            return self.count;
        }
        let near = (left.ln() / self.mul.ln()).floor().max(0.0);
        let begun = |cycle: f64| self.start(cycle) <= time * (1.0 + 4.0 * f64::EPSILON);
        if begun(near + 1.0) {
            near + 1.0
        } else if begun(near) {
            near
        } else {
            near - 1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(length: f64, mul: f64) -> Cycles {
        Cycles {
            length,
            count: f64::INFINITY,
            mul,
            decay: 0.5,
            k: 1.0,
        }
    }

    #[test]
    fn a_cycle_begins_at_its_first_step_whatever_the_logarithm_rounds_to() {
        for mul in [1.5, 2.0, 3.0, 5.0, 7.0, 10.0] {
            let cycles = cycles(10.0, mul);
            for cycle in 0..15 {
                let first = cycles.start(f64::from(cycle));
                let place = cycles.place(first);
                assert_eq!(
                    (place.cycle, place.progress),
                    (f64::from(cycle), 0.0),
                    "{mul}"
                );
                assert_eq!(place.height, 0.5_f64.powi(cycle));
                if cycle > 0 {
                    let before = cycles.place(first - 1.0);
                    assert_eq!(before.cycle, f64::from(cycle - 1), "{mul}");
                    assert!(before.progress < 1.0 && before.progress > 0.8);
                }
            }
        }
    }

    #[test]
    fn long_runs_cost_no_more_and_lose_no_step() {
        let place = cycles(7.0, 1.0).place(1e12);
        assert_eq!(place.cycle, (1e12_f64 / 7.0).floor());
        assert_eq!(place.progress, (1e12 - 7.0 * place.cycle) / 7.0);
        assert!(cycles(7.0, 2.0).place(1e12).cycle < 40.0);
    }

    #[test]
    fn after_the_last_the_end_is_kept() {
        let mut few = cycles(10.0, 2.0);
        few.count = 2.0;
        assert_eq!(few.place(29.0).cycle, 1.0);
        let end = few.place(30.0);
        assert_eq!((end.cycle, end.progress), (1.0, 1.0));
        assert_eq!(few.place(1e12), end);
    }
}
