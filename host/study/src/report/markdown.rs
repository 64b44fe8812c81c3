//! The report in Markdown.

use std::fmt::Write;

use super::figures::{BARS, CURVES, DIFFERENCES, DOTS, LOSSES, RATES};
use super::numbers::{
    NONE, chance, difference, mean, number, or_none, percent, range, seconds, with_half,
};
use super::{Report, accuracy_on, notes};
use crate::counted::count;
use crate::lineage;

pub(super) fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n\n## What can be claimed\n\n", report.study);
    for claim in &report.claims {
        let _ = writeln!(text, "- {claim}");
    }
    results(&mut text, report);
    ran(&mut text, report);
    comparisons(&mut text, report);
    curves(&mut text, report);
    tunings(&mut text, report);
    for (_, row) in report.listed() {
        for note in notes::mixed(row) {
            let _ = writeln!(text, "\n**{}**{note}", cell(&row.schedule));
        }
    }
    if !report.missing.is_empty() {
        text.push_str("\nWithout a result:\n");
        report.listed_missing().for_each(|line| {
            let _ = writeln!(text, "- {line}");
        });
    }
    text.push('\n');
    for line in &report.trained {
        let _ = writeln!(text, "- {line}");
    }
    let figures = [BARS, DOTS, DIFFERENCES, RATES, LOSSES, CURVES];
    for figure in figures.iter().filter(|figure| report.has(figure.file)) {
        let _ = writeln!(text, "\n![{}]({})", figure.what, figure.file);
        if figure.file == RATES.file {
            let _ = writeln!(text, "\n{}", notes::RATES);
        }
    }
    text.push_str(&lineage::markdown(&report.branches, report.evaluated_on));
    text
}

fn results(text: &mut String, report: &Report) {
    let _ = writeln!(
        text,
        "\n## Results\n\n\
         | schedule | {}, % | min to max | train loss | seeds | diverged | seconds per run |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        accuracy_on(report.evaluated_on)
    );
    for (_, row) in report.listed() {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(&row.schedule),
            with_half(&row.accuracy),
            range(&row.accuracy),
            mean(&row.train_loss, 3),
            row.accuracy.map_or(0, |accuracy| accuracy.count),
            row.diverged,
            seconds(&row.seconds),
        );
    }
    if let Some(line) = report.left_out() {
        let _ = writeln!(text, "\n{line}");
    }
    let _ = writeln!(text, "\n{}", notes::RESULTS);
    if report.rows.iter().any(|row| row.untested > 0) {
        for (_, row) in report.listed().filter(|(_, row)| row.untested > 0) {
            let _ = writeln!(
                text,
                "\n{}: {} without a numeric final accuracy, and so in no mean.",
                cell(&row.schedule),
                count(row.untested, "run")
            );
        }
    }
}

fn ran(text: &mut String, report: &Report) {
    text.push_str(
        "\n## What ran\n\n\
         | schedule | plugin | parameters | own training settings |\n\
         | --- | --- | --- | --- |\n",
    );
    for (place, _) in report.listed() {
        let row = &report.ran.schedules[place];
        let composed = row.composition.as_ref();
        let composed = composed.map_or_else(String::new, |text| format!(": `{}`", cell(text)));
        let _ = writeln!(
            text,
            "| {} | {}{composed} | {} | {} |",
            cell(&row.schedule),
            cell(&row.plugin),
            cell(&row.params()),
            cell(&row.training()),
        );
    }
    let _ = writeln!(text, "\n{}", notes::ran(report));
}

fn comparisons(text: &mut String, report: &Report) {
    if report.comparisons.rows.is_empty() {
        return;
    }
    text.push_str(
        "\n## Compared with the baseline\n\n\
         | schedule | baseline | difference, points | seeds | p, t test | p, sign flips | p, corrected | verdict | seeds needed, \
         uncorrected | corrected |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |\n",
    );
    let beside = report.listed_comparisons();
    for row in report
        .listed()
        .filter_map(|(_, row)| beside.get(row.schedule.as_str()))
    {
        let seeds = |seeds: Option<usize>| notes::seeds(row, seeds);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(&row.schedule),
            cell(&row.baseline),
            difference(&row.difference),
            row.differences.len(),
            chance(row.p_t),
            chance(row.p_flip),
            chance(row.p_holm),
            row.verdict.as_str(),
            seeds(row.seeds_alone),
            seeds(row.seeds_corrected),
        );
    }
    let _ = writeln!(text, "\n{}", notes::comparisons(report));
}

fn curves(text: &mut String, report: &Report) {
    let target = or_none(report.target.map(percent));
    let _ = write!(
        text,
        "\n## Accuracy during training\n\n\
         | schedule | mean accuracy over the steps, % | runs that reached {target} % | steps to it | seconds to it |\n\
         | --- | ---: | ---: | ---: | ---: |\n"
    );
    for (_, row) in report.listed() {
        let reached = row.reached;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell(&row.schedule),
            with_half(&row.area),
            reached.map_or_else(|| NONE.to_owned(), |r| format!("{} of {}", r.runs, r.of)),
            number(reached.and_then(|reached| reached.steps), 0),
            number(reached.and_then(|reached| reached.seconds), 1),
        );
    }
    let _ = writeln!(text, "\n{}", notes::CURVES);
}

fn tunings(text: &mut String, report: &Report) {
    if report.tunings.is_empty() {
        return;
    }
    text.push_str(
        "\n## Tuning\n\n\
         | schedule | parameter sets | runs | core hours | best | accuracy, % | defaults | accuracy, % |\n\
         | --- | ---: | ---: | ---: | --- | ---: | --- | ---: |\n",
    );
    for tuning in &report.tunings {
        let name =
            |found: &Option<(String, f64)>| or_none(found.as_ref().map(|found| cell(&found.0)));
        let accuracy =
            |found: &Option<(String, f64)>| or_none(found.as_ref().map(|found| percent(found.1)));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {} | {} | {} | {} |",
            cell(&tuning.schedule),
            tuning.labels.len(),
            tuning.runs,
            tuning.core_hours,
            name(&tuning.best),
            accuracy(&tuning.best),
            name(&tuning.defaults),
            accuracy(&tuning.defaults)
        );
    }
    let _ = writeln!(text, "\n{}", notes::TUNING);
}

/// A name in a cell of a table: an upright line in it would end the cell.
fn cell(name: &str) -> String {
    name.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}
