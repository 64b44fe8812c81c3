//! Conditions that choose runs, such as `seed=1`.

use std::fmt;
use std::str::FromStr;

use super::{RunFolder, State};
use crate::queue::Queued;

/// The filters in words: `seed=1 and state=training`.
pub fn told(filters: &[Filter]) -> String {
    let all: Vec<String> = filters.iter().map(Filter::to_string).collect();
    all.join(" and ")
}

/// What runs may be chosen by, and what each key is compared with.
const KEYS: [(&str, Key); 7] = [
    ("run", Key::Run),
    ("study", Key::Study),
    ("schedule", Key::Schedule),
    ("seed", Key::Seed),
    ("dataset", Key::Dataset),
    ("model", Key::Model),
    ("state", Key::State),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Run,
    Study,
    /// The schedule's label in the study.
    Schedule,
    Seed,
    Dataset,
    Model,
    State,
}

/// One condition that a run must meet, such as `seed=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    name: &'static str,
    key: Key,
    wanted: String,
}

impl Filter {
    /// Reads `KEY=VALUE`: a run's `run`, `study`, `schedule` (its label in the study), `seed`, `dataset`, `model` or
    /// `state`.
    ///
    /// # Errors
    /// What is wrong with it, and which keys there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys = || KEYS.map(|(name, _)| name).join(", ");
        let Some((name, wanted)) = text.split_once('=') else {
            return Err(format!(
                "\"{text}\" is no filter: write it as KEY=VALUE, with one of the keys {}",
                keys()
            ));
        };
        let (name, wanted) = (name.trim(), wanted.trim());
        let Some((name, key)) = KEYS.into_iter().find(|(known, _)| *known == name) else {
            return Err(format!(
                "runs are not known by \"{name}\": use one of the keys {}",
                keys()
            ));
        };
        if key == Key::Seed && wanted.parse::<u64>().is_err() {
            return Err(format!(
                "seed={wanted}: a seed is a whole number, 0 or more"
            ));
        }
        let states = || State::ALL.map(State::as_str);
        if key == Key::State && !states().contains(&wanted) {
            let states = states().join(", ");
            return Err(format!("state={wanted}: a run's state is one of {states}"));
        }
        Ok(Self {
            name,
            key,
            wanted: wanted.to_owned(),
        })
    }

    /// Whether it filters by state (running, finished, …), and not by a fixed property of the run.
    pub fn is_of_state(&self) -> bool {
        self.key == Key::State
    }

    /// Whether the run meets the condition. One without a `run.toml` is known by its folder's name alone.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn matches(&self, run: &RunFolder) -> Result<bool, crate::Error> {
        if self.key == Key::State {
            return Ok(run.look()?.state.as_str() == self.wanted);
        }
        let Some(file) = run.file()? else {
            let name = run.path().file_name().unwrap_or_default();
            return Ok(self.key == Key::Run && name == self.wanted.as_str());
        };
        Ok(self.lets_through(&Queued::from(&file.spec)))
    }

    /// Whether what the run is meets the condition; what it does is not known.
    pub(crate) fn lets_through(&self, run: &Queued) -> bool {
        match self.key {
            Key::Run => run.run == self.wanted,
            Key::Study => run.study == self.wanted,
            Key::Schedule => run.schedule == self.wanted,
            Key::Seed => self.wanted.parse() == Ok(run.seed),
            Key::Dataset => run.dataset == self.wanted,
            Key::Model => run.model == self.wanted,
            Key::State => false,
        }
    }

    /// Whether the run meets all conditions; there may be none.
    ///
    /// # Errors
    /// As [`matches`](Self::matches).
    pub fn all_match(filters: &[Self], run: &RunFolder) -> Result<bool, crate::Error> {
        for filter in filters {
            if !filter.matches(run)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.wanted)
    }
}
