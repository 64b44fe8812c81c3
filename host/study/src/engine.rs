//! Runs a plan: each run in a process of its own, so that one that dies takes no other with it; on a GPU, in a thread of this
//! one.

mod here;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pixelrate_runlog::{EventKind, EventRow, Held, RunStatus, held, read_summary};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::spec::{RunFile, RunSpec};
use pixelrate_trainer::train::{Herald, Progress, Refusal, Stop};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::ended::{EndedRuns, run_file};
use crate::plan::Plan;
use crate::rebuild;
use crate::report::KeptCurves;

/// How long a process that has a run is given to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A line that a run's process writes to its standard output, as JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Beat {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Learning rate of the newest step.
    pub learning_rate: f64,
    /// Whether steps have a loss: those of a dry run have none.
    pub measured: bool,
    /// Loss of the newest step; `None` where it is not finite, which JSON cannot say.
    pub train_loss: Option<f64>,
}

impl From<&Progress> for Beat {
    fn from(progress: &Progress) -> Self {
        Self {
            step: progress.step,
            total_steps: progress.total_steps,
            learning_rate: progress.learning_rate,
            measured: progress.train_loss.is_some(),
            train_loss: progress.train_loss.filter(|loss| loss.is_finite()),
        }
    }
}

impl Beat {
    fn show(&self, bar: &ProgressBar) {
        bar.set_length(self.total_steps);
        bar.set_position(self.step);
        bar.set_message(self.told());
    }

    /// Beside the bar.
    fn told(&self) -> String {
        let rate = self.learning_rate;
        match self.train_loss {
            Some(loss) => format!("loss {loss:.3}  rate {rate:.2e}"),
            None if self.measured => format!("loss not finite  rate {rate:.2e}"),
            None => format!("rate {rate:.2e}"),
        }
    }
}

/// Something that happened in a run and that whoever looks on hears of at once: a line of JSON too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// What happened, in a line.
    pub news: String,
}

impl News {
    /// What `row` tells, if it is something to hear of at once.
    pub fn of(row: &EventRow) -> Option<Self> {
        let news = match row.kind {
            // A search takes its runs up again and again: only what is out of the ordinary is worth a line.
            EventKind::Resumed if row.message == format!("at step {}", row.step) => return None,
            EventKind::Log | EventKind::Note => format!("step {}: {}", row.step, row.message),
            EventKind::Swapped
            | EventKind::Rejected
            | EventKind::Reverted
            | EventKind::Fault
            | EventKind::Resumed
            | EventKind::Paused
            | EventKind::Continued => format!("step {}: {}: {}", row.step, row.kind, row.message),
            _ => return None,
        };
        Some(Self { news })
    }

    /// What tells `hear` of schedules that are refused, as [`of`](Self::of) would of their rows.
    pub fn herald(hear: impl Fn(Self) + Send + 'static) -> Herald {
        Box::new(move |step, refusal: &Refusal| {
            let news = format!("step {step}: {}: {}", EventKind::Rejected, refusal.message);
            hear(Self { news });
        })
    }
}

/// How one run of a study ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// It is done, now or before.
    Finished,
    /// It diverged, which is a result.
    Diverged,
    /// It came to the step that it was to stop before, and can go on.
    Reached,
    /// It was stopped, and can go on.
    Stopped,
    /// It failed; the message is its own.
    Failed(String),
}

