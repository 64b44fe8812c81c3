//! The programs that a build needs: whether they are here, and new enough.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::language::Language;
use crate::version::{self, Least};
use crate::{Error, Outdated};

/// A compiler, or another program that a build needs.
#[derive(Debug)]
pub struct Tool {
    /// How people call it.
    pub name: &'static str,
    /// Ways to call it, in the order in which they are tried: a program and its first arguments.
    pub(crate) ways: &'static [&'static [&'static str]],
    /// Arguments that make it print its version and exit successfully.
    pub(crate) probe: &'static [&'static str],
    /// The version that it must have, where older ones are known to fail.
    pub(crate) least: Option<Least>,
    /// What it runs on, which is looked at first.
    pub(crate) runs_on: Option<&'static Tool>,
    /// What to do where it is missing or too old.
    pub install: &'static str,
}

impl Tool {
    /// How to call it here.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Old`], with what to install.
    pub(crate) fn find(&self, language: &Language, folder: &Path) -> Result<Vec<String>, Error> {
        if let Some(below) = self.runs_on {
            below.find(language, folder)?;
        }
        let mut old = None;
        for way in self.ways {
            let Some(said) = self.ask(way, folder) else {
                continue;
            };
            let found = version::told(&said);
            match (self.least, found) {
                (Some(least), Some(found)) if least.is_over(found) => {
                    old.get_or_insert_with(|| (least, found.to_owned()));
                }
                _ => return Ok(way.iter().map(|&word| word.to_owned()).collect()),
            }
        }
        Err(match old {
            None => Error::Missing {
                language: language.title,
                tool: self.needed(),
                install: self.install,
            },
            Some((least, found)) => Error::Old(Box::new(Outdated {
                language: language.title,
                tool: self.name,
                found,
                least,
                install: self.install,
            })),
        })
    }

    /// Its name, with the version that it must have.
    fn needed(&self) -> String {
        match self.least {
            Some(least) => format!("{} {least} or later", self.name),
            None => self.name.to_owned(),
        }
    }

    /// What it says of its version, called in this way; nothing, if it cannot be called so.
    fn ask(&self, way: &[&str], folder: &Path) -> Option<String> {
        let (program, rest) = way.split_first()?;
        let ask = |folder: &Path| {
            let output = Command::new(program)
                .current_dir(folder)
                .args(rest)
                .args(self.probe)
                .stdin(Stdio::null())
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        // An old Go fails in a folder whose go.mod wants a newer one that it cannot fetch: elsewhere it tells its own
        // version.
        ask(folder).or_else(|| ask(&std::env::temp_dir()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;

    const INSTALL: &str = "`pip install nothing`";

    fn tool(ways: &'static [&'static [&'static str]]) -> Tool {
        Tool {
            name: "Nothing",
            ways,
            probe: &[],
            least: Some(Least(&[20])),
            runs_on: None,
            install: INSTALL,
        }
    }

    fn found(tool: &Tool) -> Result<Vec<String>, String> {
        let zig = language::find("zig").unwrap();
        let folder = tempfile::tempdir().unwrap();
        tool.find(zig, folder.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_missing_or_old_is_told_in_one_line_with_what_to_do() {
        assert_eq!(
            found(&tool(&[&["pixelrate-has-no-such-program"]])).unwrap_err(),
            "Nothing 20 or later is needed to build Zig, and is not here: `pip install nothing`"
        );
        let old = "Nothing 18.20.8 is too old to build Zig, which needs 20 or later: `pip install nothing`";
        assert_eq!(found(&tool(&[&["echo", "v18.20.8"]])).unwrap_err(), old);
        // The next way may be a newer one.
        let both = tool(&[&["echo", "v18.20.8"], &["echo", "v20.1.0"]]);
        assert_eq!(found(&both).unwrap(), ["echo", "v20.1.0"]);
        let other = tool(&[&["false"], &["echo", "v18.20.8"], &["false"]]);
        assert_eq!(found(&other).unwrap_err(), old);
    }

    #[test]
    fn what_a_tool_runs_on_is_looked_at_first() {
        static OLD: Tool = Tool {
            name: "Ground",
            ways: &[&["echo", "v18.20.8"]],
            probe: &[],
            least: Some(Least(&[20])),
            runs_on: None,
            install: INSTALL,
        };
        let on_it = Tool {
            runs_on: Some(&OLD),
            ..tool(&[&["echo", "v30.0.0"]])
        };
        let told = found(&on_it).unwrap_err();
        assert!(told.starts_with("Ground 18.20.8 is too old"), "{told}");
    }

    #[test]
    fn a_folder_that_asks_for_a_newer_one_does_not_hide_the_old_one() {
        // As Go does with a go.mod.
        let way: &[&str] = &["sh", "-c", "test ! -e go.mod && echo go1.22.2"];
        let ways: &[&[&str]] = Box::leak(Box::new([way]));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("go.mod"), "go 1.24").unwrap();
        let go = Tool {
            least: Some(Least(&[1, 24])),
            ..tool(ways)
        };
        let zig = language::find("zig").unwrap();
        let told = go.find(zig, folder.path()).unwrap_err().to_string();
        assert!(told.contains("1.22.2 is too old"), "{told}");
    }
}
