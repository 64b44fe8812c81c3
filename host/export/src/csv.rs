//! CSV: a file a table, with a header, the columns of the log under their names. Numbers have the shortest digits that
//! give them back, times are RFC 3339 in UTC, null is an empty field.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_csv::Writer;
use arrow_schema::ArrowError;
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
        let refused = |error: ArrowError| refused(std::io::Error::other(error));
        let mut writer = Writer::new(draft);
        let header = with_offsets(&RecordBatch::new_empty(table.schema())).map_err(&refused)?;
        writer.write(&header).map_err(&refused)?;
        let mut rows = 0;
        for batch in source.batches(table) {
            let batch = batch?;
            let told = with_offsets(&batch).map_err(&refused)?;
            writer.write(&told).map_err(&refused)?;
            rows += batch.num_rows() as u64;
            if table == Table::Steps {
                tell(rows);
            }
        }
        writer.into_inner().finish()?;
    }
    Ok(())
}

/// The same rows, their times in UTC as an offset: Arrow's writer knows zones by their names only with a table of them all.
fn with_offsets(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        let times = column.as_primitive_opt::<TimestampMillisecondType>();
        times.map_or_else(
            || Arc::clone(column),
            |times| Arc::new(times.clone().with_timezone("+00:00")),
        )
    });
    let fields = batch.schema();
    RecordBatch::try_from_iter_with_nullable(
        fields
            .fields()
            .iter()
            .zip(columns)
            .map(|(field, column)| (field.name(), column, field.is_nullable())),
    )
}
