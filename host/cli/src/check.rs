//! `pixelrate check`: what a plugin is.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use pixelrate_sandbox::{
    Engine, EngineOptions, GuardOptions, Limits, RunFacts, Schedule, TrainingValues,
};
use serde_json::json;

use crate::run;

/// Load a plugin as the trainer does, ask it for a few steps, and report on it.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate check my-schedule.wasm --param peak=0.1")]
pub(crate) struct Args {
    /// A .wasm or .wat file, or a built-in schedule.
    plugin: String,
    /// A parameter of the schedule; may be given again.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Steps that are asked for.
    #[arg(long, default_value_t = 1000)]
    steps: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let engine = Engine::new(&EngineOptions::default())?;
    let plugin = engine.load(&args.plugin)?;
    let facts = RunFacts {
        total_steps: args.steps,
        steps_per_epoch: args.steps.div_ceil(10),
        train_examples: 128 * args.steps.div_ceil(10),
        batch_size: 128,
        seed: 0,
        params: run::params(&args.params)?,
        pictures: pixelrate_sandbox::Pictures::default()
            .with_fallback(|name| pixelrate_trainer::pictures::builtin(name, &Limits::default())),
    };
    let began = Instant::now();
    let mut schedule = Schedule::start(
        &plugin,
        &facts,
        &Limits::default(),
        &GuardOptions::default(),
    )?;
    let start_time = began.elapsed();
    let (mut most_fuel, mut rates) = (0, Vec::new());
    let began = Instant::now();
    for step in 0..args.steps {
        rates.push(schedule.step(step, TrainingValues::NONE)?.learning_rate);
        most_fuel = most_fuel.max(schedule.fuel_used());
    }
    let call_ns = began.elapsed().as_nanos() as f64 / args.steps.max(1) as f64;
    let (low, high) = rates
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), &rate| {
            (low.min(rate), high.max(rate))
        });
    let facts = json!({
        "plugin": plugin.name(),
        "sha256": plugin.sha256(),
        "bytes": plugin.bytes().len(),
        "kind": if plugin.lifted() { "core module, lifted" } else { "component" },
        "exports": plugin.exports(),
        "imports": plugin.imports(),
        "reads_training": plugin.reads_training(),
        "parameters": plugin.parameters(),
        "compile_ms": plugin.compile_time().as_secs_f64() * 1e3,
        "start_ms": start_time.as_secs_f64() * 1e3,
        "steps": args.steps,
        "call_ns_mean": call_ns,
        "fuel_a_call_most": most_fuel,
        "learning_rate_least": low,
        "learning_rate_most": high,
    });
    if args.json {
        println!("{}", serde_json::to_string_pretty(&facts)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} is a good plugin", plugin.name());
    if let Some(facts) = facts.as_object() {
        for (key, value) in facts.iter().filter(|(key, _)| *key != "parameters") {
            println!(
                "  {:20} {}",
                key.replace('_', " "),
                value.to_string().trim_matches('"')
            );
        }
    }
    for parameter in plugin.parameters() {
        let default = parameter
            .default
            .map_or_else(String::new, |value| format!(" (default {value})"));
        println!("  {:20} {}{default}", parameter.name, parameter.doc);
    }
    Ok(ExitCode::SUCCESS)
}
