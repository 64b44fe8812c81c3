//! `pixelrate stop`: end runs so that they can be resumed.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_control::What;
use pixelrate_study::{lock, steer};

use crate::{chosen, signals};

/// Stop runs, after saving a checkpoint. `pixelrate resume` continues one from there. Of a study or a search that is being run,
/// all of it: the command that began it continues it.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate stop runs/demo/cyclic-seed0")]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let stop = signals::stop()?;
    if let Some(study) = args.runs.whole()
        && lock::stop(study, &stop)?
    {
        let study = study.display();
        if stop.asked() {
            eprintln!("{study}: withdrawn; it may stop all the same");
            return Ok(ExitCode::from(130));
        }
        println!("{study}: stopped, with its runs; the command that began it continues it");
        return Ok(ExitCode::SUCCESS);
    }
    let runs = args.runs.running()?;
    let answers = chosen::each(&runs.folders, |folder| {
        steer::ask(folder, What::Stop, None, &stop)
    });
    Ok(runs.tell(answers, "stops", "stopped"))
}
