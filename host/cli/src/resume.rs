//! `pixelrate resume`: go on with a run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_trainer::train;

use crate::{run, signals};

/// Go on with a run that was stopped, crashed or failed, from its newest checkpoint.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate resume runs/demo/cyclic-seed0")]
pub(crate) struct Args {
    /// The run's folder.
    folder: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let stop = signals::stop()?;
    let outcome = train::resume(&args.folder, &mut run::Bar::new(), &stop)?;
    Ok(run::end(&outcome, &args.folder, args.json, false))
}
