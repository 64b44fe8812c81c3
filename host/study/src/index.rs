//! What many runs told when they were read last, in one file, so that ten thousand of them need not be opened again.
//!
//! An index is never the truth, and may be deleted at any time. Each entry carries the [`Stamp`]s that the run's files had
//! before they were read for it; where one of them is another now, the entry counts for nothing, and the run is read. So a
//! run that was removed, renamed, replaced or taken up again by hand or by another process is shown as it is.
//!
//! # The file
//!
//! A line that names the format, then entries, one behind the other:
//!
//! ```text
//! u32 bytes of the head | u32 bytes of the body | u32 CRC-32 of these two and the head | u32 CRC-32 of the body | head | body
//! ```
//!
//! in little endian. The head is the run's folder name and the stamps, as MessagePack; the body is the caller's. Of two
//! entries of one run the later counts. Entries are only ever added, in one write at the end of the file, so that two
//! processes may do so at once; what a crash, a full disk or a file system without such writes made of one shows by its
//! checksums. Reading ends at the first entry that is not whole, and the next who adds writes the file anew, beside the
//! old one and renamed over it. What another process adds meanwhile is lost, and read again when it is asked for.

mod stamp;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

pub(crate) use stamp::Stamp;

/// The folder of a study's indexes, in the study's own. Nothing that is hidden is taken for a run.
const FOLDER: &str = ".index";

/// Bytes before an entry's head.
const PREFIX: usize = 16;

/// Bytes of a head at most: a folder's name and some stamps. A longer one is no head.
const HEAD: usize = 1 << 16;

/// Bytes that wait to be added before they are.
const WAITING: usize = 4 << 20;

/// An index of a study's runs, by the names of their folders.
#[derive(Debug)]
pub(crate) struct Index {
    study: PathBuf,
    path: PathBuf,
    format: String,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// `None`: there is none that can be read.
    file: Option<File>,
    /// Bytes of the file that were read through, or added.
    size: u64,
    /// Whether something follows that is no entry.
    damaged: bool,
    entries: HashMap<String, Entry>,
    /// Bytes of entries that no longer count.
    dead: u64,
    /// Whole entries that are to be added.
    waiting: Vec<u8>,
    /// Their bodies, by the runs' names: who asks for a run's entry often asks again in a moment.
    fresh: HashMap<String, (Vec<Option<Stamp>>, Vec<u8>)>,
}

/// Where an entry lies, and what it was read from.
#[derive(Debug)]
struct Entry {
    stamps: Vec<Option<Stamp>>,
    /// Of the whole entry, its prefix included.
    at: u64,
    head: u32,
    body: u32,
    body_crc: u32,
}

impl Entry {
    fn bytes(&self) -> u64 {
        PREFIX as u64 + u64::from(self.head) + u64::from(self.body)
    }
}

/// What an entry is of: a run's folder name, and the files' stamps.
#[derive(Serialize, Deserialize)]
struct Head {
    run: String,
    stamps: Vec<Option<Stamp>>,
}

impl Index {
    /// The index `name` of the runs in `study`. `version` is that of the bodies: what another version wrote is not read.
    /// A file that cannot be used is as good as none.
    pub(crate) fn open(study: &Path, name: &str, version: u32) -> Self {
        let path = study.join(FOLDER).join(name);
        let format = format!(
            "pixelrate index 1, {name} {version}, {}\n",
            env!("CARGO_PKG_VERSION")
        );
        let open = scan(&path, &format).unwrap_or_default();
        Self {
            study: study.to_owned(),
            path,
            format,
            open: Mutex::new(open),
        }
    }

