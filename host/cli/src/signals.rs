//! Ctrl-C: the first asks for a stop that keeps everything, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use pixelrate_trainer::train::Stop;

/// Calls `act` when Ctrl-C (or SIGTERM, or the terminal's end) comes, instead of ending. The terminal's end and Ctrl-C stay
/// ignored where they were when the program began, as under `nohup`, and as in the runs of a study.
pub(crate) fn on_interrupt(act: impl Fn() + Send + 'static) -> Result<()> {
    let ignored = [libc::SIGHUP, libc::SIGINT].map(|signal| (signal, is_ignored(signal)));
    ctrlc::set_handler(act).context("cannot listen for Ctrl-C")?;
    for (signal, _) in ignored.into_iter().filter(|(_, ignored)| *ignored) {
        // SAFETY: `SIG_IGN` is no function that could run at a wrong moment.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    Ok(())
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: Without a new action it only writes the one in force; zeros are a valid one, should it fail.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// A stop that Ctrl-C (or another of [`on_interrupt`]'s signals) asks for.
pub(crate) fn stop() -> Result<Stop> {
    let stop = Stop::default();
    let asked = stop.clone();
    // The stop may also be asked for by whoever started this process: that is no Ctrl-C before this one.
    let interrupted = AtomicBool::new(false);
    on_interrupt(move || {
        if interrupted.swap(true, Ordering::Relaxed) {
            // SAFETY: It ends the process and runs none of its code. `exit` would run libtorch's destructors while other threads
            // still compute with what they destroy.
            unsafe { libc::_exit(130) };
        }
        asked.ask();
    })?;
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
