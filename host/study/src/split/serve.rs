//! A process whose pace is measured.

use std::io::{BufRead, BufReader, Stdin, Write};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant;

use pixelrate_trainer::spec::RunSpec;
use pixelrate_trainer::train::Pace;
use serde::Serialize;

use super::machine;
use super::order::{Order, Word};
use crate::Error;

/// Steps that warm up, and steps that are counted, at the least.
const WARM_UP_STEPS: u32 = 2;
const STEPS: u32 = 3;

/// Trains as it is told on standard input, and tells how quickly on standard output, until the input ends: what the hidden
/// command `pace` does. The first line is the run's spec.
///
/// # Errors
/// The spec cannot be read or trained.
pub fn serve(input: Stdin) -> Result<(), Error> {
    let mut lines = BufReader::new(input).lines().map_while(Result::ok);
    let spec = lines.next().unwrap_or_default();
    let spec: RunSpec = serde_json::from_str(&spec)
        .map_err(|problem| Error::Pace(format!("its first line is not a run: {problem}")))?;
    let (give, orders) = channel();
    std::thread::spawn(move || {
        for line in lines {
            // What is not understood ends it, as the end of the input does.
            let Ok(order) = serde_json::from_str(&line) else {
                return;
            };
            if give.send(order).is_err() {
                return;
            }
        }
    });
    let mut pace = Pace::new(&spec)?;
    tell(&Word::Ready);
    let mut order = orders.recv().ok();
    while let Some(now) = order {
        order = match now {
            Order::Rest => {
                tell(&Word::Resting);
                orders.recv().ok()
            }
            Order::Train {
                threads,
                warm_up,
                seconds,
            } => {
                Pace::use_threads(threads);
                train(&mut pace, warm_up, seconds, &orders)?
            }
        };
    }
    Ok(())
}

/// Trains until the next order, which it gives; `None`: there is nobody any more.
fn train(
    pace: &mut Pace,
    warm_up: f64,
    seconds: f64,
    orders: &Receiver<Order>,
) -> Result<Option<Order>, Error> {
    let (mut began, mut steps, mut warm, mut told) = (Instant::now(), 0, false, false);
    loop {
        pace.step()?;
        steps += 1;
        let passed = began.elapsed().as_secs_f64();
        if !warm && steps >= WARM_UP_STEPS && passed >= warm_up {
            (began, steps, warm) = (Instant::now(), 0, true);
        } else if warm && !told && steps >= STEPS && passed >= seconds {
            tell(&Word::Pace {
                steps: f64::from(steps) / passed,
                memory: machine::own_peak(),
            });
            told = true;
        }
        match orders.try_recv() {
            Ok(order) => return Ok(Some(order)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
    }
}

fn tell(word: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(word) {
        // Whoever listened may be gone: the input tells.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
