//! What the runs of one label logged on their way, read step by step and kept at a bounded number of places.

use std::collections::BTreeMap;

use pixelrate_runlog::{RunStatus, read_evals, steps};

use super::gather::{Group, Run};
use super::stretches::{Losses, Point, Rates};
use crate::Error;
use crate::statistics::Running;

/// Places at most at which the accuracy of a run is kept: of more tests, the last in each stretch.
const TESTS: u64 = 1_000;

/// The curves of one label, and what its runs' curves come to as numbers.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Learning rate, from the least to the greatest of the seeds.
    pub(crate) rates: Vec<Point>,
    /// Training loss in nats, with the mean's 95 % interval.
    pub(crate) losses: Vec<Point>,
    /// Test accuracy in percent, with the mean's 95 % interval.
    pub(crate) accuracies: Vec<Point>,
    /// Steps at which a schedule took over in the first run.
    pub(crate) marks: Vec<f64>,
    /// Mean accuracy over the steps, of each run that has a result.
    pub(crate) areas: Vec<f64>,
    /// When each run that has a result came to the target.
    pub(crate) reached: Vec<Option<Reach>>,
}

/// When a run came to a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reach {
    /// Steps done by the first test that was as good.
    pub(crate) steps: u64,
    /// What these steps took, tests not counted.
    pub(crate) seconds: f64,
}

impl Trace {
    /// Reads the steps and tests of a label's runs. `target` is a share of the test set.
    pub(crate) fn of(group: &Group<'_>, target: Option<f64>) -> Result<Self, Error> {
        let mut trace = Self::default();
        let first = group.first();
        trace.marks = first.takeovers.iter().map(|t| t.step as f64).collect();
        let total = group.runs.iter().map(|run| run.total_steps()).max();
        let total = total.unwrap_or(1);
        let (mut rates, mut losses) = (Rates::over(total), Losses::over(total));
        let mut tests: BTreeMap<u64, Running> = BTreeMap::new();
        // A diverged run counts with what it ended with wherever the others were tested after it: they come first.
        let (diverged, others): (Vec<&Run>, Vec<&Run>) = group.runs.iter().partition(|run| {
            let row = run.result();
            row.is_some_and(|row| row.status == RunStatus::Diverged)
        });
        for (run, over) in others
            .iter()
            .map(|run| (run, false))
            .chain(diverged.iter().map(|run| (run, true)))
        {
            let curve = tested(run)?;
            for &(step, accuracy) in &curve {
                tests.entry(step).or_default().add(100.0 * accuracy);
            }
            if over && let Some(&(last, accuracy)) = curve.last() {
                for (_, later) in tests.range_mut(last + 1..) {
                    later.add(100.0 * accuracy);
                }
            }
            let hit = target.and_then(|target| curve.iter().find(|test| test.1 >= target));
            let seconds = follow(run, hit.map(|test| test.0), &mut rates, &mut losses)?;
            if run.result().is_some() {
                trace.areas.extend(area(&curve, run.total_steps()));
                trace.reached.push(hit.map(|test| Reach {
                    steps: test.0,
                    seconds,
                }));
            }
        }
        trace.rates = rates.points();
        trace.losses = losses.points();
        trace.accuracies = tests
            .iter()
            .filter_map(|(&step, running)| Point::with_interval(step as f64, running))
            .collect();
        Ok(trace)
    }
}

/// Reads the run's steps into the curves. Gives the seconds of those before `until`.
fn follow(
    run: &Run,
    until: Option<u64>,
    rates: &mut Rates,
    losses: &mut Losses,
) -> Result<f64, Error> {
    let mut nanoseconds = 0_u128;
    // A branch's log may begin with its trunk's last steps.
    let begins = run.first_step();
    for row in steps(&run.folder)? {
        let row = row?;
        if row.step < begins {
            continue;
        }
        rates.add(row.step, row.learning_rate);
        losses.add(row.step, row.train_loss);
        if until.is_some_and(|until| row.step < until) {
            nanoseconds += u128::from(row.step_ns);
        }
    }
    rates.end_run();
    losses.end_run();
    Ok(nanoseconds as f64 / 1e9)
}

/// The run's test accuracies by steps done.
fn tested(run: &Run) -> Result<Vec<(u64, f64)>, Error> {
    let begins = run.first_step();
    let rows = read_evals(&run.folder)?;
    let own = rows
        .iter()
        .filter(|row| row.split == "test" && row.accuracy.is_finite())
        .filter(|row| begins == 0 || row.step > begins);
    let mut curve: Vec<(u64, f64)> = own.map(|row| (row.step, row.accuracy)).collect();
    if curve.len() as u64 > TESTS {
        let total = run.total_steps();
        let stretch = |step: u64| step * TESTS / total;
        let mut last: Vec<(u64, f64)> = Vec::new();
        for test in curve {
            match last.last_mut() {
                Some(before) if stretch(before.0) == stretch(test.0) => *before = test,
                _ => last.push(test),
            }
        }
        curve = last;
    }
    Ok(curve)
}

/// The mean accuracy from the first test to the last planned step, by the trapezoid rule; a run that ended before keeps
/// the accuracy that it ended with. `None` without two places to go between.
fn area(curve: &[(u64, f64)], total: u64) -> Option<f64> {
    let (&first, &last) = (curve.first()?, curve.last()?);
    let end = total.max(last.0);
    if end == first.0 {
        return None;
    }
    let sum: f64 = curve
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0) as f64 * 0.5 * (pair[0].1 + pair[1].1))
        .sum();
    Some((sum + (end - last.0) as f64 * last.1) / (end - first.0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_mean_accuracy_over_the_steps() {
        // numpy.trapezoid([0.2, 0.6, 0.8], [100, 200, 400]) / 300 = (40 + 140) / 300.
        let curve = [(100, 0.2), (200, 0.6), (400, 0.8)];
        assert!((area(&curve, 400).unwrap() - 0.6).abs() < 1e-12);
        // A run that ended at 400 of 700 steps keeps its last accuracy.
        assert!((area(&curve, 700).unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(area(&curve[..1], 100), None);
        assert_eq!(area(&[], 100), None);
    }
}
