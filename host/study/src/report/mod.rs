//! What a study came to: what can be claimed of it, the tables, and the pictures.
//!
//! One way through: the runs are gathered and grouped by label (`gather`), their logs are read once, run by run (`curves`,
//! which the study's index keeps of those that have ended), put together (`trace`), and become numbers (`rows`, `compare`,
//! `tuning`) and sentences (`claims`), which are written as Markdown, JSON, pictures and a page. A report holds no more of
//! a log than a bounded number of places of its curves, however long the runs are, and draws the curves of [`SHOWN`] labels
//! at most.

mod claims;
mod compare;
mod curves;
mod figures;
mod gather;
mod html;
mod markdown;
mod notes;
mod numbers;
mod options;
mod ran;
mod rows;
mod stretches;
mod trace;
mod tuning;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pixelrate_trainer::spec::{EvalSplit, Found, Training};
use rayon::prelude::*;
use serde::Serialize;

pub use compare::{Comparison, Comparisons, Verdict};
pub(crate) use curves::KeptCurves;
pub(crate) use gather::Run;
use gather::Runs;
pub use options::Options;
pub(crate) use options::names;
pub use ran::{Ran, RanSchedule};
pub use rows::{Reached, Row};
pub use tuning::{SearchCost, Searched, Tuning};

use crate::Error;
use crate::figure;
use crate::lineage::{Branch, Families};
use crate::queue;
use trace::Trace;

/// Labels at most that pictures show: of more, the baseline and those of the best mean accuracy.
pub const SHOWN: usize = 40;

/// Rows at most that the tables of the page and of Markdown have, and lines of a list: of more, the baseline and those of
/// the best mean accuracy. `report.json` has all.
pub const LISTED: usize = 400;

/// A study's results.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The study's name.
    pub study: String,
    /// Seeds of all its runs.
    pub seeds: usize,
    /// What can be claimed, in plain sentences.
    pub claims: Vec<String>,
    /// What accuracies are measured on; `None` where runs differ in it.
    pub evaluated_on: Option<EvalSplit>,
    /// A row a schedule, in the study's order.
    pub rows: Vec<Row>,
    /// What ran under each label.
    pub ran: Ran,
    /// Each schedule beside the baseline.
    pub comparisons: Comparisons,
    /// The accuracy to which the time was taken, a share.
    pub target: Option<f64>,
    /// Schedules that ran with several parameters.
    pub tunings: Vec<Tuning>,
    /// The schedules whose parameters a search has chosen.
    pub searched: Vec<Searched>,
    /// A row a run that was forked from another.
    pub branches: Vec<Branch>,
    /// Runs without a result, and why; [`unread`](Self::unread) are among them.
    pub missing: Vec<String>,
    /// Folders whose run cannot be read, and why.
    #[serde(skip)]
    pub unread: Vec<String>,
    /// Folders that are copies of other runs, and are in no number.
    pub copies: Vec<String>,
    /// Labels of runs that the study's file no longer asks for, one a run.
    pub unplanned: Vec<String>,
    /// What was trained, on what data and where, a line each.
    pub trained: Vec<String>,
    /// Places of the rows that tables list, in their order.
    #[serde(skip)]
    listed: Vec<usize>,
    /// The table and what belongs to it, in Markdown.
    #[serde(skip)]
    pub markdown: String,
    /// The files that were written.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

impl Report {
    /// Whether a file of this name was written.
    fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.ends_with(name))
    }

    /// The rows that tables list, with their places.
    fn listed(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.listed.iter().map(|&place| (place, &self.rows[place]))
    }

    /// The comparisons that tables list, by their schedules.
    fn listed_comparisons(&self) -> BTreeMap<&str, &Comparison> {
        let listed: BTreeSet<&str> = self
            .listed()
            .map(|(_, row)| row.schedule.as_str())
            .collect();
        let all = self.comparisons.rows.iter();
        all.map(|row| (row.schedule.as_str(), row))
            .filter(|(name, _)| listed.contains(name))
            .collect()
    }

    /// The first lines of [`missing`](Self::missing), and how many more there are.
    fn listed_missing(&self) -> impl Iterator<Item = String> {
        let more = self.missing.len().saturating_sub(LISTED);
        let rest = (more > 0).then(|| format!("and {more} more: `report.json` has them"));
        self.missing.iter().take(LISTED).cloned().chain(rest)
    }

    /// What tables leave out, in a sentence; `None` if they have all.
    fn left_out(&self) -> Option<String> {
        let (all, listed) = (self.rows.len(), self.listed.len());
        (listed < all).then(|| {
            format!(
                "Tables have {listed} of {all} schedules: the baseline, and those of the best mean accuracy. `report.json` \
                 has all."
            )
        })
    }
}

