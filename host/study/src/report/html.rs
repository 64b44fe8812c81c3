//! The report as one page that needs nothing else: no network, no server, and no script for what it says.

mod data;
mod pictures;
mod tables;
mod text;
mod theme;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::{BARS, CURVES, DIFFERENCES, DOTS, Figure, LOSSES, RATES};
use super::gather::Group;
use super::trace::Trace;
use super::{Report, SHOWN, notes};
use crate::{Error, lineage};
use text::prose;

const UPLOT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_LICENCE: &str = include_str!("../../assets/uplot/LICENSE");
const SCRIPT: &str = include_str!("../../assets/report.js");
const STYLE: &str = include_str!("../../assets/report.css");

/// What the page may load: nothing. Its own style and script lie in it.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page's text. The pictures that it shows have been drawn into `out`; `shown` are the places of the rows that have
/// one of `traces`.
pub(super) fn page(
    report: &Report,
    groups: &[Group<'_>],
    shown: &[usize],
    traces: &[Trace],
    out: &Path,
) -> Result<String, Error> {
    let drawn = Drawn { report, out };
    let labels: Vec<&str> = shown
        .iter()
        .map(|&place| report.rows[place].schedule.as_str())
        .collect();
    let pictures = pictures::pictures(groups, shown);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("pixelrate ", env!("CARGO_PKG_VERSION")));
                title { (report.study) " – pixelrate" }
                style { (PreEscaped(UPLOT_CSS)) (PreEscaped(STYLE)) (PreEscaped(theme::rules())) }
            }
            body {
                div.page {
                    (head(report, !pictures.is_empty()))
                    main {
                        section.claims aria-labelledby="claims" {
                            h2 id="claims" style="margin-top:0" { "What can be claimed" }
                            ul { @for claim in &report.claims { li { (prose(claim)) } } }
                        }
                        h2 id="results" { "Results" }
                        (tables::results(report, shown))
                        @if let Some(line) = report.left_out() { p.note { (prose(&line)) } }
                        p.note { (prose(notes::RESULTS)) }
                        @if report.rows.len() > SHOWN {
                            p.note { "Pictures and curves show the baseline and the best of the others, " (SHOWN) " in all." }
                        }
                        (drawn.figure(&BARS)?)
                        (drawn.figure(&DOTS)?)
                        @if !report.comparisons.rows.is_empty() {
                            h2 id="comparison" { "Compared with the baseline" }
                            (drawn.figure(&DIFFERENCES)?)
                            (tables::comparisons(report))
                            p.note { (prose(&notes::comparisons(report))) }
                        }
                        section aria-labelledby="curves" {
                            h2 id="curves" { "Curves" }
                            (curves(&drawn)?)
                        }
                        h2 id="way" { "Accuracy during training" }
                        (tables::way(report))
                        p.note { (prose(notes::CURVES)) }
                        @if !pictures.is_empty() {
                            h2 id="pictures" { "Pictures" }
                            (pictures::gallery(&pictures))
                        }
                        h2 id="ran" { "What ran" }
                        (tables::ran(report))
                        p.note { (prose(&notes::ran(report))) }
                        @if !report.tunings.is_empty() {
                            h2 id="tuning" { "Tuning" }
                            (tables::tunings(report))
                            p.note { (prose(notes::TUNING)) }
                        }
                        @if !report.branches.is_empty() {
                            h2 id="forks" { "Forks" }
                            (tables::branches(report))
                            (drawn.figure(&LINEAGE)?)
                            @if let Some(told) = lineage::left_out(&report.branches) { p.note { (told) } }
                        }
                        (foot(report))
                    }
                }
                script type="application/json" id="curves-data" { (PreEscaped(data::curves(&labels, traces))) }
                script { "/*\n" (PreEscaped(UPLOT_LICENCE)) "*/\n" (PreEscaped(UPLOT)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

const LINEAGE: Figure = Figure {
    file: "lineage.svg",
    what: "Branches beside their trunks",
};

fn head(report: &Report, pictures: bool) -> Markup {
    html! {
        header {
            h1 { (report.study) }
            @if let Some(line) = report.trained.first() { p { (line) } }
            nav aria-label="Sections" {
                a href="#results" { "Results" }
                @if !report.comparisons.rows.is_empty() { a href="#comparison" { "Compared with the baseline" } }
                a href="#curves" { "Curves" }
                a href="#way" { "Accuracy during training" }
                @if pictures { a href="#pictures" { "Pictures" } }
                a href="#ran" { "What ran" }
                @if !report.tunings.is_empty() { a href="#tuning" { "Tuning" } }
                @if !report.branches.is_empty() { a href="#forks" { "Forks" } }
                a href="#about" { "About the runs" }
            }
        }
    }
}

/// The curves that move, and the drawn ones for where they cannot.
fn curves(drawn: &Drawn<'_>) -> Result<Markup, Error> {
    Ok(html! {
        p.note.live {
            "Hover over a curve for its values; drag over a stretch to zoom in, and double-click to see all again. Bands are \
             the 95 % interval of the mean over the seeds by Student's t. The learning rate is not a mean, but that of one \
             run, with each schedule's first seed; its band spans the minimum to the maximum of all seeds. Curves are \
             thinned: of the learning rate, the lowest and highest value of each of at most 700 stretches are kept, and \
             the loss is the mean over each of 240. Every step lies in the runs' folders: "
            code { "steps/*.parquet" } "."
        }
        div.bar.live role="group" aria-label="Curves that are shown" {
            div.chips {}
            button.tool type="button" data-tool="all" { "All" }
            button.tool type="button" data-tool="none" { "None" }
            button.tool type="button" data-tool="in" { "Zoom in" }
            button.tool type="button" data-tool="out" { "Zoom out" }
            button.tool type="button" data-tool="whole" { "Whole run" }
        }
        @for chart in data::CHARTS {
            figure.chart.live id={ "chart-" (chart.id) } {
                h3 {
                    (chart.title)
                    label { input type="checkbox"; " log scale" }
                }
                div.plot tabindex="0" role="img" aria-label={ (chart.title) " against step; arrow keys move along it" } {}
            }
        }
        div.still {
            @for figure in [&RATES, &LOSSES, &CURVES] { (drawn.figure(figure)?) }
            p.note { (prose(notes::RATES)) }
        }
    })
}

fn foot(report: &Report) -> Markup {
    html! {
        h2 id="about" { "About the runs" }
        @for (_, row) in report.listed() {
            @for note in notes::mixed(row) {
                p { strong { (row.schedule) } (prose(&note)) }
            }
        }
        @if !report.missing.is_empty() {
            p { "Without a result:" }
            ul { @for line in report.listed_missing() { li { (prose(&line)) } } }
        }
        ul { @for line in &report.trained { li { (line) } } }
        p.note {
            "Written by pixelrate " (env!("CARGO_PKG_VERSION")) ". Beside this page: " code { "report.md" } ", "
            code { "report.json" } " and the pictures as files."
        }
    }
}

/// The pictures that were drawn.
struct Drawn<'a> {
    report: &'a Report,
    out: &'a Path,
}

impl Drawn<'_> {
    /// A picture as part of the page, in the page's colours; nothing for one that was not drawn.
    fn figure(&self, figure: &Figure) -> Result<Markup, Error> {
        if !self.report.has(figure.file) {
            return Ok(html! {});
        }
        let path = self.out.join(figure.file);
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
        Ok(html! {
            figure.drawn role="img" aria-label=(figure.what) { (PreEscaped(theme::scalable(&text))) }
        })
    }
}