/// Runs what of `plan` is not done yet, `jobs` at a time, to the end or to a stop before the step `until`. A run on a GPU is a
/// thread of this process, in which it has a stream and a graph of its own. Every other is a process of `program`, called as `program run --resume FOLDER --beats` or
/// `program run --spec FILE --folder FOLDER --beats`, which stops, and can be resumed, when its standard input ends: that
/// is how a stop reaches it, and how it learns that this process is gone.
///
/// # Errors
/// [`Error::Changed`] if a run was begun under another spec, before anything runs; else a folder's trouble. A run
/// that fails is no error here: the ends say so, in the plan's order.
pub fn run(
    plan: &Plan,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
    jobs: usize,
    stop: &Stop,
) -> Result<Vec<RunEnd>, Error> {
    let kept = Kept::of(folder);
    for spec in &plan.runs {
        kept.unchanged(spec, folder)?;
    }
    let screen = Screen::new(plan.runs.len());
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(vec![RunEnd::Stopped; plan.runs.len()]);
    let (lifelines, over) = (Lifelines::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if stop.asked() {
                    lifelines.cut();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        scope.spawn(|| {
            let done = || over.load(Ordering::Relaxed) || stop.asked();
            if let Err(problem) = rebuild::watch(&plan.builds, &done, &|line| screen.news(line)) {
                screen.news(&format!("sources are not watched: {problem}"));
            }
        });
        let jobs = jobs.clamp(1, plan.runs.len().max(1));
        let workers: Vec<_> = std::iter::repeat_with(|| {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(spec) = plan.runs.get(index).filter(|_| !stop.asked()) else {
                        return;
                    };
                    let end = kept.end(spec).unwrap_or_else(|| {
                        let at = folder.join(&spec.run);
                        let end = if here::is_due(spec) && !reached(&at, until) {
                            wait_for_its_last_process(&at);
                            here::run(spec, until, &at, &screen, stop)
                        } else {
                            one(spec, until, &at, program, &screen, &lifelines)
                        };
                        kept.keep(spec, &at);
                        end
                    });
                    screen.ended(&spec.run, &end);
                    if let Ok(mut ends) = ends.lock() {
                        ends[index] = end;
                    }
                }
            })
        })
        .take(jobs)
        .collect();
        for worker in workers {
            // One that panicked leaves its run as stopped.
            let _ = worker.join();
        }
        over.store(true, Ordering::Relaxed);
    });
    screen.clear();
    Ok(ends
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Tells the runs in a study's folder where their labels stand in its plan now, whose order may be another than when they
/// began: a branch beside its trunk, and what the plan has no more behind all that it has. Reports go by that.
///
/// # Errors
/// [`Error::Changed`], as by [`run`], before anything is told; a run's `run.toml` cannot be read, or written.
pub fn put_in_order(plan: &Plan, study: &Path) -> Result<(), Error> {
    let kept = Kept::of(study);
    for spec in &plan.runs {
        kept.unchanged(spec, study)?;
    }
    let mut files = BTreeMap::new();
    let entries = std::fs::read_dir(study).map_err(|e| Error::io("list", study, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", study, e))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let ended = kept.ended.get(&name).ok().flatten();
        let file = match ended.and_then(|ended| ended.file) {
            None => run_file(&entry.path())?,
            known => known,
        };
        files.extend(file.map(|file| (name, file)));
    }
    let planned = plan.runs.iter();
    let mut stands: HashMap<String, u32> = planned
        .map(|spec| (spec.label.clone(), spec.label_index))
        .collect();
    let behind = stands.values().max().map_or(0, |last| last + 1);
    let roots = files
        .values()
        .filter(|file| file.spec.parent.is_none())
        .map(|file| (file.spec.label_index, file.spec.label.clone()));
    let gone: BTreeSet<(u32, String)> = roots
        .filter(|(_, label)| !stands.contains_key(label))
        .collect();
    for ((_, label), place) in gone.into_iter().zip(behind..) {
        stands.entry(label).or_insert(place);
    }
    for (name, file) in &files {
        let Some(&place) = stands.get(&root_of(name, &files).label) else {
            // Its trunk lies in another study, or is gone.
            continue;
        };
        if file.spec.label_index != place {
            let mut file = file.clone();
            file.spec.label_index = place;
            file.write(&study.join(name))?;
        }
    }
    Ok(())
}

/// What the run of this name came from first, as far as that is among `files`.
fn root_of<'a>(name: &'a str, files: &'a BTreeMap<String, RunFile>) -> &'a RunSpec {
    let mut at = &files[name].spec;
    // Whoever edited a `run.toml` may have made a circle.
    let mut seen = BTreeSet::from([name]);
    while let Some(parent) = &at.parent
        && let Some(file) = files.get(&parent.run)
        && seen.insert(&parent.run)
    {
        at = &file.spec;
    }
    at
}

/// What the study's runs left that have ended, so that neither going on with a study nor its report opens each of them.
struct Kept {
    ended: EndedRuns,
    curves: KeptCurves,
}

impl Kept {
    fn of(study: &Path) -> Self {
        Self {
            ended: EndedRuns::of(study),
            curves: KeptCurves::of(study),
        }
    }

    /// As [`unchanged`], with what is known of a run that has ended.
    fn unchanged(&self, spec: &RunSpec, study: &Path) -> Result<(), Error> {
        let folder = study.join(&spec.run);
        // What is wrong with its files is told by its own process.
        let ended = self.ended.get(&spec.run).ok().flatten();
        match ended.and_then(|ended| ended.file) {
            Some(began) => same(&began.spec, spec, &folder),
            None => unchanged(spec, &folder),
        }
    }

    /// The end of a run that has a result. One that failed runs again.
    fn end(&self, spec: &RunSpec) -> Option<RunEnd> {
        match self.ended.get(&spec.run).ok()??.summary.status {
            RunStatus::Finished => Some(RunEnd::Finished),
            RunStatus::Diverged => Some(RunEnd::Diverged),
            RunStatus::Failed | RunStatus::Stopped => None,
        }
    }

    /// Keeps what a run left, if it has ended.
    fn keep(&self, spec: &RunSpec, folder: &Path) {
        if matches!(self.ended.get(&spec.run), Ok(Some(_))) {
            self.ended.save();
            self.curves.keep(folder);
        }
    }
}

/// The standard inputs of the runs' processes.
#[derive(Default)]
struct Lifelines(Mutex<BTreeMap<u32, ChildStdin>>);

impl Lifelines {
    fn hold(&self, child: &mut Child) {
        if let (Some(stdin), Ok(mut all)) = (child.stdin.take(), self.0.lock()) {
            all.insert(child.id(), stdin);
        }
    }

    fn release(&self, process: u32) {
        if let Ok(mut all) = self.0.lock() {
            all.remove(&process);
        }
    }

    fn cut(&self) {
        if let Ok(mut all) = self.0.lock() {
            all.clear();
        }
    }
}

fn one(
    spec: &RunSpec,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
    screen: &Screen,
    lifelines: &Lifelines,
) -> RunEnd {
    if reached(folder, until) {
        return RunEnd::Reached;
    }
    wait_for_its_last_process(folder);
    let mut child = match start(spec, until, folder, program) {
        Ok(child) => child,
        Err(problem) => return RunEnd::Failed(problem.to_string()),
    };
    let process = child.id();
    lifelines.hold(&mut child);
    let outcome = follow(child, spec, screen);
    lifelines.release(process);
    match (outcome, read_summary(folder)) {
        (Err(problem), _) => RunEnd::Failed(problem),
        (Ok(()), Ok(Some(summary))) if summary.status == RunStatus::Diverged => RunEnd::Diverged,
        (Ok(()), Ok(Some(_))) => RunEnd::Finished,
        (Ok(()), Ok(None)) if reached(folder, until) => RunEnd::Reached,
        (Ok(()), Ok(None)) => RunEnd::Stopped,
        (Ok(()), Err(problem)) => RunEnd::Failed(problem.to_string()),
    }
}

/// A run whose study was killed a moment ago is about to stop: there is no need to fail because of it. Who has the run for
/// longer means to have it.
fn wait_for_its_last_process(folder: &Path) {
    let began = Instant::now();
    while matches!(held(folder), Ok(Held::By(_))) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the run in `folder` has done all steps before `until`, and kept them.
fn reached(folder: &Path, until: Option<u64>) -> bool {
    let newest = checkpoint::list(folder).ok().and_then(|mut all| all.pop());
    let done = newest.as_deref().and_then(checkpoint::step_of);
    until.is_some_and(|until| done.is_some_and(|done| done >= until))
}

fn start(
    spec: &RunSpec,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
) -> Result<Child, Error> {
    let mut command = Command::new(program);
    command.arg("run").arg("--beats");
    if let Some(step) = until {
        command.arg("--until").arg(step.to_string());
    }
    if folder.join("run.toml").exists() {
        command.arg("--resume").arg(folder);
    } else if spec.parent.is_some() {
        // A new run would train its trunk's steps under its name.
        return Err(pixelrate_trainer::Error::NoRun(folder.to_owned()).into());
    } else {
        let specs = folder.with_file_name(".specs");
        std::fs::create_dir_all(&specs).map_err(|source| Error::io("make", &specs, source))?;
        let file = specs.join(format!("{}.json", spec.run));
        let text =
            serde_json::to_vec_pretty(spec).map_err(|e| Error::io("write", &file, e.into()))?;
        std::fs::write(&file, text).map_err(|source| Error::io("write", &file, source))?;
        command.arg("--spec").arg(file).arg("--folder").arg(folder);
    }
    // One operation's threads are the run's own number, whatever the environment says.
    command.env("OMP_NUM_THREADS", spec.training.threads.to_string());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|source| Error::io("start", program, source))
}

/// Reads a run's beats until it ends. The error is what it wrote to its standard error.
fn follow(mut child: Child, spec: &RunSpec, screen: &Screen) -> Result<(), String> {
    let complaints = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        })
    });
    let bar = screen.bar(&spec.run);
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(News { news }) = serde_json::from_str(&line) {
                screen.news(&format!("{}: {news}", spec.run));
            } else if let Ok(beat) = serde_json::from_str::<Beat>(&line) {
                beat.show(&bar);
            }
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    bar.finish_and_clear();
    let text = complaints
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let text = text.trim().trim_start_matches("error: ");
    Err(if text.is_empty() {
        format!("its process ended with {status}")
    } else {
        text.to_owned()
    })
}

