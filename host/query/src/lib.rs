//! SQL over the logs of any number of runs.
//!
//! The engine is DuckDB's own command-line program, of the version that [`VERSION`] names: SQL as analysts know it, tables
//! that are larger than memory, on every core. This crate finds the program ([`DuckDb::find`]), makes views of the runs
//! ([`Views`]), and has it answer ([`DuckDb::ask`]).
//!
//! A view is the table's Parquet files as they lie in the runs' folders, and what a run under way, or one that was cut
//! off, has in its write-ahead log only. Nothing is copied but those newest rows, and nothing of a run is changed.
//!
//! | view | a row is | from |
//! | --- | --- | --- |
//! | `steps` | a training step | `steps/*.parquet`, `wal/` |
//! | `evals` | an evaluation | `evals/*.parquet`, `wal/` |
//! | `events` | a thing that happened | `events/*.parquet`, `wal/` |
//! | `runs` | a run that has ended | `summary.parquet` |
//! | `params` | a setting of a run: `study`, `run`, `name`, `value` | `run.toml` |
//!
//! [`pixelrate_runlog`] tells their columns.

mod duckdb;
mod error;
mod views;

pub use duckdb::{Answer, DuckDb, Format, VERSION};
pub use error::Error;
pub use views::{View, Views};
