//! Warm-up, then a straight line or another power of what is left, once or in cycles. The default, linear to zero, is
//! what Li, Yumer, Ramanan 2020 (arXiv 1905.04753) and Bergsma et al. 2025 (arXiv 2502.15938) recommend.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::{Clock, times};
use pixelrate_shapes::cycles::Cycles;
use pixelrate_shapes::read;
use pixelrate_shapes::shape::Shape;
use pixelrate_shapes::warmup::{Warmup, within};

struct Polynomial {
    clock: Clock,
    start: f64,
    end: f64,
    shape: Shape,
    warmup: Warmup,
    within: bool,
    hold: f64,
    cycles: Cycles,
    stretches: bool,
}

impl Polynomial {
    fn curve(&self, time: f64) -> f64 {
        let time = (time - self.hold).max(0.0);
        let (progress, height) = if self.stretches {
            // Keras: whenever the end is reached, it moves away by another length.
            let whole = times(time, self.cycles.length);
            let reached = if whole * self.cycles.length < time {
                whole + 1.0
            } else {
                whole
            };
            let end = (self.cycles.length * reached.max(1.0)).max(f64::MIN_POSITIVE);
            ((time / end).min(1.0), 1.0)
        } else {
            let place = self.cycles.place(time);
            (place.progress, place.height)
        };
        (self.start * height - self.end) * self.shape.fall(progress) + self.end
    }
}

impl Schedule for Polynomial {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let warmup = Warmup::read(run, &clock)?;
        let within = within(run)?;
        let hold = clock.duration(run, "hold")?;
        let power = read::above_zero(run, "power")?;
        Ok(Self {
            clock,
            start: read::not_negative(run, "start_lr")?,
            end: read::not_negative(run, "end_lr")?,
            shape: if power == 1.0 {
                Shape::Linear
            } else {
                Shape::Polynomial(power)
            },
            warmup,
            within,
            hold,
            cycles: Cycles::read(run, &clock, warmup.after(clock.total(), within) - hold)?,
            stretches: read::choice(run, "after_cycle", &[false, true])?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        let warming = self.warmup.rate(time, self.start);
        warming.unwrap_or_else(|| self.curve(self.warmup.after(time, self.within)))
    }
}

export_schedule!(Polynomial, parameters: [
    {"start_lr" = 0.1, "The rate after the warm-up."},
    {"end_lr" = 0, "The rate at the end of each cycle, and after the last. It may be above start_lr."},
    {"power" = 1, "The power of what is left of the cycle: 1 is a straight line."},
    {"warmup" = 0, "How long the rate rises to start_lr, in a straight line."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
    {"warmup_counts" = 0 in ["before", "within"], "Whether the first cycle begins after the warm-up, or has begun with the run."},
    {"hold" = 0, "How long the rate stays at start_lr before it changes."},
    {"length" = 0, "How long the first cycle is; 0: the cycles fill the run."},
    {"cycles" = 1, "How many cycles there are; 0: no end."},
    {"cycle_mul" = 1, "Each cycle is as long as the one before it times this."},
    {"cycle_decay" = 1, "Each cycle begins at the rate that the one before it began at, times this."},
    {"after_cycle" = 0 in ["restart", "stretch"], "At the end of a cycle the next begins; or the end moves away by another length, without end, as Keras does (cycles, cycle_mul, cycle_decay and k_decay are not looked at)."},
    {"k_decay" = 1, "The power of a cycle's progress."},
    {"unit" = 0 in ["steps", "epochs", "fraction", "whole_epochs"], "What durations count: steps, epochs, fractions of the run, or epochs within which the rate stays."},
]);
