//! What can be wrong with a study, in the user's words.

use std::path::{Path, PathBuf};

/// Why a study cannot be planned, run or reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The TOML cannot be read as a study: the message has line, column and key.
    #[error("{}: {}", path.display(), told(source))]
    Toml {
        /// The study's file.
        path: PathBuf,
        /// Line, column and key.
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be.
    #[error("{}:{line}: {problem}", path.display())]
    Value {
        /// The study's file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key, and what is wrong with it.
        problem: String,
    },
    /// A run that was begun under another spec.
    #[error(
        "{} was started with a different `{key}` ({was}, now {is}): restore the old value, rename the study, or move the \
         folder away", folder.display()
    )]
    Changed {
        /// The run's folder.
        folder: PathBuf,
        /// What differs.
        key: String,
        /// Its value when the run began.
        was: String,
        /// Its value in the study now.
        is: String,
    },
    /// Two processes on one study.
    #[error(
        "{} is being run by another process{}: `pixelrate ps` shows how far it is; stop that one first",
        folder.display(), process.map_or_else(String::new, |it| format!(" (process {it})"))
    )]
    StudyHeld {
        /// The study's folder.
        folder: PathBuf,
        /// The other process, where it could be read.
        process: Option<u32>,
    },
    /// A file or folder.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A study's folder that is not there.
    #[error("there is no folder {}: name a study's, as `pixelrate study` makes them in `runs`", .0.display())]
    NoStudy(PathBuf),
    /// Nothing to report on.
    #[error("{} holds no run with a log: run the study first", .0.display())]
    NoRuns(PathBuf),
    /// A run's folder, where a study's is asked for.
    #[error(
        "{} is a single run, and reports cover a study: use `pixelrate report {}`, or `pixelrate log {}` for this run",
        .0.display(), beside(.0), .0.display()
    )]
    OneRun(PathBuf),
    /// There is no search, or it has not ended.
    #[error("{} holds no search, or none that has ended: `pixelrate search` runs one, and the same command continues it", .0.display())]
    NoSearch(PathBuf),
    /// A search whose candidates all came to nothing.
    #[error("the search in {} found nothing: every candidate diverged or failed (see choices.jsonl); try lower learning rates", .0.display())]
    NothingFound(PathBuf),
    /// A range test that cannot be run, or read.
    #[error("{0}")]
    RangeTest(String),
    /// What a report is asked for cannot be.
    #[error("{0}")]
    Report(String),
    /// The report's baseline is no schedule of the study.
    #[error("no schedule is called \"{wanted}\" for a baseline: the study has {labels}")]
    NoBaseline {
        /// The label that was named.
        wanted: String,
        /// Those that there are.
        labels: String,
    },
    /// A run that was asked for something does not run.
    #[error("{} is not running: `pixelrate resume` continues it", .0.display())]
    NotRunning(PathBuf),
    /// A run ended before it did what it was asked for.
    #[error("{} ended before the request could be carried out", .0.display())]
    EndedUnasked(PathBuf),
    /// A run that was asked for something has ended.
    #[error("{} is over ({status}): `pixelrate fork` starts new runs from one of its steps", folder.display())]
    Over {
        /// Its folder.
        folder: PathBuf,
        /// How it ended.
        status: String,
    },
    /// A run cannot be forked.
    #[error("{} cannot be forked: {problem}", folder.display())]
    Fork {
        /// The run's folder.
        folder: PathBuf,
        /// Why not, and what to do.
        problem: String,
    },
    /// A run cannot be replayed.
    #[error("{} {problem}", folder.display())]
    Replay {
        /// The folder of the replay.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A run's requests, status or swaps.
    #[error(transparent)]
    Control(#[from] pixelrate_control::Error),
    /// A run's log.
    #[error(transparent)]
    Log(#[from] pixelrate_runlog::Error),
    /// A run's spec.
    #[error(transparent)]
    Trainer(#[from] pixelrate_trainer::Error),
    /// How quickly runs train could not be measured.
    #[error("{0}")]
    Pace(String),
    /// A scan that its plugin would refuse, too.
    #[error("{plugin}: {problem}")]
    Scan {
        /// The schedule.
        plugin: String,
        /// What is wrong with a parameter or the picture.
        problem: String,
    },
    /// A picture could not be drawn.
    #[error("cannot draw {}: {problem}", path.display())]
    Figure {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
}

/// The folder of the study that a run's folder lies in.
fn beside(run: &Path) -> String {
    let whole = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
    let named = run.parent().filter(|parent| !parent.as_os_str().is_empty());
    let study = named.or_else(|| whole.parent()).unwrap_or(run);
    study.display().to_string()
}

impl Error {
    pub(crate) fn io(verb: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            verb,
            path: path.to_owned(),
            source,
        }
    }
}

/// What the parser says, and what may have been meant: the key or word that a mistyped one is close to, or a list.
fn told(source: &toml::de::Error) -> String {
    let message = source.message();
    let all = source.to_string();
    // serde: unknown field `one`, expected `other` or `third`
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown "));
    let close = unknown.and_then(|unknown| {
        let distance = |known: &&str| strsim::damerau_levenshtein(known, unknown);
        let known = quoted.min_by_key(distance)?;
        (distance(&known) <= 2).then_some(known)
    });
    let mut hint = close.map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
    if message == "invalid type: map, expected a sequence" && all.contains("[schedule]") {
        hint += ": of schedules there may be several, each under `[[schedule]]`";
    }
    all.trim_end().to_owned() + &hint
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        #[serde(rename = "epochs")]
        _epochs: Option<f64>,
        #[serde(rename = "seeds")]
        _seeds: Option<Vec<u64>>,
    }

    #[test]
    fn a_mistyped_key_is_met_with_the_one_that_it_is_close_to() {
        let told = |text: &str| told(&toml::from_str::<Table>(text).unwrap_err());
        let close = told("epoch = 3");
        assert!(close.contains("line 1, column 1"), "{close}");
        assert!(
            close.ends_with("expected `epochs` or `seeds`; did you mean `epochs`?"),
            "{close}"
        );
        assert!(told("momentum = 3").ends_with("expected `epochs` or `seeds`"));
        assert!(!told("epochs = \"epocs\"").contains("did you mean"));
    }
}
