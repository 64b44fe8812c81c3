//! The picture of the families: a panel each, with what its runs came to above and their learning rates below.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use pixelrate_runlog::{read_evals, steps};

use super::{DRAWN, Families};
use crate::Error;
use crate::figure::{Family, Legend, Series};
use crate::report::Run;

/// Tests that a run must have for a curve of them; with fewer the training loss is drawn.
const TESTS: usize = 4;
/// Tests that a branch must have after its fork.
const BRANCH_TESTS: usize = 2;
/// Stretches of which a run's lowest and highest rate are kept for the picture.
const RATE_STRETCHES: u64 = 2_000;
/// Stretches into which a run's losses are averaged for the picture.
const STRETCHES: u64 = 120;

/// What the picture of the families shows.
pub(crate) struct Picture {
    /// What its upper panels measure.
    pub(crate) value: &'static str,
    pub(crate) families: Vec<Family>,
    pub(crate) legend: Vec<Legend>,
}

impl Families {
    /// What the picture shows; `None` without forks.
    pub(crate) fn picture(&self) -> Result<Option<Picture>, Error> {
        if self.families.is_empty() {
            return Ok(None);
        }
        let tested = self.tested()?;
        let trunks: BTreeSet<&str> = (self.families.keys().take(DRAWN))
            .filter_map(|trunk| Some(self.runs.get(trunk)?.file.spec.label.as_str()))
            .collect();
        // One colour for all trunks: where they are of several labels, each panel's title names its own.
        let trunk_name = match trunks.iter().next() {
            Some(only) if trunks.len() == 1 => (*only).to_owned(),
            _ => "trunk".to_owned(),
        };
        let mut legend = vec![Legend {
            name: trunk_name.clone(),
            note: "trunk".to_owned(),
        }];
        let mut families = Vec::new();
        for (trunk, branches) in self.families.iter().take(DRAWN) {
            let mut family = Family {
                title: trunk.1.clone(),
                ..Family::default()
            };
            let mut curves = BTreeMap::new();
            if let Some(run) = self.runs.get(trunk) {
                let values = curve(run, tested, 0)?;
                family.upper.push(series(&trunk_name, values.clone()));
                family.lower.push(series(&trunk_name, rates(run, 0)?));
                curves.insert(trunk.clone(), values);
            }
            for branch in branches {
                let run = &self.runs[branch];
                let spec = &run.file.spec;
                let Some(parent) = &spec.parent else { continue };
                let mut values = curve(run, tested, parent.step)?;
                let from = curves
                    .get(&(parent.study.clone(), parent.run.clone()))
                    .and_then(|values| between(values, parent.step as f64));
                if let Some(from) = from {
                    values.insert(0, (parent.step as f64, from));
                }
                if !family.forks.iter().any(|fork| fork.0 == parent.step as f64) {
                    family.forks.push((parent.step as f64, from));
                }
                family.upper.push(series(&spec.label, values.clone()));
                family
                    .lower
                    .push(series(&spec.label, rates(run, parent.step)?));
                curves.insert(branch.clone(), values);
                if !legend.iter().any(|entry| entry.name == spec.label) {
                    legend.push(Legend {
                        name: spec.label.clone(),
                        note: format!("from step {}", parent.step),
                    });
                }
            }
            families.push(family);
        }
        if let [_] = families.as_slice() {
            self.add_ends(&mut legend);
        }
        let value = if tested {
            "accuracy, %"
        } else {
            "training loss, nats"
        };
        Ok(Some(Picture {
            value,
            families,
            legend,
        }))
    }

    /// Where there is one family, a line's end may stand beside its name.
    fn add_ends(&self, legend: &mut [Legend]) {
        for (trunk, branches) in &self.families {
            for (place, name) in std::iter::once(trunk).chain(branches).enumerate() {
                let Some(run) = self.runs.get(name) else {
                    continue;
                };
                let label = &run.file.spec.label;
                let entry = match place {
                    0 => legend.first_mut(),
                    _ => legend.iter_mut().skip(1).find(|entry| entry.name == *label),
                };
                if let (Some(entry), Some(row)) = (entry, run.result())
                    && let Some(accuracy) = row.final_eval_accuracy
                {
                    let _ = write!(entry.note, ": accuracy {:.2} %", 100.0 * accuracy);
                }
            }
        }
    }

    /// Whether all runs were tested often enough for curves of their accuracy.
    fn tested(&self) -> Result<bool, Error> {
        for (trunk, branches) in self.families.iter().take(DRAWN) {
            for name in std::iter::once(trunk).chain(branches) {
                let Some(run) = self.runs.get(name) else {
                    continue;
                };
                let (least, from) = match &run.file.spec.parent {
                    None => (TESTS, 0),
                    Some(parent) => (BRANCH_TESTS, parent.step),
                };
                if curve(run, true, from)?.len() < least {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

fn series(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        points,
        ..Series::default()
    }
}

/// The run's accuracy in percent, or its training loss averaged over stretches, after `from` steps.
fn curve(run: &Run, tested: bool, from: u64) -> Result<Vec<(f64, f64)>, Error> {
    if tested {
        let rows = read_evals(&run.folder)?;
        return Ok(rows
            .iter()
            .filter(|row| row.split != "train" && (row.step > from || from == 0))
            .map(|row| (row.step as f64, 100.0 * row.accuracy))
            .collect());
    }
    let total = run.total_steps();
    // Of each stretch: its losses' sum and number, and its last step.
    let mut stretches: BTreeMap<u64, (f64, u64, u64)> = BTreeMap::new();
    for row in steps(&run.folder)? {
        let row = row?;
        if let Some(loss) = row.train_loss.filter(|loss| loss.is_finite())
            && row.step >= from
        {
            let place = (row.step * STRETCHES / total).min(STRETCHES);
            let (sum, count, last) = stretches.entry(place).or_default();
            *sum += loss;
            *count += 1;
            *last = row.step;
        }
    }
    Ok(stretches
        .values()
        .map(|(sum, count, last)| (*last as f64, sum / *count as f64))
        .filter(|point| from == 0 || point.0 > from as f64)
        .collect())
}

/// The run's learning rates from a step on: of each stretch the lowest and the highest, in their order.
fn rates(run: &Run, from: u64) -> Result<Vec<(f64, f64)>, Error> {
    let total = run.total_steps();
    let mut stretches: Vec<(u64, [(f64, f64); 2])> = Vec::new();
    for row in steps(&run.folder)? {
        let row = row?;
        if row.step < from {
            continue;
        }
        let (place, point) = (
            row.step * RATE_STRETCHES / total,
            (row.step as f64, row.learning_rate),
        );
        match stretches.last_mut() {
            Some((last, [low, high])) if *last == place => {
                if point.1 < low.1 {
                    *low = point;
                }
                if point.1 > high.1 {
                    *high = point;
                }
            }
            _ => stretches.push((place, [point, point])),
        }
    }
    let ends = stretches.into_iter().flat_map(|(_, mut ends)| {
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        ends
    });
    let mut points: Vec<_> = ends.collect();
    points.dedup();
    Ok(points)
}

/// The value of a curve at a place between two of its points.
pub(super) fn between(points: &[(f64, f64)], place: f64) -> Option<f64> {
    let after = points.iter().position(|point| point.0 >= place)?;
    let end = points[after];
    let Some(start) = after.checked_sub(1).map(|before| points[before]) else {
        return (end.0 == place).then_some(end.1);
    };
    Some(start.1 + (end.1 - start.1) * (place - start.0) / (end.0 - start.0))
}