/// Reports on the runs in `study`, into `out`: `report.html`, `report.md`, `report.json` and the pictures.
///
/// # Errors
/// [`Error::Report`] for a target that cannot be, [`Error::NoStudy`] and [`Error::NoRuns`] if there are no runs,
/// [`Error::NoBaseline`] if no label is called so; else what cannot be read or written.
pub fn report(study: &Path, out: &Path, options: &Options) -> Result<Report, Error> {
    options.check().map_err(Error::Report)?;
    let runs = gather::runs(study)?;
    std::fs::create_dir_all(out).map_err(|source| Error::io("make", out, source))?;
    let kept = KeptCurves::of(study);
    let problem = match of_runs(study, out, options, runs, &kept) {
        Err(Error::Log(problem)) => problem,
        done => return done,
    };
    // A damaged log hides no other. Which are damaged is asked only now: it opens the log of every run that trains yet.
    let mut runs = gather::runs(study)?;
    let unread = kept.take_unread(&mut runs.read);
    if unread.is_empty() || runs.read.is_empty() {
        return Err(problem.into());
    }
    runs.unread.extend(unread);
    runs.unread.sort();
    match of_runs(study, out, options, runs, &kept) {
        // All of the baseline's are damaged.
        Err(Error::NoBaseline { .. }) => Err(problem.into()),
        done => done,
    }
}

fn of_runs(
    study: &Path,
    out: &Path,
    options: &Options,
    Runs {
        read: mut runs,
        unread,
    }: Runs,
    kept: &KeptCurves,
) -> Result<Report, Error> {
    let copies = gather::take_copies(&mut runs);
    let groups = gather::by_label(&runs);
    let families = Families::of(study, &runs)?;
    // A bootstrap each.
    let mut rows: Vec<Row> = groups.par_iter().map(rows::row).collect();
    let comparisons = compare::compare(&groups, &rows, options.baseline.as_deref())?;
    let target = options.target.or_else(|| least_of(&comparisons, &rows));
    let shown = best_of(&rows, &comparisons, SHOWN);
    let found: Result<Vec<Trace>, Error> = groups
        .par_iter()
        .enumerate()
        .map(|(place, group)| Trace::of(group, target, shown.binary_search(&place).is_ok(), kept))
        .collect();
    let mut traces = Vec::new();
    for (place, (row, trace)) in rows.iter_mut().zip(found?).enumerate() {
        row.add(&trace, target);
        if shown.binary_search(&place).is_ok() {
            traces.push(trace);
        }
    }
    let drawn: Vec<&Row> = shown.iter().map(|&place| &rows[place]).collect();
    let evaluated_on = evaluated_on(&runs);
    let mut files = figures::draw(&drawn, &traces, &comparisons, evaluated_on, out)?;
    if let Some(picture) = families.picture()? {
        let path = out.join("lineage.svg");
        figure::families(&path, picture.value, &picture.families, &picture.legend)?;
        files.push(path);
    }
    let seeds: BTreeSet<u64> = runs.iter().map(|run| run.file.spec.seed).collect();
    let mut report = Report {
        study: runs[0].file.spec.study.clone(),
        seeds: seeds.len(),
        claims: Vec::new(),
        evaluated_on,
        listed: best_of(&rows, &comparisons, LISTED),
        tunings: tuning::tunings(&groups, &rows),
        searched: tuning::searched(&groups)?,
        ran: ran::ran(&groups),
        rows,
        comparisons,
        target,
        branches: families.branches(),
        missing: runs
            .iter()
            .filter_map(Run::missing)
            .chain(unread.iter().cloned())
            .collect(),
        unread,
        copies,
        unplanned: unplanned(study, &runs)?,
        trained: trained_lines(&runs),
        markdown: String::new(),
        files,
    };
    report.claims = claims::claims(&groups, &report);
    report.markdown = markdown::markdown(&report);
    let (page, (json, pixels)) = rayon::join(
        || html::page(&report, &groups, &shown, &traces, out),
        || {
            let shown: Vec<&Row> = shown.iter().map(|&place| &report.rows[place]).collect();
            let json = serde_json::to_string_pretty(&report);
            (json, figures::draw_pixels(&shown, evaluated_on, out))
        },
    );
    let (page, json) = (
        page?,
        json.map_err(|e| Error::io("write", &out.join("report.json"), e.into()))?,
    );
    report.files.push(pixels?);
    let texts = [
        ("report.html", &page),
        ("report.md", &report.markdown),
        ("report.json", &json),
    ];
    for (name, text) in texts {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|source| Error::io("write", &path, source))?;
        report.files.push(path);
    }
    Ok(report)
}

