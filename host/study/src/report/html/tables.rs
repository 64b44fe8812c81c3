//! The page's tables.

use maud::{Markup, html};

use super::text::name;
use crate::figure::palette;
use crate::report::accuracy_on;
use crate::report::compare::{Comparison, Verdict};
use crate::report::numbers::{
    NONE, chance, difference, mean, number, or_none, percent, points, range, seconds, with_half,
};
use crate::report::{Report, Row, notes};
use crate::statistics::Estimate;

/// What a column sorts by: numbers as they are, and none for what is not there.
fn key(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value}"))
}

fn of_mean(estimate: &Option<Estimate>) -> String {
    key(estimate.map(|found| found.mean))
}

/// A table in a box that scrolls by itself, and that keys can reach.
fn boxed(name: &str, table: Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(name) tabindex="0" { (table) } }
}

pub(super) fn results(report: &Report, shown: &[usize]) -> Markup {
    let beside = report.listed_comparisons();
    let compared = !report.comparisons.rows.is_empty();
    boxed(
        "Results",
        html! {
            table.sorted {
                thead { tr {
                    th scope="col" { "schedule" }
                    th scope="col" { (accuracy_on(report.evaluated_on)) ", %" span.of { "mean ± 95 %" } }
                    th scope="col" { "min to max" }
                    @if compared {
                        th scope="col" { "beside the baseline" span.of { "points" } }
                        th.word scope="col" { "verdict" }
                    }
                    th scope="col" { "train loss" }
                    th scope="col" { "seeds" }
                    th scope="col" { "diverged" }
                    th scope="col" { "seconds" span.of { "per run" } }
                } }
                tbody {
                    @for (place, row) in report.listed() {
                        @let comparison = beside.get(row.schedule.as_str());
                        tr {
                            th scope="row" {
                                span.name {
                                @if let Ok(number) = shown.binary_search(&place) { (swatch(number)) }
                                span { (name(&row.schedule)) }
                            }
                            span.told { (told(report, place, row)) }
                            }
                            td data-value=(of_mean(&row.accuracy)) { (with_half(&row.accuracy)) }
                            td { (range(&row.accuracy)) }
                            @if compared {
                                @let found = comparison.and_then(|found| found.difference);
                                td data-value=(of_mean(&found)) { (or_none(found.map(|found| points(found.mean)))) }
                                td.word { (verdict(report, row, comparison.map(|found| found.verdict))) }
                            }
                            td data-value=(of_mean(&row.train_loss)) { (mean(&row.train_loss, 3)) }
                            td { (row.accuracy.map_or(0, |accuracy| accuracy.count)) }
                            td { (row.diverged) @if row.untested > 0 { " (" (row.untested) " untested)" } }
                            td data-value=(of_mean(&row.seconds)) { (seconds(&row.seconds)) }
                        }
                    }
                }
            }
        },
    )
}

/// What ran, in a line below its label: two labels of one plugin may differ in their training alone.
fn told(report: &Report, place: usize, row: &Row) -> String {
    match report.ran.schedules[place].training() {
        own if own.is_empty() => row.told.clone(),
        own => format!("{}; {own}", row.told),
    }
}

/// The mark of a curve's colour and line.
fn swatch(number: usize) -> Markup {
    let style = format!(
        "border-color:var(--c{});border-top-style:{}",
        number % palette::colours().len(),
        palette::STYLES[number % palette::STYLES.len()]
    );
    html! { span.swatch style=(style) aria-hidden="true" {} }
}

/// What came of comparing a row, if it was compared: what was forked, or trained something else than the baseline, was not.
fn verdict(report: &Report, row: &Row, found: Option<Verdict>) -> Markup {
    match found {
        Some(found) => judged(found),
        None if report.comparisons.baselines.contains(&row.schedule) => html! { "baseline" },
        None => html! { (NONE) },
    }
}

fn judged(verdict: Verdict) -> Markup {
    match verdict {
        found @ Verdict::Better => html! { span.better { (found.as_str()) } },
        found @ Verdict::Worse => html! { span.worse { (found.as_str()) } },
        found => html! { (found.as_str()) },
    }
}

/// The comparisons that are listed, in the study's order.
fn in_order(report: &Report) -> impl Iterator<Item = &Comparison> {
    let beside = report.listed_comparisons();
    let rows = report.listed();
    rows.filter_map(move |(_, row)| beside.get(row.schedule.as_str()).copied())
}

