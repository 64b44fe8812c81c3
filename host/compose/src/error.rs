//! What can be wrong with a composition, in the user's words.

use std::path::PathBuf;

/// Why a composition could not be read or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no TOML: the message has line and column.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        source: Box<toml::de::Error>,
    },
    /// A file of TOML says what cannot be.
    #[error("{}:{line}: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key, and what is wrong with it.
        problem: String,
    },
    /// A composition that lies in no file of its own says what cannot be.
    #[error("{problem}{}", told(keys))]
    Inline {
        /// The keys, and places in lists from 0, that lead to it.
        keys: Vec<String>,
        /// The key, and what is wrong with it.
        problem: String,
    },
    /// A plugin cannot be had or loaded.
    #[error(transparent)]
    Sandbox(#[from] pixelrate_sandbox::Error),
}

/// Where `keys` lead, for people, who count from 1.
fn told(keys: &[String]) -> String {
    let mut place = String::new();
    for key in keys {
        match key.parse::<usize>() {
            Ok(index) => place.push_str(&format!("[{}]", index + 1)),
            Err(_) if place.is_empty() => place.push_str(key),
            Err(_) => place.push_str(&format!(".{key}")),
        }
    }
    if place.is_empty() {
        place
    } else {
        format!(" (at `{place}`)")
    }
}
