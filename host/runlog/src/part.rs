//! Parts: the Parquet files of a table.
//!
//! The rows of a table are numbered from 0 in the order in which they were logged. A part's name carries the numbers
//! that it holds, first and one past the last, so that a row which a crash left in two places (a part and the
//! write-ahead log, or two parts) is known as one.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::statistics::Statistics;

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

/// Adds a part to a table: written in the scratch folder, synced, renamed, the rename synced.
pub(crate) fn add<R: Record>(
    dir: &Path,
    scratch: &Path,
    identity: &Identity,
    first: u64,
    rows: &[R],
) -> Result<Span, Error> {
    let span = Span {
        first,
        end: first + rows.len() as u64,
    };
    let draft = scratch.join(format!("{}-{}.draft", R::TABLE, span.file_name()));
    write_file::<R>(&draft, identity, [R::to_batch(rows, identity)])?;
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
        Some(text) => match text.parse::<u32>() {
            Ok(1..=SCHEMA_VERSION) => {}
            _ => {
                return Err(Error::Newer {
                    path: path.to_owned(),
                    version: text.to_owned(),
                });
            }
        },
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
