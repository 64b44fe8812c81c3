//! What tells one state of a file from another without reading it.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Size, times and identity of a file. They are compared only, never measured against the system's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    identity: Identity,
    /// On Unix, seconds and nanoseconds of the last change of the inode: copies that keep a file's time show here.
    changed: (i64, i64),
}

/// Which file or folder a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// Where there are no inodes, the time of creation must do.
    created: Option<SystemTime>,
}

impl Stamp {
    /// The state of the regular file that a path leads to, by links if need be; `None`: there is none that can be seen.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        // A pipe would block whoever opens it.
        metadata.is_file().then(|| Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity: Identity::from(&metadata),
            changed: changed(&metadata),
        })
    }

    /// Whether the file holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }
}

impl Identity {
    /// What the folder at a path is; `None`: there is none that can be seen.
    pub(super) fn of_folder(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_dir().then(|| Self::from(&metadata))
    }
}

#[cfg(unix)]
impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            created: None,
        }
    }
}

#[cfg(not(unix))]
impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: 0,
            inode: 0,
            created: metadata.created().ok(),
        }
    }
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its bytes, and the state that it had before and after they were read.
    Whole(Stamp, Vec<u8>),
    /// It changed while it was read.
    Moving,
}

/// Reads a whole file.
///
/// # Errors
/// It is there and may not be read, or there is none.
pub(super) fn read(path: &Path) -> io::Result<Reading> {
    let Some(stamp) = Stamp::of(path) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let content = fs::read(path);
    // A file that was replaced since is read again, whatever came of the old one.
    if Stamp::of(path).as_ref() != Some(&stamp) {
        return Ok(Reading::Moving);
    }
    Ok(Reading::Whole(stamp, content?))
}
