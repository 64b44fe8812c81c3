//! The write-ahead log: Arrow IPC streams that hold what is not in a part yet.
//!
//! `wal/steps-000000065536.arrows` begins with row 65536 of the table `steps`. Each write appends one whole batch and
//! hands it to the system. A stream that was cut in the middle of a batch gives all batches before it.
//!
//! Each message of the stream carries a checksum, in eight more bytes of the padding that the format has between a
//! message's metadata and its body. Other readers of Arrow streams skip them. Here a message counts only with its
//! checksum: after the power went, the end of a file may hold anything, and arrow-ipc takes lengths on trust (it panics
//! at a wrong one, or asks for that much memory).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;

use crate::folder::{create_folder, names_in, remove_file, sync_folder};
use crate::part::{check_run, check_version, facts, rows_of};
use crate::record::Record;
use crate::{Error, Identity};

/// A segment that is being written.
pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    /// Encodes into memory, so that a batch reaches the file in one write.
    stream: StreamWriter<Vec<u8>>,
    named: bool,
}

impl Segment {
    /// Begins a segment whose first row has the number `first`.
    pub(crate) fn create<R: Record>(
        wal: &Path,
        identity: &Identity,
        first: u64,
    ) -> Result<Self, Error> {
        create_folder(wal)?;
        let path = wal.join(format!("{}-{first:012}.arrows", R::TABLE));
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let facts = facts(R::TABLE, identity).into_iter();
        let facts = facts.map(|fact| (fact.key, fact.value.unwrap_or_default()));
        let schema = Schema::clone(&R::schema()).with_metadata(facts.collect::<BTreeMap<_, _>>());
        let stream = StreamWriter::try_new(Vec::new(), &schema).map_err(Error::stream(&path))?;
        let named = false;
        Ok(Self {
            path,
            file,
            stream,
            named,
        })
    }

    /// Appends rows as one batch; when it returns, they survive the process.
    pub(crate) fn append<R: Record>(
        &mut self,
        rows: &[R],
        identity: &Identity,
    ) -> Result<(), Error> {
        let batch = R::to_batch(rows, identity)?;
        self.stream
            .write(&batch)
            .map_err(Error::stream(&self.path))?;
        let messages = std::mem::take(self.stream.get_mut());
        self.file
            .write_all(&with_checksums(&messages))
            .map_err(Error::io("write", &self.path))
    }

    /// When it returns, the rows survive the power.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(Error::io("sync", &self.path))?;
        if !self.named {
            let wal = self.path.parent().unwrap_or(Path::new("."));
            sync_folder(wal)?;
            if let Some(root) = wal.parent() {
                sync_folder(root)?;
            }
            self.named = true;
        }
        Ok(())
    }

    /// Removes the segment: its rows are in a part.
    pub(crate) fn remove(self) -> Result<(), Error> {
        remove_file(&self.path)
    }
}

/// The segments of a table: path and the number of the first row, in order. No folder, no segments.
pub(crate) fn list(wal: &Path, table: &str) -> Result<Vec<(PathBuf, u64)>, Error> {
    let names = match names_in(wal) {
        Err(error) if error.vanished() => return Ok(Vec::new()),
        other => other?,
    };
    let first = |name: &str| {
        let number = name
            .strip_prefix(table)?
            .strip_prefix('-')?
            .strip_suffix(".arrows")?;
        number.parse::<u64>().ok()
    };
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| Some((wal.join(name), first(name)?)))
        .collect();
    found.sort_unstable_by_key(|(_, first)| *first);
    Ok(found)
}

/// The rows of the segments from number `end` on (below it they are in parts already).
///
/// # Errors
/// If the first segment begins after `end`: rows between are missing.
pub(crate) fn rows_after<R: Record>(
    segments: &[(PathBuf, u64, Vec<R>)],
    end: u64,
) -> Result<Vec<R>, Error> {
    let mut rows = Vec::new();
    for (path, first, found) in segments {
        let due = end + rows.len() as u64;
        if found.is_empty() {
            continue;
        }
        if *first > due {
            let reason =
                format!("it begins with row {first}, but the rows from {due} on are missing");
            return Err(Error::damaged(path, reason));
        }
        let known = usize::try_from(due - first)
            .unwrap_or(usize::MAX)
            .min(found.len());
        rows.extend_from_slice(&found[known..]);
    }
    Ok(rows)
}

