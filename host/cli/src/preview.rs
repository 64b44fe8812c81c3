//! `pixelrate preview`: what schedules look like.

mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use pixelrate_sandbox::{
    Engine, EngineOptions, GuardOptions, Limits, ParameterKind, Plugin, RunFacts, Schedule,
    TrainingValues, Value,
};
use pixelrate_study::figure::{self, Series};
use pixelrate_study::plan::{self, plan};
use pixelrate_study::scan;
use pixelrate_study::spec::StudyFile;
use serde::Serialize;

use crate::{table, trial};

/// Draw schedules, learning rate against step: in the terminal, and to a file.
#[derive(clap::Args)]
#[command(
    after_help = "Examples: pixelrate preview cyclic image:image=mona_lisa,order=hilbert --steps 10000\n          pixelrate preview experiments/demo.toml --out rates.png\n          pixelrate preview image:image=mona_lisa,order=gilbert,fit=linear --scan scan.png"
)]
pub(crate) struct Args {
    /// Schedules: a built-in one, a plugin's or composition's file, and parameters after a colon, NAME:KEY=VALUE,KEY=VALUE;
    /// a composition's TOML itself; or a study's TOML, all of whose schedules are drawn as its first seed has them.
    #[arg(required = true)]
    schedules: Vec<String>,
    #[command(flatten)]
    run: trial::Run,
    /// Draw to this file, .png or .svg, instead of the terminal.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Draw how the one schedule, `image`, scans its picture, with its learning rates beneath, to this file, .png or
    /// .svg.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "json"])]
    scan: Option<PathBuf>,
    /// Print the learning rates as JSON instead of drawing them.
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

/// One schedule as JSON.
#[derive(Serialize)]
struct Rates<'a> {
    schedule: &'a str,
    /// By step, from 0.
    learning_rate: Vec<f64>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    for (option, file) in [("--out", &args.out), ("--scan", &args.scan)] {
        file.as_deref()
            .map_or(Ok(()), |file| drawable(option, file))?;
    }
    let engine = trial::engine()?;
    if let Some(out) = &args.scan {
        let [text] = args.schedules.as_slice() else {
            bail!(
                "--scan draws one schedule, but {} were given",
                args.schedules.len()
            );
        };
        scan_of(&engine, args, text, out).with_context(|| format!("schedule {text}"))?;
        println!("{}", out.display());
        return Ok(ExitCode::SUCCESS);
    }
    let is_study = |text: &String| StudyFile::is(Path::new(text));
    if args.schedules.iter().all(is_study)
        && let Some(option) = args.run.given()
    {
        bail!(
            "{option} is for schedules by their names: a study's are drawn as its file has them, so change it there"
        );
    }
    let mut series = Vec::new();
    for text in &args.schedules {
        if is_study(text) {
            of_study(Path::new(text), &mut series)?;
        } else {
            let one = of_name(&engine, args, text).with_context(|| format!("schedule {text}"));
            series.push(one?);
        }
    }
    if args.json {
        let rates: Vec<_> = series
            .iter()
            .map(|line| Rates {
                schedule: &line.name,
                learning_rate: line.points.iter().map(|point| point.1).collect(),
            })
            .collect();
        println!("{}", serde_json::to_string(&rates)?);
    } else if let Some(out) = &args.out {
        let (title, x, y) = ("Learning rates", "step", "learning rate");
        figure::panels(out, title, x, y, &series)?;
        println!("{}", out.display());
    } else {
        let width = table::width().unwrap_or(80);
        series
            .iter()
            .for_each(|line| println!("{}", terminal::chart(line, width.clamp(40, 160))));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a picture can be drawn to `out`.
pub(crate) fn drawable(option: &str, out: &Path) -> Result<()> {
    let known = |end: &std::ffi::OsStr| end == "svg" || end == "png";
    if !out.extension().is_some_and(known) {
        bail!(
            "{option} {}: a picture's name ends in .svg or .png",
            out.display()
        );
    }
    Ok(())
}

/// Every schedule of a study, as its first seed has it, under the study's own guard and limits.
fn of_study(path: &Path, series: &mut Vec<Series>) -> Result<()> {
    let plan = trial::busy(trial::PLANNING, || plan(path))?;
    let seed = plan.runs.first().map(|run| run.seed);
    for run in plan.runs.iter().filter(|run| Some(run.seed) == seed) {
        let engine = Engine::new(&EngineOptions::from(&run.limits))?;
        let plugin = pixelrate_compose::load(&engine, &run.schedule.plugin)?;
        tell_what_lacks(&plugin, &run.label);
        let (facts, guard) = (plan::facts(run), run.schedule.guard());
        let mut schedule = Schedule::start(&plugin, &facts, &run.limits, &guard)?;
        series.push(Series {
            name: run.label.clone(),
            points: points(&mut schedule, facts.total_steps)?,
            band: Vec::new(),
            marks: Vec::new(),
        });
    }
    Ok(())
}

/// A plugin, what it is told, and what its picture is called, if it has one.
fn named(engine: &Engine, args: &Args, text: &str) -> Result<(Plugin, RunFacts, Option<String>)> {
    let (name, params) = match text.split_once(':') {
        Some(both) if !pixelrate_compose::is_inline(text) => both,
        _ => (text, ""),
    };
    let given: Vec<String> = params
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(str::to_owned)
        .collect();
    let params = crate::run::params(&given)?;
    let plugin = trial::load(engine, name)?;
    let mut pictures = plugin.parameters().iter();
    let shown = pictures
        .find(|parameter| parameter.kind == ParameterKind::Picture)
        .and_then(|parameter| match params.get(&parameter.name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        });
    Ok((plugin, args.run.facts(params)?, shown))
}

/// Draws the scan of `image` over its picture.
fn scan_of(engine: &Engine, args: &Args, text: &str, out: &Path) -> Result<()> {
    let (plugin, facts, shown) = named(engine, args, text)?;
    let title = shown.as_deref().unwrap_or(plugin.name());
    let svg = trial::busy("drawing the scan", || {
        scan::svg(&plugin, &facts, &Limits::default(), title)
    })?;
    let Some(svg) = svg else {
        bail!("--scan: {}", scan::ONLY_IMAGE);
    };
    Ok(scan::write(out, &svg)?)
}

fn of_name(engine: &Engine, args: &Args, text: &str) -> Result<Series> {
    let (plugin, facts, shown) = named(engine, args, text)?;
    tell_what_lacks(&plugin, plugin.name());
    let guard = GuardOptions {
        max_learning_rate: f64::MAX,
        ..GuardOptions::default()
    };
    let mut schedule = Schedule::start(&plugin, &facts, &Limits::default(), &guard)?;
    Ok(Series {
        name: shown.unwrap_or_else(|| plugin.name().to_owned()),
        points: points(&mut schedule, facts.total_steps)?,
        band: Vec::new(),
        marks: Vec::new(),
    })
}

/// Tells of a schedule that goes by what training measures that there is no such thing here.
fn tell_what_lacks(plugin: &Plugin, name: &str) {
    let reads = [
        (plugin.reads_training(), "losses and accuracies"),
        (plugin.reads_weights(), "the norm of the weights"),
    ];
    for (_, what) in reads.into_iter().filter(|(reads, _)| *reads) {
        eprintln!(
            "{name} reads {what}, which only a run has: it is drawn as it is until it has seen any"
        );
    }
}

/// The learning rate of every step; a bar shows on a terminal while it takes long.
fn points(schedule: &mut Schedule, steps: u64) -> Result<Vec<(f64, f64)>> {
    let bar = ProgressBar::new(steps);
    let mut points = Vec::new();
    for step in 0..steps {
        let answer = schedule.step(step, TrainingValues::NONE)?;
        points.push((step as f64, answer.learning_rate));
        // Nobody reads here what it logs, and that must not pile up.
        schedule.drain_events();
        if step % 100_000 == 99_999 {
            bar.set_position(step);
        }
    }
    bar.finish_and_clear();
    Ok(points)
}
