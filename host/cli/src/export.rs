//! `pixelrate export`: runs in the formats of other trackers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use pixelrate_export::{Format, export};
use pixelrate_study::runs::{self, Filter};

/// Write runs as TensorBoard's event files, as CSV, for MLflow, or for Weights & Biases.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pixelrate export runs/demo --format tensorboard --out board   # tensorboard --logdir board
  pixelrate export runs/demo --format mlflow --out mlruns       # then, for MLflow's newer stores:
      mlflow migrate-filestore --source mlruns --target sqlite:///mlflow.db
  pixelrate export runs/demo --format wandb --out wb            # python wb/import.py; needs `pip install wandb`
  pixelrate export runs/demo/cyclic-seed0 --format csv --out tables")]
pub(crate) struct Args {
    /// The folder of a run, of a study, or of all studies.
    path: PathBuf,
    /// tensorboard, csv, wandb or mlflow.
    #[arg(long)]
    format: Format,
    /// The folder to write into; made if it is not there. What was exported there before is written anew.
    #[arg(long)]
    out: PathBuf,
    /// Only runs that match (repeatable); KEY is run, study, schedule (its label), seed, dataset, model or state.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let found = runs::pick(&args.path, &args.filters)?;
    let folders: Vec<PathBuf> = found.iter().map(|run| run.path().to_owned()).collect();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left, {wide_msg}")?;
    let bar = ProgressBar::new(folders.len() as u64).with_style(style);
    let written = export(&folders, args.format, &args.out, &mut |progress| {
        bar.set_position(progress.index as u64);
        bar.set_message(format!(
            "{}, step {}",
            progress.run.display(),
            progress.steps
        ));
    })?;
    bar.finish_and_clear();
    println!(
        "{}: {} runs, {} steps",
        args.out.display(),
        written.runs,
        written.steps
    );
    Ok(ExitCode::SUCCESS)
}
