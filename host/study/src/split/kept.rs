//! What is kept of a split: in the study's folder, the split; in the user's cache, how quickly runs trained, so that the
//! next study of the same kind need not measure it again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pixelrate_control::write_whole;
use pixelrate_trainer::device;
use pixelrate_trainer::precision::Precision;
use pixelrate_trainer::spec::RunSpec;
use serde::{Deserialize, Serialize};

use super::Split;
use super::machine::Cores;
use crate::Error;

/// In a study's folder.
pub(super) const FILE: &str = "split.toml";

const HEAD: &str = "\
# How the runs of this study share the machine, decided when it began. Their threads stay: they are a part of what gives a
# run its bits. How many run side by side is the business of whoever runs it (`--jobs`).

";

/// What a study began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Runs side by side, and threads of each.
    #[serde(flatten)]
    pub(super) split: Split,
    /// The machine that it was decided on.
    machine: String,
    /// The cores that the study might use there.
    cores: usize,
    /// How it was decided.
    why: String,
    /// What was measured.
    #[serde(default)]
    measured: Vec<Measured>,
}

/// A split, and how quickly its runs train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// The split.
    #[serde(flatten)]
    pub(super) split: Split,
    /// Steps a second of each of its runs.
    pub(super) steps_per_second: f64,
}

impl Record {
    pub(super) fn new(split: Split, cores: &Cores, why: &str, measured: Vec<Measured>) -> Self {
        Self {
            split,
            machine: cores.machine.clone(),
            cores: cores.count,
            why: why.to_owned(),
            measured,
        }
    }

    /// What was measured, if it was on these cores.
    pub(super) fn measured_on(&self, cores: &Cores) -> &[Measured] {
        if self.machine == cores.machine && self.cores == cores.count {
            &self.measured
        } else {
            &[]
        }
    }

    /// That of the study in `folder`; `None` if it has none.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|source| Error::Toml {
                    path,
                    source: Box::new(source),
                }),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io("read", &path, source)),
        }
    }

    /// Writes it, on the disk when this returns: runs begin with it.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let text = toml::to_string(self)
            .map_err(|problem| Error::io("write", &path, std::io::Error::other(problem)))?;
        Ok(write_whole(&path, format!("{HEAD}{text}").as_bytes())?)
    }
}

/// How quickly runs of one kind train on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Paces {
    /// What they are paces of.
    kind: Kind,
    /// The most memory that one of them has had, in bytes.
    pub(super) memory: Option<u64>,
    /// Those that were measured.
    pub(super) measured: Vec<Measured>,
}

/// What a pace depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kind {
    machine: String,
    cores: usize,
    build: String,
    dataset: String,
    model: String,
    batch_size: u32,
    optimizer: String,
    precision: Option<Precision>,
}

impl Paces {
    /// What is known of runs such as `spec`, which may be nothing.
    pub(super) fn of(spec: &RunSpec, cores: &Cores) -> Self {
        let training = &spec.training;
        let fresh = Self {
            kind: Kind {
                machine: cores.machine.clone(),
                cores: cores.count,
                build: pixelrate_trainer::build(),
                dataset: training.dataset.clone(),
                model: training.model.clone(),
                batch_size: training.batch_size,
                optimizer: training.optimizer.to_string(),
                precision: device::open("cpu")
                    .ok()
                    .map(|cpu| training.precision.resolve(cpu)),
            },
            memory: None,
            measured: Vec::new(),
        };
        // A cache that cannot be read is none.
        let text = fresh.path().and_then(|path| fs::read_to_string(path).ok());
        let kept: Option<Self> = text.and_then(|text| toml::from_str(&text).ok());
        kept.filter(|kept| kept.kind == fresh.kind).unwrap_or(fresh)
    }

    /// Keeps them. One that cannot be kept is measured again.
    pub(super) fn keep(&self) {
        let written = self.path().zip(toml::to_string(self).ok());
        if let Some((path, text)) = written
            && path
                .parent()
                .is_some_and(|folder| fs::create_dir_all(folder).is_ok())
        {
            let _ = write_whole(&path, text.as_bytes());
        }
    }

    pub(super) fn get(&self, split: Split) -> Option<f64> {
        let mut known = self.measured.iter().filter(|one| one.split == split);
        known.next().map(|one| one.steps_per_second)
    }

    /// One file for each kind, over which another build or another number of cores writes.
    fn path(&self) -> Option<PathBuf> {
        let cache = dirs::cache_dir()?;
        let Kind {
            dataset,
            model,
            batch_size,
            optimizer,
            precision,
            ..
        } = &self.kind;
        let precision = precision.map_or_else(String::new, |precision| format!("-{precision}"));
        let name = format!("{model}-{dataset}-{batch_size}-{optimizer}{precision}.toml");
        Some(cache.join("pixelrate/paces").join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let cores = Cores {
            count: 8,
            machine: "a machine, 8 cores".to_owned(),
        };
        let split = Split {
            runs: 4,
            threads: 2,
        };
        let measured = vec![Measured {
            split,
            steps_per_second: 12.5,
        }];
        let record = Record::new(split, &cores, "it was the quickest", measured);
        record.write(folder.path()).unwrap();
        let read = Record::read(folder.path()).unwrap().unwrap();
        assert_eq!(read, record);
        assert_eq!(read.measured_on(&cores).len(), 1);
        assert!(read.measured_on(&Cores { count: 4, ..cores }).is_empty());
        fs::write(folder.path().join(FILE), "runs = many").unwrap();
        let problem = Record::read(folder.path()).unwrap_err().to_string();
        assert!(
            problem.contains(FILE) && problem.contains("line 1"),
            "{problem}"
        );
    }
}
