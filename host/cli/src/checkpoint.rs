//! `pixelrate checkpoint`: keep a run's state under a name.

use std::process::ExitCode;

use anyhow::{Result, bail};
use pixelrate_control::What;
use pixelrate_study::steer;
use pixelrate_trainer::checkpoint::FORK;

use crate::{chosen, signals};

/// Save a named checkpoint of runs that are training. Unlike an unnamed one, it is never deleted automatically.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate checkpoint runs/demo/cyclic-seed0 --name before-the-drop"
)]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
    /// The checkpoint's name: letters, digits, - and _.
    #[arg(long)]
    name: String,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let name = &args.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name == FORK || !name.chars().all(plain) {
        bail!(
            "--name {name}: use letters, digits, - and _, and not \"{FORK}\", which forked runs begin with"
        );
    }
    let runs = args.runs.running()?;
    let stop = signals::stop()?;
    let answers = chosen::each(&runs.folders, |folder| {
        let name = name.clone();
        steer::ask(folder, What::Checkpoint { name }, None, &stop)
    });
    Ok(runs.tell(answers, "will save a checkpoint", "saved a checkpoint"))
}
