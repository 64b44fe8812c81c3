//! `pixelrate run`: one run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pixelrate_runlog::{EvalRow, EventKind, EventRow};
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_study::engine::{Beat, News};
use pixelrate_study::names::plain;
use pixelrate_study::runs::{self, RunFolder};
use pixelrate_trainer::spec::{Found, RunSpec, ScheduleSpec};
use pixelrate_trainer::train::{self, Ending, Herald, Observer, Outcome, Progress};

use crate::{signals, training, trial};

/// Train one run under one schedule. Training keys without a flag, such as momentum and label_smoothing, can only be
/// set in a study's TOML.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate run --schedule cyclic --param max_lr=0.1 --dataset synthetic --model convnet --epochs 4"
)]
pub(crate) struct Args {
    /// A built-in schedule (cosine, cyclic, fixed, image, onecycle, piecewise, plateau, wsd and more:
    /// plugins/README.md), a .wasm or .wat file, or a composition: a .toml file, or its TOML, as '{ plugin = "cyclic",
    /// warmup = { epochs = 1 } }'.
    #[arg(long, required_unless_present_any = ["spec", "resume"])]
    schedule: Option<String>,
    /// A parameter of the schedule (repeatable).
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    #[command(flatten)]
    training: training::Args,
    /// Passes over the training set.
    #[arg(long, default_value_t = 4.0)]
    epochs: f64,
    /// Seed of the initial weights, the data order, augmentation, dropout and the sandbox's random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The highest learning rate that the trainer accepts; a higher one is a fault.
    #[arg(long, default_value_t = 10.0)]
    max_learning_rate: f64,
    /// Go on with the last good value after a fault, instead of ending the run.
    #[arg(long)]
    hold: bool,
    /// Folder of your own pictures; they go before built-in ones of the same name.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Do not swap the schedule when its file changes.
    #[arg(long)]
    no_watch: bool,
    /// The run's folder (default: `runs/run/<schedule>-seed<seed>`).
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// A resolved run, as JSON: what a study hands to its processes.
    #[arg(long, hide = true)]
    spec: Option<PathBuf>,
    /// Go on with the run in this folder.
    #[arg(long, hide = true)]
    resume: Option<PathBuf>,
    /// Write progress to standard output as lines of JSON, and stop when standard input ends.
    #[arg(long, hide = true)]
    beats: bool,
    /// Stop before this step, as if asked to: what a search hands to its processes.
    #[arg(long, hide = true)]
    until: Option<u64>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut stop = signals::stop()?;
    if let Some(step) = args.until {
        stop = stop.before(step);
    }
    let mut bar = Bar::new();
    let mut beats = Beats;
    let observer: &mut dyn Observer = if args.beats { &mut beats } else { &mut bar };
    if args.beats {
        signals::stop_when_input_ends(&stop);
    }
    if let Some(folder) = &args.resume {
        return Ok(end(
            &train::resume(folder, observer, &stop)?,
            folder,
            args.json,
            args.beats,
        ));
    }
    let spec = match &args.spec {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not a run", file.display()))?
        }
        None => from_flags(args)?,
    };
    let folder = args
        .folder
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&spec.study).join(&spec.run));
    if let Err(runs::Error::Many { first, .. }) = RunFolder::open(&folder) {
        bail!(
            "{} holds runs, such as {}: name a folder of the run's own",
            folder.display(),
            first.display()
        );
    }
    let outcome = train::begin(&spec, &folder, observer, &stop)?;
    Ok(end(&outcome, &folder, args.json, args.beats))
}

/// Tells how the run ended, and what to do next.
pub(crate) fn end(outcome: &Outcome, folder: &Path, json: bool, quiet: bool) -> ExitCode {
    if json
        && let Some(text) = outcome
            .summary
            .as_ref()
            .and_then(|row| serde_json::to_string_pretty(row).ok())
    {
        println!("{text}");
    }
    match (outcome.ending, &outcome.summary) {
        _ if quiet => {}
        (Ending::Stopped, _) => {
            eprintln!("stopped: `pixelrate resume {}` continues", folder.display())
        }
        (ending, Some(row)) if !json => {
            let accuracy = row
                .final_eval_accuracy
                .map_or_else(|| "–".to_owned(), |value| format!("{:.2} %", 100.0 * value));
            let word = if ending == Ending::Diverged {
                "diverged"
            } else {
                "finished"
            };
            println!(
                "{word} after {} steps: accuracy {accuracy}, {:.1} s, in {}",
                row.steps_done,
                row.wall_seconds,
                folder.display()
            );
        }
        _ => {}
    }
    if outcome.ending == Ending::Stopped && !quiet {
        ExitCode::from(130)
    } else {
        ExitCode::SUCCESS
    }
}

