//! A rung's end: what each candidate came to, and which go on.

use std::collections::BTreeMap;
use std::path::Path;

use pixelrate_runlog::{RunStatus, read_evals, read_summary};
use pixelrate_sandbox::Value;
use serde::{Deserialize, Serialize};

use super::candidates::{Candidate, Search};
use super::file::Metric;
use super::rungs::Rung;
use crate::Error;
use crate::statistics::estimate;

/// What became of a candidate at a rung: a line of `choices.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The search's name.
    pub search: String,
    /// The rung, from 1.
    pub rung: usize,
    /// Rungs of the search.
    pub rungs: usize,
    /// The rung's budget: passes over the training set since the run began.
    pub epochs: f64,
    /// The same in steps.
    pub step: u64,
    /// The candidate's name.
    pub candidate: String,
    /// The schedule's name in the search.
    pub schedule: String,
    /// The parameters that vary, and what the candidate has for them.
    pub params: BTreeMap<String, Value>,
    /// What candidates are ranked by.
    pub metric: Metric,
    /// The seeds of its runs.
    pub seeds: Vec<u64>,
    /// The metric of each seed's run at the rung's end, in their order: `None` where it failed or is not finite. A run that
    /// diverged has the accuracy that it ended with.
    pub scores: Vec<Option<f64>>,
    /// The mean over the scores.
    pub mean: Option<f64>,
    /// Half of the mean's 95 % interval by Student's t; `None` for fewer than two scores.
    pub half_width: Option<f64>,
    /// Runs that diverged.
    pub diverged: usize,
    /// Runs that an error ended.
    pub failed: usize,
    /// Its place at this rung, from 1.
    pub rank: usize,
    /// Candidates of the rung.
    pub of: usize,
    /// Whether it goes on to the next rung; at the last one, whether it is the best.
    pub goes_on: bool,
    /// Why.
    pub why: String,
}

/// What a run came to at a rung.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Score {
    /// It came so far.
    Measured(f64),
    /// It diverged on the way; what it ended with, if that is finite.
    Diverged(Option<f64>),
    /// An error ended it.
    Failed,
}

/// What the run in `folder` came to at `rung`; `None`: it has not come so far.
///
/// # Errors
/// Its log cannot be read.
pub(crate) fn score(folder: &Path, rung: &Rung, metric: Metric) -> Result<Option<Score>, Error> {
    if !folder.join("run.toml").exists() {
        return Ok(None);
    }
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let evals = read_evals(folder)?;
    let measured = evals.iter().find(|row| row.step == rung.step);
    let ended = read_summary(folder)?;
    let status = ended.as_ref().map(|row| row.status);
    let diverged = status == Some(RunStatus::Diverged)
        && ended
            .as_ref()
            .is_some_and(|row| row.steps_done <= rung.step);
    // A run over fewer pictures than were expected ends sooner.
    let last = evals
        .last()
        .filter(|_| diverged || status == Some(RunStatus::Finished));
    let value = measured.or(last).and_then(|row| match metric {
        Metric::Accuracy => finite(row.accuracy),
        Metric::Loss => finite(row.loss),
    });
    Ok(match (value, status) {
        (value, _) if diverged => {
            // A loss that is about to be infinite is no measure.
            Some(Score::Diverged(
                value.filter(|_| metric == Metric::Accuracy),
            ))
        }
        (Some(value), _) => Some(Score::Measured(value)),
        (None, Some(RunStatus::Failed)) => Some(Score::Failed),
        (None, Some(RunStatus::Finished)) => Some(Score::Diverged(None)),
        // It was tested at the rung, and what came of it is no number: its weights left the finite ones in the last step.
        (None, _) if measured.is_some() => Some(Score::Diverged(None)),
        (None, _) => None,
    })
}

