//! Warm-up, then one over the square root of the time, or another power of it: Noam (Vaswani et al. 2017, arXiv
//! 1706.03762), T5's and BigVision's rsqrt, and the power law of Shen et al. 2024 (arXiv 2408.13359).

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::Clock;
use pixelrate_shapes::power::PowerLaw;
use pixelrate_shapes::read;
use pixelrate_shapes::warmup::Warmup;

struct InverseSqrt {
    clock: Clock,
    max: f64,
    warmup: Warmup,
    law: PowerLaw,
}

impl Schedule for InverseSqrt {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let warmup = Warmup::read(run, &clock)?;
        Ok(Self {
            clock,
            max: read::not_negative(run, "max_lr")?,
            warmup,
            law: PowerLaw::read(run, warmup.length)?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        let warming = self.warmup.rate(time, self.max);
        warming.unwrap_or_else(|| self.max * self.law.left(time, self.warmup.after(time, false)))
    }
}

export_schedule!(InverseSqrt, parameters: [
    {"max_lr" = 0.1, "The highest rate, at the end of the warm-up."},
    {"warmup" = 0.05, "How long the rate rises to max_lr, in a straight line."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
    {"timescale" = 0, "How long it takes the rate to fall to max_lr / 2^power; 0: as long as the warm-up."},
    {"power" = 0.5, "The rate falls as the time to the power of minus this."},
    {"anchor" = 0 in ["warmup_end", "start"], "The rate is max_lr * (1 + time since the warm-up / timescale)^-power; or max_lr up to the time `timescale` of the run, and then max_lr * (time / timescale)^-power."},
    {"unit" = 2 in ["steps", "epochs", "fraction", "whole_epochs"], "What durations count: steps, epochs, fractions of the run, or epochs within which the rate stays."},
]);
