//! Triangular cycles (Smith 2017, arXiv 1506.01186), by the formula of the blog post.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::triangle::Triangle;

struct Cyclic {
    base: f64,
    max: f64,
    triangle: Triangle,
}

impl Schedule for Cyclic {
    fn new(run: &Run) -> Result<Self, String> {
        Ok(Self {
            base: run.param("base_lr"),
            max: run.param("max_lr"),
            triangle: Triangle::read(run)?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        self.base + (self.max - self.base) * self.triangle.height(step)
    }
}

export_schedule!(Cyclic, parameters: [
    {"base_lr" = 1e-5, "The lowest rate, at the start of each cycle."},
    {"max_lr" = 1e-2, "The highest rate, at the peak of the first cycle."},
    {"step_size" = 1000, "Steps from the lowest rate to the highest: half a cycle."},
    {"step_size_down" = 0, "Steps from the highest rate to the lowest; 0: as many as step_size."},
    {"mode" = 0 in ["triangular", "triangular2", "exp_range"], "Peaks stay; or each is half as far from base_lr as the one before; or all is gamma^step as far."},
    {"gamma" = 1, "mode = exp_range: what a step makes of the distance from base_lr."},
]);
