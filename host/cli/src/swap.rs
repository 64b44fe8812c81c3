//! `pixelrate swap`: another schedule for runs that train, or are stopped.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::ArgGroup;
use pixelrate_study::runs::RunFolder;
use pixelrate_study::steer::{self, At, Wish};

use crate::{chosen, run, signals, trial};

/// Give runs another schedule, while they train or are stopped. The new one is compiled, checked and rehearsed first:
/// one that fails changes nothing.
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("offer").required(true).multiple(true),
    after_help = "Examples: pixelrate swap runs/demo/cyclic-seed0 --schedule fixed --param learning_rate=0.01\n          pixelrate swap runs/demo --where schedule=cyclic --param max_lr=0.3 --at-epoch 2"
)]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
    #[command(flatten)]
    schedule: Offered,
    /// Take over before this step, instead of as soon as it is ready.
    #[arg(long, conflicts_with = "at_epoch")]
    at_step: Option<u64>,
    /// Take over after this many epochs (passes over the training set).
    #[arg(long)]
    at_epoch: Option<f64>,
    /// Offer nothing, and withdraw the swaps that are still to come: those planned for a step or epoch, and those that a
    /// stopped run keeps. `pixelrate ps --all` lists them.
    #[arg(long, group = "offer", conflicts_with_all = ["schedule", "params", "fresh", "at_step", "at_epoch"])]
    cancel: bool,
}

/// What is offered.
#[derive(clap::Args)]
#[group(skip)]
struct Offered {
    /// A built-in schedule, a .wasm or .wat file, or a composition (.toml); by default the one in force, with other
    /// parameters.
    #[arg(long, group = "offer")]
    schedule: Option<String>,
    /// A parameter of the schedule (repeatable).
    #[arg(long = "param", value_name = "NAME=VALUE", group = "offer")]
    params: Vec<String>,
    /// Start the new schedule without the old one's state.
    #[arg(long)]
    fresh: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.cancel {
        return cancel(&args.runs);
    }
    let wish = Wish {
        schedule: args.schedule.schedule.clone(),
        params: run::params(&args.schedule.params)?,
        at: at(args.at_step, args.at_epoch)?,
        carry_state: !args.schedule.fresh,
    };
    let runs = args.runs.folders()?;
    // All are asked at once, so that the first does not train on under the new schedule while the last waits for it.
    let stop = signals::stop()?;
    let answers = trial::busy("compiling and rehearsing it", || {
        chosen::each(&runs.folders, |folder| steer::swap(folder, &wish, &stop))
    });
    Ok(runs.tell(answers, "takes over", "took over"))
}

/// Withdraws what was planned, and prints a line for each swap that is not to come.
fn cancel(runs: &chosen::Args) -> Result<ExitCode> {
    let mut none = true;
    for folder in runs.folders()?.folders {
        for told in RunFolder::open(&folder)?.withdraw()? {
            println!("{}: withdrawn: {told}", folder.display());
            none = false;
        }
    }
    if none {
        bail!(
            "no swap is planned there: nothing was withdrawn; `pixelrate ps --all` lists what is to come"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// When it is to be.
pub(crate) fn at(step: Option<u64>, epoch: Option<f64>) -> Result<At> {
    match (step, epoch) {
        (Some(step), _) => Ok(At::Step(step)),
        (None, Some(epoch)) if epoch >= 0.0 && epoch.is_finite() => Ok(At::Epoch(epoch)),
        (None, Some(epoch)) => bail!("--at-epoch {epoch}: must be a number, 0 or more"),
        (None, None) => Ok(At::Once),
    }
}