/// Ranks the candidates of a rung and says which go on: as many as the next rung is for, of those that have a run to go
/// on with. Those with fewer runs that diverged or failed come first, then those of the better mean, then those that were
/// drawn first. `scores` are by candidate, in the order of the search's seeds.
pub(crate) fn judge(
    search: &Search,
    number: usize,
    entered: &[(&Candidate, Vec<Score>)],
) -> Vec<Choice> {
    let rung = &search.rungs[number];
    let next = search.rungs.get(number + 1).map(|next| next.candidates);
    let mut choices: Vec<Choice> = entered
        .iter()
        .map(|(candidate, scores)| {
            let values: Vec<Option<f64>> = scores
                .iter()
                .map(|score| match score {
                    Score::Measured(value) => Some(*value),
                    Score::Diverged(value) => *value,
                    Score::Failed => None,
                })
                .collect();
            let known: Vec<f64> = values.iter().copied().flatten().collect();
            let mean = estimate(&known);
            let count = |wanted: fn(&Score) -> bool| scores.iter().filter(|s| wanted(s)).count();
            Choice {
                search: search.name.clone(),
                rung: number + 1,
                rungs: search.rungs.len(),
                epochs: rung.epochs,
                step: rung.step,
                candidate: candidate.label.clone(),
                schedule: candidate.schedule.clone(),
                params: candidate.params.clone(),
                metric: search.metric,
                seeds: search.seeds.clone(),
                scores: values,
                mean: mean.map(|mean| mean.mean),
                half_width: mean.and_then(|mean| mean.half_width),
                diverged: count(|score| matches!(score, Score::Diverged(_))),
                failed: count(|score| matches!(score, Score::Failed)),
                rank: 0,
                of: entered.len(),
                goes_on: false,
                why: String::new(),
            }
        })
        .collect();
    let worth = |choice: &Choice| match search.metric {
        Metric::Accuracy => choice.mean.unwrap_or(f64::NEG_INFINITY),
        Metric::Loss => -choice.mean.unwrap_or(f64::INFINITY),
    };
    // The sort is stable: ties stay in the order of the draw.
    choices.sort_by(|a, b| {
        let spoilt = |choice: &Choice| choice.diverged + choice.failed;
        (spoilt(a).cmp(&spoilt(b))).then(worth(b).total_cmp(&worth(a)))
    });
    let alive = |choice: &Choice| choice.diverged + choice.failed < choice.seeds.len();
    let going = next.unwrap_or(1);
    let going = choices
        .iter()
        .take(going)
        .filter(|choice| alive(choice))
        .count();
    for (place, choice) in choices.iter_mut().enumerate() {
        choice.rank = place + 1;
        choice.goes_on = place < going && alive(choice);
        choice.why = why(choice, next.is_none(), going);
    }
    choices
}

