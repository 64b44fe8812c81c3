//! Parts: the Parquet files of a table.
//!
//! The rows of a table are numbered from 0 in the order in which they were logged. A part's name carries the numbers
//! that it holds, first and one past the last, so that a row which a crash left in two places (a part and the
//! write-ahead log, or two parts) is known as one.

use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::ChunkReader;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use crate::encoding;
use crate::folder::{self, names_in, rename, sync_folder};
use crate::record::Record;
use crate::{Error, Identity};

/// The version of the files' schema, in their metadata as `pixelrate.schema`. Version 2 added `swaps` to the steps.
pub const SCHEMA_VERSION: u32 = 2;

/// Rows in a batch when a part is read.
const READ_ROWS: usize = 8192;

/// The numbers of the rows in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn rows(self) -> u64 {
        self.end - self.first
    }

    pub(crate) fn file_name(self) -> String {
        format!("part-{:012}-{:012}.parquet", self.first, self.end)
    }

    fn parse(name: &str) -> Option<Self> {
        let (first, end) = name
            .strip_prefix("part-")?
            .strip_suffix(".parquet")?
            .split_once('-')?;
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        (first <= end).then_some(Self { first, end })
    }
}

/// The parts of a table's folder in order, each row once.
///
/// # Errors
/// If numbers are missing between two parts, or two parts share some rows but not all.
pub(crate) fn list(dir: &Path) -> Result<Vec<Span>, Error> {
    let mut spans: Vec<Span> = names_in(dir)?
        .iter()
        .filter_map(|name| Span::parse(name))
        .collect();
    spans.sort_unstable_by_key(|span| (span.first, std::cmp::Reverse(span.end)));
    let mut parts: Vec<Span> = Vec::new();
    for span in spans {
        let end = parts.last().map_or(0, |last| last.end);
        if !parts.is_empty() && span.end <= end {
            continue; // Inside the one before it.
        }
        if span.first > end {
            return Err(Error::damaged(
                dir,
                format!(
                    "the rows {end} to {} are missing: a part is gone",
                    span.first
                ),
            ));
        }
        if span.first < end {
            let name = span.file_name();
            return Err(Error::damaged(
                dir,
                format!("{name} repeats some rows of the part before it"),
            ));
        }
        parts.push(span);
    }
    Ok(parts)
}

/// What every file tells of itself.
pub(crate) fn facts(table: &str, identity: &Identity) -> Vec<KeyValue> {
    let entry = |key: String, value: &str| KeyValue::new(key, value.to_owned());
    let mut facts = vec![
        entry("pixelrate.schema".into(), &SCHEMA_VERSION.to_string()),
        entry("pixelrate.table".into(), table),
        entry("pixelrate.study".into(), &identity.study),
        entry("pixelrate.run".into(), &identity.run),
    ];
    facts.extend(
        identity
            .facts
            .iter()
            .map(|(name, value)| entry(format!("pixelrate.fact.{name}"), value)),
    );
    facts
}

