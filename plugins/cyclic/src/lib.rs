//! Triangular cycles (Smith 2017, arXiv 1506.01186), by the formula of the blog post.

use pixelrate_schedule::{Run, Schedule, export_schedule};

/// The rate of `step`: cycle = floor(1 + step / (2 size)), x = |step / size - 2 cycle + 1|,
/// base + (max - base) max(0, 1 - x).
pub fn rate(step: u64, base: f64, max: f64, size: f64) -> f64 {
    let step = step as f64;
    let cycle = (1.0 + step / (2.0 * size)).floor();
    let x = (step / size - 2.0 * cycle + 1.0).abs();
    base + (max - base) * (1.0 - x).max(0.0)
}

struct Cyclic {
    base: f64,
    max: f64,
    size: f64,
}

impl Schedule for Cyclic {
    fn new(run: &Run) -> Result<Self, String> {
        let size = run.param("step_size");
        if !(size > 0.0) {
            return Err(format!("`step_size` is {size}: must be above 0"));
        }
        Ok(Self {
            base: run.param("base_lr"),
            max: run.param("max_lr"),
            size,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        rate(step, self.base, self.max, self.size)
    }
}

export_schedule!(Cyclic, parameters: [
    {"base_lr" = 1e-5, "The lowest rate, at the start of each cycle."},
    {"max_lr" = 1e-2, "The highest rate, in the middle of each cycle."},
    {"step_size" = 1000, "Steps from the lowest rate to the highest: half a cycle."},
]);

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rises_and_falls_in_straight_lines() {
        let at = |step| rate(step, 1e-5, 1e-2, 1000.0);
        assert_eq!(at(0), 1e-5);
        assert_eq!(at(1000), 1e-2);
        assert_eq!(at(2000), 1e-5);
        assert!((at(250) - (1e-5 + 0.25 * (1e-2 - 1e-5))).abs() < 1e-17);
        assert!((at(1750) - at(250)).abs() < 1e-17);
        // Where the post's run of 97,656 steps ends.
        assert!((at(97_655) - 3.4e-3).abs() < 1e-4);
    }
}
