//! `pixelrate fork`: schedules compared from one point of a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ArgGroup;
use pixelrate_study::Error;
use pixelrate_study::engine::{self, RunEnd};
use pixelrate_study::fork::{self, Branch};
use pixelrate_study::plan::Plan;
use pixelrate_study::report::Options;
use pixelrate_study::runs::RunFolder;
use pixelrate_study::split;
use pixelrate_study::steer::{At, Wish};

use crate::{chosen, run, signals, swap};

/// Fork runs at a step: start a new run from there for each schedule, and train it to the end.
#[derive(clap::Args)]
#[command(
    group = ArgGroup::new("offer").required(true).multiple(true),
    after_help = "Example: pixelrate fork runs/demo/cyclic-seed0 --at-step 500 --schedule fixed --schedule a.wasm"
)]
pub(crate) struct Args {
    #[command(flatten)]
    runs: chosen::Args,
    /// The first step under the new schedules [default: that of the run's newest checkpoint].
    #[arg(long, conflicts_with = "at_epoch")]
    at_step: Option<u64>,
    /// The same, in epochs (passes over the training set).
    #[arg(long)]
    at_epoch: Option<f64>,
    /// A built-in schedule, a .wasm or .wat file, or a composition (.toml); each gives a run of its own. Without any,
    /// the schedule in force continues with the parameters given.
    #[arg(long = "schedule", group = "offer")]
    schedules: Vec<String>,
    /// A parameter of the schedules (repeatable).
    #[arg(long = "param", value_name = "NAME=VALUE", group = "offer")]
    params: Vec<String>,
    /// Begin without the state of the run's own schedule.
    #[arg(long)]
    fresh: bool,
    /// Make the new runs' folders, but train nothing: `pixelrate resume` trains one.
    #[arg(long)]
    only_prepare: bool,
    /// Runs in parallel, at most 32 on a GPU [default: cores divided by threads per run; on a GPU 8].
    #[arg(long)]
    jobs: Option<usize>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let stop = signals::stop()?;
    let (params, at) = (
        run::params(&args.params)?,
        swap::at(args.at_step, args.at_epoch)?,
    );
    let named = args.schedules.iter().map(|name| Some(name.clone()));
    let names: Vec<Option<String>> = if args.schedules.is_empty() {
        vec![None]
    } else {
        named.collect()
    };
    let wishes: Vec<Wish> = names
        .into_iter()
        .map(|schedule| Wish {
            schedule,
            params: params.clone(),
            at,
            carry_state: !args.fresh,
        })
        .collect();
    // Those of a study train together.
    let mut studies: BTreeMap<PathBuf, Vec<Branch>> = BTreeMap::new();
    // The newest checkpoint of a run that is over stands at its end, where nothing is left to train.
    let runs = match at {
        At::Once => args.runs.folders()?,
        At::Step(_) | At::Epoch(_) => args.runs.begun()?,
    };
    let many = runs.folders.len() > 1;
    let mut code = ExitCode::SUCCESS;
    for folder in runs.folders {
        // Branches of an earlier call lie among them.
        if many && is_branch(&folder)? {
            continue;
        }
        let made = fork::fork(&folder, at, &wishes, &mut run::Bar::new(), &stop);
        let not_trained = || {
            if !studies.is_empty() {
                eprintln!(
                    "the forks above were created but not trained: `pixelrate resume FOLDER` trains one"
                );
            }
        };
        let made = match made {
            // One that never came to that step keeps no other from being forked.
            Err(problem @ Error::Fork { .. }) if many => {
                eprintln!("error: {problem}");
                code = ExitCode::FAILURE;
                continue;
            }
            made => made.inspect_err(|_| not_trained())?,
        };
        let Some(made) = made else {
            not_trained();
            return Ok(ExitCode::from(130));
        };
        for branch in made {
            println!("{}", branch.folder.display());
            let study = branch.folder.parent().unwrap_or(Path::new("")).to_owned();
            studies.entry(study).or_default().push(branch);
        }
    }
    if !args.only_prepare {
        for (study, branches) in studies {
            let trained = train(&study, branches, args.jobs, &stop)?;
            code = worse(code, trained);
        }
    }
    Ok(code)
}

/// Whether the run in `folder` was itself forked from another.
fn is_branch(folder: &Path) -> Result<bool> {
    let run = RunFolder::open(folder)?;
    Ok(run.file()?.is_some_and(|file| file.spec.parent.is_some()))
}

/// Of two exit codes the one to tell: a failure before an interruption, and that before success.
fn worse(one: ExitCode, other: ExitCode) -> ExitCode {
    if one == ExitCode::FAILURE || other == ExitCode::SUCCESS {
        one
    } else {
        other
    }
}

/// Trains the branches in a study's folder.
fn train(
    study: &Path,
    branches: Vec<Branch>,
    jobs: Option<usize>,
    stop: &pixelrate_trainer::train::Stop,
) -> Result<ExitCode> {
    let plan = Plan {
        name: branches[0].spec.study.clone(),
        jobs: None,
        threads_open: false,
        runs: branches.into_iter().map(|branch| branch.spec).collect(),
        builds: Vec::new(),
        report: Options::default(),
    };
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let jobs = split::by_rule(&plan.runs, jobs);
    let ends = engine::run(&plan, None, study, &program, jobs, stop)?;
    let mut code = ExitCode::SUCCESS;
    for (spec, end) in plan.runs.iter().zip(ends) {
        match end {
            RunEnd::Failed(problem) => {
                eprintln!("error: {} failed: {problem}", spec.run);
                code = ExitCode::FAILURE;
            }
            RunEnd::Stopped | RunEnd::Reached => {
                eprintln!(
                    "{} is not finished: `pixelrate resume` continues it",
                    spec.run
                );
                code = worse(code, ExitCode::from(130));
            }
            RunEnd::Finished | RunEnd::Diverged => {}
        }
    }
    eprintln!(
        "`pixelrate report {}` compares the forks with their trunks",
        study.display()
    );
    Ok(code)
}