/// Writes a file of a table from batches, synced. The name's folder is the caller's to sync.
pub(crate) fn write_file<R: Record>(
    path: &Path,
    identity: &Identity,
    batches: impl IntoIterator<Item = Result<RecordBatch, Error>>,
) -> Result<(), Error> {
    let refused = Error::encode(path);
    let properties =
        encoding::properties(R::COLUMNS, facts(R::TABLE, identity)).map_err(&refused)?;
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut writer = ArrowWriter::try_new(file, R::schema(), Some(properties)).map_err(&refused)?;
    for batch in batches {
        writer.write(&batch?).map_err(&refused)?;
    }
    let file = writer.into_inner().map_err(&refused)?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Rows that are encoded at once.
const BATCH_ROWS: usize = 16_384;

/// Rows of a row group that is worth keeping as it is. Smaller ones take more bytes a row and more reads.
const FULL_ROWS: i64 = 32_768;

/// Writes a file with all rows of the parts `spans` of `dir`, synced, in row groups of a good size: those that have one
/// are copied as they lie in their part, without being decoded, so that a run of a hundred million steps ends in a moment.
/// The name's folder is the caller's to sync.
pub(crate) fn write_joined<R: Record>(
    path: &Path,
    identity: &Identity,
    dir: &Path,
    spans: &[Span],
) -> Result<(), Error> {
    let refused = Error::encode(path);
    let properties =
        encoding::properties(R::COLUMNS, facts(R::TABLE, identity)).map_err(&refused)?;
    let file = File::create(path).map_err(Error::io("create", path))?;
    let writer =
        ArrowWriter::try_new(file, R::schema(), Some(properties.clone())).map_err(&refused)?;
    let (mut whole, _) = writer.into_serialized_writer().map_err(&refused)?;
    let mut small = Small::<R>::new(properties);
    for span in spans {
        let opened = open_part::<R>(dir, *span)?;
        let groups = opened.metadata().row_groups();
        let full = groups.iter().all(|group| group.num_rows() >= FULL_ROWS);
        // A part that an older version wrote lacks columns.
        if full && opened.metadata().file_metadata().schema_descr() == whole.schema_descr() {
            small.flush(&mut whole).map_err(&refused)?;
            let part = File::open(&opened.path).map_err(Error::io("open", &opened.path))?;
            copy_groups(&part, &mut whole)
                .map_err(|error| Error::damaged(&opened.path, error.to_string()))?;
            continue;
        }
        let mut batches = opened.batches()?;
        while let Some(batch) = batches.next() {
            let batch = batch?;
            let plain = if batch.num_columns() == R::COLUMNS.len() {
                // The reader puts the file's metadata into the schema; the writer compares schemas.
                RecordBatch::try_new(R::schema(), batch.columns().to_vec())
                    .map_err(|error| Error::damaged(batches.path(), error.to_string()))?
            } else {
                R::to_batch(&rows_of::<R>(batches.path(), &batch)?, identity)?
            };
            small.write(&plain).map_err(&refused)?;
            if small.rows >= encoding::ROW_GROUP_ROWS {
                small.flush(&mut whole).map_err(&refused)?;
            }
        }
    }
    small.flush(&mut whole).map_err(&refused)?;
    let file = whole.into_inner().map_err(&refused)?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Rows of parts that are too small to be copied, encoded anew in memory.
struct Small<R> {
    properties: WriterProperties,
    writer: Option<ArrowWriter<Vec<u8>>>,
    rows: usize,
    record: PhantomData<R>,
}

impl<R: Record> Small<R> {
    fn new(properties: WriterProperties) -> Self {
        Self {
            properties,
            writer: None,
            rows: 0,
            record: PhantomData,
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> parquet::errors::Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let properties = Some(self.properties.clone());
                none.insert(ArrowWriter::try_new(Vec::new(), R::schema(), properties)?)
            }
        };
        self.rows += batch.num_rows();
        writer.write(batch)
    }

    /// Moves what was gathered to the end of `whole`.
    fn flush(&mut self, whole: &mut SerializedFileWriter<File>) -> parquet::errors::Result<()> {
        self.rows = 0;
        match self.writer.take() {
            Some(writer) => copy_groups(&Bytes::from(writer.into_inner()?), whole),
            None => Ok(()),
        }
    }
}

/// Copies all row groups of a file to the end of another of the same columns, with their statistics and indexes.
fn copy_groups(
    from: &impl ChunkReader,
    to: &mut SerializedFileWriter<File>,
) -> parquet::errors::Result<()> {
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(from)?;
    for (place, group) in metadata.row_groups().iter().enumerate() {
        let mut copy = to.next_row_group()?;
        for (column, chunk) in group.columns().iter().enumerate() {
            let index = metadata.page_index();
            let written = ColumnCloseResult {
                bytes_written: chunk.compressed_size().unsigned_abs(),
                rows_written: group.num_rows().unsigned_abs(),
                metadata: chunk.clone(),
                bloom_filter: None,
                column_index: index
                    .and_then(|index| index.column_index(place, column))
                    .cloned(),
                offset_index: index
                    .and_then(|index| index.offset_index(place, column))
                    .cloned(),
            };
            copy.append_column(from, written)?;
        }
        copy.close()?;
    }
    Ok(())
}

/// Adds a part to a table: written in the scratch folder, synced, renamed, the rename synced.
pub(crate) fn add<R: Record>(
    dir: &Path,
    scratch: &Path,
    identity: &Identity,
    first: u64,
    rows: &[R],
) -> Result<Span, Error> {
    // A batch's texts must be fewer than 2 GiB.
    let slices = rows.chunks(BATCH_ROWS);
    let batches = slices.map(|slice| R::to_batch(slice, identity));
    add_batches::<R>(dir, scratch, identity, first, rows.len() as u64, batches)
}

/// As [`add`], of `count` rows in batches.
pub(crate) fn add_batches<R: Record>(
    dir: &Path,
    scratch: &Path,
    identity: &Identity,
    first: u64,
    count: u64,
    batches: impl IntoIterator<Item = Result<RecordBatch, Error>>,
) -> Result<Span, Error> {
    let span = Span {
        first,
        end: first + count,
    };
    let draft = scratch.join(format!("{}-{}.draft", R::TABLE, span.file_name()));
    write_file::<R>(&draft, identity, batches)?;
    rename(&draft, &dir.join(span.file_name()))?;
    sync_folder(dir)?;
    Ok(span)
}

/// Writes a file that stands alone (a summary) over its older self.
pub(crate) fn write_alone<R: Record>(
    path: &Path,
    scratch: &Path,
    identity: &Identity,
    rows: &[R],
) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    folder::create_folder(scratch)?;
    let draft = scratch.join(format!("{}-{}.draft", R::TABLE, std::process::id()));
    write_file::<R>(&draft, identity, [R::to_batch(rows, identity)])?;
    rename(&draft, path)?;
    sync_folder(folder)
}

