//! Ctrl-C: the first asks for a stop that keeps everything, the second ends the program.

use anyhow::{Context, Result};
use pixelrate_trainer::train::Stop;

/// A stop that Ctrl-C (or SIGTERM) asks for.
pub(crate) fn stop() -> Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.asked() {
            std::process::exit(130);
        }
        asked.ask();
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
