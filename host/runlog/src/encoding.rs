//! How columns are laid out in Parquet.
//!
//! Chosen by `benches/encode.rs`. Bytes a row of 200,000 steps of a CIFAR-10 run (loss and gradient norm noisy, as f32
//! widened), for four schedules; million rows a second, written into memory, two cores that others used too:
//!
//! | layout | fixed | cyclic | cosine | picture | Mrow/s |
//! | --- | --- | --- | --- | --- | --- |
//! | parquet-rs as it comes: dictionaries, no compression | 47.6 | 49.6 | 57.0 | 48.6 | 1.8-2.3 |
//! | pyarrow as it comes: dictionaries, snappy | 36.1 | 37.3 | 45.5 | 37.2 | 2.6-3.3 |
//! | dictionaries, zstd 3 | 24.4 | 25.3 | 33.5 | 25.5 | 1.2-1.4 |
//! | plain numbers, zstd 3 | 15.7 | 17.2 | 22.9 | 17.3 | 2.6-3.0 |
//! | BYTE_STREAM_SPLIT floats, plain integers, zstd 3 | 12.7 | 13.7 | 17.8 | 19.7 | 3.3-3.9 |
//! | split floats, split integers, zstd 3 | 11.2 | 12.1 | 16.3 | 18.2 | 3.5-5.0 |
//! | split floats, DELTA_BINARY_PACKED integers, zstd 3 | 11.0 | 12.0 | 16.1 | 18.0 | 4.5-5.0 |
//! | the same, scheduled values in a dictionary up to 8 KiB | 11.0 | 12.1 | 16.0 | 12.0 | 4.3-4.8 |
//! | **the same, dictionary up to 64 KiB: the log's** | 11.0 | 11.8 | 16.5 | 12.0 | 4.6-5.0 |
//! | the same, dictionary up to 1 MiB | 11.0 | 11.8 | 20.1 | 12.0 | 3.6-4.7 |
//! | the log's with zstd 1 | 11.4 | 12.2 | 16.8 | 12.4 | 5.5-5.7 |
//! | the log's with zstd 9 | 10.6 | 11.4 | 16.0 | 11.6 | 3.3-3.5 |
//! | the log's in row groups of 16,384 | 11.4 | 13.0 | 18.4 | 12.5 | 4.5-5.0 |
//! | the log's in row groups of 1,048,576 | 11.0 | 11.7 | 16.3 | 12.0 | 3.6-5.0 |
//!
//! `cargo bench --profile dev -p pixelrate-runlog --bench encode`, with the libraries at full speed as that profile has
//! them. Of the log's 12 bytes, 3.2 each are the loss and the gradient norm, 2.8 the step's time: noise, which nothing
//! makes smaller.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::columns::{Column, Kind};

/// Rows in a row group at the most. Engines share out a file by groups; larger ones are hardly smaller on the disk. Full
/// parts, of half as many rows, keep their groups when a run ends.
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;

/// Level of zstd. Level 9 saves a thirtieth and takes half as long again.
const ZSTD_LEVEL: i32 = 3;

/// Bytes of a dictionary for what schedules choose: 8192 values. A picture has 256 brightnesses, and a cycle repeats,
/// but a cosine never does: beyond this the column goes on without dictionary.
const RATE_DICTIONARY_BYTES: usize = 64 << 10;

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
            Kind::Rate => properties
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_dictionary_page_size_limit(path.clone(), RATE_DICTIONARY_BYTES)
                .set_column_dictionary_enabled(path, true),
        };
    }
    Ok(properties.build())
}
