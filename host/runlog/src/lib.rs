//! The Parquet log of a training run: schema, writer, reader.

mod columns;
mod encoding;
mod error;
mod folder;
mod log;
mod part;
mod read;
mod record;
mod recover;
mod rows;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

#[doc(hidden)]
pub use encoding::step_layout;
pub use error::Error;
pub use log::{Options, Recovery, RunLog};
pub use part::SCHEMA_VERSION;
pub use read::{
    Steps, read_evals, read_events, read_steps, read_summaries, read_summary, steps, summaries,
    write_summaries,
};
pub use rows::{EvalRow, EventKind, EventRow, Identity, RunStatus, StepRow, SummaryRow};
