//! What a study came to: a table with its error bars, and the pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use pixelrate_control::{Cause, Takeover, Takeovers};
use pixelrate_runlog::{RunStatus, SummaryRow, read_evals, read_steps, read_summary};
use pixelrate_trainer::spec::{Found, RunFile, Training};
use serde::Serialize;

use crate::Error;
use crate::figure::{self, Dot, Series};
use crate::lineage::{self, Branch, Families};
use crate::statistics::{Estimate, estimate};

/// Stretches into which a run's losses are averaged for the picture.
pub(crate) const STRETCHES: usize = 120;

/// A study's results.
#[derive(Debug, Serialize)]
pub struct Report {
    /// A row a schedule, in the study's order.
    pub rows: Vec<Row>,
    /// A row a run that was forked from another.
    pub branches: Vec<Branch>,
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
    /// Runs that there are, with or without a result.
    pub runs: usize,
    /// Of these, the runs in which another schedule took over while they trained: they are no longer all that the label
    /// names.
    pub changed: usize,
    /// Accuracy of each seed's run.
    pub accuracies: BTreeMap<u64, f64>,
}

/// A run, as a report sees it.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) file: RunFile,
    pub(crate) summary: Option<SummaryRow>,
    /// The schedules that took over while it trained; what its trunk took over before a fork is the trunk's.
    pub(crate) takeovers: Vec<Takeover>,
}

impl Run {
    /// Reads the run in `folder`; `None` if there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("run.toml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        let file: RunFile = toml::from_str(&text).map_err(|source| Error::Toml {
            path,
            source: Box::new(source),
        })?;
        let mut takeovers = Takeovers::read(folder).map_err(pixelrate_trainer::Error::from)?;
        let begins = first_step(&file);
        takeovers.retain(|takeover| takeover.cause != Cause::Fork && takeover.step >= begins);
        Ok(Some(Self {
            summary: read_summary(folder)?,
            folder: folder.to_owned(),
            file,
            takeovers,
        }))
    }

    /// Steps of the whole run.
    pub(crate) fn total_steps(&self) -> u64 {
        let found = self.file.found.as_ref();
        found.map_or(1, |found| found.total_steps.max(1))
    }
}

/// The first step that is the run's own, and not that of the run that it was forked from.
fn first_step(file: &RunFile) -> u64 {
    file.spec.parent.as_ref().map_or(0, |parent| parent.step)
}

/// Reports on the runs in `study`, into `out`: `report.md`, `report.json` and the pictures.
///
/// # Errors
/// [`Error::NoRuns`] if there are none; else what cannot be read or written.
pub fn report(study: &Path, out: &Path) -> Result<Report, Error> {
    let runs = runs(study)?;
    std::fs::create_dir_all(out).map_err(|source| Error::io("make", out, source))?;
    let labels = by_label(&runs);
    let families = Families::of(study, &runs)?;
    let mut report = Report {
        rows: labels
            .iter()
            .map(|(label, runs)| row(label, runs))
            .collect(),
        branches: families.branches(),
        missing: runs.iter().filter_map(missing).collect(),
        markdown: String::new(),
        files: Vec::new(),
    };
    pictures(&labels, &report.rows, out, &mut report.files)?;
    if let Some(shown) = families.picture()? {
        let path = out.join("lineage.svg");
        figure::families(&path, shown.value, &shown.families, &shown.legend)?;
        report.files.push(path);
    }
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
        runs.extend(Run::read(&folder)?);
    }
    runs.sort_by(|a, b| a.file.spec.run.cmp(&b.file.spec.run));
    if runs.is_empty() {
        return Err(Error::NoRuns(study.to_owned()));
    }
    Ok(runs)
}

/// Labels in the study's order, each with its runs. A branch is never averaged with the runs that trained from their
/// beginning, whatever its label.
fn by_label(runs: &[Run]) -> Vec<(String, Vec<&Run>)> {
    let mut labels: BTreeMap<(u32, &str, Option<u64>), Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let spec = &run.file.spec;
        let fork = spec.parent.as_ref().map(|parent| parent.step);
        labels
            .entry((spec.label_index, &spec.label, fork))
            .or_default()
            .push(run);
    }
    let named = |wanted: &str| {
        labels
            .keys()
            .filter(|(_, label, _)| *label == wanted)
            .count()
    };
    let name = |label: &str, fork: Option<u64>| match fork {
        Some(step) if named(label) > 1 => format!("{label}, from step {step}"),
        _ => label.to_owned(),
    };
    labels
        .iter()
        .map(|((_, label, fork), runs)| (name(label, *fork), runs.clone()))
        .collect()
}

/// A result, if the run has one: finished, or diverged.
pub(crate) fn result(run: &Run) -> Option<&SummaryRow> {
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
        runs: runs.len(),
        changed: runs.iter().filter(|run| !run.takeovers.is_empty()).count(),
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
    for row in report.rows.iter().filter(|row| row.changed > 0) {
        let _ = writeln!(
            text,
            "\n**{}**: {} of {} runs changed schedule while they trained, so that the label does not name all that they \
             trained under: `pixelrate log` tells what took over, and when. Upright lines mark it in the picture of the \
             learning rates, for the first run of each label.",
            row.schedule, row.changed, row.runs
        );
    }
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
    text.push_str(&lineage::markdown(&report.branches));
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
    labels: &[(String, Vec<&Run>)],
    rows: &[Row],
    out: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let (mut rates, mut losses, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    for (label, runs) in labels {
        let (mut rate, mut loss, mut accuracy): (Vec<(f64, f64)>, Points, Points) =
            Default::default();
        let mut marks = Vec::new();
        for run in runs {
            let mut steps = read_steps(&run.folder)?;
            // A branch's log may begin with its trunk's last steps.
            let begins = first_step(&run.file);
            steps.retain(|row| row.step >= begins);
            if rate.is_empty() {
                rate = steps
                    .iter()
                    .map(|row| (row.step as f64, row.learning_rate))
                    .collect();
                let places = run.takeovers.iter().map(|takeover| takeover.step as f64);
                marks = places.collect();
            }
            let total = run.total_steps();
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
            name: label.clone(),
            points: rate,
            marks,
            ..Series::default()
        });
        losses.push(averaged(label, &loss));
        curves.push(averaged(label, &accuracy));
    }
    let mut path = |name: &str| {
        let path = out.join(name);
        files.push(path.clone());
        path
    };
    let title = if rates.iter().all(|series| series.marks.is_empty()) {
        "Learning rates, each on an axis of its own"
    } else {
        "Learning rates, and where a schedule took over"
    };
    figure::panels(
        &path("learning-rates.svg"),
        title,
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

pub(crate) fn stretch(step: u64, total: u64) -> u64 {
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
