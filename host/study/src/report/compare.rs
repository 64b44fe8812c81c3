//! Differences from the baseline, over the same seeds.

use std::collections::BTreeMap;

use pixelrate_trainer::spec::Training;
use rayon::prelude::*;
use serde::Serialize;

use super::gather::Group;
use super::options::names;
use super::ran::training_keys;
use super::rows::Row;
use crate::Error;
use crate::statistics::{ALPHA, Estimate, detectable, holm, paired, pairs_needed};

/// All schedules beside the baseline.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparisons {
    /// The labels that others are compared with: one, unless a grid varies the training.
    pub baselines: Vec<String>,
    /// Comparisons that were tested, for which the p-values are corrected.
    pub tested: usize,
    /// The difference, a share of the pictures, that a typical one of these comparisons finds four times in five, after
    /// Bonferroni's correction: the median over them.
    pub detectable: Option<f64>,
    /// A row a schedule, in the study's order.
    pub rows: Vec<Comparison>,
}

/// One schedule beside its baseline.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Its label.
    pub schedule: String,
    /// The label that it is compared with.
    pub baseline: String,
    /// Its accuracy less the baseline's, a share of the pictures, over the seeds that both have. `None` without such.
    pub difference: Option<Estimate>,
    /// Each seed's difference.
    pub differences: Vec<f64>,
    /// Two-sided p-value of the paired t test.
    pub p_t: Option<f64>,
    /// Two-sided p-value of the sign-flip permutation test, from six seeds on.
    pub p_flip: Option<f64>,
    /// `p_t` after Holm's correction for all comparisons of the report.
    pub p_holm: Option<f64>,
    /// Seeds that would find a true difference of this size four times in five, tested alone.
    pub seeds_alone: Option<usize>,
    /// The same, corrected for all comparisons of the report (Bonferroni: Holm asks for a little less).
    pub seeds_corrected: Option<usize>,
    /// What may be said.
    pub verdict: Verdict,
}

/// What a comparison allows to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// More accurate than the baseline, at 5 % after the correction.
    Better,
    /// Less accurate.
    Worse,
    /// Neither is shown. That is not to say that they are equal.
    Unclear,
    /// Fewer than two common seeds, or differences without any spread.
    Untested,
}

impl Verdict {
    /// In a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Unclear => "not told apart",
            Self::Untested => "not tested",
        }
    }
}