/// Reads `name=value`: a number, or else a name.
pub(crate) fn params(given: &[String]) -> Result<BTreeMap<String, Value>> {
    let mut params = BTreeMap::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            bail!("--param {text}: write it as NAME=VALUE");
        };
        let value = value
            .parse()
            .map_err(|problem| anyhow!("--param {text}: {problem}"))?;
        if params.insert(name.to_owned(), value).is_some() {
            bail!("`--param {name}` is given twice: give it once");
        }
    }
    Ok(params)
}

fn from_flags(args: &Args) -> Result<RunSpec> {
    let plugin = args.schedule.clone().unwrap_or_default();
    let plugin = pixelrate_compose::located(&plugin, Path::new(""));
    let label = plain(&pixelrate_compose::name(&plugin));
    // Two runs of one schedule in two folders are two runs, for whoever joins tables by their names.
    let folder = args.folder.as_deref().and_then(Path::file_name);
    let run = match folder {
        Some(name) => plain(&name.to_string_lossy()),
        None => format!("{label}-seed{}", args.seed),
    };
    let training = args.training.resolve(args.epochs)?;
    args.pictures
        .as_deref()
        .map(trial::is_picture_folder)
        .transpose()?;
    Ok(RunSpec {
        study: "run".to_owned(),
        run,
        label,
        label_index: 0,
        seed: args.seed,
        training,
        schedule: ScheduleSpec {
            plugin,
            params: params(&args.params)?,
            // As it is seen from wherever the run is taken up.
            picture_folder: args
                .pictures
                .as_deref()
                .map(std::path::absolute)
                .transpose()?,
            max_learning_rate: args.max_learning_rate,
            on_fault: if args.hold {
                OnFault::Hold
            } else {
                OnFault::Abort
            },
            rollback_steps: ScheduleSpec::default_rollback_steps(),
        },
        limits: Limits::default(),
        watch: !args.no_watch,
        tuned: None,
        parent: None,
    })
}

/// A progress bar, for a person.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}  {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(1).with_style(style);
        // The data set is read, and a schedule of some languages compiled for seconds.
        bar.set_message("preparing");
        bar.tick();
        Self(bar)
    }

    /// Shows a line that stays.
    fn say(&self, line: &str) {
        say_above(&self.0, line);
    }
}

/// Shows a line that stays above a bar; where the bar is not shown, since no terminal is there, the line alone.
fn say_above(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}

impl Observer for Bar {
    fn started(&mut self, found: &Found, first_step: u64) {
        self.0.set_length(found.total_steps);
        self.0.set_position(first_step);
        self.0.reset_eta();
    }

    fn progress(&mut self, progress: &Progress) {
        self.0.set_position(progress.step);
        let loss = progress
            .train_loss
            .map_or_else(String::new, |loss| format!("loss {loss:.3}  "));
        (self.0).set_message(format!("{loss}rate {:.2e}", progress.learning_rate));
    }

    fn evaluated(&mut self, row: &EvalRow) {
        self.say(&format!(
            "epoch {:6.2}: {} loss {:.4}, accuracy {:.2} %",
            row.epoch,
            row.split,
            row.loss,
            100.0 * row.accuracy
        ));
    }

    fn event(&mut self, row: &EventRow) {
        if let Some(News { news }) = News::of(row) {
            self.say(&news);
        }
    }

    fn herald(&self) -> Option<Herald> {
        let bar = self.0.clone();
        Some(News::herald(move |News { news }| say_above(&bar, &news)))
    }
}

fn print_line(value: &impl serde::Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        // Whoever listened may be gone: the run goes on all the same.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// Lines of JSON, for a study's own process.
struct Beats;

impl Observer for Beats {
    fn progress(&mut self, progress: &Progress) {
        print_line(&Beat::from(progress));
    }

    fn event(&mut self, row: &EventRow) {
        // A schedule's own lines are for its log: many runs side by side would flood the screen.
        if row.kind != EventKind::Log
            && let Some(news) = News::of(row)
        {
            print_line(&news);
        }
    }

    fn herald(&self) -> Option<Herald> {
        Some(News::herald(|news| print_line(&news)))
    }
}
