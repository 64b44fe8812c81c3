//! `pixelrate build`: a plugin's folder through its language's own compiler, and then the conformance suite.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_author::compile;
use pixelrate_author::manifest::{Manifest, Param, Test};
use pixelrate_sandbox::conformance::{self, Verdict};
use pixelrate_sandbox::{GuardOptions, Limits, Plugin, Value};

use crate::{check, trial};

/// Compile the schedule in a folder that `pixelrate new` made, then run the conformance suite and the folder's tests on it.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate build my-schedule")]
pub(crate) struct Args {
    /// The folder that holds pixelrate.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Compile only.
    #[arg(long)]
    no_check: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let manifest = Manifest::read(&args.folder)?;
    let file = compile::build(&args.folder, &manifest, &mut |step| eprintln!("$ {step}"))?;
    if args.no_check {
        println!("{}", file.display());
        return Ok(ExitCode::SUCCESS);
    }
    let plugin = trial::load(&trial::engine()?, &file.to_string_lossy())?;
    let tests = manifest.test.iter().map(|test| of_test(&plugin, test));
    let tests: Vec<conformance::Trial> = tests.collect::<Result<_>>()?;
    let facts = match tests.first() {
        Some(test) => test.facts.clone(),
        None => {
            let mut facts = trial::facts(10_000, 391, Default::default(), None)?;
            trial::fill_pictures(&plugin, &mut facts);
            facts
        }
    };
    let (limits, guard) = (Limits::default(), GuardOptions::default());
    let mut found = conformance::examine(&plugin, &facts, &limits, &guard);
    for (number, test) in tests.iter().enumerate() {
        let mut check = conformance::rates(&plugin, test, &limits, &guard);
        check.detail = format!("{}: {}", number + 1, check.detail);
        found.checks.push(check);
    }
    check::print(&plugin, &found);
    let failed = found
        .checks
        .iter()
        .any(|check| check.verdict == Verdict::Fail);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A test of the manifest as the sandbox runs it. A picture that it leaves out is a built-in one.
fn of_test(plugin: &Plugin, test: &Test) -> Result<conformance::Trial> {
    let params = test.params.iter().map(|(name, value)| {
        let value = match value {
            Param::Number(number) => Value::Number(*number),
            Param::Text(text) => Value::Text(text.clone()),
        };
        (name.clone(), value)
    });
    let mut facts = trial::facts(
        test.total_steps,
        test.steps_per_epoch,
        params.collect(),
        None,
    )?;
    trial::fill_pictures(plugin, &mut facts);
    Ok(conformance::Trial {
        facts,
        // The manifest was read with these checked.
        rates: test.rates().unwrap_or_default(),
        tolerance: test.tolerance,
    })
}
