//! The write-ahead log: Arrow IPC streams that hold what is not in a part yet.
//!
//! `wal/steps-000000065536.arrows` begins with row 65536 of the table `steps`. Each write appends one whole batch and
//! hands it to the system. A stream that was cut in the middle of a batch gives all batches before it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;

use crate::folder::{create_folder, names_in, remove_file, sync_folder};
use crate::part::{check_run, facts, rows_of};
use crate::record::Record;
use crate::{Error, Identity, SCHEMA_VERSION};

/// A segment that is being written.
pub(crate) struct Segment {
    path: PathBuf,
    stream: StreamWriter<BufWriter<File>>,
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
        let facts = facts(R::TABLE, identity);
        let facts = facts
            .into_iter()
            .map(|fact| (fact.key, fact.value.unwrap_or_default()));
        let schema = Schema::clone(&R::schema()).with_metadata(facts.collect::<BTreeMap<_, _>>());
        let stream =
            StreamWriter::try_new(BufWriter::new(file), &schema).map_err(Error::stream(&path))?;
        let named = false;
        Ok(Self {
            path,
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
        let refused = Error::stream(&self.path);
        self.stream.write(&batch).map_err(&refused)?;
        self.stream
            .get_mut()
            .flush()
            .map_err(Error::io("write", &self.path))
    }

    /// When it returns, the rows survive the power.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.stream
            .get_ref()
            .get_ref()
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
pub(crate) fn list<R: Record>(wal: &Path) -> Result<Vec<(PathBuf, u64)>, Error> {
    let names = match names_in(wal) {
        Err(error) if error.vanished() => return Ok(Vec::new()),
        other => other?,
    };
    let first = |name: &str| {
        let number = name
            .strip_prefix(R::TABLE)?
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
    let whole = &bytes[..whole_messages(bytes)];
    let Ok(stream) = StreamReader::try_new(Cursor::new(whole), None) else {
        return Ok(Vec::new()); // Cut within its first message: it held no row.
    };
    let schema = stream.schema();
    let fact = |key: &str| schema.metadata().get(key).map_or("", String::as_str);
    match fact("pixelrate.schema").parse::<u32>() {
        Ok(1..=SCHEMA_VERSION) => {}
        _ => {
            let version = fact("pixelrate.schema").to_owned();
            return Err(Error::Newer {
                path: path.to_owned(),
                version,
            });
        }
    }
    if let Some(identity) = identity {
        check_run(
            path,
            identity,
            [fact("pixelrate.study"), fact("pixelrate.run")],
        )?;
    }
    let mut rows = Vec::new();
    // What a power cut leaves after the last synced batch may be anything: the rows end where sense ends.
    for batch in stream.map_while(Result::ok) {
        rows.extend(rows_of::<R>(path, &batch)?);
    }
    Ok(rows)
}

/// Length of the whole messages at the front of a stream.
///
/// arrow-ipc takes the lengths in a stream on trust: a torn one makes it ask for that much memory, or panic. Here they
/// are held against the bytes that are there.
fn whole_messages(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = message_end(bytes, at) {
        at = next;
    }
    at
}

/// Where the message ends that begins at `at`; `None` if it is not whole or not sound.
fn message_end(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |from: usize| {
        let four = bytes.get(from..from.checked_add(4)?)?;
        Some(i32::from_le_bytes(four.try_into().ok()?))
    };
    if word(at)? != -1 {
        return None; // No continuation marker: not the beginning of a message.
    }
    let head = at + 8;
    let body = head.checked_add(usize::try_from(word(at + 4)?).ok()?)?;
    let message = arrow_ipc::root_as_message(bytes.get(head..body)?).ok()?;
    let end = body.checked_add(usize::try_from(message.bodyLength()).ok()?)?;
    (end <= bytes.len() && body > head && is_sound(&message)).then_some(end)
}

/// Whether the buffers that a message names lie within its body, and its lengths are possible.
fn is_sound(message: &arrow_ipc::Message<'_>) -> bool {
    let batch = message.header_as_record_batch().or_else(|| {
        let dictionary = message.header_as_dictionary_batch()?;
        dictionary.data()
    });
    let Some(batch) = batch else {
        return message.header_as_schema().is_some();
    };
    let size = message.bodyLength();
    let within = |offset: i64, length: i64| {
        offset >= 0 && length >= 0 && offset.checked_add(length).is_some_and(|end| end <= size)
    };
    let buffers = batch.buffers().into_iter().flatten();
    let nodes = batch.nodes().into_iter().flatten();
    // A row takes a byte at least in some column, so no batch has more rows than its body has bytes.
    (0..=size).contains(&batch.length())
        && buffers.into_iter().all(|b| within(b.offset(), b.length()))
        && nodes
            .into_iter()
            .all(|n| (0..=size).contains(&n.length()) && (0..=n.length()).contains(&n.null_count()))
}
