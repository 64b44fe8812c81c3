//! `pixelrate preview`: what a schedule looks like.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pixelrate_sandbox::{
    Engine, EngineOptions, GuardOptions, Limits, Pictures, RunFacts, Schedule, TrainingValues,
    Value,
};
use pixelrate_study::figure::{self, Series};

/// Draw schedules, learning rate against step, into an SVG.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate preview cyclic image:image=mona_lisa,order=hilbert --steps 10000 --out rates.svg"
)]
pub(crate) struct Args {
    /// Schedules: a built-in one or a file, and its parameters after a colon: NAME:KEY=VALUE,KEY=VALUE.
    #[arg(required = true)]
    schedules: Vec<String>,
    /// Steps of the run.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// Steps of an epoch.
    #[arg(long, default_value_t = 391)]
    steps_per_epoch: u64,
    /// Folder of pictures of your own.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Where the picture goes.
    #[arg(long, default_value = "preview.svg")]
    out: PathBuf,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.steps == 0 || args.steps_per_epoch == 0 {
        bail!("--steps and --steps-per-epoch must be at least 1");
    }
    let engine = Engine::new(&EngineOptions::default())?;
    let mut series = Vec::new();
    for text in &args.schedules {
        series.push(rates(&engine, args, text).with_context(|| format!("schedule {text}"))?);
    }
    figure::panels(
        &args.out,
        "Learning rates",
        "step",
        "learning rate",
        &series,
    )?;
    println!("{}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn rates(engine: &Engine, args: &Args, text: &str) -> Result<Series> {
    let (name, params) = text.split_once(':').unwrap_or((text, ""));
    let given: Vec<String> = params
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(str::to_owned)
        .collect();
    let params = crate::run::params(&given)?;
    let shown = params.values().find_map(|value| {
        if let Value::Text(text) = value {
            Some(text.clone())
        } else {
            None
        }
    });
    let facts = RunFacts {
        total_steps: args.steps,
        steps_per_epoch: args.steps_per_epoch,
        train_examples: args.steps_per_epoch * 128,
        batch_size: 128,
        seed: 0,
        params,
        pictures: Pictures::new(args.pictures.clone())
            .with_fallback(|name| pixelrate_trainer::pictures::builtin(name, &Limits::default())),
    };
    let plugin = engine.load(name)?;
    let guard = GuardOptions {
        max_learning_rate: f64::MAX,
        ..GuardOptions::default()
    };
    let mut schedule = Schedule::start(&plugin, &facts, &Limits::default(), &guard)?;
    let mut points = Vec::new();
    for step in 0..args.steps {
        points.push((
            step as f64,
            schedule.step(step, TrainingValues::NONE)?.learning_rate,
        ));
    }
    Ok(Series {
        name: shown.unwrap_or_else(|| plugin.name().to_owned()),
        points,
        band: Vec::new(),
    })
}
