//! A run again, with every swap at its step, held against its log bit for bit.

use std::path::{Path, PathBuf};

use pixelrate_control::Takeovers;
use pixelrate_runlog::{EvalRow, Held, StepRow, held, logged_steps, read_evals, steps};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::train::{self, Observer, Stop};
use serde::Serialize;

use crate::Error;
use crate::copy::{self, Copy};

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// Steps that were compared: all that the run had logged when the replay began.
    pub steps: u64,
    /// Evaluations that were compared.
    pub evals: u64,
    /// The first value that differs; `None`: all agree bit for bit.
    pub difference: Option<Difference>,
    /// Whether the run's device gives the same bits each time, as it was told to train: else a difference says nothing.
    pub repeats: bool,
}

/// A value that another run of the same gave otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The step.
    pub step: u64,
    /// The column of the log.
    pub column: &'static str,
    /// What was logged first.
    pub logged: String,
    /// What the replay gave.
    pub replayed: String,
}

/// Runs the run in `folder` again, from its first step (a forked run: from the checkpoint that it began with) as far as
/// its log goes, and compares every value that does not tell of time. The replay's own folder, `keep` or a hidden one
/// in the run's, must not be there yet, and goes again if it is the hidden one. `None`: it was stopped.
///
/// # Errors
/// There is no run, it has no log, or it cannot be run again: its data differ, or a plugin is gone.
pub fn replay(
    folder: &Path,
    keep: Option<&Path>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Replayed>, Error> {
    let (spec, found, _) = train::stage(folder)?;
    // A run that trains goes on meanwhile. Its evaluations are counted first: the steps that they follow are logged by now.
    let evals = read_evals(folder)?.len();
    let until = logged_steps(folder)?;
    if until == 0 {
        return Err(Error::NoRuns(folder.to_owned()));
    }
    let repeats = spec.training.repeats(&found.device);
    let hidden = folder.join(".replay");
    let to = keep.unwrap_or(&hidden);
    if keep.is_some() {
        if to.exists() {
            return Err(Error::Replay {
                folder: to.to_owned(),
                problem: "is there already: name a new folder".to_owned(),
            });
        }
    } else if let Held::By(process) = held(&hidden)? {
        let process = process.map_or_else(String::new, |id| format!(" by process {id}"));
        return Err(Error::Replay {
            folder: folder.to_owned(),
            problem: format!(
                "is being replayed{process}: wait for that, or name a folder for this replay (`--keep`)"
            ),
        });
    } else {
        copy::remove(&hidden)?;
    }
    let copy = Copy {
        from: folder,
        to,
        checkpoint: beginning(folder)?,
        takeovers: Takeovers::read(folder)?,
        spec,
        found,
    };
    let mut again = || {
        copy.make()?;
        train::replay(to, Some(until), observer, stop)?;
        if stop.asked() {
            return Ok(None);
        }
        let compared = compare(folder, to, until, evals)?;
        Ok(Some(Replayed {
            repeats,
            ..compared
        }))
    };
    let found = again();
    // Another replay may be at work in it by now.
    if keep.is_none() && !matches!(held(&hidden), Ok(Held::By(_))) {
        // What is left of it is removed by the next replay: what this one found comes first.
        let _ = copy::remove(&hidden);
    }
    found
}

/// The checkpoint that a forked run began with.
fn beginning(folder: &Path) -> Result<Option<PathBuf>, Error> {
    let all = checkpoint::list(folder)?;
    Ok(all.into_iter().find(|path| {
        checkpoint::step_of(path)
            .is_some_and(|step| path.ends_with(checkpoint::file_name(step, Some(checkpoint::FORK))))
    }))
}

/// Compares the log in `other` with the one in `folder`, of which the steps before `until` and the first `evals` evaluations
/// count.
fn compare(folder: &Path, other: &Path, until: u64, evals: usize) -> Result<Replayed, Error> {
    let mut found = Replayed {
        steps: 0,
        evals: 0,
        difference: None,
        repeats: true,
    };
    let mut again = steps(other)?;
    for row in steps(folder)? {
        let row = row?;
        if row.step >= until {
            break;
        }
        match again.next().transpose()? {
            None => {
                found.difference = Some(missing(row.step, "step"));
                return Ok(found);
            }
            Some(other) => found.difference = step_difference(&row, &other),
        }
        if found.difference.is_some() {
            return Ok(found);
        }
        found.steps += 1;
    }
    let mut again = read_evals(other)?.into_iter();
    for row in read_evals(folder)?.into_iter().take(evals) {
        found.difference = match again.next() {
            None => Some(missing(row.step, "accuracy")),
            Some(other) => eval_difference(&row, &other),
        };
        if found.difference.is_some() {
            return Ok(found);
        }
        found.evals += 1;
    }
    Ok(found)
}

fn missing(step: u64, column: &'static str) -> Difference {
    Difference {
        step,
        column,
        logged: "a row".to_owned(),
        replayed: "none".to_owned(),
    }
}

fn step_difference(a: &StepRow, b: &StepRow) -> Option<Difference> {
    let told = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |v| format!("{v:?}"));
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let numbers = [
        (
            "learning_rate",
            Some(a.learning_rate),
            Some(b.learning_rate),
        ),
        ("momentum", a.momentum, b.momentum),
        ("weight_decay", a.weight_decay, b.weight_decay),
        ("train_loss", a.train_loss, b.train_loss),
        ("grad_norm", a.grad_norm, b.grad_norm),
    ];
    let words = [
        ("step", a.step.to_string(), b.step.to_string()),
        ("schedule", a.schedule.to_string(), b.schedule.to_string()),
        ("swaps", a.swaps.to_string(), b.swaps.to_string()),
    ];
    let words = words.into_iter().find(|(_, a, b)| a != b);
    let number = || {
        let mut numbers = numbers.into_iter();
        let found = numbers.find(|(_, a, b)| bits(*a) != bits(*b));
        found.map(|(column, a, b)| (column, told(a), told(b)))
    };
    words
        .or_else(number)
        .map(|(column, logged, replayed)| Difference {
            step: a.step,
            column,
            logged,
            replayed,
        })
}

fn eval_difference(a: &EvalRow, b: &EvalRow) -> Option<Difference> {
    let numbers = [
        ("loss", a.loss, b.loss),
        ("accuracy", a.accuracy, b.accuracy),
        ("examples", a.examples as f64, b.examples as f64),
        ("step", a.step as f64, b.step as f64),
    ];
    let mut numbers = numbers.into_iter();
    let found = numbers.find(|(_, a, b)| a.to_bits() != b.to_bits());
    found.map(|(column, logged, replayed)| Difference {
        step: a.step,
        column,
        logged: format!("{logged:?}"),
        replayed: format!("{replayed:?}"),
    })
}
