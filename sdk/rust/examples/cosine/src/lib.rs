//! A warm-up in a straight line, then a cosine (Loshchilov and Hutter, 2017, without restarts).

use std::f64::consts::FRAC_PI_2;

use pixelrate_schedule::{Run, Schedule, export_schedule};

struct Cosine {
    max: f64,
    min: f64,
    warmup: f64,
    steps: f64,
}

impl Schedule for Cosine {
    fn new(run: &Run) -> Result<Self, String> {
        Ok(Self {
            max: run.param("max_lr"),
            min: run.param("min_lr"),
            warmup: run.param("warmup_steps"),
            steps: run.total_steps() as f64,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let step = step as f64;
        if step < self.warmup {
            return self.max * ((step + 1.0) / self.warmup);
        }
        let part = ((step - self.warmup) / (self.steps - self.warmup).max(1.0)).min(1.0);
        // cos² of the half angle is (1 + cos) / 2 without what that loses near the end, where cos is near -1.
        let cosine = (part * FRAC_PI_2).cos();
        self.min + (self.max - self.min) * (cosine * cosine)
    }
}

export_schedule!(Cosine, parameters: [
    {"max_lr" = 0.1, "Learning rate at the end of the warm-up."},
    {"min_lr" = 0, "Learning rate of the end of the run."},
    {"warmup_steps" = 0, "Steps in which the rate rises from 0 in a straight line."},
]);
