//! Constant pieces: the default of TensorFlow's official ResNet of April 2018 (`resnet_run_loop.py`,
//! `learning_rate_with_decay`), which the post calls its baseline, unless parameters say otherwise.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::read;
use pixelrate_shapes::shape::Shape;

/// The official boundaries in epochs, and what the first rate is multiplied by from there.
const OFFICIAL: [(f64, f64); 3] = [(100.0, 0.1), (150.0, 0.01), (200.0, 0.001)];

/// Pieces of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Pieces {
    /// The rate before the first boundary.
    pub first: f64,
    /// Steps that the rate takes to rise from 0.
    pub warmup: f64,
    /// Steps, in rising order, from which on the rate is `first` times the factor.
    pub boundaries: Vec<(f64, f64)>,
    /// Whether a boundary's own step has the old rate yet, as in `tf.train.piecewise_constant`.
    pub old_at_boundary: bool,
    /// How the rate goes from one boundary's to the next; `None`: it stays, and changes at once.
    pub between: Option<Shape>,
}

impl Pieces {
    /// The rate of `step`.
    pub fn rate(&self, step: u64) -> f64 {
        let step = step as f64;
        if step < self.warmup {
            return self.first * (step + 1.0) / self.warmup;
        }
        let passed = self.boundaries.partition_point(|(boundary, _)| {
            if self.old_at_boundary && self.between.is_none() {
                *boundary < step
            } else {
                *boundary <= step
            }
        });
        let (begin, factor) = match passed.checked_sub(1) {
            Some(last) => self.boundaries[last],
            None => (0.0, 1.0),
        };
        match (self.between, self.boundaries.get(passed)) {
            (Some(shape), Some((end, next))) => {
                let left = shape.fall((step - begin) / (end - begin));
                self.first * (next + (factor - next) * left)
            }
            _ => self.first * factor,
        }
    }
}

/// The whole steps in `at` units of `unit` steps: int() of the official code, but that a product which rounding left a hair
/// below a whole number is that number. 0.29 of 100 steps are 29.
fn whole_steps(at: f64, unit: f64) -> f64 {
    let (steps, near) = (at * unit, (at * unit).round());
    if (steps - near).abs() <= f64::EPSILON * near {
        near
    } else {
        steps.trunc()
    }
}

struct Piecewise(Pieces);

impl Schedule for Piecewise {
    fn new(run: &Run) -> Result<Self, String> {
        let epoch = run.train_examples() as f64 / f64::from(run.batch_size());
        let unit = match run.param("boundary_unit") {
            0.0 => epoch,
            1.0 => run.total_steps() as f64,
            2.0 => 1.0,
            other => {
                return Err(format!(
                    "`boundary_unit` is {other}: must be epochs, fraction or steps"
                ));
            }
        };
        let of_previous = read::choice(run, "factors_of", &[false, true])?;
        // Those of the official code, whose factors may be others.
        let official = run.param("boundary_unit") == 0.0 && run.member("boundary_*", 1).is_none();
        let mut given: Vec<(f64, f64)> = Vec::new();
        loop {
            let number = given.len() as u32 + 1;
            let default = OFFICIAL.get(given.len()).filter(|_| official);
            let boundary = match default {
                Some((boundary, _)) => Some(*boundary),
                None => run.member("boundary_*", number),
            };
            let Some(boundary) = boundary else { break };
            let factor = run.member("factor_*", number);
            let factor = match (factor, given.last()) {
                (Some(factor), Some((_, previous))) if of_previous => previous * factor,
                (Some(factor), _) => factor,
                (None, Some((_, previous))) if of_previous => previous * 0.1,
                (None, _) => default.map_or_else(|| 0.1_f64.powi(number as i32), |it| it.1),
            };
            if !(boundary >= 0.0 && boundary.is_finite()) {
                return Err(format!(
                    "`boundary_{number}` is {boundary}: must be 0 or more"
                ));
            }
            if given.last().is_some_and(|(last, _)| boundary <= *last) {
                return Err(format!(
                    "`boundary_{number}` is {boundary}: must be above the one before it"
                ));
            }
            given.push((boundary, factor));
        }
        let next = given.len() as u32 + 1;
        if let Some(factor) = run.member("factor_*", next) {
            return Err(format!(
                "`factor_{next}` is {factor}, and there is no `boundary_{next}`"
            ));
        }
        let denominator = run.param("batch_denominator");
        let scale = if denominator == 0.0 {
            1.0
        } else {
            f64::from(run.batch_size()) / denominator
        };
        Ok(Self(Pieces {
            first: run.param("learning_rate") * scale,
            warmup: read::not_negative(run, "warmup_epochs")? * epoch,
            boundaries: given
                .into_iter()
                .map(|(at, factor)| (whole_steps(at, unit), factor))
                .collect(),
            old_at_boundary: read::choice(run, "at_boundary", &[true, false])?,
            between: read::choice(
                run,
                "between",
                &[None, Some(Shape::Linear), Some(Shape::Cosine)],
            )?,
        }))
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        self.0.rate(step)
    }
}