/// Compares every row but the baselines and the branches with its baseline. `wanted` is the baseline's label; without it
/// the study's first schedule is.
///
/// # Errors
/// [`Error::NoBaseline`] if no label is called that.
pub(super) fn compare(
    groups: &[Group<'_>],
    rows: &[Row],
    wanted: Option<&str>,
) -> Result<Comparisons, Error> {
    let whole: Vec<usize> = (0..groups.len())
        .filter(|&place| !groups[place].is_forked())
        .collect();
    let index = |place: usize| groups[place].first().file.spec.label_index;
    let chosen = match wanted {
        None => whole.first().copied(),
        Some(name) => {
            let named = |place: &&usize| names(name, &groups[**place].name);
            let exact = whole.iter().find(|place| groups[**place].name == name);
            let Some(&found) = exact.or_else(|| whole.iter().find(named)) else {
                let labels: Vec<_> = whole
                    .iter()
                    .map(|&place| groups[place].name.clone())
                    .collect();
                return Err(Error::NoBaseline {
                    wanted: name.to_owned(),
                    labels: labels.join(", "),
                });
            };
            Some(found)
        }
    };
    let training = |place: usize| &groups[place].first().file.spec.training;
    // Once for each label: of a grid, each is held against each baseline.
    let keys: Vec<_> = (0..groups.len())
        .into_par_iter()
        .map(|place| training_keys(training(place)))
        .collect();
    let differing = |a: usize, b: usize| {
        let all = keys[a].iter();
        all.filter(|(key, value)| keys[b].get(*key) != Some(*value))
            .count()
    };
    // Labels of a grid share their place in the study, and train differently. Those of single runs, which no study has
    // given a place, are a baseline and what is compared with it.
    let (bases, others): (Vec<usize>, Vec<usize>) = whole.into_iter().partition(|&place| {
        chosen.is_some_and(|chosen| {
            place == chosen || index(place) == index(chosen) && differing(place, chosen) > 0
        })
    });
    let mut found: Vec<Comparison> = others
        .into_par_iter()
        .filter_map(|place| {
            let alike: Vec<usize> = (bases.iter().copied())
                .filter(|&base| same_task(training(base), training(place)))
                .collect();
            let base = match alike[..] {
                [only] => only,
                // Of a grid: the one whose values are this label's.
                _ => (alike.into_iter()).min_by_key(|&base| differing(base, place))?,
            };
            Some(one(&rows[place], &rows[base]))
        })
        .collect();
    judge(&mut found);
    let tested = found.iter().filter(|row| row.p_t.is_some()).count();
    // Most have as many pairs as the others: what that many find is looked for once.
    let mut effects: BTreeMap<usize, Option<f64>> = BTreeMap::new();
    let mut steps: Vec<f64> = found
        .iter()
        .filter_map(|row| {
            let Estimate {
                deviation, count, ..
            } = row.difference.filter(|_| row.p_t.is_some())?;
            let found = || detectable(count, ALPHA / tested as f64);
            let effect = *effects.entry(count).or_insert_with(found);
            Some(deviation? * effect?)
        })
        .collect();
    steps.sort_by(f64::total_cmp);
    Ok(Comparisons {
        baselines: bases
            .iter()
            .map(|&base| rows[base].schedule.clone())
            .collect(),
        tested,
        detectable: steps.get(steps.len() / 2).copied(),
        rows: found,
    })
}

/// Whether two labels train the same model on the same data for as long, and are tested alike: an optimizer of its own is part
/// of a schedule's entry.
fn same_task(a: &Training, b: &Training) -> bool {
    let task = |t: &Training| {
        (
            t.dataset.clone(),
            t.model.clone(),
            t.batch_size,
            t.train_examples,
            t.test_views,
        )
    };
    let floats = |t: &Training| (t.epochs, t.validation_examples);
    task(a) == task(b) && floats(a) == floats(b)
}

fn one(row: &Row, base: &Row) -> Comparison {
    let differences: Vec<f64> = row
        .accuracies
        .iter()
        .filter_map(|(seed, accuracy)| Some(accuracy - base.accuracies.get(seed)?))
        .filter(|difference| difference.is_finite())
        .collect();
    let found = paired(&differences);
    Comparison {
        schedule: row.schedule.clone(),
        baseline: base.schedule.clone(),
        difference: found.map(|found| found.difference),
        p_t: found.and_then(|found| found.p_t),
        p_flip: found.and_then(|found| found.p_flip),
        p_holm: None,
        seeds_alone: None,
        seeds_corrected: None,
        verdict: Verdict::Untested,
        differences,
    }
}

/// Corrects the p-values for one another, and says what follows.
fn judge(rows: &mut [Comparison]) {
    let corrected = holm(&rows.iter().map(|row| row.p_t).collect::<Vec<_>>());
    let tested = corrected.iter().flatten().count();
    rows.par_iter_mut().zip(corrected).for_each(|(row, p)| {
        row.p_holm = p;
        let (Some(p), Some(difference)) = (p, row.difference) else {
            return;
        };
        row.verdict = match p < ALPHA {
            true if difference.mean > 0.0 => Verdict::Better,
            true => Verdict::Worse,
            false => Verdict::Unclear,
        };
        if let Some(deviation) = difference.deviation {
            let effect = difference.mean / deviation;
            row.seeds_alone = pairs_needed(effect, ALPHA);
            row.seeds_corrected = pairs_needed(effect, ALPHA / tested as f64);
        }
    });
}
