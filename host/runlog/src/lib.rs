//! The Parquet log of a run: schema, writer, reader.