export_schedule!(Piecewise, parameters: [
    {"learning_rate" = 0.1, "The rate before the first boundary, for a batch of batch_denominator pictures."},
    {"batch_denominator" = 128, "The rate is multiplied by the batch size over this; 0 leaves it alone."},
    {"boundary_*" family, "boundary_1, boundary_2 and so on: where the rate changes. Default: 100, 150, 200 epochs."},
    {"factor_*" family, "factor_1, factor_2 and so on: what the first rate is multiplied by from there. Default: 0.1, 0.01, 0.001."},
    {"factors_of" = 0 in ["first", "previous"], "Which rate a factor multiplies: the first, or the one before the boundary."},
    {"at_boundary" = 0 in ["old", "new"], "Which rate a boundary's own step has: the old as in TensorFlow, or the new as in PyTorch and optax."},
    {"between" = 0 in ["constant", "linear", "cosine"], "From boundary to boundary the rate stays, or goes to the next one's in a line or half a cosine."},
    {"boundary_unit" = 0 in ["epochs", "fraction", "steps"], "What boundaries count: epochs, fractions of the run, or steps."},
    {"warmup_epochs" = 0, "Epochs in which the rate rises from 0 in a straight line."},
]);

#[cfg(test)]
mod tests {
    use super::{Pieces, Shape, whole_steps};

    #[test]
    fn a_boundary_is_at_the_step_that_its_fraction_means() {
        assert_eq!((0.29_f64 * 100.0).trunc(), 28.0);
        for percent in 1..=100 {
            let fraction = f64::from(percent) / 100.0;
            assert_eq!(whole_steps(fraction, 100.0), f64::from(percent));
        }
        assert_eq!(whole_steps(100.0, 390.625), 39_062.0);
        assert_eq!(whole_steps(0.999_999, 1_000.0), 999.0);
    }

    #[test]
    fn a_boundary_keeps_the_old_rate_as_tensorflow_does() {
        let mut pieces = Pieces {
            first: 0.1,
            warmup: 0.0,
            boundaries: vec![(39_062.0, 0.1), (58_593.0, 0.01)],
            old_at_boundary: true,
            between: None,
        };
        assert_eq!(pieces.rate(0), 0.1);
        assert_eq!(pieces.rate(39_062), 0.1);
        assert_eq!(pieces.rate(39_063), 0.1 * 0.1);
        assert_eq!(pieces.rate(58_594), 0.1 * 0.01);
        pieces.old_at_boundary = false;
        assert_eq!(pieces.rate(39_061), 0.1);
        assert_eq!(pieces.rate(39_062), 0.1 * 0.1);
        pieces.between = Some(Shape::Linear);
        assert_eq!(pieces.rate(39_062 / 2), 0.1 * (0.1 + 0.9 * 0.5));
    }

    #[test]
    fn warm_up_ends_at_the_first_rate() {
        let pieces = Pieces {
            first: 0.4,
            warmup: 4.0,
            boundaries: Vec::new(),
            old_at_boundary: true,
            between: None,
        };
        let rates: Vec<f64> = (0..5).map(|step| pieces.rate(step)).collect();
        assert_eq!(rates, [0.1, 0.2, 0.30000000000000004, 0.4, 0.4]);
    }
}
