//! Which schedules took over in a run, at which step, and with what: enough to do it again to the bit.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, ScheduleSpec};

const FILE: &str = "swaps.jsonl";

/// A schedule that took over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Takeover {
    /// The first step under it.
    pub step: u64,
    /// Why it did.
    pub cause: Cause,
    /// The schedule. Its file at that time is kept in the run's folder under `sha256`.
    pub schedule: ScheduleSpec,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// The state that it was given by `restore`; `None` for one that began afresh.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal")]
    pub state: Option<Vec<u8>>,
    /// The state that the schedule before it left, where that exports `save`: what a rollback gives back to it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hexadecimal")]
    pub left: Option<Vec<u8>>,
    /// The request that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When, in milliseconds since 1970 (UTC).
    pub time_unix_ms: i64,
}

impl Takeover {
    /// Whether the schedule before it may come back: one that came back itself has none before it, and a study may ask
    /// for none.
    pub fn may_roll_back(&self) -> bool {
        self.cause != Cause::Rollback && self.schedule.rollback_steps > 0
    }
}

/// Why a schedule took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its file changed.
    Reload,
    /// Somebody asked for it.
    Swap,
    /// The one after it faulted soon after it took over.
    Rollback,
    /// The run was forked.
    Fork,
}

impl Cause {
    /// The cause in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Swap => "swap",
            Self::Rollback => "rollback",
            Self::Fork => "fork",
        }
    }
}

/// The takeovers of one run, open for more.
#[derive(Debug)]
pub struct Takeovers {
    path: PathBuf,
    file: File,
}

impl Takeovers {
    /// Opens the record of the run in `run`; a line that a crash cut short is dropped.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(run: &Path) -> Result<Self, Error> {
        let path = run.join(FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(Error::io("read", &path))?;
        let whole = text
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        file.set_len(whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(Error::io("write", &path))?;
        Ok(Self { path, file })
    }

    /// Adds a takeover. It survives the process when this returns, and the power after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, takeover: &Takeover) -> Result<(), Error> {
        let mut line = serde_json::to_vec(takeover).map_err(|e| Error::Damaged {
            path: self.path.clone(),
            line: 0,
            problem: e.to_string(),
        })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(Error::io("write", &self.path))
    }

    /// Returns when all takeovers are on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// The takeovers of the run in `run`, in the order of their steps. A run without any, and one of a version that knew
    /// none, has none.
    ///
    /// # Errors
    /// The file cannot be read, or a line but its last is damaged.
    pub fn read(run: &Path) -> Result<Vec<Takeover>, Error> {
        let path = run.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("read", &path)(source)),
        };
        // What follows the last line's end is half a line.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = bytes[..end].split(|byte| *byte == b'\n');
        let mut all = Vec::new();
        for (index, line) in lines.filter(|_| end > 0).enumerate() {
            let takeover = serde_json::from_slice(line).map_err(|e| Error::Damaged {
                path: path.clone(),
                line: index + 1,
                problem: e.to_string(),
            })?;
            all.push(takeover);
        }
        // A run that went back to a checkpoint may have added an earlier step after a later one.
        all.sort_by_key(|takeover: &Takeover| takeover.step);
        Ok(all)
    }
}

/// How many of `takeovers` are in force before `step` is asked for in a run that was resumed there: a takeover at `step`
/// itself comes after the checkpoint.
pub fn in_force(takeovers: &[Takeover], step: u64) -> usize {
    takeovers.partition_point(|takeover| takeover.step < step)
}

/// Bytes as hexadecimal digits.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` gives it so")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(hex::encode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|digits| hex::decode(digits).map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test stops at the first thing that is wrong"
    )]

    use std::collections::BTreeMap;
    use std::io::Write;

    use pixelrate_sandbox::{OnFault, Value};

    use super::{Cause, Takeover, Takeovers, in_force};
    use crate::ScheduleSpec;

    fn takeover(step: u64) -> Takeover {
        Takeover {
            step,
            cause: Cause::Swap,
            schedule: ScheduleSpec {
                plugin: "fixed".to_owned(),
                params: BTreeMap::from([("learning_rate".to_owned(), Value::Number(0.1))]),
                picture_folder: None,
                max_learning_rate: 1.0,
                on_fault: OnFault::Abort,
                rollback_steps: 100,
            },
            sha256: "ab".repeat(32),
            state: Some(vec![0, 255]),
            left: None,
            request: None,
            time_unix_ms: 5,
        }
    }

    #[test]
    fn takeovers_come_back_by_step_and_half_a_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Takeovers::read(folder.path()).unwrap(), []);
        let mut record = Takeovers::open(folder.path()).unwrap();
        for step in [30, 10] {
            record.add(&takeover(step)).unwrap();
        }
        record.file.write_all(b"{\"step\": 4").unwrap();
        let all = [takeover(10), takeover(30)];
        assert_eq!(Takeovers::read(folder.path()).unwrap(), all);
        let mut record = Takeovers::open(folder.path()).unwrap();
        record.add(&takeover(40)).unwrap();
        record.sync().unwrap();
        let all = [takeover(10), takeover(30), takeover(40)];
        assert_eq!(Takeovers::read(folder.path()).unwrap(), all);
        assert_eq!(in_force(&all, 10), 0);
        assert_eq!(in_force(&all, 11), 1);
        assert_eq!(in_force(&all, 41), 3);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("swaps.jsonl"), "{}\n").unwrap();
        let problem = Takeovers::read(folder.path()).unwrap_err().to_string();
        assert!(
            problem.contains("swaps.jsonl is damaged in line 1"),
            "{problem}"
        );
    }
}
