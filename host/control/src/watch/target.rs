//! What can be watched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::file::WatchedFile;
use super::folder::WatchedFolder;
use super::hint::Hint;
use super::{Change, Options};

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, or a link to one. It may be missing for now.
    File(PathBuf),
    /// All files in a folder and below it, as of a plugin's sources. Links to other folders are not followed; hidden
    /// files, what builds leave (`target`, `node_modules`, `__pycache__` and the like) and editors' own files (`x~`,
    /// `x.swp`) don't count.
    Folder {
        /// The folder. It may be missing for now.
        path: PathBuf,
        /// Files and folders in it that don't count either, as the file that is built there. Like `path`, one that is
        /// relative is so to the process's working folder.
        ignore: Vec<PathBuf>,
    },
}

impl Target {
    /// Watches the target from what it holds now.
    pub(super) fn watched(&self, options: &Options) -> Box<dyn Watched> {
        let now = Instant::now();
        match self {
            Self::File(path) => Box::new(WatchedFile::new(path, options, now)),
            Self::Folder { path, ignore } => Box::new(WatchedFolder::new(path, ignore, options)),
        }
    }
}

/// A target, what is known of it, and what it waits for.
pub(super) trait Watched: Send + std::fmt::Debug {
    /// The folders whose events concern the target, without links in their paths.
    fn folders(&self) -> BTreeSet<PathBuf>;

    /// Notes what an event said.
    fn hear(&mut self, hint: &Hint);

    /// Looks at the target if an event said that something may have changed which only a look can show.
    fn look_if_asked(&mut self, now: Instant);

    /// Looks at the target whatever the events said.
    fn poll(&mut self, now: Instant);

    /// When [`Self::settle`] will have something to do.
    fn due(&self) -> Option<Instant>;

    /// Tells of the target, if it is due and still and holds something else than was told last.
    fn settle(&mut self, now: Instant) -> Option<Change>;
}

/// A path from the root of the file system on, with links in it as they are.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
