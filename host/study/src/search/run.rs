//! A search, rung by rung.

use std::path::Path;

use pixelrate_runlog::{self as runlog, EventKind, read_summary};
use pixelrate_trainer::Error as TrainerError;
use pixelrate_trainer::train::{self, Stop};

use super::candidates::{Candidate, Search};
use super::judge::{Choice, Score, judge, score};
use super::record::{self, Best, Cost, Tuning, choices, write_choices};
use crate::Error;
use crate::engine::{self, RunEnd};
use crate::plan::Plan;
use crate::report::Options;

/// How a call of [`run`] ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The search has ended.
    Found(Box<Tuning>),
    /// It was stopped, and the next call goes on.
    Stopped,
    /// Runs died without a word of their own, and nothing was decided by it: the next call tries them again. Each run's
    /// name, and what is known.
    Failed(Vec<(String, String)>),
}

/// Goes on with a search in `folder`, from where it was, to its end. `told` hears of every rung.
///
/// # Errors
/// [`Error::Changed`] if another search was begun there; a folder's or a log's trouble.
pub fn run(
    search: &Search,
    folder: &Path,
    program: &Path,
    jobs: usize,
    stop: &Stop,
    told: &dyn Fn(&str),
) -> Result<End, Error> {
    search.keep(folder)?;
    let mut decided = choices(folder)?;
    for number in 0..search.rungs.len() {
        let of_rung = |decided: &[Choice]| -> Vec<Choice> {
            let own = decided.iter().filter(|choice| choice.rung == number + 1);
            own.cloned().collect()
        };
        if of_rung(&decided).is_empty() {
            let entered = entered(search, number, &decided);
            if entered.is_empty() {
                break;
            }
            match climb(search, number, &entered, folder, program, jobs, stop)? {
                Climbed::To(chosen) => decided.extend(chosen),
                Climbed::Not(end) => return Ok(end),
            }
            write_choices(folder, &decided)?;
        }
        let chosen = of_rung(&decided);
        // A call that ended between the choice and what follows from it left that to this one.
        for choice in &chosen {
            tell_runs(folder, choice)?;
        }
        told(&line(&chosen));
    }
    let tuning = tuning(search, folder, &decided)?;
    record::write_tuning(folder, &tuning)?;
    Ok(End::Found(Box::new(tuning)))
}

/// The candidates that enter a rung, in the order of the draw.
fn entered<'a>(search: &'a Search, number: usize, decided: &[Choice]) -> Vec<&'a Candidate> {
    let went_on = |label: &str| {
        let mut before = decided.iter().filter(|choice| choice.rung == number);
        before.any(|choice| choice.goes_on && choice.candidate == label)
    };
    let all = search.candidates.iter();
    all.filter(|one| number == 0 || went_on(&one.label))
        .collect()
}

/// What came of the runs of a rung.
enum Climbed {
    To(Vec<Choice>),
    Not(End),
}

/// Trains all runs of a rung to its end, and judges them.
fn climb(
    search: &Search,
    number: usize,
    entered: &[&Candidate],
    folder: &Path,
    program: &Path,
    jobs: usize,
    stop: &Stop,
) -> Result<Climbed, Error> {
    let rung = &search.rungs[number];
    let last = number + 1 == search.rungs.len();
    // Seed by seed, as a study.
    let seeds = search.seeds.iter();
    let runs = seeds.flat_map(|&seed| entered.iter().map(move |one| one.run(&search.name, seed)));
    let plan = Plan {
        name: search.name.clone(),
        jobs: search.jobs,
        threads_open: false,
        runs: runs.collect(),
        builds: Vec::new(),
        report: Options::default(),
    };
    let until = (!last).then_some(rung.step);
    let ends = engine::run(&plan, until, folder, program, jobs, stop)?;
    if stop.asked() {
        return Ok(Climbed::Not(End::Stopped));
    }
    let mut scores: Vec<(&Candidate, Vec<Score>)> =
        entered.iter().map(|one| (*one, Vec::new())).collect();
    let mut unknown = Vec::new();
    for (index, (spec, end)) in plan.runs.iter().zip(ends).enumerate() {
        match score(&folder.join(&spec.run), rung, search.metric)? {
            Some(score) => scores[index % entered.len()].1.push(score),
            None => {
                let problem = match end {
                    RunEnd::Failed(problem) => problem,
                    _ => "it did not come to the end of the rung".to_owned(),
                };
                unknown.push((spec.run.clone(), problem));
            }
        }
    }
    Ok(if unknown.is_empty() {
        Climbed::To(judge(search, number, &scores))
    } else {
        Climbed::Not(End::Failed(unknown))
    })
}