/// What all runs are evaluated on, if it is the same, as a study has it.
fn evaluated_on(runs: &[Run]) -> Option<EvalSplit> {
    let on = |run: &Run| run.file.spec.training.evaluated_on();
    let first = on(runs.first()?);
    runs.iter().all(|run| on(run) == first).then_some(first)
}

/// What accuracy is called that is measured on `of`.
pub(crate) fn accuracy_on(of: Option<EvalSplit>) -> String {
    of.map_or_else(|| "accuracy".to_owned(), |of| format!("{of} accuracy"))
}

/// The least accuracy that a finished run of the baseline ended with: all of them come so far.
fn least_of(comparisons: &Comparisons, rows: &[Row]) -> Option<f64> {
    let name = comparisons.baselines.first()?;
    let baseline = rows.iter().find(|row| row.schedule == *name)?;
    baseline.least_finished
}

/// Places of the baseline's rows and of the best others, `most` in all, in the study's order. Of a grid, which has as many
/// baselines as combinations, they leave half of the room to the others.
fn best_of(rows: &[Row], comparisons: &Comparisons, most: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..rows.len()).collect();
    let baselines: BTreeSet<&str> = comparisons.baselines.iter().map(String::as_str).collect();
    let rank = |place: usize| {
        let accuracy = rows[place]
            .accuracy
            .map_or(f64::NEG_INFINITY, |found| found.mean);
        let is_other = !baselines.contains(rows[place].schedule.as_str());
        (is_other, -accuracy)
    };
    places.sort_by(|&a, &b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let others = places.split_off(baselines.len().min(places.len()));
    places.truncate(most - others.len().min(most / 2));
    places.extend(others.into_iter().take(most - places.len()));
    places.sort_unstable();
    places
}

/// Labels of those runs that the study does not ask for any more, one a run. Forks it never did.
fn unplanned(study: &Path, runs: &[Run]) -> Result<Vec<String>, Error> {
    let Some(planned) = queue::planned(study)? else {
        return Ok(Vec::new());
    };
    let planned: BTreeSet<String> = planned.into_iter().map(|run| run.run).collect();
    let specs = runs.iter().map(|run| &run.file.spec);
    let left = specs.filter(|spec| spec.parent.is_none() && !planned.contains(&spec.run));
    Ok(left.map(|spec| spec.label.clone()).collect())
}

/// What runs have in common is told once; the runs of a grid differ.
fn trained_lines(runs: &[Run]) -> Vec<String> {
    let mut told = BTreeMap::new();
    let trained = runs.iter().map(|run| trained(&run.file.spec.training));
    let found = runs.iter().filter_map(|run| run.file.found.as_ref());
    for line in trained.chain(found.map(origin)) {
        let next = told.len();
        told.entry(line).or_insert(next);
    }
    let mut lines: Vec<(String, usize)> = told.into_iter().collect();
    lines.sort_by_key(|(_, place)| *place);
    lines.into_iter().map(|(line, _)| line).collect()
}

/// What is trained, in a line.
fn trained(training: &Training) -> String {
    let threads = match training.threads {
        1 => "one thread".to_owned(),
        more => format!("{more} threads"),
    };
    let held_back = match training.validation_examples {
        0.0 => String::new(),
        share if share < 1.0 => {
            format!(", {share} of the training pictures held back to evaluate on")
        }
        some => format!(", {some} training pictures held back to evaluate on"),
    };
    format!(
        "{} of {} for {} epochs, batch {}, {threads} a run{held_back}",
        training.model, training.dataset, training.epochs, training.batch_size
    )
}

/// On what data and where, in a line.
fn origin(found: &Found) -> String {
    // A dry run reads no picture.
    let hash = match found.dataset_sha256.get(..16) {
        Some(hash) => format!(" (SHA-256 {hash})"),
        None => String::new(),
    };
    format!(
        "{} training pictures, {}{hash}, {} steps, in {} on {} ({}), pixelrate {} ({}), libtorch {}",
        found.train_examples,
        found.dataset_origin,
        found.total_steps,
        found.precision,
        found.device,
        found.machine,
        found.pixelrate_version,
        found.git_commit.as_deref().unwrap_or("outside git"),
        found.libtorch_version,
    )
}

#[cfg(test)]
mod tests;
