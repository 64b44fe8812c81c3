//! How the numbers came to be, in the same words wherever they are shown.

use super::compare::Comparison;
use super::numbers::NONE;
use super::{Report, Row};
use crate::statistics::MOST_PAIRS;

pub(super) const RESULTS: &str = "Accuracy is the one after the last step, never the best on the way. ± is half the width of the 95 % \
    confidence interval of the mean by Student's t over the seeds; a run that diverged counts with its accuracy at the end, \
    and is not in the mean training loss. The bootstrap's interval (BCa) is in `report.json`: with fewer than about ten seeds it is too narrow, since \
    it cannot reach beyond the observed values, so Student's is shown. Seconds are wall-clock time: a run that shared \
    the machine with others took longer.";

pub(super) const CURVES: &str = "The mean over the steps is the area under the accuracy curve from the first evaluation to \
    the last planned step, divided by that number of steps (trapezoid rule; a run that diverged keeps its last accuracy). Steps \
    and seconds to the target are those of the median run at its first evaluation that reaches it; a run that never got \
    there counts as later than all others, so there is no number where half of the runs did not. Seconds are those \
    of the steps alone, without evaluations, by the wall clock, and on a GPU until a step's work is queued: a run that shared the machine with others, or with \
    anything else, took longer, so they compare schedules only where all had the same share of it. Steps \
    do not depend on that.";

pub(super) const RATES: &str = "The learning rate is not a mean: its line is that of one run, with each schedule's first \
    seed, and the band around it, if any, spans the minimum to the maximum of all its seeds.";

pub(super) const TUNING: &str = "The best of several sets of parameters was found on the same seeds that it is reported \
    on, and is likely to do slightly worse in new runs. For one that a search chose, the claims say on which \
    seeds. Core hours are the wall-clock time of the runs, each times its threads.";

/// What belongs to the table of what ran.
pub(super) fn ran(report: &Report) -> String {
    format!(
        "A parameter that is not named has the plugin's default, which `pixelrate inspect` shows. Training, where the table \
         names nothing else: {}.",
        report.ran.training()
    )
}

/// What the columns of the comparison mean.
pub(super) fn comparisons(report: &Report) -> String {
    format!(
        "Differences are of runs with the same seed, which share their initial weights and the order of the pictures; in \
         brackets the 95 % interval of their mean by Student's t, for this comparison alone. p: paired t test, two-sided; \
         sign flips: permutation test, from six seeds on; corrected: the t test's by Holm's method (1979) for {} \
         comparisons; below 0.05 is significant. The last columns say how many seeds would detect a true difference of the size seen \
         with 80 % power (noncentral t; Cohen, 1988): at 0.05, and at 0.05 divided by the number of comparisons. They \
         are only as good as the size and the spread that these few seeds show.",
        report.comparisons.tested
    )
}

/// What to know of a label that does not name all that its runs trained under; its name goes before.
pub(super) fn mixed(row: &Row) -> Vec<String> {
    let changed = (row.changed > 0).then(|| changed(row));
    let edited = (row.plugins > 1).then(|| edited(row));
    let redrawn = (row.pictures > 1).then(|| redrawn(row));
    changed.into_iter().chain(edited).chain(redrawn).collect()
}

fn redrawn(row: &Row) -> String {
    format!(
        ": its {} runs have {} different pictures, since a picture's file was changed before the last of them began, and its means \
         are over all of them: each run keeps its own in `pictures`.",
        row.runs, row.pictures
    )
}

fn edited(row: &Row) -> String {
    format!(
        ": its {} runs began under {} plugins, since the file was edited between the first and the last of them, and its means \
         are over all of them: `pixelrate query` tells each run's in `schedule_sha256` of `runs`.",
        row.runs, row.plugins
    )
}

fn changed(row: &Row) -> String {
    format!(
        ": {} of {} runs changed schedule while they trained, so that the label does not name all that they trained under: \
         `pixelrate log` tells what took over, and when. Vertical lines mark it in the picture of the learning rates, for the \
         first run of each label.",
        row.changed, row.runs
    )
}

/// How many seeds a difference would take.
pub(super) fn seeds(row: &Comparison, seeds: Option<usize>) -> String {
    match seeds {
        Some(seeds) => seeds.to_string(),
        None if row.p_t.is_some() => format!("over {MOST_PAIRS}"),
        None => NONE.to_owned(),
    }
}
