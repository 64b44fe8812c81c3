//! What a schedule that follows the training looks at, and whether it got better.

use pixelrate_schedule::{Run, training};

use crate::read;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    EvalLoss,
    EvalAccuracy,
    TrainLoss,
    GradNorm,
}

/// A metric, by the parameters `metric`, `mode`, `threshold_rel` and `threshold_abs`.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    source: Source,
    /// Whether more is better.
    max: bool,
    relative: f64,
    absolute: f64,
    /// The evaluation that was looked at last, by the step that it came after; of training values, the step itself.
    pub seen: u64,
}

impl Metric {
    /// The metric of a run.
    ///
    /// # Errors
    /// A parameter is out of its range.
    pub fn read(run: &Run) -> Result<Self, String> {
        let sources = [
            Source::EvalLoss,
            Source::EvalAccuracy,
            Source::TrainLoss,
            Source::GradNorm,
        ];
        let source = read::choice(run, "metric", &sources)?;
        let mode = read::choice(run, "mode", &[None, Some(false), Some(true)])?;
        Ok(Self {
            source,
            max: mode.unwrap_or(source == Source::EvalAccuracy),
            relative: read::not_negative(run, "threshold_rel")?,
            absolute: read::not_negative(run, "threshold_abs")?,
            seen: 0,
        })
    }

    /// The newest value, if there is one that was not seen before. Not a number is none, as the contract has it.
    pub fn fresh(&mut self, step: u64) -> Option<f64> {
        let evaluated = matches!(self.source, Source::EvalLoss | Source::EvalAccuracy);
        let now = if evaluated {
            training::eval_step()
        } else {
            step
        };
        if now == self.seen {
            return None;
        }
        self.seen = now;
        let value = match self.source {
            Source::EvalLoss => training::eval_loss(),
            Source::EvalAccuracy => training::eval_accuracy(),
            Source::TrainLoss => training::train_loss(),
            Source::GradNorm => training::grad_norm(),
        };
        (!value.is_nan()).then_some(value)
    }

    /// What any value is better than.
    pub fn worst(&self) -> f64 {
        if self.max {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }
    }

    /// Whether `value` is better than `best` by more than the thresholds.
    pub fn is_better(&self, value: f64, best: f64) -> bool {
        if self.max {
            value > best * (1.0 + self.relative) + self.absolute
        } else {
            value < best * (1.0 - self.relative) - self.absolute
        }
    }
}
