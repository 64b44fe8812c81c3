//! What tells one state of a file or folder from another without reading it.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// Size, times and number of a file, or of a folder, whose time tells when a name in it came or went. They are compared
/// only, never measured against a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    size: u64,
    /// Nanoseconds since 1970.
    modified: u64,
    /// On Unix the inode's number: a file that another took the place of shows here. Elsewhere the time of creation.
    number: u64,
    /// On Unix the nanoseconds of the inode's last change: it shows a copy that keeps a file's time, and a move.
    changed: i128,
}

impl Stamp {
    /// The state of what `path` leads to; `None` if there is nothing that can be seen.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let since = |time: std::io::Result<std::time::SystemTime>| {
            let since = time
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            since.map_or(0, |since| {
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            })
        };
        let (number, changed) = inode(&metadata).unwrap_or((since(metadata.created()), 0));
        Some(Self {
            size: metadata.len(),
            modified: since(metadata.modified()),
            number,
            changed,
        })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> Option<(u64, i128)> {
    use std::os::unix::fs::MetadataExt;
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    Some((metadata.ino(), changed))
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> Option<(u64, i128)> {
    None
}
