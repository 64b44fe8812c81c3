//! Runs a plan: each run in a process of its own, so that one that dies takes no other with it; on a GPU, in a thread of this
//! one.

mod beat;
mod here;
mod kept;
mod order;
mod process;
mod screen;
mod unchanged;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pixelrate_trainer::data;
use pixelrate_trainer::spec::RunSpec;
use pixelrate_trainer::train::Stop;
use rayon::prelude::*;

use crate::plan::Plan;
use crate::rebuild::Turns;
use crate::{Error, rebuild};
pub use beat::{Beat, News};
use kept::Kept;
pub use order::put_in_order;
pub(crate) use process::wait_for_its_last_process;
use process::{Lifelines, reached};
use screen::Screen;
pub(crate) use unchanged::{comparable, difference, refuse, unchanged};

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

/// Looks once for each data set that runs are trained on, since each run would only say the same when its turn comes. What has
/// ended needs none.
fn has_data(runs: &[RunSpec], ends: &[Option<RunEnd>]) -> Result<(), Error> {
    let begins = runs.iter().zip(ends).filter(|(_, end)| end.is_none());
    let trained = begins.filter(|(run, _)| !run.training.is_dry());
    let sets: BTreeSet<(&String, &PathBuf)> = trained
        .map(|(run, _)| (&run.training.dataset, &run.training.data_folder))
        .collect();
    for (dataset, folder) in sets {
        data::look(dataset, folder).map_err(pixelrate_trainer::Error::from)?;
    }
    Ok(())
}

/// What `look` finds of each of these runs, several at once. Of what is wrong, the first is told.
fn each<T: Send>(
    runs: &[RunSpec],
    look: impl Fn(&RunSpec) -> Result<T, Error> + Send + Sync,
) -> Result<Vec<T>, Error> {
    let found: Vec<Result<T, Error>> = runs.par_iter().map(look).collect();
    found.into_iter().collect()
}

/// Refuses a study whose runs were begun under other specs, before anything in its folder is touched. Threads that are still to
/// be found are those that each run has.
///
/// # Errors
/// [`Error::Changed`] with the first difference; a run's `run.toml` cannot be read.
pub fn refuse_changed(plan: &Plan, folder: &Path) -> Result<(), Error> {
    let kept = Kept::of(folder);
    each(&plan.runs, |spec| {
        if plan.threads_open {
            kept.unchanged_but_for_threads(spec, folder)
        } else {
            kept.unchanged(spec, folder).map(drop)
        }
    })?;
    Ok(())
}

/// Runs what of `plan` is not done yet, `jobs` at a time, to the end or to a stop before the step `until`. A run on a GPU is a
/// thread of this process, in which it has a stream and a graph of its own. Every other is a process of `program`, called as `program run --resume FOLDER --beats` or
/// `program run --spec FILE --folder FOLDER --beats`, which stops, and can be resumed, when its standard input ends: that
/// is how a stop reaches it, and how it learns that this process is gone.
///
/// # Errors
/// [`Error::Changed`] if a run was begun under another spec, or [`Error::Trainer`] if a data set's files are not there, before
/// anything runs; else a folder's trouble. A run that fails is no error here: the ends say so, in the plan's order.
pub fn run(
    plan: &Plan,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
    jobs: usize,
    stop: &Stop,
) -> Result<Vec<RunEnd>, Error> {
    let kept = Kept::of(folder);
    let known = each(&plan.runs, |spec| kept.unchanged(spec, folder))?;
    has_data(&plan.runs, &known)?;
    let screen = Screen::new(plan.runs.len());
    let next = AtomicUsize::new(0);
    let ends = Mutex::new(vec![RunEnd::Stopped; plan.runs.len()]);
    let (lifelines, over) = (Lifelines::default(), AtomicBool::new(false));
    let turns = Turns::default();
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
            let tell = |line: &str| screen.news(line);
            if let Err(problem) = rebuild::watch(&plan.builds, folder, &turns, &done, &tell) {
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
                    // It may have ended since, by another hand.
                    let known = known[index].clone().or_else(|| kept.end(spec));
                    let end = known.unwrap_or_else(|| {
                        let at = folder.join(&spec.run);
                        // One that goes on has its plugin in its folder.
                        let begins = !at.join("run.toml").exists();
                        let turn = begins.then(|| turns.begin_run());
                        // It may have waited for a build.
                        if stop.asked() {
                            return RunEnd::Stopped;
                        }
                        let end = if here::is_due(spec) && !reached(&at, until) {
                            wait_for_its_last_process(&at);
                            here::run(spec, until, &at, &screen, turn, stop)
                        } else {
                            process::run(spec, until, &at, program, &screen, turn, &lifelines)
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