/// For people, and for the log of each run: `dropped at rung 1 of 3 (step 63): accuracy 0.4310, rank 14 of 27; the 9 best
/// went on`.
fn why(choice: &Choice, last: bool, going: usize) -> String {
    let verb = match (choice.goes_on, last) {
        (true, true) => "the best",
        (true, false) => "goes on",
        (false, true) => "not the best",
        (false, false) => "dropped",
    };
    let mean = choice
        .mean
        .map_or_else(|| "unknown".to_owned(), |mean| format!("{mean:.4}"));
    let mut text = format!(
        "{verb} at rung {} of {} (step {}): {} {mean}, rank {} of {}",
        choice.rung, choice.rungs, choice.step, choice.metric, choice.rank, choice.of
    );
    for (count, what) in [(choice.diverged, "diverged"), (choice.failed, "failed")] {
        if count > 0 {
            text += &format!("; {count} of its {} runs {what}", choice.seeds.len());
        }
    }
    match (last, going) {
        (true, _) => {}
        (false, 1) => text += "; the best one went on",
        (false, going) => text += &format!("; the {going} best went on"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::{begin, spec};
    use pixelrate_runlog::EvalRow;

    /// A search over as many candidates as there are names, of which `going` enter the second rung.
    fn search(names: &[&str], going: usize, metric: Metric) -> Search {
        let rung = |step, candidates| Rung {
            epochs: step as f64 / 10.0,
            step,
            candidates,
        };
        Search {
            name: "s".to_owned(),
            seed: 0,
            seeds: vec![0, 1],
            eta: 2,
            metric,
            rungs: vec![rung(10, names.len()), rung(20, going)],
            candidates: names
                .iter()
                .map(|name| Candidate {
                    label: (*name).to_owned(),
                    schedule: "fixed".to_owned(),
                    params: BTreeMap::new(),
                    training: Default::default(),
                    spec: spec(name, 0, None),
                })
                .collect(),
            refused: Vec::new(),
            jobs: None,
        }
    }

    fn judged(search: &Search, rung: usize, scores: &[[Score; 2]]) -> Vec<(String, bool)> {
        let entered: Vec<_> = search
            .candidates
            .iter()
            .zip(scores.iter().map(|two| two.to_vec()))
            .collect();
        let choices = judge(search, rung, &entered);
        assert!(
            choices
                .iter()
                .enumerate()
                .all(|(i, c)| c.rank == i + 1 && c.of == scores.len())
        );
        choices
            .into_iter()
            .map(|c| (c.candidate, c.goes_on))
            .collect()
    }

    fn told(found: &[(String, bool)]) -> Vec<(&str, bool)> {
        found
            .iter()
            .map(|(name, on)| (name.as_str(), *on))
            .collect()
    }

    #[test]
    fn a_loss_at_the_rung_that_is_no_number_is_a_divergence() {
        let place = tempfile::tempdir().unwrap();
        let (folder, mut log) = begin(place.path(), &spec("a", 0, None));
        let rung = Rung {
            epochs: 1.0,
            step: 10,
            candidates: 1,
        };
        let score = |metric| score(&folder, &rung, metric).unwrap();
        assert_eq!(score(Metric::Loss), None);
        let row = EvalRow {
            step: 10,
            epoch: 1.0,
            split: "test".to_owned(),
            loss: f64::NAN,
            accuracy: 0.1,
            examples: 100,
        };
        log.eval(row).unwrap();
        log.sync().unwrap();
        assert_eq!(score(Metric::Loss), Some(Score::Diverged(None)));
        assert_eq!(score(Metric::Accuracy), Some(Score::Measured(0.1)));
    }

    const fn at(value: f64) -> Score {
        Score::Measured(value)
    }

    #[test]
    fn the_best_means_go_on_and_ties_stay_in_the_order_of_the_draw() {
        let scores = [
            [at(0.25), at(0.75)],
            [at(0.9), at(0.9)],
            [at(0.5), at(0.5)],
            [at(0.1), at(0.2)],
        ];
        let accuracy = search(&["a", "b", "c", "d"], 2, Metric::Accuracy);
        let found = judged(&accuracy, 0, &scores);
        let expected = [("b", true), ("a", true), ("c", false), ("d", false)];
        assert_eq!(told(&found), expected);
        let loss = search(&["a", "b", "c", "d"], 2, Metric::Loss);
        let found = judged(&loss, 0, &scores);
        let expected = [("d", true), ("a", true), ("c", false), ("b", false)];
        assert_eq!(told(&found), expected);
        // At the last rung one is the best.
        let found = judged(&accuracy, 1, &scores);
        assert_eq!(found.iter().filter(|(_, best)| *best).count(), 1);
    }

    #[test]
    fn runs_that_diverged_or_failed_rank_last_and_are_counted() {
        let scores = [
            [at(0.99), Score::Diverged(Some(0.1))],
            [Score::Diverged(None), Score::Failed],
            [at(0.2), at(0.2)],
            [at(0.99), Score::Failed],
        ];
        let search = search(&["half", "none", "whole", "failed"], 3, Metric::Accuracy);
        let found = judged(&search, 0, &scores);
        let expected = [
            ("whole", true),
            ("failed", true),
            ("half", true),
            ("none", false),
        ];
        assert_eq!(told(&found), expected);
        let entered: Vec<_> = search
            .candidates
            .iter()
            .zip(scores.iter().map(|two| two.to_vec()))
            .collect();
        let choices = judge(&search, 0, &entered);
        let half = &choices[2];
        assert_eq!((half.diverged, half.failed), (1, 0));
        assert!((half.mean.unwrap() - 0.545).abs() < 1e-12);
        assert!(
            half.why.contains("1 of its 2 runs diverged"),
            "{}",
            half.why
        );
        assert_eq!(choices[3].mean, None);
        assert!(
            choices[3]
                .why
                .starts_with("dropped at rung 1 of 2 (step 10): accuracy unknown")
        );
        // Nobody goes on who has nothing to go on with, however much room there is.
        let all_lost = [
            [Score::Failed, Score::Failed],
            [Score::Diverged(None), Score::Failed],
        ];
        let two = super::tests::search(&["a", "b"], 2, Metric::Accuracy);
        assert!(judged(&two, 0, &all_lost).iter().all(|(_, on)| !on));
    }
}
