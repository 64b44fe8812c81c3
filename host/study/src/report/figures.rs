//! The report's pictures, as files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pixelrate_trainer::spec::EvalSplit;

use super::accuracy_on;
use super::compare::{Comparisons, Verdict};
use super::rows::Row;
use super::stretches::Point;
use super::trace::Trace;
use crate::Error;
use crate::figure::{self, Dot, Series};

/// A picture that was written.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// Its name in the report's folder.
    pub(super) file: &'static str,
    /// What it shows, for those who do not see it.
    pub(super) what: &'static str,
}

pub(super) const BARS: Figure = Figure {
    file: "bars.svg",
    what: "Accuracy of each schedule, as bars from zero, with error bars and each seed",
};
const BARS_PNG: &str = "bars.png";
pub(super) const DOTS: Figure = Figure {
    file: "accuracies.svg",
    what: "Accuracy of each schedule",
};
pub(super) const DIFFERENCES: Figure = Figure {
    file: "differences.svg",
    what: "Difference in accuracy from the baseline",
};
pub(super) const RATES: Figure = Figure {
    file: "learning-rates.svg",
    what: "Learning rate against step, of each schedule's first seed",
};
pub(super) const LOSSES: Figure = Figure {
    file: "losses.svg",
    what: "Training loss against step",
};
pub(super) const CURVES: Figure = Figure {
    file: "accuracy-curves.svg",
    what: "Accuracy against step",
};

const BARS_TITLE: &str = "Accuracy after the last step";

fn accuracies(of: Option<EvalSplit>) -> String {
    format!(
        "{}, %; mean, its 95 % interval, and each seed",
        accuracy_on(of)
    )
}

/// Draws the bars of the rows that are shown as pixels, for those who paste them: it takes longer than all that
/// [`draw`] does.
pub(super) fn draw_pixels(
    rows: &[&Row],
    of: Option<EvalSplit>,
    out: &Path,
) -> Result<PathBuf, Error> {
    let path = out.join(BARS_PNG);
    figure::bars(&path, BARS_TITLE, &accuracies(of), &dots(rows))?;
    Ok(path)
}

/// Draws the rows that are shown, and their traces, into `out`.
pub(super) fn draw(
    rows: &[&Row],
    traces: &[Trace],
    comparisons: &Comparisons,
    of: Option<EvalSplit>,
    out: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut path = |name: &str| {
        let path = out.join(name);
        files.push(path.clone());
        path
    };
    let dots = dots(rows);
    let axis = accuracies(of);
    figure::bars(&path(BARS.file), BARS_TITLE, &axis, &dots)?;
    let title = "Accuracy after the last step, zoomed in";
    figure::dots(&path(DOTS.file), title, &axis, &dots)?;
    if !comparisons.rows.is_empty() {
        differences(rows, comparisons, &path(DIFFERENCES.file))?;
    }
    let series = |points: fn(&Trace) -> &Vec<Point>| -> Vec<Series> {
        let all = rows.iter().zip(traces);
        all.map(|(row, trace)| line(&row.schedule, points(trace)))
            .collect()
    };
    let mut rates = series(|trace| &trace.rates);
    for (line, trace) in rates.iter_mut().zip(traces) {
        line.marks.clone_from(&trace.marks);
    }
    let title = rates_title(traces, &rates);
    figure::panels(&path(RATES.file), &title, "step", "learning rate", &rates)?;
    let title = "Training loss, mean over seeds and its 95 % interval";
    let losses = series(|trace| &trace.losses);
    figure::lines(
        &path(LOSSES.file),
        title,
        "step",
        "cross-entropy, nats",
        &losses,
    )?;
    let title = "Accuracy, mean over seeds and its 95 % interval";
    let curves = series(|trace| &trace.accuracies);
    let axis = format!("{}, %", accuracy_on(of));
    figure::lines(&path(CURVES.file), title, "step", &axis, &curves)?;
    Ok(files)
}

fn dots(rows: &[&Row]) -> Vec<Dot> {
    let rows = rows.iter().enumerate();
    rows.filter_map(|(colour, row)| dot(row, colour)).collect()
}

fn dot(row: &Row, colour: usize) -> Option<Dot> {
    let accuracy = row.accuracy?;
    Some(Dot {
        name: row.schedule.clone(),
        colour,
        mean: 100.0 * accuracy.mean,
        half_width: accuracy.half_width.map(|half| 100.0 * half),
        values: row.accuracies.values().map(|value| 100.0 * value).collect(),
    })
}

fn differences(rows: &[&Row], comparisons: &Comparisons, path: &Path) -> Result<(), Error> {
    let (mut dots, mut clear) = (Vec::new(), Vec::new());
    for (colour, row) in rows.iter().enumerate() {
        let mut beside = comparisons.rows.iter();
        let Some(comparison) = beside.find(|other| other.schedule == row.schedule) else {
            continue;
        };
        let Some(difference) = comparison.difference else {
            continue;
        };
        dots.push(Dot {
            name: row.schedule.clone(),
            colour,
            mean: 100.0 * difference.mean,
            half_width: difference.half_width.map(|half| 100.0 * half),
            values: comparison
                .differences
                .iter()
                .map(|value| 100.0 * value)
                .collect(),
        });
        clear.push(matches!(
            comparison.verdict,
            Verdict::Better | Verdict::Worse
        ));
    }
    let title = match comparisons.baselines.as_slice() {
        [only] => format!("Accuracy less that of {only}, seed by seed"),
        _ => "Accuracy less that of the baseline, seed by seed".to_owned(),
    };
    let axis = "percentage points; mean, its 95 % interval, each seed; filled: significant after correction";
    figure::differences(path, &title, axis, &dots, &clear)
}

/// Whose rates are drawn, and what else their panels show.
fn rates_title(traces: &[Trace], rates: &[Series]) -> String {
    let seeds: BTreeSet<u64> = traces.iter().map(|trace| trace.seed).collect();
    let mut title = match seeds.first() {
        Some(seed) if seeds.len() == 1 => format!("Learning rates of seed {seed}"),
        _ => "Learning rates of each first seed".to_owned(),
    };
    if rates.iter().any(|series| !series.band.is_empty()) {
        title.push_str("; band: all seeds");
    }
    if rates.iter().any(|series| !series.marks.is_empty()) {
        title.push_str("; vertical lines: swaps");
    }
    title
}

/// A curve, and its band if it has one.
fn line(name: &str, points: &[Point]) -> Series {
    let band = if points.iter().any(|point| point.low < point.high) {
        points.iter().map(|point| (point.low, point.high)).collect()
    } else {
        Vec::new()
    };
    Series {
        name: name.to_owned(),
        points: points
            .iter()
            .map(|point| (point.step, point.value))
            .collect(),
        band,
        marks: Vec::new(),
    }
}
