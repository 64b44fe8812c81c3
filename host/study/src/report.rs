//! What a study came to: a table with its error bars, and the pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use pixelrate_runlog::{RunStatus, SummaryRow, read_evals, read_steps, read_summary};
use pixelrate_trainer::spec::{Found, RunFile, Training};
use serde::Serialize;

use crate::Error;
use crate::figure::{self, Dot, Series};
use crate::statistics::{Estimate, estimate};

/// Stretches into which a run's losses are averaged for the picture.
const STRETCHES: usize = 120;

/// A study's results.
#[derive(Debug, Serialize)]
pub struct Report {
    /// A row a schedule, in the study's order.
    pub rows: Vec<Row>,
    /// Runs without a result, and why.
    pub missing: Vec<String>,
    /// The table and what belongs to it, in Markdown.
    #[serde(skip)]
    pub markdown: String,
    /// The files that were written.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

/// What one schedule came to.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its label.
    pub schedule: String,
    /// Accuracy on the test set after the last step, over the runs that ended, those that diverged included.
    pub accuracy: Option<Estimate>,
    /// Cross-entropy of the last training step, over the runs whose loss is finite.
    pub train_loss: Option<Estimate>,
    /// Seconds a run.
    pub seconds: Option<Estimate>,
    /// Runs that diverged.
    pub diverged: usize,
    /// Accuracy of each seed's run.
    pub accuracies: BTreeMap<u64, f64>,
}

struct Run {
    folder: PathBuf,
    file: RunFile,
    summary: Option<SummaryRow>,
}

/// Reports on the runs in `study`, into `out`: `report.md`, `report.json` and the pictures.
///
/// # Errors
/// [`Error::NoRuns`] if there are none; else what cannot be read or written.
pub fn report(study: &Path, out: &Path) -> Result<Report, Error> {
    let runs = runs(study)?;
    std::fs::create_dir_all(out).map_err(|source| Error::io("make", out, source))?;
    // Labels in the study's order, each with its runs.
    let mut labels: BTreeMap<(u32, &str), Vec<&Run>> = BTreeMap::new();
    for run in &runs {
        let spec = &run.file.spec;
        labels
            .entry((spec.label_index, &spec.label))
            .or_default()
            .push(run);
    }
    let mut report = Report {
        rows: labels
            .iter()
            .map(|((_, label), runs)| row(label, runs))
            .collect(),
        missing: runs.iter().filter_map(missing).collect(),
        markdown: String::new(),
        files: Vec::new(),
    };
    pictures(&labels, &report.rows, out, &mut report.files)?;
    report.markdown = markdown(&runs, &report);
    let json =
        serde_json::to_string_pretty(&report).map_err(|e| Error::io("write", out, e.into()))?;
    for (name, text) in [("report.md", &report.markdown), ("report.json", &json)] {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|source| Error::io("write", &path, source))?;
        report.files.push(path);
    }
    Ok(report)
}

fn runs(study: &Path) -> Result<Vec<Run>, Error> {
    let entries = std::fs::read_dir(study).map_err(|source| Error::io("read", study, source))?;
    let mut runs = Vec::new();
    for entry in entries {
        let folder = entry
            .map_err(|source| Error::io("read", study, source))?
            .path();
        let path = folder.join("run.toml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let file = toml::from_str(&text).map_err(|source| Error::Toml {
            path,
            source: Box::new(source),
        })?;
        let summary = read_summary(&folder)?;
        runs.push(Run {
            folder,
            file,
            summary,
        });
    }
    runs.sort_by(|a, b| a.file.spec.run.cmp(&b.file.spec.run));
    if runs.is_empty() {
        return Err(Error::NoRuns(study.to_owned()));
    }
    Ok(runs)
}

/// A result, if the run has one: finished, or diverged.
fn result(run: &Run) -> Option<&SummaryRow> {
    run.summary
        .as_ref()
        .filter(|summary| matches!(summary.status, RunStatus::Finished | RunStatus::Diverged))
}

