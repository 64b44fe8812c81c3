//! `pixelrate report`: what a study came to.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_study::report::{self, Options};

/// Report on a study: what can be claimed, tables with error bars, curves and pictures, as one HTML page and in Markdown.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate report runs/demo --baseline cyclic --target 0.9")]
pub(crate) struct Args {
    /// The study's folder.
    folder: PathBuf,
    /// Where the report goes [default: FOLDER/report].
    #[arg(long)]
    out: Option<PathBuf>,
    /// The schedule that the others are compared with [default: the study's `baseline`, or its first schedule].
    #[arg(long, value_name = "LABEL")]
    baseline: Option<String>,
    /// The target (0 to 1) of the time to accuracy [default: the study's `target`, or the lowest final accuracy of
    /// the baseline's finished runs].
    #[arg(long, value_name = "SHARE")]
    target: Option<f64>,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.folder.join("report"));
    let options = Options {
        baseline: args.baseline.clone(),
        target: args.target,
    };
    let report = report::report(&args.folder, &out, &options.over_study(&args.folder)?)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.markdown);
        report
            .files
            .iter()
            .for_each(|file| println!("{}", file.display()));
    }
    for problem in &report.unread {
        eprintln!("error: {problem}");
    }
    Ok(if report.unread.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