/// Refuses a folder whose run was begun under another spec.
pub(crate) fn unchanged(spec: &RunSpec, folder: &Path) -> Result<(), Error> {
    let file = folder.join("run.toml");
    if !file.exists() {
        return Ok(());
    }
    same(&RunSpec::read(&file)?, spec, folder)
}

/// Refuses to go on with the run in `folder`, which began as `began`, under a spec that differs.
fn same(began: &RunSpec, spec: &RunSpec, folder: &Path) -> Result<(), Error> {
    // Most are the same to the letter.
    if began == spec {
        return Ok(());
    }
    // Where a label stands in the study may change: it is the order of tables, and of nothing that was trained.
    let moved = RunSpec {
        label_index: spec.label_index,
        ..began.clone()
    };
    match difference("", &comparable(&moved), &comparable(spec)) {
        None => Ok(()),
        Some((key, was, is)) => Err(Error::Changed {
            folder: folder.to_owned(),
            key,
            was,
            is,
        }),
    }
}

/// What may not change of a run. Where things lie and how often they are kept may; the number of threads may not: it
/// changes the bits.
pub(crate) fn comparable(spec: &RunSpec) -> serde_json::Value {
    let mut spec = spec.clone();
    spec.training.data_folder = PathBuf::new();
    spec.training.checkpoint_seconds = 1.0;
    spec.schedule.picture_folder = None;
    // Neither what follows a swap nor whether there may be one changes what was trained by now.
    spec.schedule.rollback_steps = 0;
    spec.watch = false;
    // Nor does how its parameters were found.
    spec.tuned = None;
    serde_json::to_value(spec).unwrap_or_default()
}

