//! The best candidates again, with seeds that the search did not use.

use std::path::{Path, PathBuf};

use pixelrate_runlog::{RunStatus, read_summary};
use pixelrate_trainer::train::Stop;

use super::candidates::{Candidate, Search};
use super::file::Metric;
use super::record::{self, Confirmed, choices};
use super::report::ranked;
use super::run::End;
use crate::Error;
use crate::engine::{self, RunEnd};
use crate::plan::Plan;
use crate::report::Options;
use crate::statistics::estimate;

/// Runs the `top` best candidates of the search in `folder`, which has ended, at the full budget with `count` fresh
/// seeds each, and keeps what they came to in `tuning.json`. The runs are a study of their own, `<search>-confirm`, beside
/// the search.
///
/// # Errors
/// [`Error::NoSearch`] if it has not ended; a folder's or a log's trouble.
pub fn confirm(
    search: &Search,
    folder: &Path,
    (top, count): (usize, usize),
    program: &Path,
    jobs: usize,
    stop: &Stop,
) -> Result<End, Error> {
    let mut tuning = record::tuning(folder)?.ok_or_else(|| Error::NoSearch(folder.to_owned()))?;
    let decided = choices(folder)?;
    let best: Vec<&Candidate> = ranked(&decided)
        .iter()
        .filter_map(|choice| {
            let mut all = search.candidates.iter();
            all.find(|one| one.label == choice.candidate)
        })
        .take(top)
        .collect();
    let seeds = fresh(&search.seeds, count);
    let study = format!("{}-confirm", search.name);
    let place = beside(folder, &study);
    let plan = Plan {
        runs: seeds
            .iter()
            .flat_map(|&seed| best.iter().map(move |one| (one, seed)))
            .map(|(one, seed)| {
                // On all training pictures, and the test set, which a search that holds some back has not seen.
                let mut run = one.run(&study, seed);
                run.training.validation_examples = 0.0;
                run
            })
            .collect(),
        name: study,
        jobs: search.jobs,
        threads_open: false,
        builds: Vec::new(),
        report: Options::default(),
    };
    let ends = engine::run(&plan, None, &place, program, jobs, stop)?;
    if stop.asked() || ends.contains(&RunEnd::Stopped) {
        return Ok(End::Stopped);
    }
    let failed: Vec<_> = plan
        .runs
        .iter()
        .zip(ends)
        .filter_map(|(spec, end)| match end {
            RunEnd::Failed(problem) => Some((spec.run.clone(), problem)),
            _ => None,
        })
        .collect();
    if !failed.is_empty() {
        return Ok(End::Failed(failed));
    }
    tuning.confirmed = best
        .iter()
        .map(|one| confirmed(one, &seeds, &place, search.metric))
        .collect::<Result<_, Error>>()?;
    record::write_tuning(folder, &tuning)?;
    Ok(End::Found(Box::new(tuning)))
}

/// The first seeds above all that were used.
fn fresh(used: &[u64], count: usize) -> Vec<u64> {
    let greatest = used.iter().copied().max().unwrap_or(0);
    (1..=count as u64)
        .map(|more| greatest.wrapping_add(more))
        .collect()
}

fn beside(folder: &Path, study: &str) -> PathBuf {
    folder.with_file_name(study)
}

fn confirmed(
    candidate: &Candidate,
    seeds: &[u64],
    place: &Path,
    metric: Metric,
) -> Result<Confirmed, Error> {
    let (mut values, mut diverged) = (Vec::new(), 0);
    for seed in seeds {
        let run = place.join(format!("{}-seed{seed}", candidate.label));
        let Some(row) = read_summary(&run)? else {
            continue;
        };
        let spoilt = row.status == RunStatus::Diverged;
        diverged += usize::from(spoilt);
        let value = match metric {
            Metric::Accuracy => row.final_eval_accuracy,
            Metric::Loss => row.final_eval_loss.filter(|_| !spoilt),
        };
        values.extend(value.filter(|value| value.is_finite()));
    }
    let found = estimate(&values);
    Ok(Confirmed {
        candidate: candidate.label.clone(),
        seeds: seeds.to_vec(),
        mean: found.map(|found| found.mean),
        half_width: found.and_then(|found| found.half_width),
        diverged,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn fresh_seeds_are_none_of_those_used() {
        assert_eq!(super::fresh(&[7, 0, 3], 3), [8, 9, 10]);
    }
}
