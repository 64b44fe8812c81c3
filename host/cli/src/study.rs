//! `pixelrate study`: many runs, and what they came to.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pixelrate_study::counted::count;
use pixelrate_study::engine::{self, RunEnd};
use pixelrate_study::lock::StudyLock;
use pixelrate_study::split::{self, Decision, Jobs, Question};
use pixelrate_study::{plan, queue, report, search};

use crate::{signals, trial};

/// Run a study: every schedule with every seed, each in its own process, or on a GPU in a thread of this one. After a
/// stop, the same command continues.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate study experiments/demo.toml --jobs 2")]
pub(crate) struct Args {
    /// The study's TOML.
    file: PathBuf,
    /// Runs in parallel: a number, or auto, which measures how many are quickest (and with how many threads each, if
    /// the study does not set `threads`) [default: the study's `jobs`; else auto, which skips measuring where the study
    /// is short].
    #[arg(long)]
    jobs: Option<Jobs>,
    /// Where the runs' folders are made: `RUNS/<study>/<run>`.
    #[arg(long, default_value = "runs")]
    runs: PathBuf,
    /// List the runs, and train nothing.
    #[arg(long)]
    list: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut plan = trial::busy(trial::PLANNING, || plan::plan(&args.file))?;
    if args.list {
        plan.runs.iter().for_each(|run| println!("{}", run.run));
        return Ok(ExitCode::SUCCESS);
    }
    let folder = std::path::absolute(args.runs.join(&plan.name))?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    if folder.join(search::FILE).exists() {
        bail!(
            "{} is a search's: name the study otherwise",
            folder.display()
        );
    }
    let lock = StudyLock::take(&folder)?;
    engine::refuse_changed(&plan, &folder)?;
    let stop = signals::stop()?;
    lock.heed(&stop);
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let question = Question {
        runs: &plan.runs,
        threads_open: plan.threads_open,
        jobs: args.jobs.or(plan.jobs),
        folder: &folder,
        program: &program,
    };
    let Some(decision) = trial::busy(trial::MEASURING, || split::decide(&question, &stop))? else {
        eprintln!("stopped before anything was trained");
        return Ok(ExitCode::from(130));
    };
    let Decision { split, why } = decision;
    if plan.threads_open {
        plan.runs
            .iter_mut()
            .for_each(|run| run.training.threads = split.threads);
    }
    eprintln!(
        "{}: {} in {}, {split}{}",
        plan.name,
        count(plan.runs.len(), "run"),
        folder.display(),
        why.map_or_else(String::new, |why| format!(" ({why})"))
    );
    engine::put_in_order(&plan, &folder)?;
    plan.report.keep(&folder)?;
    queue::keep(&plan, &folder)?;
    let ends = engine::run(&plan, None, &folder, &program, split.runs, &stop)?;
    let whole = |end: &RunEnd| !matches!(end, RunEnd::Stopped | RunEnd::Failed(_));
    match report::report(&folder, &folder.join("report"), &plan.report) {
        Ok(report) => {
            println!("{}", report.markdown);
            report
                .files
                .iter()
                .for_each(|file| println!("{}", file.display()));
        }
        Err(problem) if ends.iter().all(whole) => return Err(problem.into()),
        // What became of the runs tells why.
        Err(problem) => eprintln!("no report yet: {problem}"),
    }
    let mut code = ExitCode::SUCCESS;
    let stopped = ends
        .iter()
        .filter(|end| matches!(end, RunEnd::Stopped))
        .count();
    if stopped > 0 {
        eprintln!("unfinished runs: {stopped}; the same command continues them");
        code = ExitCode::from(130);
    }
    for (spec, end) in plan.runs.iter().zip(&ends) {
        if let RunEnd::Failed(problem) = end {
            eprintln!("error: {} failed: {problem}", spec.run);
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}
