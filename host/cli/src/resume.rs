//! `pixelrate resume`: go on with a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use pixelrate_control::{Activity, Status, What};
use pixelrate_runlog::{Held, held};
use pixelrate_study::runs::{self, RunFolder, State};
use pixelrate_study::steer;
use pixelrate_trainer::train;

use crate::{chosen, run, signals};

/// Continue a run: if it was stopped, crashed or failed, from its newest checkpoint; if it is paused, from where it
/// waits. Of a study, all paused runs; `pixelrate study` continues those that were stopped.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate resume runs/demo/cyclic-seed0")]
pub(crate) struct Args {
    /// The run's folder; or a study's, for every paused run in it.
    folder: PathBuf,
    /// Where the run's data set is now, if the run's folder came from another machine. The run remembers this path.
    #[arg(long, value_name = "FOLDER")]
    data_folder: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if let Err(runs::Error::Many { .. }) = RunFolder::open(&args.folder) {
        if args.data_folder.is_some() || args.json {
            bail!("--data-folder and --json are for one run: name its folder");
        }
        return continue_all(&args.folder);
    }
    // A process that was killed while it waited leaves a status that is no longer true.
    if let Held::By(process) = held(&args.folder)?
        && let Some(status) = Status::read(&args.folder)?
        && status.activity == Activity::Paused
        && process == Some(status.process)
    {
        if args.data_folder.is_some() {
            bail!(
                "{} is only paused, with its data loaded: `pixelrate resume` it without --data-folder, or `pixelrate stop` it first",
                args.folder.display()
            );
        }
        let answer = steer::ask(&args.folder, What::Continue, None, &signals::stop()?);
        let runs = [args.folder.clone()];
        return Ok(chosen::tell(&runs, vec![answer], "continues", "continued"));
    }
    steer::not_over(&args.folder)?;
    if let Some(data) = &args.data_folder {
        train::move_data(&args.folder, data)?;
    }
    let stop = signals::stop()?;
    let outcome = train::resume(&args.folder, &mut run::Bar::new(), &stop)?;
    Ok(run::end(&outcome, &args.folder, args.json, false))
}

/// Continues the paused runs of a study.
fn continue_all(study: &Path) -> Result<ExitCode> {
    let mut paused = Vec::new();
    for run in runs::find(study)? {
        if run.look()?.state == State::Paused {
            paused.push(run.path().to_owned());
        }
    }
    if paused.is_empty() {
        bail!(
            "no run in {} is paused: `pixelrate study` (or `search`) with its file continues the runs that were stopped, \
             `pixelrate resume` with a run's folder that one alone",
            study.display()
        );
    }
    let stop = signals::stop()?;
    let answers = chosen::each(&paused, |run| steer::ask(run, What::Continue, None, &stop));
    Ok(chosen::tell(&paused, answers, "continues", "continued"))
}
