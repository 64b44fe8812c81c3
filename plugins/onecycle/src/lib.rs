//! 1cycle (Smith, Topin 2018, arXiv 1708.07120): up, down and out, while the momentum goes the other way; as PyTorch and
//! optax have it.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::read;
use pixelrate_shapes::shape::Shape;

/// A stretch of the run, from where the one before it ends.
#[derive(Debug, Clone, Copy)]
struct Phase {
    end: f64,
    rates: (f64, f64),
    momenta: (f64, f64),
}

struct OneCycle {
    begin: f64,
    phases: Vec<Phase>,
    shape: Shape,
}

impl OneCycle {
    /// The phase of `step`, and what is left of it: from 1 to 0.
    fn place(&self, step: u64) -> (Phase, f64) {
        let step = step as f64;
        let mut begin = self.begin;
        let mut last = self.phases[0];
        for phase in &self.phases {
            last = *phase;
            if step <= phase.end {
                let length = phase.end - begin;
                let progress = if length > 0.0 {
                    (step - begin) / length
                } else {
                    1.0
                };
                return (last, self.shape.fall(progress));
            }
            begin = phase.end;
        }
        (last, 0.0)
    }
}

fn between((from, to): (f64, f64), left: f64) -> f64 {
    to + (from - to) * left
}

impl Schedule for OneCycle {
    fn new(run: &Run) -> Result<Self, String> {
        let total = match read::not_negative(run, "length")? {
            0.0 => run.total_steps() as f64,
            length => length,
        };
        let top = read::share(run, "pct_start")?;
        let out = match read::share(run, "pct_final")? {
            0.0 => (2.0 * top).min(1.0),
            share => share,
        };
        let three = read::choice(run, "phases", &[false, true])?;
        if three && out < top {
            return Err(format!(
                "`pct_final` is {out}: must be above `pct_start`, which is {top}"
            ));
        }
        let max = read::not_negative(run, "max_lr")?;
        let first = max / read::above_zero(run, "div_factor")?;
        let last = first / read::above_zero(run, "final_div_factor")?;
        let (low, high) = (
            read::momentum(run, "base_momentum")?,
            read::momentum(run, "max_momentum")?,
        );
        let early = read::choice(run, "ends", &[true, false])?;
        // PyTorch ends its first phase one step early, its second two, the last one; optax cuts to whole steps.
        let at = |share: f64, less: f64| {
            if early {
                share * total - less
            } else {
                (share * total).floor()
            }
        };
        let up = Phase {
            end: at(top, 1.0),
            rates: (first, max),
            momenta: (high, low),
        };
        let end = if early { total - 1.0 } else { total };
        let phases = if three {
            let down = Phase {
                end: at(out, 2.0),
                rates: (max, first),
                momenta: (low, high),
            };
            vec![
                up,
                down,
                Phase {
                    end,
                    rates: (first, last),
                    momenta: (high, high),
                },
            ]
        } else {
            vec![
                up,
                Phase {
                    end,
                    rates: (max, last),
                    momenta: (low, high),
                },
            ]
        };
        Ok(Self {
            begin: 0.0,
            phases,
            shape: read::choice(run, "anneal", &[Shape::Cosine, Shape::Linear])?,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let (phase, left) = self.place(step);
        between(phase.rates, left)
    }

    fn momentum(&mut self, step: u64) -> f64 {
        let (phase, left) = self.place(step);
        between(phase.momenta, left)
    }
}

export_schedule!(OneCycle, exports: [momentum], parameters: [
    {"max_lr" = 0.1, "The highest rate."},
    {"length" = 0, "Steps of the cycle; 0: the whole run. The last rate stays after it."},
    {"pct_start" = 0.3, "The share of the cycle in which the rate rises."},
    {"div_factor" = 25, "The first rate is max_lr over this."},
    {"final_div_factor" = 1e4, "The last rate is the first one over this."},
    {"anneal" = 0 in ["cos", "linear"], "The curve of every phase."},
    {"phases" = 0 in ["two", "three"], "From the highest rate straight to the last; or back to the first, and from there to the last."},
    {"pct_final" = 0, "phases = three: the share of the cycle at which the rate is back at the first; 0: twice pct_start."},
    {"ends" = 0 in ["last_step", "run_end"], "Phases end a step early, so that the last step has the last rate, as in PyTorch; or where they say, the last with the run, as in optax."},
    {"base_momentum" = 0.85, "The lowest momentum (Adam: beta1), where the rate is highest."},
    {"max_momentum" = 0.95, "The highest momentum, where the rate is lowest. The study's own is not used: for one that stays, make both the same."},
]);
