//! What can be wrong with a plugin's folder or its compiler, in the user's words.

use std::path::{Path, PathBuf};

use crate::version::Least;

/// Why a plugin's folder cannot be made or built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A language that there is no SDK for.
    #[error("no SDK for \"{given}\": there are {known}{}", .hint.as_ref().map_or_else(String::new, |close| format!("; did you mean `{close}`?")))]
    Language {
        /// What was asked for.
        given: String,
        /// What there is.
        known: String,
        /// What is close to it.
        hint: Option<&'static str>,
    },
    /// An example that the language does not have.
    #[error("the SDK for {language} has no example \"{given}\": it has {known}")]
    Example {
        /// The language.
        language: &'static str,
        /// What was asked for.
        given: String,
        /// What there is.
        known: String,
    },
    /// A name that not every language can give to a plugin.
    #[error("\"{0}\" cannot name a plugin: use lower-case letters, digits and -, a letter first")]
    Name(String),
    /// The name of a package that the plugin itself needs.
    #[error("\"{0}\" is the SDK's own name, which the plugin needs: choose another")]
    Taken(String),
    /// A folder that is in use.
    #[error("{} exists and is not empty: choose another name, or move it away", .0.display())]
    InTheWay(PathBuf),
    /// No `pixelrate.toml`.
    #[error("{} holds no pixelrate.toml: `pixelrate new NAME --lang LANGUAGE` makes a folder that does", .0.display())]
    NoManifest(PathBuf),
    /// A `pixelrate.toml` that is wrong.
    #[error("{}: {problem}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line, key and what is wrong.
        problem: String,
    },
    /// A compiler that is not installed.
    #[error("{tool} is needed to build {language}, and is not here: {install}")]
    Missing {
        /// The language.
        language: &'static str,
        /// What was looked for.
        tool: String,
        /// How to have it.
        install: &'static str,
    },
    /// A compiler that is older than what a build needs.
    #[error(transparent)]
    Old(Box<Outdated>),
    /// A compiler that failed; what it said has gone to the terminal.
    #[error("{command} failed ({status}): what it said is above")]
    Compiler {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A compiler that left nothing behind.
    #[error("the {language} compiler succeeded, but did not write {}", path.display())]
    NoOutput {
        /// The language.
        language: &'static str,
        /// What it should have written.
        path: PathBuf,
    },
    /// A WAT text that is wrong: file, line and what.
    #[error("{0}")]
    Text(String),
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
}

/// A compiler that is here, and too old.
#[derive(Debug, thiserror::Error)]
#[error("{tool} {found} is too old to build {language}, which needs {least} or later: {install}")]
pub struct Outdated {
    /// The language.
    pub language: &'static str,
    /// The compiler.
    pub tool: &'static str,
    /// Its version here.
    pub found: String,
    /// The version that does.
    pub least: Least,
    /// How to have it.
    pub install: &'static str,
}

impl Error {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { verb, path, source }
    }
}
