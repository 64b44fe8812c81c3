//! A rate that is multiplied by the same factor again and again, smoothly or in stairs; or divided by a growing number.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::{Clock, times};
use pixelrate_shapes::read;
use pixelrate_shapes::warmup::{Warmup, within};

struct Exponential {
    clock: Clock,
    first: f64,
    factor: f64,
    every: f64,
    staircase: bool,
    inverse_time: bool,
    bound: f64,
    warmup: Warmup,
    within: bool,
    hold: f64,
}

impl Exponential {
    fn curve(&self, time: f64) -> f64 {
        let time = (time - self.hold).max(0.0);
        let passed = if self.staircase {
            times(time, self.every)
        } else {
            time / self.every
        };
        if self.inverse_time {
            return (self.first / (1.0 + self.factor * passed)).max(self.bound);
        }
        let rate = self.first * self.factor.powf(passed);
        if self.factor < 1.0 {
            rate.max(self.bound)
        } else {
            rate.min(self.bound)
        }
    }
}

impl Schedule for Exponential {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let warmup = Warmup::read(run, &clock)?;
        let within = within(run)?;
        let hold = clock.duration(run, "hold")?;
        let rest = warmup.after(clock.total(), within) - hold;
        let factor = read::above_zero(run, "factor")?;
        let inverse_time = read::choice(run, "curve", &[false, true])?;
        let bound = read::not_negative(run, "end_lr")?;
        Ok(Self {
            clock,
            first: read::not_negative(run, "learning_rate")?,
            factor,
            // A rest of nothing: the run ends before anything changes.
            every: clock.duration_or(run, "every", rest.max(f64::MIN_POSITIVE))?,
            staircase: read::yes(run, "staircase")?,
            inverse_time,
            bound: if bound == 0.0 && factor >= 1.0 && !inverse_time {
                f64::INFINITY
            } else {
                bound
            },
            warmup,
            within,
            hold,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        let warming = self.warmup.rate(time, self.first);
        warming.unwrap_or_else(|| self.curve(self.warmup.after(time, self.within)))
    }
}

export_schedule!(Exponential, parameters: [
    {"learning_rate" = 0.1, "The rate after the warm-up."},
    {"factor" = 0.1, "What the rate is multiplied by each time that `every` passes; see curve."},
    {"every" = 0, "How long it takes the rate to change by the factor; 0: the whole run."},
    {"curve" = 0 in ["exponential", "inverse_time"], "The rate is multiplied by factor^(time / every), or divided by 1 + factor * time / every."},
    {"staircase" = 0 in ["no", "yes"], "Whether the rate changes at once each time that `every` has passed, and not all the time."},
    {"hold" = 0, "How long the rate stays before it changes."},
    {"end_lr" = 0, "The rate stops here; 0: it does not stop."},
    {"warmup" = 0, "How long the rate rises to learning_rate, in a straight line."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
    {"warmup_counts" = 0 in ["before", "within"], "Whether time counts from the end of the warm-up, or from the start of the run."},
    {"unit" = 0 in ["steps", "epochs", "fraction", "whole_epochs"], "What durations count: steps, epochs, fractions of the run, or epochs within which the rate stays."},
]);
