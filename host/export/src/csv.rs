//! CSV: a file a table, with a header, the columns of the log under their names. Numbers have the shortest digits that
//! give them back, times are RFC 3339 in UTC, null is an empty field.

use std::path::Path;

use arrow_csv::Writer;
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
        let refused = |error: arrow_schema::ArrowError| refused(std::io::Error::other(error));
        let mut writer = Writer::new(draft);
        let header = arrow_array::RecordBatch::new_empty(table.schema());
        writer.write(&header).map_err(&refused)?;
        let mut rows = 0;
        for batch in source.batches(table) {
            let batch = batch?;
            writer.write(&batch).map_err(&refused)?;
            rows += batch.num_rows() as u64;
            if table == Table::Steps {
                tell(rows);
            }
        }
        writer.into_inner().finish()?;
    }
    Ok(())
}