/// Reads a segment as far as it goes. `None` if it is gone: a part has its rows.
pub(crate) fn read<R: Record>(
    path: &Path,
    identity: Option<&Identity>,
) -> Result<Option<Vec<R>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => parse(path, &bytes, identity).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The rows in the bytes of a segment, as far as they go; `path` is for messages.
pub(crate) fn parse<R: Record>(
    path: &Path,
    bytes: &[u8],
    identity: Option<&Identity>,
) -> Result<Vec<R>, Error> {
    let mut rows = Vec::new();
    for batch in batches(path, bytes, identity)? {
        rows.extend(rows_of::<R>(path, &batch)?);
    }
    Ok(rows)
}

/// The batches in the bytes of a segment, as far as they go.
pub(crate) fn batches(
    path: &Path,
    bytes: &[u8],
    identity: Option<&Identity>,
) -> Result<Vec<RecordBatch>, Error> {
    let whole = whole_messages(bytes);
    let Ok(stream) = StreamReader::try_new(Cursor::new(whole), None) else {
        return Ok(Vec::new()); // Cut within its first message: it held no row.
    };
    let schema = stream.schema();
    let fact = |key: &str| schema.metadata().get(key).map_or("", String::as_str);
    check_version(path, fact("pixelrate.schema"))?;
    if let Some(identity) = identity {
        check_run(
            path,
            identity,
            [fact("pixelrate.study"), fact("pixelrate.run")],
        )?;
    }
    stream
        .map(|batch| batch.map_err(|error| Error::damaged(path, error.to_string())))
        .collect()
}

/// Ends a checksum, so that padding of another writer is not taken for one.
const SEAL: [u8; 4] = *b"crc1";

/// Bytes of a checksum with its seal.
const SEALED: usize = 8;

/// Where a message's metadata and its body lie.
struct Message {
    metadata: Range<usize>,
    body: Range<usize>,
}

impl Message {
    /// The message that begins at `at`; `None` if it is not whole.
    ///
    /// A message is a marker of four bytes 0xff, the length of its metadata in four bytes, the metadata, the body.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let word = |from: usize| {
            let four = bytes.get(from..from.checked_add(4)?)?;
            Some(i32::from_le_bytes(four.try_into().ok()?))
        };
        if word(at)? != -1 {
            return None;
        }
        let start = at + 8;
        let middle = start.checked_add(usize::try_from(word(at + 4)?).ok()?)?;
        let metadata = bytes.get(start..middle).filter(|m| !m.is_empty())?;
        let size = arrow_ipc::root_as_message(metadata).ok()?.bodyLength();
        let end = middle.checked_add(usize::try_from(size).ok()?)?;
        (end <= bytes.len()).then_some(Self {
            metadata: start..middle,
            body: middle..end,
        })
    }
}

/// The checksum of a message, as it is written: CRC-32 of metadata and body, then the seal.
fn checksum(metadata: &[u8], body: &[u8]) -> [u8; SEALED] {
    let mut hash = crc32fast::Hasher::new();
    hash.update(metadata);
    hash.update(body);
    let mut sealed = [0; SEALED];
    sealed[..4].copy_from_slice(&hash.finalize().to_le_bytes());
    sealed[4..].copy_from_slice(&SEAL);
    sealed
}

/// Messages with their checksums put behind their metadata.
fn with_checksums(messages: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(messages.len() + 8 * SEALED);
    let mut at = 0;
    while let Some(message) = Message::at(messages, at) {
        let (metadata, body) = (&messages[message.metadata], &messages[message.body.clone()]);
        // The length came from an i32 and grows by eight: it fits but for metadata of two gigabytes.
        let length = i32::try_from(metadata.len() + SEALED).unwrap_or(i32::MAX);
        out.extend_from_slice(&[0xff; 4]);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(metadata);
        out.extend_from_slice(&checksum(metadata, body));
        out.extend_from_slice(body);
        at = message.body.end;
    }
    out
}

/// The messages at the front of a stream that are whole and hold their checksum.
fn whole_messages(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(message) = Message::at(bytes, end) {
        let metadata = &bytes[message.metadata];
        let Some((metadata, sealed)) = metadata.split_last_chunk::<SEALED>() else {
            break;
        };
        if *sealed != checksum(metadata, &bytes[message.body.clone()]) {
            break;
        }
        end = message.body.end;
    }
    &bytes[..end]
}
