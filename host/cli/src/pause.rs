//! `pixelrate pause`: let runs wait.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_control::What;
use pixelrate_study::steer;

use crate::{chosen, signals};

/// Pause runs between two steps, after saving a checkpoint. `pixelrate resume` continues one.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate pause runs/demo --where seed=1")]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let runs = args.runs.running()?;
    let stop = signals::stop()?;
    let answers = chosen::each(&runs.folders, |folder| {
        steer::ask(folder, What::Pause, None, &stop)
    });
    Ok(runs.tell(answers, "pauses", "paused"))
}
