//! The runs that a command is about, and what came of asking them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use pixelrate_study::Error;
use pixelrate_study::runs::{self, Filter, State};
use pixelrate_study::steer::Answer;

/// Which runs.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A run's folder, or a study's, for all of its runs that are not over.
    run: PathBuf,
    /// Only those runs that match; may be given again.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,
}

impl Args {
    /// The folders of the runs; one that is over only where it is named itself.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn folders(&self) -> Result<Vec<PathBuf>> {
        self.those(
            "is over: `pixelrate fork` goes on from a step of one of them",
            |state| !matches!(state, State::Finished | State::Diverged),
        )
    }

    /// The folders of the runs that run now, or of the one that is named itself.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn running(&self) -> Result<Vec<PathBuf>> {
        self.those("does not run now", State::is_running)
    }

    fn those(&self, others: &str, wanted: impl Fn(State) -> bool) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for run in runs::pick(&self.run, &self.filters)? {
            if run.path() == self.run || wanted(run.look()?.state) {
                folders.push(run.path().to_owned());
            }
        }
        if folders.is_empty() {
            bail!("each of the runs in {} {others}", self.run.display());
        }
        Ok(folders)
    }
}

/// Asks each run, side by side.
pub(crate) fn each(
    runs: &[PathBuf],
    ask: impl Fn(&Path) -> Result<Answer, Error> + Sync,
) -> Vec<Result<Answer, Error>> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = runs.iter().map(|run| scope.spawn(|| ask(run))).collect();
        asked
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Prints a line for each run. `will` and `did` say what was asked for: "takes over", "took over".
pub(crate) fn tell(
    runs: &[PathBuf],
    answers: Vec<Result<Answer, Error>>,
    will: &str,
    did: &str,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (run, answer) in runs.iter().zip(answers) {
        let run = run.display();
        match answer {
            Ok(Answer::Done(step)) => println!("{run}: {did} before step {step}"),
            Ok(Answer::Planned(step)) => println!("{run}: {will} before step {step}"),
            Ok(Answer::Kept(Some(step))) => {
                println!(
                    "{run}: {will} before step {step}, once `pixelrate resume` has taken the run up"
                );
            }
            Ok(Answer::Kept(None)) => {
                println!("{run}: {will} when `pixelrate resume` takes the run up");
            }
            Ok(Answer::TakenBack) => {
                eprintln!("{run}: taken back, before it was done");
                code = ExitCode::from(130);
            }
            Ok(Answer::Rejected(reason)) => {
                eprintln!("error: {run}: {reason}");
                code = ExitCode::FAILURE;
            }
            Err(problem) => {
                eprintln!("error: {problem}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
