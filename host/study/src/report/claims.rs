//! What can be claimed, in plain sentences. They come before all tables and pictures.

use std::collections::BTreeSet;

use pixelrate_trainer::spec::EvalSplit;

use super::compare::{Comparison, Verdict};
use super::gather::Group;
use super::numbers::{chance, percent, points};
use super::{Report, Row, accuracy_on};
use crate::counted::count;

/// Names in one sentence at most; the table has them all.
const NAMED: usize = 12;

/// The sentences, each by itself.
pub(super) fn claims(groups: &[Group<'_>], report: &Report) -> Vec<String> {
    let mut claims = vec![extent(groups, report)];
    claims.extend(best(&report.rows, report.evaluated_on));
    claims.extend(against_the_baseline(report));
    claims.extend(target(report));
    claims.extend(tuning(report));
    claims
}

/// How much was run, and how it ended.
fn extent(groups: &[Group<'_>], report: &Report) -> String {
    let runs: usize = report.rows.iter().map(|row| row.runs).sum();
    // What labels have in common is told once; a grid may vary it.
    let mut tasks: Vec<String> = Vec::new();
    for group in groups {
        let training = &group.first().file.spec.training;
        let epochs = match training.epochs {
            1.0 => "one epoch".to_owned(),
            epochs => format!("{epochs} epochs"),
        };
        let task = format!(
            "{} on {}, trained for {epochs}",
            training.model, training.dataset
        );
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let diverged: Vec<&Row> = report.rows.iter().filter(|row| row.diverged > 0).collect();
    let total: usize = diverged.iter().map(|row| row.diverged).sum();
    let mut text = format!(
        "{} of {}, with {}. These results apply to {}, and to the parameters that were used.",
        count(runs, "run"),
        count(report.rows.len(), "schedule"),
        count(report.seeds, "seed"),
        list(tasks.into_iter())
    );
    text.push_str(&match total {
        0 => " No run diverged.".to_owned(),
        _ => {
            let named = diverged
                .iter()
                .map(|row| format!("{} of {}", row.diverged, row.schedule));
            format!(
                " {} diverged ({}): not left out, but counted with the accuracy at the end.",
                count(total, "run"),
                list(named)
            )
        }
    });
    if !report.missing.is_empty() {
        text.push_str(&format!(
            " Without a result, and so in no mean below: {}; curves show them as far as they came.",
            count(report.missing.len(), "run")
        ));
    }
    if !report.unplanned.is_empty() {
        let labels: BTreeSet<&String> = report.unplanned.iter().collect();
        text.push_str(&format!(
            " The study's file no longer asks for {} of these ({}): until their folders are removed, they are counted all the same.",
            count(report.unplanned.len(), "run"),
            list(labels.into_iter().cloned())
        ));
    }
    if !report.copies.is_empty() {
        text.push_str(&format!(
            " Not counted, since they are copies of other runs: {}.",
            list(report.copies.iter().cloned())
        ));
    }
    let swapped: Vec<&Row> = report.rows.iter().filter(|row| row.changed > 0).collect();
    if !swapped.is_empty() {
        let named = swapped
            .iter()
            .map(|row| format!("{} of {}", row.changed, row.schedule));
        let runs: usize = swapped.iter().map(|row| row.changed).sum();
        text.push_str(&format!(
            " In {} another schedule took over under way ({}): they count for the label that they began under.",
            count(runs, "run"),
            list(named)
        ));
    }
    let repeated: Vec<&Row> = report.rows.iter().filter(|row| row.repeats > 0).collect();
    if !repeated.is_empty() {
        let named = repeated
            .iter()
            .map(|row| format!("{} of {}", row.repeats, row.schedule));
        text.push_str(&format!(
            " Runs that repeat a seed under the same settings are no seeds more: the mean of a seed's runs is what counts ({}).",
            list(named)
        ));
    }
    text
}

fn best(rows: &[Row], of: Option<EvalSplit>) -> Option<String> {
    let of = accuracy_on(of);
    let (row, accuracy) = rows
        .iter()
        .filter_map(|row| Some((row, row.accuracy?)))
        .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean))?;
    let alike = |row: &&Row| {
        row.accuracy
            .is_some_and(|other| other.mean == accuracy.mean)
    };
    let tied: Vec<String> = rows
        .iter()
        .filter(alike)
        .map(|row| row.schedule.clone())
        .collect();
    let has = match tied.len() {
        1 => format!("{} has", row.schedule),
        _ => format!("{} share", list(tied.into_iter())),
    };
    let Some(half) = accuracy.half_width else {
        return Some(format!(
            "{has} the highest {of}, {} %, in a single run: how other seeds would do is unknown.",
            percent(accuracy.mean)
        ));
    };
    let luck = match rows.len() {
        1 => String::new(),
        all => format!(" As the highest of {all}, it is likely to be a slight overestimate."),
    };
    Some(format!(
        "{has} the highest mean {of}, {} % (95 % interval by Student's t over {}: {} to {}).{luck}",
        percent(accuracy.mean),
        count(accuracy.count, "seed"),
        percent(accuracy.mean - half),
        percent(accuracy.mean + half)
    ))
}

fn against_the_baseline(report: &Report) -> Vec<String> {
    let all = &report.comparisons;
    let (Some(baseline), false) = (all.baselines.first(), all.rows.is_empty()) else {
        return Vec::new();
    };
    let baseline = match all.baselines.len() {
        1 => baseline.clone(),
        many => format!("their baseline (one of {many})"),
    };
    if all.tested == 0 {
        return vec![format!(
            "No difference from {baseline} could be tested: that takes at least two seeds that both schedules ran with."
        )];
    }
    let of = |verdict: Verdict| all.rows.iter().filter(move |row| row.verdict == verdict);
    let told = |row: &Comparison| {
        let difference = row.difference.map_or(0.0, |found| found.mean);
        format!(
            "{} ({} points, p = {})",
            row.schedule,
            points(difference),
            chance(row.p_holm)
        )
        .replace("p = <", "p <")
    };
    let mut claims = Vec::new();
    let corrected = match all.tested {
        1 => "paired over seeds".to_owned(),
        many => format!("paired over seeds, corrected for {many} comparisons by Holm's method"),
    };
    for (verdict, word) in [(Verdict::Better, "better"), (Verdict::Worse, "worse")] {
        claims.push(match of(verdict).count() {
            0 => format!("No schedule is shown to be {word} than {baseline} ({corrected})."),
            _ => format!(
                "Shown to be {word} than {baseline} ({corrected}): {}.",
                list(of(verdict).map(told))
            ),
        });
    }
    let unclear = of(Verdict::Unclear).count();
    if unclear > 0 {
        let mut text = format!(
            "Not told apart from {baseline}: {}. That does not show that they are equal.",
            list(of(Verdict::Unclear).map(|row| row.schedule.clone()))
        );
        if let Some(detectable) = all.detectable.filter(|share| *share < 1.0) {
            text.push_str(&format!(
                " With this many seeds, a typical one of these comparisons has 80 % power to detect a true difference of {} points, \
                 and less power for a smaller one.",
                percent(detectable)
            ));
        }
        let mut seeds: Vec<(usize, &str)> = of(Verdict::Unclear)
            .filter_map(|row| Some((row.seeds_corrected?, row.schedule.as_str())))
            .collect();
        seeds.sort();
        if let Some((least, name)) = seeds.first() {
            text.push_str(&format!(
                " Fewest seeds would settle {name}: {least}, if the true difference is the one seen here."
            ));
        }
        claims.push(text);
    }
    let untested = of(Verdict::Untested).map(|row| row.schedule.clone());
    if of(Verdict::Untested).count() > 0 {
        claims.push(format!(
            "Not tested, having fewer than two seeds in common with the baseline, or differences without any spread: {}.",
            list(untested)
        ));
    }
    claims
}

fn target(report: &Report) -> Option<String> {
    let target = report.target?;
    let reached = || {
        report
            .rows
            .iter()
            .filter_map(|row| Some((row, row.reached?)))
    };
    let came = || reached().filter_map(|(row, found)| Some((row, found.steps?)));
    let least = came().map(|(_, steps)| steps).min_by(f64::total_cmp)?;
    let first: Vec<String> = came()
        .filter(|(_, steps)| *steps <= least)
        .map(|(row, _)| row.schedule.clone())
        .collect();
    let (were, runs) = match first.len() {
        1 => ("was", "its median run was"),
        _ => ("were", "their median runs were"),
    };
    let short: Vec<String> = reached()
        .filter(|(_, found)| found.runs < found.of)
        .map(|(row, found)| format!("{} ({} of {})", row.schedule, found.runs, found.of))
        .collect();
    let mut text = format!(
        "{} {were} the quickest to {} %: {runs} there by step {least:.0}, at the resolution of the evaluations.",
        list(first.into_iter()),
        percent(target),
    );
    if !short.is_empty() {
        text.push_str(&format!(
            " Not every run reached it: {}.",
            list(short.into_iter())
        ));
    }
    Some(text)
}

fn tuning(report: &Report) -> Vec<String> {
    if report.tunings.is_empty() && report.searched.is_empty() {
        return vec![
            "The study shows no tuning: no schedule ran with two sets of numeric parameters under the same training and picture. If \
             they were chosen elsewhere, that cost is not counted here."
                .to_owned(),
        ];
    }
    let told = |tuning: &super::Tuning| {
        let Some((best, accuracy)) = &tuning.best else {
            return None;
        };
        let defaults = match &tuning.defaults {
            Some((label, accuracy)) if label != best => {
                format!(
                    " At its defaults ({label}) it reached {} %.",
                    percent(*accuracy)
                )
            }
            Some(_) => " These are its defaults.".to_owned(),
            None => " It has no result at its defaults.".to_owned(),
        };
        let chosen = match report.searched.iter().any(|one| one.label == *best) {
            true => "a search chose its parameters, as stated above",
            false => {
                "it was chosen on the seeds that it is reported on, so this figure is optimistic"
            }
        };
        Some(format!(
            "{} ran with {} sets of numeric parameters, which took {} and {:.2} core hours. The best, {best}, reached {} %; \
             {chosen}.{defaults}",
            tuning.schedule,
            tuning.labels.len(),
            count(tuning.runs, "run"),
            tuning.core_hours,
            percent(*accuracy)
        ))
    };
    let searched = report.searched.iter().map(searched);
    searched
        .chain(report.tunings.iter().filter_map(told))
        .take(NAMED)
        .collect()
}

fn searched(schedule: &super::Searched) -> String {
    let (label, folder) = (&schedule.label, schedule.folder.display());
    match schedule.cost {
        Some(cost) => format!(
            "The parameters of {label} were searched for: {} candidates, which took {} and {:.2} core hours ({folder}).{}",
            cost.candidates,
            count(cost.runs, "run"),
            cost.core_hours,
            chosen_on(schedule)
        ),
        None => format!(
            "The parameters of {label} were searched for in {folder}, which no longer exists: its cost is not \
             counted here, and whether it chose on seeds that are reported here is not known."
        ),
    }
}

/// Whether the search chose on seeds that are reported: a choice flatters what it was made on.
fn chosen_on(schedule: &super::Searched) -> String {
    let (Some(chosen), Some(shared)) = (&schedule.seeds, schedule.shared()) else {
        return String::new();
    };
    let named = |seeds: &[u64]| {
        let word = if seeds.len() == 1 { "seed" } else { "seeds" };
        format!("{word} {}", list(seeds.iter().map(u64::to_string)))
    };
    let (on, reported) = (named(chosen), named(&schedule.reported));
    match shared.len() {
        0 => format!(
            " They were chosen on {on}, and are reported on {reported}, which had no part in the choice; {}.",
            match schedule.chosen_on {
                Some(EvalSplit::Validation) => "nor had the test pictures",
                Some(EvalSplit::Test) | None => "the test pictures, however, are the same",
            }
        ),
        all if all == schedule.reported.len() => format!(
            " They were chosen on {on}, on which they are also reported: what they reach here is optimistic for that reason."
        ),
        _ => format!(
            " They were chosen on {on}, and of {reported}, on which they are reported, {} had a part in the choice: what \
             they reach here is somewhat optimistic for that reason.",
            named(&shared)
        ),
    }
}

/// `a, b and c`; of many the first.
fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let left = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if left > 0 {
        names.push(format!("{left} more"));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
