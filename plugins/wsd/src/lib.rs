//! Warm-up, stable, decay (Hu et al. 2024, arXiv 2404.06395): a trapezoid, whose middle may fall slowly and whose ends
//! have shapes. The default's decay, 1 - √p over the last fifth, is that of Hägele et al. 2024 (arXiv 2405.18392).

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::Clock;
use pixelrate_shapes::power::PowerLaw;
use pixelrate_shapes::read;
use pixelrate_shapes::shape::Shape;
use pixelrate_shapes::warmup::Warmup;

struct Wsd {
    clock: Clock,
    max: f64,
    min: f64,
    warmup: Warmup,
    /// `None`: the rate is the same until the decay.
    stable: Option<PowerLaw>,
    decay: f64,
    end: f64,
    shape: Shape,
}

impl Schedule for Wsd {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let rises = [Shape::Linear, Shape::Cosine, Shape::OneMinusSqrt];
        let warmup = Warmup::read(run, &clock)?.shaped(read::choice(run, "warmup_shape", &rises)?);
        let falls = [
            Shape::OneMinusSqrt,
            Shape::Linear,
            Shape::Waves(read::above_zero(run, "decay_cycles")?),
            Shape::OneMinusPower(read::above_zero(run, "decay_power")?),
            Shape::Exponential(read::shrinking(run, "decay_ratio")?),
            Shape::Rex,
        ];
        let constant = read::choice(run, "stable", &[true, false])?;
        Ok(Self {
            clock,
            max: read::not_negative(run, "max_lr")?,
            min: read::not_negative(run, "min_lr")?,
            warmup,
            stable: if constant {
                None
            } else {
                Some(PowerLaw::read(run, warmup.length)?)
            },
            decay: clock.duration(run, "decay")?,
            end: clock.duration_or(run, "end", clock.total())?,
            shape: read::choice(run, "decay_shape", &falls)?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        if let Some(rate) = self.warmup.rate(time, self.max) {
            return rate;
        }
        let stable = match self.stable {
            Some(law) => (self.max * law.left(time, self.warmup.after(time, false))).max(self.min),
            None => self.max,
        };
        // Where they do not fit into the run, the warm-up goes before the decay.
        let begin = (self.end - self.decay).max(self.warmup.length);
        if self.decay == 0.0 || time < begin {
            return stable;
        }
        let progress = if time < self.end {
            (time - begin) / (self.end - begin)
        } else {
            1.0
        };
        self.min + (stable - self.min) * self.shape.fall(progress)
    }
}

export_schedule!(Wsd, parameters: [
    {"max_lr" = 0.1, "The highest rate, from the end of the warm-up."},
    {"min_lr" = 0, "The rate at the end of the decay, and after it."},
    {"warmup" = 0.05, "How long the rate rises to max_lr."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
    {"warmup_shape" = 0 in ["linear", "cosine", "1-sqrt"], "How it rises."},
    {"stable" = 0 in ["constant", "power"], "Between warm-up and decay (and under the decay), the rate stays, or falls as a power of the time."},
    {"timescale" = 0, "stable = power: how long it takes the rate to fall to max_lr / 2^power; 0: as long as the warm-up."},
    {"power" = 0.5, "stable = power: the rate falls as the time to the power of minus this."},
    {"anchor" = 0 in ["warmup_end", "start"], "stable = power: max_lr * (1 + time since the warm-up / timescale)^-power; or max_lr up to the time `timescale` of the run, and then max_lr * (time / timescale)^-power."},
    {"decay" = 0.2, "How long the decay takes; 0: there is none."},
    {"decay_shape" = 0 in ["1-sqrt", "linear", "cosine", "power", "exponential", "rex"], "How it falls, with p from 0 to 1: 1 - p^0.5, 1 - p, a cosine, 1 - p^decay_power, decay_ratio^p stretched to end at 0, or (1 - p) / (1/2 + (1 - p)/2)."},
    {"decay_cycles" = 0.5, "decay_shape = cosine: its waves; with half a one the rate falls once, with 1.5 it comes back and falls again."},
    {"decay_power" = 2, "decay_shape = power: the power."},
    {"decay_ratio" = 0.1, "decay_shape = exponential: what would be left of the rate, before it is stretched."},
    {"end" = 0, "The time of the run at which the decay ends; 0: the run's end."},
    {"unit" = 2 in ["steps", "epochs", "fraction", "whole_epochs"], "What durations count: steps, epochs, fractions of the run, or epochs within which the rate stays."},
]);