    /// The body of the entry of `run`, if there is one and its files' stamps were `stamps`.
    pub(crate) fn get(&self, run: &str, stamps: &[Option<Stamp>]) -> Option<Vec<u8>> {
        let mut open = self.lock();
        if let Some((kept, body)) = open.fresh.get(run) {
            return (kept == stamps).then(|| body.clone());
        }
        let entry = open.entries.get(run)?;
        if entry.stamps != stamps {
            return None;
        }
        let (at, crc) = (
            entry.at + PREFIX as u64 + u64::from(entry.head),
            entry.body_crc,
        );
        let mut body = vec![0; entry.body as usize];
        let file = open.file.as_mut()?;
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut body).ok()?;
        (crc32fast::hash(&body) == crc).then_some(body)
    }

    /// Adds what `run` told. `stamps` are those that its files had before they were read. That it cannot be written is no
    /// fault: the run is read again then.
    pub(crate) fn add(&self, run: &str, stamps: &[Option<Stamp>], body: &[u8]) {
        let head = Head {
            run: run.to_owned(),
            stamps: stamps.to_vec(),
        };
        let Ok(head) = rmp_serde::to_vec(&head) else {
            return;
        };
        let (Ok(head_size), Ok(body_size)) = (u32::try_from(head.len()), u32::try_from(body.len()))
        else {
            return;
        };
        let mut open = self.lock();
        let mut prefix = [0; PREFIX];
        prefix[..4].copy_from_slice(&head_size.to_le_bytes());
        prefix[4..8].copy_from_slice(&body_size.to_le_bytes());
        let head_crc = crc_of_head(&prefix, &head);
        prefix[8..12].copy_from_slice(&head_crc.to_le_bytes());
        prefix[12..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        for bytes in [&prefix, &head[..], body] {
            open.waiting.extend_from_slice(bytes);
        }
        if let Some(old) = open.entries.remove(run) {
            open.dead += old.bytes();
        }
        let kept = (stamps.to_vec(), body.to_vec());
        open.fresh.insert(run.to_owned(), kept);
        if open.waiting.len() >= WAITING {
            let _ = self.write(&mut open);
        }
    }

    /// Writes what was added. An index is let go of with its additions written.
    pub(crate) fn save(&self) {
        let _ = self.write(&mut self.lock());
    }

    fn write(&self, open: &mut Open) -> io::Result<()> {
        let waiting = std::mem::take(&mut open.waiting);
        open.fresh.clear();
        if waiting.is_empty() {
            return Ok(());
        }
        let usable = open.file.is_some() && !open.damaged && open.dead <= open.size / 2;
        if usable && self.is_still(open) {
            let mut file = OpenOptions::new().append(true).open(&self.path)?;
            // One write: it lies behind what another process adds at the same time, and not within it.
            return file.write_all(&waiting);
        }
        *open = self.write_anew(open, &waiting)?;
        Ok(())
    }

    /// Whether the path still leads to the file that was read: another process may have written it anew, in another
    /// format even.
    fn is_still(&self, open: &Open) -> bool {
        let mut line = vec![0; self.format.len()];
        let Ok(mut file) = File::open(&self.path) else {
            return false;
        };
        let same = file.read_exact(&mut line).is_ok() && line == self.format.as_bytes();
        same && file.metadata().is_ok_and(|found| found.len() >= open.size)
    }

    /// Writes the entries that count and those that wait as a new file. Runs that are not there any more are left out.
    fn write_anew(&self, open: &mut Open, waiting: &[u8]) -> io::Result<Open> {
        let folder = self.path.parent().unwrap_or(&self.study);
        fs::create_dir_all(folder)?;
        // Threads of one process have an index of their own each, and may come here at once.
        let name = format!(
            "{}.{}-{:?}.part",
            self.path.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id(),
            std::thread::current().id()
        );
        let draft = folder.join(name);
        let written = self.draft(&draft, open, waiting);
        let renamed = written.and_then(|()| fs::rename(&draft, &self.path));
        renamed.inspect_err(|_| drop(fs::remove_file(&draft)))?;
        scan(&self.path, &self.format)
    }

    fn draft(&self, draft: &Path, open: &mut Open, waiting: &[u8]) -> io::Result<()> {
        let mut out = io::BufWriter::new(File::create(draft)?);
        out.write_all(self.format.as_bytes())?;
        if let Some(file) = &mut open.file {
            let mut kept: Vec<(&String, &Entry)> = open.entries.iter().collect();
            kept.sort_by_key(|(_, entry)| entry.at);
            for (run, entry) in kept {
                if self.study.join(run).is_dir() {
                    file.seek(SeekFrom::Start(entry.at))?;
                    io::copy(&mut file.take(entry.bytes()), &mut out)?;
                }
            }
        }
        out.write_all(waiting)?;
        // It need not outlive the power: what is torn shows.
        out.flush()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Whoever panicked left whole entries behind, at worst without one that waits.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.save();
    }
}

/// Reads an index through, as far as it is whole. The error is that of a file of another format, too.
fn scan(path: &Path, format: &str) -> io::Result<Open> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut read = BufReader::with_capacity(1 << 16, &file);
    let mut line = vec![0; format.len()];
    read.read_exact(&mut line)?;
    if line != format.as_bytes() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut open = Open {
        size: line.len() as u64,
        ..Open::default()
    };
    while open.size < length {
        let Some((run, entry)) = next(&mut read, open.size, length) else {
            open.damaged = true;
            break;
        };
        open.size += entry.bytes();
        // What a body holds is read when it is asked for.
        read.seek_relative(i64::from(entry.body))?;
        if let Some(old) = open.entries.insert(run, entry) {
            open.dead += old.bytes();
        }
    }
    drop(read);
    open.file = Some(file);
    Ok(open)
}

/// The entry at `at`, whose body comes next; `None` if it is not whole.
fn next(read: &mut impl Read, at: u64, length: u64) -> Option<(String, Entry)> {
    let mut prefix = [0; PREFIX];
    read.read_exact(&mut prefix).ok()?;
    let word = |place: usize| {
        let four = prefix[place..place + 4].try_into().unwrap_or_default();
        u32::from_le_bytes(four)
    };
    let (head, body) = (word(0), word(4));
    if head as usize > HEAD {
        return None;
    }
    let mut bytes = vec![0; head as usize];
    read.read_exact(&mut bytes).ok()?;
    if crc_of_head(&prefix, &bytes) != word(8) {
        return None;
    }
    let Head { run, stamps } = rmp_serde::from_slice(&bytes).ok()?;
    let entry = Entry {
        stamps,
        at,
        head,
        body,
        body_crc: word(12),
    };
    (at + entry.bytes() <= length).then_some((run, entry))
}

/// The checksum of an entry's lengths and head.
fn crc_of_head(prefix: &[u8; PREFIX], head: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&prefix[..8]);
    crc.update(head);
    crc.finalize()
}

#[cfg(test)]
mod tests;
