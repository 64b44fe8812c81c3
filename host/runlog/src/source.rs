//! Where the rows of a table lie now, for query engines, which read the files themselves.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::folder::RunFolder;
use crate::read::{parts, patiently};
use crate::{Error, Table, wal};

/// The rows of a table at one moment: those of the Parquet files, then those of the write-ahead log.
#[derive(Clone, Debug)]
pub struct Source {
    /// The files, in the order of the rows.
    pub parts: Vec<PathBuf>,
    /// The newest rows of a run that is under way or was cut off, which are in no file yet. Their schema is
    /// [`Table::schema`].
    pub rest: Vec<RecordBatch>,
}

impl Source {
    /// The rows, file after file, under [`Table::schema`] of the table that they are of.
    pub fn batches(self, table: Table) -> impl Iterator<Item = Result<RecordBatch, Error>> {
        let schema = table.schema();
        let files = self.parts.into_iter().flat_map(move |path| {
            let (batches, failed) = match read_part(&path) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            let schema = schema.clone();
            let batches = batches.into_iter().flatten();
            failed.into_iter().chain(batches.map(move |batch| {
                let batch = batch.map_err(|error| Error::damaged(&path, error.to_string()))?;
                conformed(&path, &batch, &schema)
            }))
        });
        files.chain(self.rest.into_iter().map(Ok))
    }
}

fn read_part(path: &Path) -> Result<ParquetRecordBatchReader, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| Error::damaged(path, error.to_string()))
}

/// Finds the rows of a table of the run in `folder`. No Parquet file is opened: it costs two listings of a folder.
///
/// While the run is under way, its writer may replace the files at any time (a run that ends makes one part of many):
/// who finds a file gone asks again.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn source(folder: &Path, table: Table) -> Result<Source, Error> {
    let folder = RunFolder::new(folder);
    if table == Table::Summary {
        let path = folder.summary();
        return Ok(Source {
            parts: path.exists().then_some(path).into_iter().collect(),
            rest: Vec::new(),
        });
    }
    patiently(|| look(&folder, table))
}

fn look(folder: &RunFolder, table: Table) -> Result<Source, Error> {
    // The write-ahead log first: rows that leave it after this are in a part by then, and the numbers tell.
    let mut segments = Vec::new();
    for (path, first) in wal::list(&folder.wal(), table.as_str())? {
        match std::fs::read(&path) {
            Ok(bytes) => segments.push((first, wal::batches(&path, &bytes, None)?, path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
    }
    let (dir, spans) = parts(folder, table.as_str())?;
    let mut due = spans.last().map_or(0, |span| span.end);
    let schema = table.schema();
    let mut rest = Vec::new();
    for (mut number, batches, path) in segments {
        for batch in batches {
            let rows = batch.num_rows();
            if rows > 0 && number > due {
                return Err(Error::damaged(
                    &path,
                    format!("it goes on with row {number}, but the rows from {due} on are missing"),
                ));
            }
            let end = number + rows as u64;
            if end > due {
                let known = usize::try_from(due - number).unwrap_or(rows);
                let new = batch.slice(known, rows - known);
                rest.push(conformed(&path, &new, &schema)?);
                due = end;
            }
            number = end;
        }
    }
    Ok(Source {
        parts: spans
            .iter()
            .map(|span| dir.join(span.file_name()))
            .collect(),
        rest,
    })
}

/// A batch of any version under the newest schema.
fn conformed(path: &Path, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let columns = schema.fields().iter().map(|field| {
        let found = batch.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    RecordBatch::try_new(schema.clone(), columns.collect())
        .map_err(|error| Error::damaged(path, error.to_string()))
}
