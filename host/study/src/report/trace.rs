//! What the runs of one label logged on their way, at a bounded number of places.

use std::collections::BTreeMap;

use pixelrate_runlog::RunStatus;

use super::curves::{KeptCurves, Test};
use super::gather::{Group, Run};
use super::stretches::{Losses, Point, Rates};
use crate::Error;
use crate::statistics::Running;

/// The curves of one label, and what its runs' curves come to as numbers.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Learning rate of the first run, and from the least to the greatest of the seeds.
    pub(crate) rates: Vec<Point>,
    /// Training loss in nats, with the mean's 95 % interval.
    pub(crate) losses: Vec<Point>,
    /// Test accuracy in percent, with the mean's 95 % interval.
    pub(crate) accuracies: Vec<Point>,
    /// The first run's seed.
    pub(crate) seed: u64,
    /// Steps at which a schedule took over in the first run.
    pub(crate) marks: Vec<f64>,
    /// Seed, and mean accuracy over the steps, of each run that has a result.
    pub(crate) areas: Vec<(u64, f64)>,
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
    /// What the runs of a label logged. `target` is an accuracy, a share. What is not `drawn` gets no curves.
    pub(crate) fn of(
        group: &Group<'_>,
        target: Option<f64>,
        drawn: bool,
        kept: &KeptCurves,
    ) -> Result<Self, Error> {
        let mut trace = Self::default();
        let first = group.first();
        trace.seed = first.file.spec.seed;
        trace.marks = first.takeovers.iter().map(|t| t.step as f64).collect();
        let total = group.runs.iter().map(|run| run.total_steps()).max();
        let total = total.unwrap_or(1);
        let (mut rates, mut losses) = (Rates::over(total), Losses::over(total));
        let mut tests: BTreeMap<u64, Running> = BTreeMap::new();
        // A diverged run counts with what it ended with wherever the others were tested after it: they come first. Its own
        // last test, at the step where it diverged, is a place of the curve only if all diverged: it would stand there alone.
        let (diverged, others): (Vec<&Run>, Vec<&Run>) = group.runs.iter().partition(|run| {
            let row = run.result();
            row.is_some_and(|row| row.status == RunStatus::Diverged)
        });
        let all_diverged = others.is_empty();
        let mut over: Vec<Vec<Test>> = Vec::new();
        for (run, diverged) in others
            .iter()
            .map(|run| (run, false))
            .chain(diverged.iter().map(|run| (run, true)))
        {
            let curves = kept.get(run, total)?;
            let curve = &curves.tests;
            if drawn {
                if diverged {
                    over.push(curve.clone());
                }
                for test in curve.iter().filter(|_| !diverged || all_diverged) {
                    let cell = tests.entry(test.step).or_default();
                    if !diverged {
                        cell.add(100.0 * test.accuracy);
                    }
                }
                losses.add(&curves.losses);
                if std::ptr::eq(*run, first) {
                    rates.add_line(curves.rates);
                } else {
                    rates.add(&curves.rates);
                }
            }
            // A branch's seconds begin at its fork, and its trunk had been tested before.
            if run.result().is_some() && !group.is_forked() {
                let area = area(curve, run.total_steps());
                trace
                    .areas
                    .extend(area.map(|area| (run.file.spec.seed, area)));
                let hit = target.and_then(|at| curve.iter().find(|test| test.accuracy >= at));
                trace.reached.push(hit.map(|test| Reach {
                    steps: test.step,
                    seconds: test.nanoseconds as f64 / 1e9,
                }));
            }
        }
        if !drawn {
            return Ok(trace);
        }
        for (&step, cell) in &mut tests {
            for curve in &over {
                let done = curve.partition_point(|test| test.step <= step);
                if let Some(test) = done.checked_sub(1).map(|last| &curve[last]) {
                    cell.add(100.0 * test.accuracy);
                }
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

/// The mean accuracy from the first test to the last planned step, by the trapezoid rule; a run that ended before keeps
/// the accuracy that it ended with. `None` without two places to go between.
fn area(curve: &[Test], total: u64) -> Option<f64> {
    let (first, last) = (curve.first()?, curve.last()?);
    let end = total.max(last.step);
    if end == first.step {
        return None;
    }
    let sum: f64 = curve
        .windows(2)
        .map(|pair| {
            let distance = (pair[1].step - pair[0].step) as f64;
            distance * 0.5 * (pair[0].accuracy + pair[1].accuracy)
        })
        .sum();
    Some((sum + (end - last.step) as f64 * last.accuracy) / (end - first.step) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_mean_accuracy_over_the_steps() {
        // numpy.trapezoid([0.2, 0.6, 0.8], [100, 200, 400]) / 300 = (40 + 140) / 300.
        let curve = [(100, 0.2), (200, 0.6), (400, 0.8)].map(|(step, accuracy)| Test {
            step,
            accuracy,
            nanoseconds: 0,
        });
        assert!((area(&curve, 400).unwrap() - 0.6).abs() < 1e-12);
        // A run that ended at 400 of 700 steps keeps its last accuracy.
        assert!((area(&curve, 700).unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(area(&curve[..1], 100), None);
        assert_eq!(area(&[], 100), None);
    }
}
