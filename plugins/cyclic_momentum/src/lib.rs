//! `cyclic`, while the momentum goes the other way: PyTorch's `CyclicLR` with `cycle_momentum`. It is a plugin of its own
//! since one that exports the momentum takes it from the study.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::read;
use pixelrate_shapes::triangle::Triangle;

struct CyclicMomentum {
    base: f64,
    max: f64,
    low: f64,
    high: f64,
    triangle: Triangle,
}

impl Schedule for CyclicMomentum {
    fn new(run: &Run) -> Result<Self, String> {
        Ok(Self {
            base: read::not_negative(run, "base_lr")?,
            max: read::not_negative(run, "max_lr")?,
            low: read::momentum(run, "base_momentum")?,
            high: read::momentum(run, "max_momentum")?,
            triangle: Triangle::read(run)?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        self.base + (self.max - self.base) * self.triangle.height(step)
    }

    fn momentum(&mut self, step: u64) -> f64 {
        self.high - (self.high - self.low) * self.triangle.height(step)
    }
}

export_schedule!(CyclicMomentum, exports: [momentum], parameters: [
    {"base_lr" = 1e-5, "The lowest rate, at the start of each cycle."},
    {"max_lr" = 1e-2, "The highest rate, at the peak of the first cycle."},
    {"base_momentum" = 0.8, "The lowest momentum (Adam: beta1), at the peak of the first cycle."},
    {"max_momentum" = 0.9, "The highest momentum, at the start of each cycle."},
    {"step_size" = 1000, "Steps from the lowest rate to the highest: half a cycle."},
    {"step_size_down" = 0, "Steps from the highest rate to the lowest; 0: as many as step_size."},
    {"mode" = 0 in ["triangular", "triangular2", "exp_range"], "Peaks stay; or each is half as far from base_lr as the one before; or all is gamma^step as far. The momentum's too."},
    {"gamma" = 1, "mode = exp_range: what a step makes of the distance from base_lr."},
]);