pub(super) fn comparisons(report: &Report) -> Markup {
    boxed(
        "Compared with the baseline",
        html! {
            table.sorted {
                thead { tr {
                    th scope="col" { "schedule" }
                    th.word scope="col" { "baseline" }
                    th scope="col" { "difference" span.of { "points [95 %]" } }
                    th scope="col" { "seeds" }
                    th scope="col" { "p" span.of { "t test" } }
                    th scope="col" { "p" span.of { "sign flips" } }
                    th scope="col" { "p" span.of { "corrected" } }
                    th.word scope="col" { "verdict" }
                    th scope="col" { "seeds needed" span.of { "uncorrected" } }
                    th scope="col" { "seeds needed" span.of { "corrected" } }
                } }
                tbody {
                    @for row in in_order(report) {
                        tr {
                            th scope="row" { (name(&row.schedule)) }
                            td.long { (name(&row.baseline)) }
                            td data-value=(of_mean(&row.difference)) { (difference(&row.difference)) }
                            td { (row.differences.len()) }
                            td data-value=(key(row.p_t)) { (chance(row.p_t)) }
                            td data-value=(key(row.p_flip)) { (chance(row.p_flip)) }
                            td data-value=(key(row.p_holm)) { (chance(row.p_holm)) }
                            td.word { (judged(row.verdict)) }
                            td data-value=(key(row.seeds_alone.map(|n| n as f64))) { (notes::seeds(row, row.seeds_alone)) }
                            td data-value=(key(row.seeds_corrected.map(|n| n as f64))) { (notes::seeds(row, row.seeds_corrected)) }
                        }
                    }
                }
            }
        },
    )
}

pub(super) fn way(report: &Report) -> Markup {
    let target = or_none(report.target.map(percent));
    boxed(
        "Accuracy during training",
        html! {
            table.sorted {
                thead { tr {
                    th scope="col" { "schedule" }
                    th scope="col" { "mean accuracy over the steps, %" span.of { "mean ± 95 %" } }
                    th scope="col" { "runs that reached " (target) " %" }
                    th scope="col" { "steps to it" span.of { "median run" } }
                    th scope="col" { "seconds to it" span.of { "median run" } }
                } }
                tbody {
                    @for (_, row) in report.listed() {
                        @let steps = row.reached.and_then(|reached| reached.steps);
                        @let seconds = row.reached.and_then(|reached| reached.seconds);
                        tr {
                            th scope="row" { (name(&row.schedule)) }
                            td data-value=(of_mean(&row.area)) { (with_half(&row.area)) }
                            td {
                                @if let Some(reached) = row.reached { (reached.runs) " of " (reached.of) } @else { (NONE) }
                            }
                            td data-value=(key(steps)) { (number(steps, 0)) }
                            td data-value=(key(seconds)) { (number(seconds, 1)) }
                        }
                    }
                }
            }
        },
    )
}

/// What each label ran, and what of its training is its own.
pub(super) fn ran(report: &Report) -> Markup {
    boxed(
        "What ran",
        html! {
            table {
                thead { tr {
                    th scope="col" { "schedule" }
                    th.word scope="col" { "plugin" }
                    th.word scope="col" { "parameters" }
                    th.word scope="col" { "own training settings" }
                } }
                tbody {
                    @for (place, _) in report.listed() {
                        @let row = &report.ran.schedules[place];
                        tr {
                            th scope="row" { (name(&row.schedule)) }
                            td.long {
                                (name(&row.plugin))
                                @if let Some(text) = &row.composition { br; code { (text) } }
                            }
                            td.long { (row.params()) }
                            td.long { (row.training()) }
                        }
                    }
                }
            }
        },
    )
}

pub(super) fn tunings(report: &Report) -> Markup {
    let cells = |found: &Option<(String, f64)>| {
        html! {
            td.word { (or_none(found.as_ref().map(|found| found.0.clone()))) }
            td { (or_none(found.as_ref().map(|found| percent(found.1)))) }
        }
    };
    boxed(
        "Tuning",
        html! {
            table {
                thead { tr {
                    th scope="col" { "schedule" }
                    th scope="col" { "parameter sets" }
                    th scope="col" { "runs" }
                    th scope="col" { "core hours" }
                    th.word scope="col" { "best" }
                    th scope="col" { "accuracy, %" }
                    th.word scope="col" { "at its defaults" }
                    th scope="col" { "accuracy, %" }
                } }
                tbody {
                    @for tuning in &report.tunings {
                        tr {
                            th scope="row" { (name(&tuning.schedule)) }
                            td { (tuning.labels.len()) }
                            td { (tuning.runs) }
                            td { (number(Some(tuning.core_hours), 2)) }
                            (cells(&tuning.best))
                            (cells(&tuning.defaults))
                        }
                    }
                }
            }
        },
    )
}

pub(super) fn branches(report: &Report) -> Markup {
    boxed(
        "Forks",
        html! {
            table {
                thead { tr {
                    th scope="col" { "branch" }
                    th.word scope="col" { "forked from" }
                    th scope="col" { "at step" }
                    th scope="col" { (accuracy_on(report.evaluated_on)) ", %" }
                    th scope="col" { "beside the trunk" span.of { "points" } }
                } }
                tbody {
                    @for branch in &report.branches {
                        tr {
                            th scope="row" { (name(&branch.run)) }
                            td.word { (branch.parent) }
                            td { (branch.step) }
                            td { (or_none(branch.accuracy.map(percent))) }
                            td { (or_none(branch.difference.map(points))) }
                        }
                    }
                }
            }
        },
    )
}