/// Tells each run of a candidate what was decided: an event of its log. One that was dropped is closed with it. A run that
/// another process has, such as a `resume` of the user's, is told by the next call.
fn tell_runs(folder: &Path, choice: &Choice) -> Result<(), Error> {
    for seed in &choice.seeds {
        let run = folder.join(format!("{}-seed{seed}", choice.candidate));
        // A run that ended needs nobody to tell it so, and its log is whole; nor does one whose folder was cleared away.
        if read_summary(&run)?.is_some() || !run.join("run.toml").exists() {
            continue;
        }
        engine::wait_for_its_last_process(&run);
        let told = if choice.goes_on {
            train::note(&run, EventKind::Judged, &choice.why)
        } else {
            train::set_aside(&run, EventKind::Judged, &choice.why)
        };
        match told {
            Err(TrainerError::Log(runlog::Error::Locked { .. })) => {}
            other => other?,
        }
    }
    Ok(())
}

/// A rung in a line.
fn line(chosen: &[Choice]) -> String {
    let Some(first) = chosen.first() else {
        return String::new();
    };
    let mean = |choice: &Choice| {
        let mean = choice.mean.map(|mean| format!("{mean:.4}"));
        mean.unwrap_or_else(|| "unknown".to_owned())
    };
    let going = chosen.iter().filter(|choice| choice.goes_on).count();
    format!(
        "rung {} of {} ({:.4} epochs): best {} {}, {}; {}",
        first.rung,
        first.rungs,
        first.epochs,
        first.metric,
        mean(first),
        first.candidate,
        if first.rung == first.rungs {
            format!("of {} candidates", chosen.len())
        } else {
            format!("{going} of {} candidates go on", chosen.len())
        }
    )
}

fn tuning(search: &Search, folder: &Path, decided: &[Choice]) -> Result<Tuning, Error> {
    let last = decided.iter().map(|choice| choice.rung).max();
    let best = decided
        .iter()
        .find(|choice| Some(choice.rung) == last && choice.rank == 1);
    let (best, mean) = best
        .filter(|best| best.rung == best.rungs && best.goes_on)
        .and_then(|best| Some((best, best.mean?)))
        .ok_or_else(|| Error::NothingFound(folder.to_owned()))?;
    let before = record::tuning(folder)?;
    let mut cost = Cost::default();
    for candidate in &search.candidates {
        for seed in &search.seeds {
            let run = folder.join(format!("{}-seed{seed}", candidate.label));
            if let Some(row) = read_summary(&run)? {
                cost.add(&row);
            }
        }
    }
    let mut schedules: Vec<String> = Vec::new();
    for candidate in &search.candidates {
        if !schedules.contains(&candidate.schedule) {
            schedules.push(candidate.schedule.clone());
        }
    }
    Ok(Tuning {
        search: search.name.clone(),
        schedules,
        metric: search.metric,
        evaluated_on: search.evaluated_on(),
        seeds: search.seeds.clone(),
        candidates: search.candidates.len(),
        refused: search.refused.len(),
        // Runs that were cleared away since have cost what they did.
        cost: (before.as_ref().map(|tuning| tuning.cost))
            .filter(|known| known.runs > cost.runs)
            .unwrap_or(cost),
        best: Best {
            candidate: best.candidate.clone(),
            schedule: best.schedule.clone(),
            params: best.params.clone(),
            mean,
            half_width: best.half_width,
        },
        // What was confirmed before stays so: the search is the same.
        confirmed: before.map_or_else(Vec::new, |tuning| tuning.confirmed),
    })
}
