//! What a run's process tells the study that runs it: lines of JSON.

use indicatif::ProgressBar;
use pixelrate_runlog::{EventKind, EventRow};
use pixelrate_trainer::train::{Herald, Progress, Refusal};
use serde::{Deserialize, Serialize};

/// A line that a run's process writes to its standard output, as JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Beat {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Learning rate of the newest step.
    pub learning_rate: f64,
    /// Whether steps have a loss: those of a dry run have none.
    pub measured: bool,
    /// Loss of the newest step; `None` where it is not finite, which JSON cannot say.
    pub train_loss: Option<f64>,
}

impl From<&Progress> for Beat {
    fn from(progress: &Progress) -> Self {
        Self {
            step: progress.step,
            total_steps: progress.total_steps,
            learning_rate: progress.learning_rate,
            measured: progress.train_loss.is_some(),
            train_loss: progress.train_loss.filter(|loss| loss.is_finite()),
        }
    }
}

impl Beat {
    pub(super) fn show(&self, bar: &ProgressBar) {
        bar.set_length(self.total_steps);
        bar.set_position(self.step);
        bar.set_message(self.told());
    }

    /// Beside the bar.
    fn told(&self) -> String {
        let rate = self.learning_rate;
        match self.train_loss {
            Some(loss) => format!("loss {loss:.3}  rate {rate:.2e}"),
            None if self.measured => format!("loss not finite  rate {rate:.2e}"),
            None => format!("rate {rate:.2e}"),
        }
    }
}

/// Something that happened in a run and that whoever looks on hears of at once: a line of JSON too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// What happened, in a line.
    pub news: String,
}

impl News {
    /// What `row` tells, if it is something to hear of at once.
    pub fn of(row: &EventRow) -> Option<Self> {
        let news = match row.kind {
            // A search takes its runs up again and again: only what is out of the ordinary is worth a line.
            EventKind::Resumed if row.message == format!("at step {}", row.step) => return None,
            EventKind::Log | EventKind::Note => format!("step {}: {}", row.step, row.message),
            EventKind::Swapped
            | EventKind::Rejected
            | EventKind::Reverted
            | EventKind::Fault
            | EventKind::Resumed
            | EventKind::Paused
            | EventKind::Continued => format!("step {}: {}: {}", row.step, row.kind, row.message),
            _ => return None,
        };
        Some(Self { news })
    }

    /// What tells `hear` of schedules that are refused, as [`of`](Self::of) would of their rows.
    pub fn herald(hear: impl Fn(Self) + Send + 'static) -> Herald {
        Box::new(move |step, refusal: &Refusal| {
            let news = format!("step {step}: {}: {}", EventKind::Rejected, refusal.message);
            hear(Self { news });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_told_without_a_loss() {
        let beat = |measured, train_loss| Beat {
            step: 1,
            total_steps: 2,
            learning_rate: 0.1,
            measured,
            train_loss,
        };
        assert_eq!(beat(false, None).told(), "rate 1.00e-1");
        assert_eq!(beat(true, None).told(), "loss not finite  rate 1.00e-1");
        assert_eq!(beat(true, Some(0.5)).told(), "loss 0.500  rate 1.00e-1");
    }
}
