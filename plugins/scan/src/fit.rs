//! How a scan's values meet the steps of a run.

use crate::choice::choices;

choices! {
    /// Which value a step has.
    Fit as "fit" {
        /// One value a step; the last holds where there are fewer values than steps: the blog post's.
        Hold = "hold",
        /// The scan spread over all steps, each taking the value nearest to it.
        Nearest = "nearest",
        /// The scan spread over all steps, on straight lines between its values: the first step has the first value,
        /// the last step the last.
        Linear = "linear",
        /// One value a step; the scan begins again where it ends.
        Repeat = "repeat",
    }
}

impl Fit {
    /// The value of `step` in a run of `steps` by a scan of `length` values, of which `value` gives each.
    pub(crate) fn at(self, step: u64, steps: u64, length: u64, value: impl Fn(u64) -> f64) -> f64 {
        let (last, final_step) = (length - 1, steps.saturating_sub(1));
        match self {
            Self::Hold => value(step.min(last)),
            Self::Repeat => value(step % length),
            Self::Nearest => {
                let middle = 2 * u128::from(step.min(final_step)) + 1;
                let place = middle * u128::from(length) / (2 * u128::from(steps.max(1)));
                value((place as u64).min(last))
            }
            Self::Linear if step >= final_step => value(if steps > 1 { last } else { 0 }),
            Self::Linear => {
                let place = step as f64 * (last as f64 / final_step as f64);
                let below = place as u64;
                let (from, to) = (value(below), value((below + 1).min(last)));
                from + place.fract() * (to - from)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(fit: Fit, steps: u64, values: &[f64]) -> Vec<f64> {
        let length = values.len() as u64;
        (0..steps)
            .map(|step| fit.at(step, steps, length, |place| values[place as usize]))
            .collect()
    }

    #[test]
    fn each_fit_meets_the_steps_in_its_way() {
        let values = [0.0, 0.5, 1.0];
        assert_eq!(fitted(Fit::Hold, 5, &values), [0.0, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(fitted(Fit::Repeat, 5, &values), [0.0, 0.5, 1.0, 0.0, 0.5]);
        assert_eq!(fitted(Fit::Linear, 5, &values), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(
            fitted(Fit::Nearest, 6, &values),
            [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
        );
        // More values than steps, one step, one value.
        assert_eq!(fitted(Fit::Linear, 2, &values), [0.0, 1.0]);
        assert_eq!(fitted(Fit::Nearest, 1, &values), [0.5]);
        assert_eq!(fitted(Fit::Linear, 1, &values), [0.0]);
        for &fit in Fit::ALL {
            assert_eq!(fitted(fit, 3, &[0.7]), [0.7; 3]);
            // Past the end of a run, and in the longest.
            assert!((0.0..=1.0).contains(&fit.at(9, 3, 3, |place| values[place as usize])));
            let most = fit.at(u64::MAX, u64::MAX, 3, |place| values[place as usize]);
            assert!((0.0..=1.0).contains(&most));
        }
    }
}