fn missing(run: &Run) -> Option<String> {
    let name = &run.file.spec.run;
    match &run.summary {
        None => Some(format!("{name}: not finished")),
        Some(summary) if result(run).is_none() => Some(format!(
            "{name}: {}: {}",
            summary.status,
            summary.error.as_deref().unwrap_or("no reason was logged")
        )),
        Some(_) => None,
    }
}

fn row(label: &str, runs: &[&Run]) -> Row {
    let results: Vec<&SummaryRow> = runs.iter().filter_map(|run| result(run)).collect();
    let over = |value: fn(&SummaryRow) -> Option<f64>| {
        let values: Vec<f64> = results
            .iter()
            .filter_map(|row| value(row))
            .filter(|value| value.is_finite())
            .collect();
        estimate(&values)
    };
    Row {
        schedule: label.to_owned(),
        accuracy: over(|row| row.final_eval_accuracy),
        train_loss: over(|row| row.final_train_loss),
        seconds: over(|row| Some(row.wall_seconds)),
        diverged: results
            .iter()
            .filter(|row| row.status == RunStatus::Diverged)
            .count(),
        accuracies: results
            .iter()
            .filter_map(|row| Some((row.seed, row.final_eval_accuracy?)))
            .collect(),
    }
}

fn markdown(runs: &[Run], report: &Report) -> String {
    let mut text = String::new();
    let percent = |estimate: &Option<Estimate>| match estimate {
        None => "–".to_owned(),
        Some(Estimate {
            mean,
            half_width: Some(half),
            ..
        }) => format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * half),
        Some(Estimate { mean, .. }) => format!("{:.2}", 100.0 * mean),
    };
    let spec = &runs[0].file.spec;
    let _ = writeln!(text, "# {}\n", spec.study);
    text.push_str("| schedule | test accuracy, % | least to most | train loss | seeds | diverged | seconds a run |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for row in &report.rows {
        let range = row.accuracy.map_or_else(
            || "–".to_owned(),
            |a| format!("{:.2} to {:.2}", 100.0 * a.min, 100.0 * a.max),
        );
        let number = |estimate: Option<Estimate>, digits: usize| {
            estimate.map_or_else(
                || "–".to_owned(),
                |estimate| format!("{:.digits$}", estimate.mean),
            )
        };
        let seeds = row.accuracy.map_or(0, |accuracy| accuracy.count);
        let _ = writeln!(
            text,
            "| {} | {} | {range} | {} | {seeds} | {} | {} |",
            row.schedule,
            percent(&row.accuracy),
            number(row.train_loss, 3),
            row.diverged,
            number(row.seconds, 0),
        );
    }
    text.push_str(
        "\nAccuracy is that after the last step, never the best one. ± is half of the 95 % interval of the mean by \
         Student's t over the seeds; a run that diverged counts with the accuracy that it ended with.\n",
    );
    if !report.missing.is_empty() {
        text.push_str("\nWithout a result:\n");
        report.missing.iter().for_each(|line| {
            let _ = writeln!(text, "- {line}");
        });
    }
    text.push('\n');
    // What runs have in common is told once; the runs of a grid differ.
    let mut told = BTreeSet::new();
    let lines = runs
        .iter()
        .map(|run| trained(&run.file.spec.training))
        .chain(
            runs.iter()
                .filter_map(|run| run.file.found.as_ref().map(origin)),
        );
    for line in lines {
        if told.insert(line.clone()) {
            let _ = writeln!(text, "- {line}");
        }
    }
    for (file, what) in [
        ("accuracies.svg", "Test accuracy of each schedule"),
        ("learning-rates.svg", "Learning rate against step"),
        ("losses.svg", "Training loss against step"),
        ("accuracy-curves.svg", "Test accuracy against step"),
    ] {
        let _ = writeln!(text, "\n![{what}]({file})");
    }
    text
}

/// What is trained, in a line.
fn trained(training: &Training) -> String {
    let threads = match training.threads {
        1 => "one thread".to_owned(),
        more => format!("{more} threads"),
    };
    format!(
        "{} of {} for {} epochs, batch {}, {threads} a run",
        training.model, training.dataset, training.epochs, training.batch_size
    )
}