/// An open file of a table.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

/// Opens a file and checks that it is a table of ours that this version can read.
pub(crate) fn open<R: Record>(path: &Path) -> Result<Opened, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| Error::damaged(path, error.to_string()))?;
    let opened = Opened {
        path: path.to_owned(),
        builder,
    };
    match opened.fact("pixelrate.schema") {
        None => {
            return Err(Error::damaged(
                path,
                "it was not written by pixelrate (no `pixelrate.schema`)",
            ));
        }
        Some(version) => check_version(path, version)?,
    }
    match opened.fact("pixelrate.table") {
        Some(table) if table == R::TABLE => Ok(opened),
        other => Err(Error::damaged(
            path,
            format!("it holds the table {other:?}, not {}", R::TABLE),
        )),
    }
}

/// Opens a part and checks its length against its name.
pub(crate) fn open_part<R: Record>(dir: &Path, span: Span) -> Result<Opened, Error> {
    let path = dir.join(span.file_name());
    let opened = open::<R>(&path)?;
    let rows = opened.metadata().file_metadata().num_rows();
    if u64::try_from(rows).ok() != Some(span.rows()) {
        return Err(Error::damaged(
            &path,
            format!("it holds {rows} rows where its name says {}", span.rows()),
        ));
    }
    Ok(opened)
}

impl Opened {
    fn metadata(&self) -> &ParquetMetaData {
        self.builder.metadata()
    }

    /// An entry of the key-value metadata.
    pub(crate) fn fact(&self, key: &str) -> Option<&str> {
        let entries = self.metadata().file_metadata().key_value_metadata()?;
        entries
            .iter()
            .find(|entry| entry.key == key)?
            .value
            .as_deref()
    }

    /// Refuses the file of another run.
    pub(crate) fn check_run(&self, identity: &Identity) -> Result<(), Error> {
        let found = [
            self.fact("pixelrate.study").unwrap_or(""),
            self.fact("pixelrate.run").unwrap_or(""),
        ];
        check_run(&self.path, identity, found)
    }

    /// Smallest and largest `step`, from the statistics; `None` if the file is empty or has none.
    pub(crate) fn steps(&self) -> Option<(u64, u64)> {
        let column = self.builder.schema().index_of("step").ok()?;
        let mut range: Option<(i64, i64)> = None;
        for group in self.metadata().row_groups() {
            let Some(Statistics::Int64(found)) = group.column(column).statistics() else {
                return None;
            };
            let (low, high) = (*found.min_opt()?, *found.max_opt()?);
            range = Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
        }
        let (low, high) = range?;
        Some((low.try_into().ok()?, high.try_into().ok()?))
    }

    /// The file's batches.
    pub(crate) fn batches(self) -> Result<Batches, Error> {
        let reader = self.builder.with_batch_size(READ_ROWS).build();
        let reader = reader.map_err(|error| Error::damaged(&self.path, error.to_string()))?;
        Ok(Batches {
            path: self.path,
            reader,
        })
    }
}

/// Refuses a schema that is newer than this version's; `version` is as the file has it.
pub(crate) fn check_version(path: &Path, version: &str) -> Result<(), Error> {
    match version.parse::<u32>() {
        Ok(1..=SCHEMA_VERSION) => Ok(()),
        Ok(version) if version > SCHEMA_VERSION => Err(Error::Newer {
            path: path.to_owned(),
            version,
        }),
        _ => Err(Error::damaged(
            path,
            format!("its schema version is \"{version}\""),
        )),
    }
}

/// Refuses rows of another run; `found` is study and run.
pub(crate) fn check_run(path: &Path, identity: &Identity, found: [&str; 2]) -> Result<(), Error> {
    if found == [identity.study.as_str(), identity.run.as_str()] {
        return Ok(());
    }
    Err(Error::OtherRun {
        path: path.to_owned(),
        expected: format!("{}/{}", identity.study, identity.run),
        found: found.join("/"),
    })
}

/// The batches of a file, in order.
#[derive(Debug)]
pub(crate) struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Batches {
    /// Where they come from, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| Error::damaged(&self.path, error.to_string())))
    }
}

/// The rows of a batch that was read from `path`.
pub(crate) fn rows_of<R: Record>(path: &Path, batch: &RecordBatch) -> Result<Vec<R>, Error> {
    R::from_batch(batch).map_err(|reason| Error::damaged(path, reason))
}
