//! `pixelrate stop`: end runs so that they can be resumed.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_control::What;
use pixelrate_study::steer;

use crate::{chosen, signals};

/// Stop runs, after saving a checkpoint. `pixelrate resume` continues one from there.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate stop runs/demo/cyclic-seed0")]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let runs = args.runs.running()?;
    let stop = signals::stop()?;
    let answers = chosen::each(&runs.folders, |folder| {
        steer::ask(folder, What::Stop, None, &stop)
    });
    Ok(runs.tell(answers, "stops", "stopped"))
}
