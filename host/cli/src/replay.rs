//! `pixelrate replay`: a run again, held against its log.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_study::replay;
use pixelrate_trainer::train;

use crate::{run, signals};

/// What a difference means where the device may add in another order from one time to the next.
const NOT_DETERMINISTIC: &str = "  it trained on CUDA without `deterministic = true` in [training] (`--deterministic`), where two runs with the same settings differ in the last bits, \
and by more the longer they train: this does not mean that anything is wrong";

/// Train a run again from the plugins that it kept, with every swap at its step, and say whether every value that it
/// logged, except timings, agrees bit for bit.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate replay runs/demo/cyclic-seed0")]
pub(crate) struct Args {
    /// The run's folder.
    run: PathBuf,
    /// Where the run's data set is now, if the run's folder came from another machine. The run remembers this path.
    #[arg(long, value_name = "FOLDER")]
    data_folder: Option<PathBuf>,
    /// Keep the second run in this new folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if let Some(data) = &args.data_folder {
        train::move_data(&args.run, data)?;
    }
    let stop = signals::stop()?;
    let mut bar = run::Bar::new();
    let Some(found) = replay::replay(&args.run, args.keep.as_deref(), &mut bar, &stop)? else {
        eprintln!("stopped: nothing was compared");
        return Ok(ExitCode::from(130));
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    }
    Ok(match &found.difference {
        None => {
            if !args.json {
                println!(
                    "all {} steps and {} evaluations agree bit for bit",
                    found.steps, found.evals
                );
            }
            ExitCode::SUCCESS
        }
        Some(first) => {
            eprintln!(
                "error: {} differs from step {} on: `{}` was {}, and is {} now ({} steps before agree)",
                args.run.display(),
                first.step,
                first.column,
                first.logged,
                first.replayed,
                found.steps
            );
            if !found.repeats {
                eprintln!("{NOT_DETERMINISTIC}");
            }
            ExitCode::FAILURE
        }
    })
}
