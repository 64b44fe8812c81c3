//! `pixelrate report`: what a study came to.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_study::report;

/// The table with its error bars, and the pictures, of a study's runs.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate report runs/demo")]
pub(crate) struct Args {
    /// The study's folder.
    folder: PathBuf,
    /// Where the report goes [default: FOLDER/report].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.folder.join("report"));
    let report = report::report(&args.folder, &out)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.markdown);
        report
            .files
            .iter()
            .for_each(|file| println!("{}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}
