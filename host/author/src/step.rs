//! One command of a build.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// One command of a build, run in the plugin's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Variables that it is given.
    pub variables: Vec<(String, String)>,
    /// Variables that are kept from it.
    pub without: Vec<String>,
}

impl Step {
    pub(crate) fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            variables: Vec::new(),
            without: Vec::new(),
        }
    }

    /// Runs it in `folder`; what it prints goes where this program's own output goes.
    ///
    /// # Errors
    /// It cannot be started, or ends badly: [`Error::Compiler`].
    pub fn run(&self, folder: &Path) -> Result<(), Error> {
        let failed = |status: String| Error::Compiler {
            command: self.to_string(),
            status,
        };
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| failed("there is no command".to_owned()))?;
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::null());
        for name in &self.without {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let status = command
            .status()
            .map_err(Error::io("start", Path::new(program)))?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(status.to_string()))
        }
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// As a person would type it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |word: &str| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c))
        };
        let quoted = |word: &str| {
            if plain(word) {
                word.to_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = self.words.iter().map(|word| quoted(word));
        let all: Vec<String> = variables.chain(words).collect();
        f.write_str(&all.join(" "))
    }
}
