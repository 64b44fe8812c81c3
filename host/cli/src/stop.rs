//! `pixelrate stop`: end runs so that they can be resumed.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_control::What;
use pixelrate_study::{lock, steer};
use pixelrate_trainer::train::Stop;

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
            eprintln!("{study}: no longer waited for; it stops all the same");
            return Ok(ExitCode::from(130));
        }
        println!("{study}: stopped, with its runs; the command that began it continues it");
        // Those that a `resume` or a `fork` trains are not the study's.
        return match args.runs.running() {
            Ok(others) => Ok(asked(&others, &stop)),
            Err(_) => Ok(ExitCode::SUCCESS),
        };
    }
    Ok(asked(&args.runs.running()?, &stop))
}

fn asked(runs: &chosen::Chosen, stop: &Stop) -> ExitCode {
    let answers = chosen::each(&runs.folders, |folder| {
        steer::ask(folder, What::Stop, None, stop)
    });
    runs.tell(answers, "stops", "stopped")
}
