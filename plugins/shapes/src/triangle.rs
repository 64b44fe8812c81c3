//! Triangular cycles (Smith 2017, arXiv 1506.01186), as PyTorch's `CyclicLR` draws them.

use pixelrate_schedule::Run;

use crate::read;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Triangular,
    Triangular2,
    ExpRange,
}

/// Cycles by the parameters `step_size`, `step_size_down`, `mode` and `gamma`.
#[derive(Debug, Clone, Copy)]
pub struct Triangle {
    up: f64,
    down: f64,
    mode: Mode,
    gamma: f64,
}

impl Triangle {
    /// The triangles of a run.
    ///
    /// # Errors
    /// A parameter is out of its range.
    pub fn read(run: &Run) -> Result<Self, String> {
        let up = read::above_zero(run, "step_size")?;
        let down = match read::not_negative(run, "step_size_down")? {
            0.0 => up,
            given => given,
        };
        let modes = [Mode::Triangular, Mode::Triangular2, Mode::ExpRange];
        Ok(Self {
            up,
            down,
            mode: read::choice(run, "mode", &modes)?,
            gamma: read::above_zero(run, "gamma")?,
        })
    }

    /// How far from the low end to the high one the rate of `step` is, from 0 to 1.
    pub fn height(&self, step: u64) -> f64 {
        let step = step as f64;
        let rise = self.rise(step);
        match self.mode {
            Mode::Triangular => rise,
            Mode::Triangular2 => rise / 2_f64.powf((step / (self.up + self.down)).floor()),
            Mode::ExpRange => rise * self.gamma.powf(step),
        }
    }

    fn rise(&self, step: f64) -> f64 {
        if self.up == self.down {
            // The blog post's formula, to the bit.
            let cycle = (1.0 + step / (2.0 * self.up)).floor();
            let x = (step / self.up - 2.0 * cycle + 1.0).abs();
            return (1.0 - x).max(0.0);
        }
        let size = self.up + self.down;
        let into = step - size * (step / size).floor();
        if into <= self.up {
            into / self.up
        } else {
            ((size - into) / self.down).max(0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triangle(up: f64, down: f64, mode: Mode) -> Triangle {
        Triangle {
            up,
            down,
            mode,
            gamma: 0.5,
        }
    }

    #[test]
    fn rises_and_falls_in_straight_lines() {
        let even = triangle(1000.0, 1000.0, Mode::Triangular);
        assert_eq!(
            [0, 250, 1000, 1750, 2000].map(|step| even.height(step)),
            [0.0, 0.25, 1.0, 0.25, 0.0]
        );
        // Where the post's run of 97,656 steps ends.
        assert!((even.height(97_655) - 0.345).abs() < 1e-12);
        let uneven = triangle(10.0, 40.0, Mode::Triangular);
        assert_eq!(
            [0, 5, 10, 20, 50, 60].map(|step| uneven.height(step)),
            [0.0, 0.5, 1.0, 0.75, 0.0, 1.0]
        );
    }

    #[test]
    fn peaks_shrink_by_cycle_or_by_step() {
        let halves = triangle(10.0, 10.0, Mode::Triangular2);
        assert_eq!(
            [10, 30, 50].map(|step| halves.height(step)),
            [1.0, 0.5, 0.25]
        );
        let powers = triangle(2.0, 2.0, Mode::ExpRange);
        assert_eq!(
            [0, 1, 2, 3].map(|step| powers.height(step)),
            [0.0, 0.25, 0.25, 0.0625]
        );
    }
}