/// On what data and where, in a line.
fn origin(found: &Found) -> String {
    format!(
        "{} training pictures, {} (SHA-256 {}), {} steps, on {} ({}), pixelrate {} ({}), libtorch {}",
        found.train_examples,
        found.dataset_origin,
        &found.dataset_sha256[..16.min(found.dataset_sha256.len())],
        found.total_steps,
        found.device,
        found.machine,
        found.pixelrate_version,
        found.git_commit.as_deref().unwrap_or("outside git"),
        found.libtorch_version,
    )
}

fn pictures(
    labels: &BTreeMap<(u32, &str), Vec<&Run>>,
    rows: &[Row],
    out: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let (mut rates, mut losses, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    for ((_, label), runs) in labels {
        let (mut rate, mut loss, mut accuracy): (Vec<(f64, f64)>, Points, Points) =
            Default::default();
        for run in runs {
            let steps = read_steps(&run.folder)?;
            if rate.is_empty() {
                rate = steps
                    .iter()
                    .map(|row| (row.step as f64, row.learning_rate))
                    .collect();
            }
            let total = run
                .file
                .found
                .as_ref()
                .map_or(1, |found| found.total_steps.max(1));
            for chunk in steps.chunk_by(|a, b| stretch(a.step, total) == stretch(b.step, total)) {
                let values: Vec<f64> = chunk.iter().filter_map(|row| row.train_loss).collect();
                let place = stretch(chunk[0].step, total) * total / STRETCHES as u64;
                loss.entry(place)
                    .or_default()
                    .push(values.iter().sum::<f64>() / values.len() as f64);
            }
            for row in read_evals(&run.folder)? {
                accuracy
                    .entry(row.step)
                    .or_default()
                    .push(100.0 * row.accuracy);
            }
        }
        rates.push(Series {
            name: (*label).to_owned(),
            points: rate,
            band: Vec::new(),
        });
        losses.push(averaged(label, &loss));
        curves.push(averaged(label, &accuracy));
    }
    let mut path = |name: &str| {
        let path = out.join(name);
        files.push(path.clone());
        path
    };
    figure::panels(
        &path("learning-rates.svg"),
        "Learning rates, each on an axis of its own",
        "step",
        "learning rate",
        &rates,
    )?;
    figure::lines(
        &path("losses.svg"),
        "Training loss, mean over seeds and its 95 % interval",
        "step",
        "cross-entropy, nats",
        &losses,
    )?;
    figure::lines(
        &path("accuracy-curves.svg"),
        "Test accuracy, mean over seeds and its 95 % interval",
        "step",
        "accuracy, %",
        &curves,
    )?;
    let dots: Vec<Dot> = rows
        .iter()
        .filter_map(|row| {
            let accuracy = row.accuracy?;
            Some(Dot {
                name: row.schedule.clone(),
                mean: 100.0 * accuracy.mean,
                half_width: accuracy.half_width.map(|half| 100.0 * half),
                values: row.accuracies.values().map(|value| 100.0 * value).collect(),
            })
        })
        .collect();
    figure::dots(
        &path("accuracies.svg"),
        "Test accuracy after the last step",
        "accuracy, %; mean, its 95 % interval, and each seed",
        &dots,
    )
}

/// Values of several runs by step.
type Points = BTreeMap<u64, Vec<f64>>;

fn stretch(step: u64, total: u64) -> u64 {
    step * STRETCHES as u64 / total
}

fn averaged(label: &str, points: &Points) -> Series {
    let mut series = Series {
        name: label.to_owned(),
        ..Series::default()
    };
    for (&step, values) in points {
        let finite: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        if let Some(found) = estimate(&finite) {
            let half = found.half_width.unwrap_or(0.0);
            series.points.push((step as f64, found.mean));
            series.band.push((found.mean - half, found.mean + half));
        }
    }
    series
}
