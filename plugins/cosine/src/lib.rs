//! Warm-up, then a fall along half a cosine (or a hyperbolic tangent), once or in cycles: SGDR (Loshchilov, Hutter 2017,
//! arXiv 1608.03983) and what PyTorch, optax, timm, Transformers and Keras make of it.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::Clock;
use pixelrate_shapes::cycles::Cycles;
use pixelrate_shapes::read;
use pixelrate_shapes::shape::Shape;
use pixelrate_shapes::warmup::{Warmup, within};

struct Cosine {
    clock: Clock,
    max: f64,
    min: f64,
    warmup: Warmup,
    within: bool,
    cycles: Cycles,
    shape: Shape,
    exponent: f64,
    /// After a cycle the rate goes back the way it came.
    returns: bool,
    /// `cycle_decay` makes the distance between the ends smaller, not the high end.
    shrinks_range: bool,
}

impl Cosine {
    fn curve(&self, time: f64) -> f64 {
        let place = self.cycles.place(time);
        let back = self.returns && place.cycle % 2.0 == 1.0;
        let progress = if back {
            1.0 - place.progress
        } else {
            place.progress
        };
        let range = if self.shrinks_range {
            (self.max - self.min) * place.height
        } else {
            self.max * place.height - self.min
        };
        // A tangent stops short of its end: timm's rate jumps to the low end after the last cycle, and so does this.
        let over = place.progress == 1.0 && matches!(self.shape, Shape::Tanh { .. });
        let left = if over { 0.0 } else { self.shape.fall(progress) };
        self.min
            + range
                * if self.exponent == 1.0 {
                    left
                } else {
                    left.powf(self.exponent)
                }
    }
}

impl Schedule for Cosine {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let warmup = Warmup::read(run, &clock)?;
        let within = within(run)?;
        let (from, to) = (run.param("tanh_from"), run.param("tanh_to"));
        let rises = from < to;
        if !rises {
            return Err(format!(
                "`tanh_from` is {from}: must be below `tanh_to`, which is {to}"
            ));
        }
        Ok(Self {
            clock,
            max: read::not_negative(run, "max_lr")?,
            min: read::not_negative(run, "min_lr")?,
            warmup,
            within,
            cycles: Cycles::read(run, &clock, warmup.after(clock.total(), within))?,
            shape: read::choice(run, "shape", &[Shape::Cosine, Shape::Tanh { from, to }])?,
            exponent: read::above_zero(run, "exponent")?,
            returns: read::choice(run, "after_cycle", &[false, true])?,
            shrinks_range: read::choice(run, "cycle_decay_of", &[false, true])?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        // As timm has it: a tangent is met where it is, a cosine's peak is aimed at and left for where it is by then.
        let peak = match self.shape {
            Shape::Tanh { .. } if self.within => self.curve(self.warmup.length),
            _ => self.max,
        };
        let warming = self.warmup.rate(time, peak);
        warming.unwrap_or_else(|| self.curve(self.warmup.after(time, self.within)))
    }
}

export_schedule!(Cosine, parameters: [
    {"max_lr" = 0.1, "The highest rate: after the warm-up, and at the start of the first cycle."},
    {"min_lr" = 0, "The lowest rate, at the end of each cycle, and after the last."},
    {"warmup" = 0, "How long the rate rises to max_lr, in a straight line."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
    {"warmup_counts" = 0 in ["before", "within"], "Whether the first cycle begins after the warm-up, or has begun with the run."},
    {"length" = 0, "How long the first cycle is; 0: the cycles fill the run."},
    {"cycles" = 1, "How many cycles there are; 0: no end."},
    {"cycle_mul" = 1, "Each cycle is as long as the one before it times this."},
    {"cycle_decay" = 1, "Each cycle is as high as the one before it times this."},
    {"cycle_decay_of" = 0 in ["peak", "range"], "What cycle_decay makes smaller: the cycle's highest rate, or its distance from min_lr."},
    {"after_cycle" = 0 in ["restart", "return"], "After a cycle, the rate jumps to its highest, or goes back up along the same curve in the next."},
    {"shape" = 0 in ["cosine", "tanh"], "The curve of a cycle."},
    {"tanh_from" = -7, "Where the hyperbolic tangent begins."},
    {"tanh_to" = 3, "Where the hyperbolic tangent ends."},
    {"exponent" = 1, "The power of the curve (1 at its top, 0 at its end)."},
    {"k_decay" = 1, "The power of a cycle's progress."},
    {"unit" = 0 in ["steps", "epochs", "fraction", "whole_epochs"], "What durations count: steps, epochs, fractions of the run, or epochs within which the rate stays."},
]);
