//! Less whenever a metric has stopped getting better: PyTorch's `ReduceLROnPlateau`, with what Keras, optax and timm add.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::metric::Metric;
use pixelrate_shapes::{read, state};

struct Plateau {
    first: f64,
    factor: f64,
    patience: u64,
    cooldown: u64,
    min: f64,
    least_change: f64,
    average: u64,
    warmup: f64,
    warmup_start: f64,
    metric: Metric,
    // What follows is the state.
    rate: f64,
    best: f64,
    /// Values without an improvement.
    bad: u64,
    /// Values yet to be passed over after a change.
    cooling: u64,
    /// Of the values that are being averaged.
    sum: f64,
    summed: u64,
}

impl Plateau {
    fn look(&mut self, value: f64) {
        self.sum += value;
        self.summed += 1;
        if self.summed < self.average {
            return;
        }
        let value = self.sum / self.summed as f64;
        (self.sum, self.summed) = (0.0, 0);
        if self.metric.is_better(value, self.best) {
            self.best = value;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad > self.patience {
            let less = (self.rate * self.factor).max(self.min);
            if self.rate - less > self.least_change {
                self.rate = less;
            }
            self.cooling = self.cooldown;
            self.bad = 0;
        }
    }
}

impl Schedule for Plateau {
    fn new(run: &Run) -> Result<Self, String> {
        let metric = Metric::read(run)?;
        let first = read::not_negative(run, "learning_rate")?;
        Ok(Self {
            first,
            factor: read::shrinking(run, "factor")?,
            patience: read::count(run, "patience")?,
            cooldown: read::count(run, "cooldown")?,
            min: read::not_negative(run, "min_lr")?,
            least_change: read::not_negative(run, "eps")?,
            average: read::count(run, "average")?.max(1),
            warmup: read::not_negative(run, "warmup")?,
            warmup_start: read::not_negative(run, "warmup_start")?,
            metric,
            rate: first,
            best: metric.worst(),
            bad: 0,
            cooling: 0,
            sum: 0.0,
            summed: 0,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let value = self.metric.fresh(step);
        let step = step as f64;
        if self.warmup > 0.0 && step <= self.warmup {
            return self.warmup_start + (self.first - self.warmup_start) * (step / self.warmup);
        }
        if let Some(value) = value {
            self.look(value);
        }
        self.rate
    }

    fn save(&mut self) -> Vec<u8> {
        state::pack(&[
            self.rate.to_bits(),
            self.best.to_bits(),
            self.bad,
            self.metric.seen,
            self.cooling,
            self.sum.to_bits(),
            self.summed,
        ])
    }

    // The first four words are the whole state of the SDKs' example `plateau`, which this one can take over from.
    fn restore(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let words = state::unpack(&bytes)?;
        let (&[rate, best, bad, seen], rest) = match words.split_first_chunk() {
            Some((first, rest)) if matches!(rest.len(), 0 | 3) => (first, rest),
            _ => return Err(state::foreign(&bytes)),
        };
        self.rate = f64::from_bits(rate);
        self.best = f64::from_bits(best);
        (self.bad, self.metric.seen) = (bad, seen);
        if let &[cooling, sum, summed] = rest {
            (self.cooling, self.sum, self.summed) = (cooling, f64::from_bits(sum), summed);
        }
        Ok(())
    }
}

export_schedule!(Plateau, exports: [save], parameters: [
    {"learning_rate" = 0.1, "The rate before the first change."},
    {"metric" = 0 in ["eval_loss", "eval_accuracy", "train_loss", "grad_norm"], "What is looked at: each new evaluation, or each step's training loss or gradient norm."},
    {"mode" = 0 in ["auto", "min", "max"], "Whether less or more is better; auto: more of eval_accuracy, less of the others."},
    {"factor" = 0.1, "What the rate is multiplied by."},
    {"patience" = 10, "How many values without an improvement are let pass; the next changes the rate."},
    {"threshold_rel" = 1e-4, "An improvement is better than the best value by more than this share of it,"},
    {"threshold_abs" = 0, "and by more than this besides."},
    {"cooldown" = 0, "How many values after a change do not count as bad."},
    {"min_lr" = 0, "The rate never falls below this."},
    {"eps" = 1e-8, "A change of the rate by no more than this is left out."},
    {"average" = 1, "How many values are averaged into one that is looked at."},
    {"warmup" = 0, "Steps in which the rate rises to learning_rate in a straight line, and no value is looked at."},
    {"warmup_start" = 0, "The rate of the first step of the warm-up."},
]);
