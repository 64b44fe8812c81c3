//! `pixelrate find-lr`: the learning-rate range test.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use pixelrate_study::range_test::{self, Ending, Options};
use serde::Serialize;

use crate::{preview, run, signals, training};

/// Find a learning rate to begin with: train for some steps under a rate that rises from far too low to far too high, and
/// see where the loss falls (the range test of Smith 2017, arXiv 1506.01186).
///
/// The run ends once the smoothed loss is four times its minimum, as in fastai's `lr_find`. After a stop, the same
/// command continues.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate find-lr --dataset synthetic --model convnet --optimizer adam --seeds 3"
)]
pub(crate) struct Args {
    #[command(flatten)]
    training: training::Args,
    /// The rate of the first step.
    #[arg(long, default_value_t = 1e-7)]
    min: f64,
    /// The rate of the last step.
    #[arg(long, default_value_t = 10.0)]
    max: f64,
    /// Steps of the test.
    #[arg(long, default_value_t = 200)]
    steps: u64,
    /// Raise the rate linearly, as in the paper, instead of exponentially.
    #[arg(long)]
    linear: bool,
    /// Number of runs: one per seed, counted from 0.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Where the runs' folders are made: `RUNS/find-lr/<run>`.
    #[arg(long, default_value = "runs")]
    runs: PathBuf,
    /// Draw to this file, .svg or .png [default: beside the runs].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the curve and the suggestions as JSON.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    tested: &'a range_test::Tested,
    picture: &'a PathBuf,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    args.out
        .as_deref()
        .map_or(Ok(()), |out| preview::drawable("--out", out))?;
    let options = Options {
        training: args.training.resolve(1.0)?,
        min: args.min,
        max: args.max,
        steps: args.steps,
        linear: args.linear,
        seeds: (0..args.seeds).collect(),
    };
    let stop = signals::stop()?;
    let Some(tested) = range_test::test(&options, &args.runs, &mut run::Bar::new(), &stop)? else {
        eprintln!("stopped: the same command continues");
        return Ok(ExitCode::from(130));
    };
    let picture = match &args.out {
        Some(out) => out.clone(),
        None => {
            let label = options.spec(0)?.label;
            args.runs
                .join(range_test::STUDY)
                .join(format!("{label}.svg"))
        }
    };
    let title = format!("Range test: {}", args.training.told());
    range_test::draw(&picture, &title, &tested)?;
    if args.json {
        let told = Told {
            tested: &tested,
            picture: &picture,
        };
        let text = serde_json::to_string_pretty(&told).context("cannot print the curve")?;
        println!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    for run in &tested.runs {
        let ending = match run.ending {
            Ending::Exploded => "its smoothed loss reached four times its minimum",
            Ending::Diverged => "its loss became NaN or infinite",
            Ending::Whole => "it reached the highest rate: a higher --max would show more",
        };
        println!("{}: {} steps; {ending}", run.folder.display(), run.steps);
    }
    let told = [
        "two thirds into the longest fall of the loss; fastai's default",
        "where the loss falls fastest; as fastai's `steep`, PyTorch Lightning, torch-lr-finder",
        "a tenth of the rate at the lowest loss; fastai's `minimum`",
    ];
    for ((name, suggestion), told) in tested.suggestions.all().iter().zip(told) {
        println!("{name:>12}: {:.2e}  ({told})", suggestion.learning_rate);
    }
    println!("{}", picture.display());
    Ok(ExitCode::SUCCESS)
}