pub(crate) fn difference(
    key: &str,
    was: &serde_json::Value,
    is: &serde_json::Value,
) -> Option<(String, String, String)> {
    if let (Some(one), Some(other)) = (was.as_object(), is.as_object()) {
        let keys = one.keys().chain(other.keys());
        let null = serde_json::Value::Null;
        return keys.into_iter().find_map(|name| {
            let path = if key.is_empty() {
                name.clone()
            } else {
                format!("{key}.{name}")
            };
            difference(
                &path,
                one.get(name).unwrap_or(&null),
                other.get(name).unwrap_or(&null),
            )
        });
    }
    (was != is).then(|| (key.to_owned(), was.to_string(), is.to_string()))
}

/// Bars on a terminal; a line a run elsewhere. A clone shows on the same.
#[derive(Clone)]
struct Screen {
    bars: MultiProgress,
    whole: ProgressBar,
    terminal: bool,
}

impl Screen {
    fn new(runs: usize) -> Self {
        let (bars, terminal) = (MultiProgress::new(), std::io::stderr().is_terminal());
        let whole = bars.add(ProgressBar::new(runs as u64));
        whole.set_style(style(
            "{bar:30} {pos}/{len} runs, {elapsed} so far, {eta} left",
        ));
        whole.tick();
        Self {
            bars,
            whole,
            terminal,
        }
    }

    fn bar(&self, run: &str) -> ProgressBar {
        let bar = self.bars.insert_before(&self.whole, ProgressBar::new(1));
        bar.set_style(style(
            "{bar:30} {prefix}  step {pos}/{len}  {msg}  {eta} left",
        ));
        bar.set_prefix(run.to_owned());
        bar
    }

    fn ended(&self, run: &str, end: &RunEnd) {
        self.whole.inc(1);
        let word = match end {
            RunEnd::Finished => "finished",
            RunEnd::Diverged => "diverged",
            RunEnd::Reached => "came so far",
            RunEnd::Stopped => "stopped",
            RunEnd::Failed(_) => "FAILED",
        };
        let line = format!(
            "{run}: {word} ({}/{})",
            self.whole.position(),
            self.whole.length().unwrap_or(0)
        );
        if !self.terminal {
            say(&line);
        } else if !matches!(end, RunEnd::Finished | RunEnd::Reached) {
            let _ = self.bars.println(line);
        }
    }

    /// Shows a line that stays.
    fn news(&self, line: &str) {
        if self.terminal {
            let _ = self.bars.println(line);
        } else {
            say(line);
        }
    }

    fn clear(&self) {
        self.whole.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes a line to standard error, if anybody reads it: a study goes on whoever looks.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_is_told_without_a_loss() {
        let beat = |measured, train_loss| Beat {
            step: 1,
            total_steps: 2,
            learning_rate: 0.1,
            measured,
            train_loss,
        };
        assert_eq!(beat(false, None).told(), "rate 1.00e-1");
        assert_eq!(beat(true, None).told(), "loss not finite  rate 1.00e-1");
        assert_eq!(beat(true, Some(0.5)).told(), "loss 0.500  rate 1.00e-1");
    }
}
