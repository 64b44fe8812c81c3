//! The run folder on the disk: names, the lock, and the few operations that must happen whole or not at all.
//!
//! What a crash may leave is told here, once, for all of them: a file or folder in `.tmp/` is never part of the log
//! and is thrown away when the next writer comes, with one exception, `<table>.old`, which [`RunFolder::heal`] puts back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;

/// How often a writer tries for the lock, and how long it waits in between.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Paths in a run folder.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that readers' globs look into.
    pub(crate) fn table(&self, table: &str) -> PathBuf {
        self.root.join(table)
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    /// Where half-written things live.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join(".tmp")
    }

    pub(crate) fn summary(&self) -> PathBuf {
        self.root.join("summary.parquet")
    }

    /// Where [`Self::replace_table`] parks a table's folder if the system cannot exchange two folders at once.
    pub(crate) fn parked(&self, table: &str) -> PathBuf {
        self.scratch().join(format!("{table}.old"))
    }

    /// A new, empty folder to prepare a table's next content in.
    pub(crate) fn prepare_table(&self, table: &str) -> Result<PathBuf, Error> {
        let path = self.scratch().join(format!("{table}.new"));
        remove_folder(&path)?;
        create_folder(&path)?;
        Ok(path)
    }

    /// Puts the prepared folder in the table's place.
    ///
    /// On Linux and macOS the two folders change places in one step (`RENAME_EXCHANGE`), so a reader sees the old
    /// parts or the new, never both and never none. Where the file system cannot do that, the old folder moves to
    /// `.tmp/<table>.old` first; between the two renames a reader finds no folder, which is an error, not wrong rows.
    pub(crate) fn replace_table(&self, table: &str, prepared: &Path) -> Result<(), Error> {
        sync_folder(prepared)?;
        sync_folder(&self.scratch())?;
        let place = self.table(table);
        if !exchange(prepared, &place).map_err(Error::io("replace", &place))? {
            self.park_and_replace(table, prepared)?;
        }
        sync_folder(&self.root)?;
        sync_folder(&self.scratch())?;
        remove_folder(prepared)?;
        remove_folder(&self.parked(table))
    }

    /// The two renames of a file system that cannot exchange folders.
    pub(crate) fn park_and_replace(&self, table: &str, prepared: &Path) -> Result<(), Error> {
        let (place, parked) = (self.table(table), self.parked(table));
        remove_folder(&parked)?;
        rename(&place, &parked)?;
        sync_folder(&self.root)?;
        sync_folder(&self.scratch())?;
        rename(prepared, &place)
    }

    /// Undoes what a crash left unfinished: a parked table returns to its place, and `.tmp/` is emptied.
    pub(crate) fn heal(&self, tables: &[&str]) -> Result<(), Error> {
        for table in tables {
            let (place, parked) = (self.table(table), self.parked(table));
            if !place.exists() && parked.exists() {
                rename(&parked, &place)?;
            }
        }
        sync_folder(&self.root)?;
        remove_folder(&self.scratch())?;
        create_folder(&self.scratch())
    }

    /// Takes the lock of the folder, which is freed when the file is closed, be it by the process' end.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let path = self.root.join(".lock");
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Somebody who looks whether there is a writer ([`held`]) has it for an instant.
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let folder = self.root.clone();
                    return Err(Error::Locked {
                        folder,
                        pid: writer(&mut file),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
            }
        }
        let wrote = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        wrote.map_err(Error::io("write", &path))?;
        Ok(file)
    }
}

/// Whether a process is writing a run's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// None is.
    No,
    /// One is; its number, where that could be read.
    By(Option<u32>),
}

/// Looks whether a process is writing the log in `folder`. A folder without a log has no writer.
///
/// # Errors
/// The lock's file cannot be opened or tried.
pub fn held(folder: &Path) -> Result<Held, Error> {
    let path = folder.join(".lock");
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Held::No),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    match file.try_lock_shared() {
        // Closing the file frees it again.
        Ok(()) => Ok(Held::No),
        Err(TryLockError::WouldBlock) => Ok(Held::By(writer(&mut file))),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

/// The process that a lock's file names.
fn writer(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Swaps two folders at once; false if this file system or kernel cannot.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// Makes a folder and its parents; an existing one is fine.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io("create the folder", path))
}

/// Removes a folder with all that is in it; a missing one is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a file; a missing one is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("rename to", to))
}

/// Makes the names in a folder survive the power. Only Unix lets a folder be synced; elsewhere the system orders it.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(Error::io("open", path))?;
        folder.sync_all().map_err(Error::io("sync", path))?;
    }
    Ok(())
}

/// The names in a folder, sorted.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
        let name = entry.map_err(Error::io("list", path))?.file_name();
        // A name that is not UTF-8 is none of ours.
        names.extend(name.into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}
