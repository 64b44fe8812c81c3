//! Less whenever the test loss has stopped falling: PyTorch's `ReduceLROnPlateau` (mode "min", relative threshold).

use pixelrate_schedule::{Run, Schedule, export_schedule, training};

struct Plateau {
    factor: f64,
    patience: f64,
    threshold: f64,
    min: f64,
    rate: f64,
    best: f64,
    /// Evaluations without an improvement.
    bad: u64,
    /// The evaluation that was looked at last, by the step that it came after.
    seen: u64,
}

impl Schedule for Plateau {
    fn new(run: &Run) -> Result<Self, String> {
        Ok(Self {
            factor: run.param("factor"),
            patience: run.param("patience"),
            threshold: run.param("threshold"),
            min: run.param("min_lr"),
            rate: run.param("learning_rate"),
            best: f64::INFINITY,
            bad: 0,
            seen: 0,
        })
    }

    fn learning_rate(&mut self, _: u64) -> f64 {
        let eval_step = training::eval_step();
        if eval_step != self.seen {
            self.seen = eval_step;
            let loss = training::eval_loss();
            if loss < self.best * (1.0 - self.threshold) {
                self.best = loss;
                self.bad = 0;
            } else {
                self.bad += 1;
            }
            if self.bad as f64 > self.patience {
                self.rate = (self.rate * self.factor).max(self.min);
                self.bad = 0;
            }
        }
        self.rate
    }

    // The same 32 bytes as the plateau of every other language, so that a swap between two of them keeps the state.
    fn save(&mut self) -> Vec<u8> {
        let words = [
            self.rate.to_bits(),
            self.best.to_bits(),
            self.bad,
            self.seen,
        ];
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn restore(&mut self, state: Vec<u8>) -> Result<(), String> {
        let (words, rest) = state.as_chunks::<8>();
        let [rate, best, bad, seen] = *words else {
            return Err(format!("the state has {} bytes, not 32", state.len()));
        };
        if !rest.is_empty() {
            return Err(format!("the state has {} bytes, not 32", state.len()));
        }
        self.rate = f64::from_le_bytes(rate);
        self.best = f64::from_le_bytes(best);
        (self.bad, self.seen) = (u64::from_le_bytes(bad), u64::from_le_bytes(seen));
        Ok(())
    }
}

export_schedule!(Plateau, exports: [save], parameters: [
    {"learning_rate" = 0.1, "Learning rate of the first steps."},
    {"factor" = 0.1, "What the rate is multiplied by when the loss has stopped falling."},
    {"patience" = 10, "Evaluations without an improvement that are waited for."},
    {"threshold" = 1e-4, "An improvement is a loss below the best one times 1 less this."},
    {"min_lr" = 0, "The rate never falls below this."},
]);
