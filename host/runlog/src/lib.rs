//! The Parquet log of a training run: schema, writer, reader.
//!
//! ```
//! use pixelrate_runlog::{Identity, RunLog, StepRow, read_steps};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! # let folder = place.path().join("runs/seed/cyclic-1");
//! let identity = Identity { study: "seed".into(), run: "cyclic-1".into(), ..Identity::default() };
//! let mut log = RunLog::create(&folder, identity)?;
//! for step in 0..100 {
//!     log.step(StepRow {
//!         step,
//!         epoch: step as f64 * 128.0 / 50_000.0,
//!         learning_rate: 3e-4,
//!         momentum: None,
//!         weight_decay: None,
//!         train_loss: Some(2.3),
//!         grad_norm: None,
//!         step_ns: 5_000_000,
//!         schedule_ns: 180,
//!         schedule: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
//!         swaps: 0,
//!     })?;
//! }
//! log.flush()?; // From here on the rows survive the process; `sync` would let them survive the power.
//! assert_eq!(read_steps(&folder)?.len(), 100);
//! # Ok(())
//! # }
//! ```
//!
//! # The files
//!
//! ```text
//! <run>/steps/part-<first>-<end>.parquet    rows first..end of the table; so too evals/ and events/
//! <run>/summary.parquet                     how the run ended; there only when it has
//! <run>/wal/steps-<first>.arrows            rows from first on that are in no part yet, an Arrow IPC stream
//! <run>/.tmp/                               half-written files; never part of the log
//! <run>/.lock                               locked by the writer
//! ```
//!
//! Any program may read `steps/*.parquet` at any time: a part appears whole or not at all, and no row is in two. While
//! the run is under way the newest rows (at most 65,536, or those of the last half minute, or of the last sixteenth of
//! the run's age if that is longer) are in `wal/` alone; [`read_steps`] and its siblings read both. When the run ends
//! each table is one part.
//!
//! The folders `steps`, `evals` and `events` belong to this crate: it replaces them whole, with what else lies there.
//!
//! # Why no crash doubles or loses a row
//!
//! Rows are numbered in the order of logging, and every file's name tells the numbers that it holds.
//!
//! * **A part is added** by writing it in `.tmp`, syncing it, renaming it, syncing the folder, and only then removing
//!   the segment of the write-ahead log that it came from. After a crash in between, the segment's numbers lie below
//!   the part's end: its rows are known and skipped.
//! * **Parts are replaced** (made one when a run ends, cut when it goes on from a checkpoint) by preparing the table's
//!   whole next folder in `.tmp`, with links to the parts that stay, and exchanging the two folders in one system call
//!   (`renameat2` with `RENAME_EXCHANGE` on Linux, `renamex_np` on macOS). A crash leaves the old folder or the new,
//!   and the other one in `.tmp`, which the next writer empties. File systems without that call get two renames; the
//!   crash between them leaves the table in `.tmp/<table>.old`, where readers find it and the next writer puts it back.
//! * **A cut** comes after the write-ahead log has become a part and its removal was synced, so that no dropped row can
//!   return from it.
//! * **A batch in the write-ahead log** counts only with its checksum.
//!
//! What is in the tables is told for analysts, who need no Rust:
//!
#![doc = include_str!("../SCHEMA.md")]

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
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

pub use error::Error;
pub use folder::{Held, held};
pub use log::{Options, Recovery, RunLog};
pub use part::SCHEMA_VERSION;
pub use read::{
    Steps, logged_steps, read_evals, read_events, read_step, read_steps, read_summaries,
    read_summary, steps, summaries, write_summaries,
};
pub use rows::{EvalRow, EventKind, EventRow, Identity, RunStatus, StepRow, SummaryRow};
pub use schema::{Column, Table};
pub use source::{Source, source};
