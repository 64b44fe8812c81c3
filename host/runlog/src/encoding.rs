//! How columns are laid out in Parquet: the encodings that `benches/encode.rs` chose.

use arrow_schema::SchemaRef;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::columns::{Column, Kind};

/// Rows in a row group: enough for the codecs to work, few enough that engines find several groups to share out.
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;

/// Level of zstd. Higher levels take longer and save less than a tenth.
const ZSTD_LEVEL: i32 = 3;

/// The properties of a table's files.
pub(crate) fn properties(columns: &[Column], facts: Vec<KeyValue>) -> Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(facts));
    for column in columns {
        let path = ColumnPath::from(column.name);
        properties = match column.kind {
            Kind::Word | Kind::Text => properties.set_column_dictionary_enabled(path, true),
            Kind::Count | Kind::Bits | Kind::Time => {
                properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            Kind::Real => properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
        };
    }
    Ok(properties.build())
}

/// Arrow schema and Parquet properties of step files, for `benches/encode.rs`.
#[doc(hidden)]
pub fn step_layout() -> Result<(SchemaRef, WriterProperties)> {
    use crate::record::Record;
    Ok((
        crate::StepRow::schema(),
        properties(crate::StepRow::COLUMNS, Vec::new())?,
    ))
}
