//! `pixelrate check`: whether a plugin conforms.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_sandbox::conformance::{self, Check, Costs, Examination, Verdict};
use pixelrate_sandbox::{GuardOptions, Limits, Plugin};
use serde::Serialize;

use crate::{table, trial};

/// Run the conformance suite on a plugin: the same code admits plugins to training.
///
/// It is loaded, started, and called for every step of a run (100,000 at most), also in fresh instances and with its
/// state saved and restored; then in a run of one step and in one of 10^12. The exit code is 0 if nothing failed.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate check my-schedule.wasm --param max_lr=0.1\n         pixelrate check image --param image=puppy --json"
)]
pub(crate) struct Args {
    /// A .wasm or .wat file, a built-in schedule, or a composition (.toml).
    plugin: String,
    #[command(flatten)]
    trial: trial::Args,
    /// The highest learning rate that is taken.
    #[arg(long, default_value_t = GuardOptions::default().max_learning_rate)]
    max_learning_rate: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints, however it goes: what is not known is left out, or empty.
#[derive(Serialize)]
struct Told<'a> {
    plugin: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    /// The contract's version that its imports name.
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<&'a str>,
    exports: Vec<&'static str>,
    imports: &'a [String],
    /// Why it did not pass, or could not even be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    checks: &'a [Check],
    #[serde(skip_serializing_if = "Option::is_none")]
    costs: Option<Costs>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut plugin = None;
    let found = examined(args, &mut plugin);
    let passed = found.as_ref().is_ok_and(Examination::passed);
    if args.json {
        let told = told(args, plugin.as_ref(), &found);
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        let found = found?;
        if let Some(plugin) = &plugin {
            print(plugin, &found);
        }
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the suite; `plugin` is there as soon as it is loaded, whatever follows.
fn examined(args: &Args, plugin: &mut Option<Plugin>) -> Result<Examination> {
    let guard = GuardOptions {
        max_learning_rate: args.max_learning_rate,
        ..GuardOptions::default()
    };
    if !(args.max_learning_rate > 0.0 && args.max_learning_rate.is_finite()) {
        let given = args.max_learning_rate;
        anyhow::bail!("--max-learning-rate {given}: must be a finite number above 0");
    }
    let plugin = plugin.insert(trial::load(&trial::engine()?, &args.plugin)?);
    let facts = args.trial.facts(plugin)?;
    Ok(conformance::examine(
        plugin,
        &facts,
        &Limits::default(),
        &guard,
    ))
}

fn told<'a>(
    args: &'a Args,
    plugin: Option<&'a Plugin>,
    found: &'a Result<Examination>,
) -> Told<'a> {
    let name = plugin.map_or(args.plugin.as_str(), Plugin::name);
    let failure = |found: &Examination| {
        let check = found.first_failure()?;
        Some(format!(
            "{name} does not conform ({}): {}",
            check.name, check.detail
        ))
    };
    let (error, checks, costs) = match found {
        Ok(found) => (failure(found), found.checks.as_slice(), Some(found.costs)),
        Err(problem) => (Some(crate::told(problem)), &[][..], None),
    };
    Told {
        plugin: name,
        passed: error.is_none(),
        sha256: plugin.map(Plugin::sha256),
        contract: plugin.and_then(Plugin::contract),
        exports: plugin.map_or_else(Vec::new, |plugin| plugin.exports().names().collect()),
        imports: plugin.map_or(&[], Plugin::imports),
        error,
        checks,
        costs,
    }
}

/// The table, and a line that says what it comes to.
pub(crate) fn print(plugin: &Plugin, found: &Examination) {
    let mut table = table::table();
    for check in &found.checks {
        let word = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Note => "note",
            Verdict::Fail => "FAIL",
        };
        table.add_row([word, check.name, &check.detail]);
    }
    for (name, value) in costs(&found.costs) {
        table.add_row(["", name, &value]);
    }
    table::wrap(&mut table, &[2]);
    println!("{table}");
    let (name, hash) = (plugin.name(), plugin.sha256());
    let short = hash.get(..12).unwrap_or(hash);
    match found.first_failure() {
        None => println!("{name} ({short}) conforms"),
        Some(check) => println!("{name} ({short}) does NOT conform: {}", check.name),
    }
}

fn costs(costs: &Costs) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("size", format!("{} bytes", costs.bytes)),
        ("compile", format!("{:.1} ms", costs.compile_ms)),
        ("start", format!("{:.2} ms", costs.start_ms)),
    ];
    if costs.steps > 0 {
        rows.push((
            "time per step",
            format!(
                "{} ns, {} ns at worst",
                costs.call_ns_median, costs.call_ns_worst
            ),
        ));
        rows.push((
            "fuel per step",
            format!("{}, {} at most", costs.fuel_median, costs.fuel_worst),
        ));
    }
    rows
}
