//! More while a metric gets better, less while it does not: GreedyLR (arXiv 2512.14527), as Transformers has it.

use std::collections::VecDeque;

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::metric::Metric;
use pixelrate_shapes::{read, state};

struct Greedy {
    first: f64,
    factor: f64,
    patience: u64,
    cooldown: u64,
    warmup: u64,
    min: f64,
    max: f64,
    least_change: f64,
    window: usize,
    reset_after: u64,
    metric: Metric,
    // What follows is the state.
    rate: f64,
    best: f64,
    bad: u64,
    good: u64,
    /// Values yet to be passed over after the rate fell, and after it rose.
    cooling: u64,
    warming: u64,
    /// Reductions at the lowest rate that are left before all begins anew.
    resets_in: u64,
    /// The newest values, and their sum as it was added up.
    values: VecDeque<f64>,
    sum: f64,
}

impl Greedy {
    fn smooth(&mut self, value: f64) -> f64 {
        if self.window == 0 {
            return value;
        }
        self.values.push_back(value);
        self.sum += value;
        if self.values.len() > self.window
            && let Some(oldest) = self.values.pop_front()
        {
            self.sum -= oldest;
        }
        self.sum / self.values.len() as f64
    }

    fn look(&mut self, value: f64) {
        let value = self.smooth(value);
        if self.cooling > 0 || self.warming > 0 {
            let counter = if self.cooling > 0 {
                &mut self.cooling
            } else {
                &mut self.warming
            };
            *counter -= 1;
            (self.good, self.bad) = (0, 0);
            return;
        }
        if self.metric.is_better(value, self.best) {
            self.best = value;
            (self.good, self.bad) = (self.good + 1, 0);
        } else {
            (self.good, self.bad) = (0, self.bad + 1);
        }
        if self.good > self.patience {
            let more = (self.rate / self.factor).min(self.max);
            if more - self.rate > self.least_change {
                self.rate = more;
            }
            self.resets_in = self.reset_after;
            (self.warming, self.good) = (self.warmup, 0);
        } else if self.bad > self.patience {
            self.reduce();
            // Even after all began anew, as Transformers has it.
            (self.cooling, self.bad) = (self.cooldown, 0);
        }
    }

    /// Makes the rate smaller; where that was once too often at the lowest, all begins anew.
    fn reduce(&mut self) {
        let less = (self.rate * self.factor).max(self.min);
        if self.rate - less > self.least_change {
            self.rate = less;
        }
        if self.rate > self.min {
            return;
        }
        self.resets_in = self.resets_in.saturating_sub(1);
        if self.resets_in == 0 {
            (self.rate, self.best) = (self.first, self.metric.worst());
            self.warming = 0;
            self.resets_in = self.reset_after;
            self.values.clear();
            self.sum = 0.0;
        }
    }
}

impl Schedule for Greedy {
    fn new(run: &Run) -> Result<Self, String> {
        let metric = Metric::read(run)?;
        let first = read::not_negative(run, "learning_rate")?;
        let (min, max) = (
            read::not_negative(run, "min_lr")?,
            read::not_negative(run, "max_lr")?,
        );
        if min > max {
            return Err(format!(
                "`min_lr` is {min}: must not be above `max_lr`, which is {max}"
            ));
        }
        let window = read::count(run, "window")?;
        if window > 100_000 {
            return Err(format!("`window` is {window}: must be 100000 or less"));
        }
        let reset_after = read::count(run, "reset_after")?;
        Ok(Self {
            first,
            factor: read::shrinking(run, "factor")?,
            patience: read::count(run, "patience")?,
            cooldown: read::count(run, "cooldown")?,
            warmup: read::count(run, "rise_cooldown")?,
            min,
            max,
            least_change: read::not_negative(run, "eps")?,
            window: window as usize,
            reset_after,
            metric,
            rate: first,
            best: metric.worst(),
            bad: 0,
            good: 0,
            cooling: 0,
            warming: 0,
            resets_in: reset_after,
            values: VecDeque::new(),
            sum: 0.0,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        if let Some(value) = self.metric.fresh(step) {
            self.look(value);
        }
        self.rate
    }

    fn save(&mut self) -> Vec<u8> {
        let mut words = vec![
            self.rate.to_bits(),
            self.best.to_bits(),
            self.bad,
            self.metric.seen,
            self.good,
            self.cooling,
            self.warming,
            self.resets_in,
            self.sum.to_bits(),
        ];
        words.extend(self.values.iter().map(|value| value.to_bits()));
        state::pack(&words)
    }

    fn restore(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let words = state::unpack(&bytes)?;
        let Some((
            &[
                rate,
                best,
                bad,
                seen,
                good,
                cooling,
                warming,
                resets_in,
                sum,
            ],
            window,
        )) = words.split_first_chunk()
        else {
            return Err(state::foreign(&bytes));
        };
        self.rate = f64::from_bits(rate);
        self.best = f64::from_bits(best);
        (self.bad, self.good, self.metric.seen) = (bad, good, seen);
        (self.cooling, self.warming) = (cooling, warming);
        self.resets_in = resets_in;
        self.sum = f64::from_bits(sum);
        self.values = window.iter().map(|word| f64::from_bits(*word)).collect();
        // The state may be that of a run whose window was wider.
        if self.values.len() > self.window {
            self.values.drain(..self.values.len() - self.window);
            self.sum = self.values.iter().sum();
        }
        Ok(())
    }
}

export_schedule!(Greedy, exports: [save], parameters: [
    {"learning_rate" = 0.1, "The rate before the first change."},
    {"metric" = 2 in ["eval_loss", "eval_accuracy", "train_loss", "grad_norm"], "What is looked at: each new evaluation, or each step's training loss or gradient norm."},
    {"mode" = 0 in ["auto", "min", "max"], "Whether less or more is better; auto: more of eval_accuracy, less of the others."},
    {"factor" = 0.95, "The rate is multiplied by this where the metric does not get better, and divided by it where it does."},
    {"patience" = 10, "How many values of a kind in a row are let pass; the next changes the rate."},
    {"threshold_rel" = 0, "An improvement is better than the best value by more than this share of it,"},
    {"threshold_abs" = 1e-6, "and by more than this besides."},
    {"cooldown" = 0, "How many values are not looked at after the rate fell."},
    {"rise_cooldown" = 0, "How many values are not looked at after the rate rose."},
    {"min_lr" = 1e-3, "The rate never falls below this."},
    {"max_lr" = 1, "The rate never rises above this."},
    {"eps" = 1e-8, "A change of the rate by no more than this is left out."},
    {"window" = 50, "How many of the newest values are averaged into the one that is looked at; 0: none."},
    {"reset_after" = 500, "How many times the rate would have to fall below min_lr before it is learning_rate again, and all begins anew."},
]);
