//! CSV: a file a table, with a header, the columns of the log under their names. Numbers have the shortest digits that
//! give them back, times are RFC 3339 in UTC, null is an empty field.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use chrono::SecondsFormat;
use csv::Writer;
use pixelrate_runlog::{Table, source};

use crate::Error;
use crate::draft::Draft;
use crate::run::Run;

pub(crate) fn write(run: &Run, out: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), Error> {
    let folder = out.join(&run.study).join(&run.run);
    for table in Table::ALL {
        let source = source(&run.folder, table)?;
        if table == Table::Summary && source.parts.is_empty() {
            continue;
        }
        let draft = Draft::create(folder.join(format!("{table}.csv")))?;
        let refused = draft.refused();
        let mut writer = Writer::from_writer(draft);
        let schema = table.schema();
        let names = schema.fields().iter().map(|field| field.name());
        writer.write_record(names).map_err(|e| refused(e.into()))?;
        let mut rows = 0;
        for batch in source.batches(table) {
            let batch = batch?;
            write_rows(&mut writer, &batch).map_err(&refused)?;
            rows += batch.num_rows() as u64;
            if table == Table::Steps {
                tell(rows);
            }
        }
        let draft = writer.into_inner().map_err(|e| refused(e.into_error()))?;
        draft.finish()?;
    }
    Ok(())
}

fn write_rows(writer: &mut Writer<impl Write>, batch: &RecordBatch) -> io::Result<()> {
    let mut cell = String::new();
    for row in 0..batch.num_rows() {
        for column in batch.columns() {
            cell.clear();
            if !column.is_null(row) {
                tell(&mut cell, column, row).map_err(io::Error::other)?;
            }
            writer.write_field(&cell)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

/// Adds what the column says in this row, which is not null, to `cell`.
fn tell(cell: &mut String, column: &dyn Array, row: usize) -> fmt::Result {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let words = column.as_dictionary::<Int32Type>();
            let word = words.key(row).unwrap_or_default();
            cell.write_str(words.values().as_string::<i32>().value(word))
        }
        DataType::Utf8 => cell.write_str(column.as_string::<i32>().value(row)),
        DataType::Int64 => write!(cell, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => write!(cell, "{}", column.as_primitive::<UInt64Type>().value(row)),
        // Unlike `{}`, this has an exponent where that is shorter.
        DataType::Float64 => write!(
            cell,
            "{:?}",
            column.as_primitive::<Float64Type>().value(row)
        ),
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMillisecondType>();
            let time = times.value_as_datetime(row).ok_or(fmt::Error)?.and_utc();
            cell.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
        // The log has no column of another type.
        _ => Err(fmt::Error),
    }
}
