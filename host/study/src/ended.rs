//! What runs that have ended tell of themselves, out of their study's index where nothing of theirs has changed since.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pixelrate_control::{Status, Takeover, Takeovers};
use pixelrate_runlog::{SummaryRow, read_summary};
use pixelrate_trainer::spec::RunFile;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::index::{Index, Stamp};

/// The version of what an entry holds. What it lacks or has besides is seen by itself; this is for what means another
/// thing than before.
const VERSION: u32 = 1;

/// The files that an entry is read from. The summary is the last that a run writes, and the first that goes when the run
/// is taken up again.
const SUMMARY: &str = "summary.parquet";
const FILES: [&str; 4] = [SUMMARY, "run.toml", "swaps.jsonl", "status.json"];

/// A run that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Its `run.toml`; one that somebody took away is missed by who needs it.
    pub(crate) file: Option<RunFile>,
    /// How it ended.
    pub(crate) summary: SummaryRow,
    /// All that took over in it.
    pub(crate) takeovers: Vec<Takeover>,
    /// Where its last process left it.
    pub(crate) status: Option<Status>,
}

impl Ended {
    /// Reads what the run in `folder` left; `None` if it has not ended.
    fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let Some(summary) = read_summary(folder)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            file: run_file(folder)?,
            summary,
            takeovers: Takeovers::read(folder)?,
            status: Status::read(folder)?,
        }))
    }
}

/// The `run.toml` in `folder`; `None` if there is none.
///
/// # Errors
/// It cannot be read, or is not what pixelrate wrote.
pub(crate) fn run_file(folder: &Path) -> Result<Option<RunFile>, Error> {
    let path = folder.join("run.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(file) => Ok(Some(file)),
            Err(source) => Err(Error::Toml {
                path,
                source: Box::new(source),
            }),
        },
        // A study's folder holds files of its own beside its runs.
        Err(source)
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(Error::io("read", &path, source)),
    }
}

/// The runs of a study that have ended.
#[derive(Debug)]
pub(crate) struct EndedRuns {
    study: PathBuf,
    /// Read when it is asked for first: whoever looks for runs under way needs none of it.
    index: OnceLock<Index>,
}

impl EndedRuns {
    /// Those in the folder `study`.
    pub(crate) fn of(study: &Path) -> Self {
        Self {
            study: study.to_owned(),
            index: OnceLock::new(),
        }
    }

    fn index(&self) -> &Index {
        let open = || Index::open(&self.study, "runs", VERSION);
        self.index.get_or_init(open)
    }

    /// What the run in the folder `name` tells; `None` if it has not ended.
    ///
    /// A run that another process takes up again, or ends, at this moment is told as it was a moment before or after: its
    /// summary tells which, and its lock is not tried.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Ended>, Error> {
        let folder = self.study.join(name);
        // Before the files are read: what changes after this shows.
        let stamps = FILES.map(|file| Stamp::of(&folder.join(file)));
        if stamps[0].is_none() {
            return Ok(None);
        }
        let kept = self.index().get(name, &stamps);
        // What another build wrote, with other fields, does not fit, and is read again.
        if let Some(ended) = kept.and_then(|body| rmp_serde::from_slice(&body).ok()) {
            return Ok(Some(ended));
        }
        let ended = Ended::read(&folder)?;
        if let Some(ended) = &ended
            && let Ok(body) = rmp_serde::to_vec_named(ended)
        {
            self.index().add(name, &stamps, &body);
        }
        Ok(ended)
    }

    /// Writes what was read anew into the index.
    pub(crate) fn save(&self) {
        if let Some(index) = self.index.get() {
            index.save();
        }
    }
}
