//! `pixelrate.toml`: what a plugin's folder holds, and what the plugin must answer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// The manifest's file name.
pub const FILE: &str = "pixelrate.toml";

/// A plugin's folder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The plugin's name; it is built as `<name>.wasm`.
    pub name: String,
    /// One of [`crate::language::ALL`].
    pub language: String,
    /// What the plugin must answer.
    #[serde(default)]
    pub test: Vec<Test>,
}

/// Rates that the plugin must give in a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Test {
    /// Steps of the run.
    pub total_steps: u64,
    /// Steps of an epoch.
    #[serde(default = "steps_per_epoch")]
    pub steps_per_epoch: u64,
    /// Parameters: numbers, and words.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// Learning rates by step, from 0.
    pub rates: BTreeMap<String, f64>,
    /// How far a rate may be off, relative to it.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// A number.
    Number(f64),
    /// A picture's name, or one of a parameter's choices.
    Text(String),
}

fn steps_per_epoch() -> u64 {
    391
}

fn tolerance() -> f64 {
    1e-12
}

impl Test {
    /// Says what cannot be, by its key.
    fn check(&self) -> Result<(), String> {
        if self.total_steps == 0 || self.steps_per_epoch == 0 {
            return Err("`total_steps` and `steps_per_epoch` must be at least 1".to_owned());
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(format!(
                "`tolerance` is {}: must be a finite number, 0 or more",
                self.tolerance
            ));
        }
        let rates = self.rates()?;
        if rates.is_empty() {
            return Err("`rates` must have at least one".to_owned());
        }
        match rates.iter().find(|(_, rate)| !rate.is_finite()) {
            Some((step, rate)) => Err(format!("`rates`: {step} is {rate}: must be finite")),
            None => Ok(()),
        }
    }

    /// The rates by step.
    ///
    /// # Errors
    /// The key that is no step of the run.
    pub fn rates(&self) -> Result<BTreeMap<u64, f64>, String> {
        let parsed = self.rates.iter().map(|(key, rate)| {
            let step = key
                .parse()
                .ok()
                .filter(|step| *step < self.total_steps)
                .ok_or_else(|| {
                    let steps = self.total_steps;
                    format!(
                        "`rates`: \"{key}\" is no step of a run of {steps} steps, counted from 0"
                    )
                })?;
            Ok((step, *rate))
        });
        parsed.collect()
    }
}

impl Manifest {
    /// Reads the manifest of `folder`.
    ///
    /// # Errors
    /// [`Error::NoManifest`]; [`Error::Manifest`] with line and key.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoManifest(folder.to_owned()));
            }
            Err(source) => return Err(Error::io("read", &path)(source)),
        };
        let wrong = |problem: String| Error::Manifest {
            path: path.clone(),
            problem,
        };
        let manifest: Self = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if !named_well(&manifest.name) {
            return Err(wrong(format!(
                "`name`: {}",
                Error::Name(manifest.name.clone())
            )));
        }
        for test in &manifest.test {
            test.check().map_err(&wrong)?;
        }
        Ok(manifest)
    }
}

/// Whether every language takes `name` for a package.
pub(crate) fn named_well(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        Manifest::read(folder.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn steps_are_keys_and_what_is_wrong_is_named() {
        let good = "name = \"a-b\"\nlanguage = \"zig\"\n[[test]]\ntotal_steps = 10\nrates = { 0 = 0.1, 9 = 0.2 }\n";
        let manifest = read(good).unwrap();
        assert_eq!(
            manifest.test[0].rates().unwrap(),
            BTreeMap::from([(0, 0.1), (9, 0.2)])
        );
        for (from, to, part) in [
            ("9 =", "10 =", "\"10\" is no step of a run of 10 steps"),
            ("9 =", "last =", "\"last\" is no step"),
            ("a-b", "A b", "cannot name a plugin"),
            ("language", "lang", "line 2"),
            ("0.2", "nan", "`rates`: 9 is NaN"),
            ("{ 0 = 0.1, 9 = 0.2 }", "{}", "at least one"),
            ("= 10", "= 0", "`total_steps`"),
        ] {
            let problem = read(&good.replace(from, to)).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
        let folder = tempfile::tempdir().unwrap();
        let problem = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(problem.contains("pixelrate new"), "{problem}");
    }
}
