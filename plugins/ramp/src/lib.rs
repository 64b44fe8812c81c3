//! A rate that rises once over the whole run: the learning-rate range test (Smith 2017, arXiv 1506.01186, section 3.3).

use pixelrate_schedule::{Run, Schedule, export_schedule};

/// How the rate rises from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// By a factor, as in fastai's `lr_find`, PyTorch Lightning's and torch-lr-finder's.
    Exponential,
    /// By an amount, as in the paper.
    Linear,
}

/// The rate of `step`: `min` at the first of `steps`, `max` at the last (torch-lr-finder's r = step / (steps - 1)), and
/// min (max / min)^r or min + r (max - min) between.
pub fn rate(step: u64, steps: u64, min: f64, max: f64, shape: Shape) -> f64 {
    let last = steps.saturating_sub(1).max(1);
    if step >= last {
        // Not a bit above: `max` may be all that the trainer takes.
        return max;
    }
    let r = step as f64 / last as f64;
    match shape {
        Shape::Exponential => (min * (max / min).powf(r)).min(max),
        Shape::Linear => min + r * (max - min),
    }
}

struct Ramp {
    min: f64,
    max: f64,
    steps: u64,
    shape: Shape,
}

impl Schedule for Ramp {
    fn new(run: &Run) -> Result<Self, String> {
        let (min, max) = (run.param("min_lr"), run.param("max_lr"));
        let shape = match run.param("shape") {
            0.0 => Shape::Exponential,
            1.0 => Shape::Linear,
            other => {
                return Err(format!("`shape` is {other}: must be exponential or linear"));
            }
        };
        if !(min > 0.0 || min == 0.0 && shape == Shape::Linear) {
            return Err(format!(
                "`min_lr` is {min}: must be above 0 (a linear ramp may begin at 0)"
            ));
        }
        let rises = max > min;
        if !rises {
            return Err(format!("`max_lr` is {max}: must be above `min_lr`, {min}"));
        }
        Ok(Self {
            min,
            max,
            steps: run.total_steps(),
            shape,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        rate(step, self.steps, self.min, self.max, self.shape)
    }
}

export_schedule!(Ramp, parameters: [
    {"min_lr" = 1e-7, "The rate of the first step."},
    {"max_lr" = 10, "The rate of the last step."},
    {"shape" = 0 in ["exponential", "linear"], "Whether each step multiplies the rate, or adds to it."},
]);

#[cfg(test)]
mod tests {
    use super::{Shape, rate};

    #[test]
    fn rises_from_the_first_step_to_the_last() {
        let at = |step| rate(step, 101, 1e-7, 10.0, Shape::Exponential);
        assert_eq!(at(0), 1e-7);
        assert_eq!((at(100), at(1000)), (10.0, 10.0));
        // Each step multiplies by the same factor: the hundredth root of 10^8.
        assert!((at(50) / 1e-3 - 1.0).abs() < 1e-12);
        assert!((at(26) / at(25) - 10_f64.powf(0.08)).abs() < 1e-12);
        assert!((0..100).all(|step| at(step) < at(step + 1)));
        assert_eq!(rate(50, 101, 0.0, 10.0, Shape::Linear), 5.0);
        assert_eq!(rate(0, 1, 0.5, 1.0, Shape::Linear), 0.5);
    }
}
