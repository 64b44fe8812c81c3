//! `pixelrate pace`, hidden: a process whose pace a study measures.

use std::process::ExitCode;

use anyhow::Result;
use pixelrate_study::split;

/// Train as told on standard input, and tell how quickly: what a study hands to its processes.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    split::serve(std::io::stdin())?;
    Ok(ExitCode::SUCCESS)
}
