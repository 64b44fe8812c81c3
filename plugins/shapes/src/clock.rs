//! What a schedule's durations count.

use pixelrate_schedule::Run;

use crate::read;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Steps,
    Epochs,
    Fraction,
    WholeEpochs,
}

/// Time in the unit that the parameter `unit` chooses, of the words steps, epochs, fraction, whole_epochs.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unit: Unit,
    steps: u64,
    batch: u64,
    examples: u64,
}

impl Clock {
    /// The clock of a run, by its parameter `unit`.
    ///
    /// # Errors
    /// The unit is none of the four.
    pub fn read(run: &Run) -> Result<Self, String> {
        let units = [Unit::Steps, Unit::Epochs, Unit::Fraction, Unit::WholeEpochs];
        Ok(Self {
            unit: read::choice(run, "unit", &units)?,
            steps: run.total_steps().max(1),
            batch: u64::from(run.batch_size()),
            examples: run.train_examples().max(1),
        })
    }

    /// The time of `step`. Whole epochs stand still within an epoch, as for a scheduler that is stepped once an epoch.
    pub fn at(&self, step: u64) -> f64 {
        match self.unit {
            Unit::Steps => step as f64,
            Unit::Fraction => step as f64 / self.steps as f64,
            Unit::Epochs => self.seen(step) as f64 / self.examples as f64,
            Unit::WholeEpochs => (self.seen(step) / u128::from(self.examples)) as f64,
        }
    }

    /// How long the run is.
    pub fn total(&self) -> f64 {
        match self.unit {
            Unit::WholeEpochs => self.seen(self.steps).div_ceil(u128::from(self.examples)) as f64,
            _ => self.at(self.steps),
        }
    }

    /// The parameter `name`, a duration.
    ///
    /// # Errors
    /// It is negative or not finite, or a fraction above 1.
    pub fn duration(&self, run: &Run, name: &str) -> Result<f64, String> {
        let value = read::not_negative(run, name)?;
        if self.unit == Unit::Fraction && value > 1.0 {
            return Err(format!(
                "`{name}` is {value}: a fraction of the run is at most 1; `unit` may be steps or epochs instead"
            ));
        }
        Ok(value)
    }

    /// The duration `name`, where 0 stands for `rest`: what is left of the run.
    ///
    /// # Errors
    /// As [`Clock::duration`].
    pub fn duration_or(&self, run: &Run, name: &str, rest: f64) -> Result<f64, String> {
        let value = self.duration(run, name)?;
        Ok(if value == 0.0 { rest } else { value })
    }

    fn seen(&self, step: u64) -> u128 {
        u128::from(step) * u128::from(self.batch)
    }
}

/// How many whole times `length` goes into `time`. A quotient that rounding left a hair below a whole number is that
/// number: 0.3 holds 0.1 three times.
pub fn times(time: f64, length: f64) -> f64 {
    let quotient = time / length;
    let near = quotient.round();
    if (quotient - near).abs() <= 4.0 * f64::EPSILON * near {
        near
    } else {
        quotient.floor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(unit: Unit) -> Clock {
        Clock {
            unit,
            steps: 1_000,
            batch: 128,
            examples: 50_000,
        }
    }

    #[test]
    fn each_unit_counts_its_own() {
        assert_eq!(clock(Unit::Steps).at(391), 391.0);
        assert_eq!(clock(Unit::Fraction).at(500), 0.5);
        assert_eq!(clock(Unit::Epochs).at(391), 391.0 / 390.625);
        assert_eq!(clock(Unit::WholeEpochs).at(390), 0.0);
        assert_eq!(clock(Unit::WholeEpochs).at(391), 1.0);
        assert_eq!(clock(Unit::Epochs).total(), 2.56);
        assert_eq!(clock(Unit::WholeEpochs).total(), 3.0);
    }

    #[test]
    fn rounding_does_not_lose_a_whole_time() {
        assert!((0.3_f64 / 0.1).floor() < 3.0);
        assert_eq!(times(0.3, 0.1), 3.0);
        assert_eq!(times(0.299_999, 0.1), 2.0);
        assert_eq!(times(999_999_999_999.0, 1e12), 0.0);
        assert_eq!(times(1e12 - 1.0, 1.0), 1e12 - 1.0);
    }
}
