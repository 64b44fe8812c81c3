//! Ctrl-C: the first asks for a stop that keeps everything, the second ends the program.

use anyhow::{Context, Result};
use pixelrate_trainer::train::Stop;

/// Calls `act` when Ctrl-C (or SIGTERM) comes, instead of ending.
pub(crate) fn on_interrupt(act: impl Fn() + Send + 'static) -> Result<()> {
    ctrlc::set_handler(act).context("cannot listen for Ctrl-C")
}

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

/// Asks for a stop when standard input ends: when whoever started this process asks for one, or is gone.
pub(crate) fn stop_when_input_ends(stop: &Stop) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop.ask();
    });
}
