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
//! # Tables
//!
//! Schema version 2, which added `swaps`; files of version 1 are read as runs without any (`pixelrate.schema` in the files' key-value metadata, beside `pixelrate.table`, `pixelrate.study`,
//! `pixelrate.run` and the caller's facts as `pixelrate.fact.<name>`). All columns but those marked with a star are
//! filled in every row. Counts are signed in the files, since differences of unsigned columns fail in SQL. Strings of
//! few values read as dictionaries (pandas: categories) where the reader knows such a thing. A NaN is a NaN; null means
//! that there was no value.
//!
//! `steps`, a row per step:
//!
//! | column | Parquet type | unit | meaning |
//! | --- | --- | --- | --- |
//! | study, run | STRING | | the study's and the run's name |
//! | step | INT64 | steps | number of the step, from 0 |
//! | epoch | DOUBLE | passes | passes over the training set before the step |
//! | learning_rate | DOUBLE | | what reached the optimizer, bit for bit |
//! | momentum\* | DOUBLE | | the same, if the schedule sets it |
//! | weight_decay\* | DOUBLE | | the same, if the schedule sets it |
//! | train_loss\* | DOUBLE | nats | mean loss of the batch, before the step |
//! | grad_norm\* | DOUBLE | | L2 norm of the gradient |
//! | step_ns | INT64 | ns | wall time of the step |
//! | schedule_ns | INT64 | ns | wall time of the schedule's call |
//! | schedule | STRING | | SHA-256 of the schedule in force, hexadecimal |
//! | swaps | INT64 | | schedules that had taken over before the step: 0 under the one that the run began with |
//!
//! `evals`, a row per evaluation:
//!
//! | column | Parquet type | unit | meaning |
//! | --- | --- | --- | --- |
//! | study, run | STRING | | as above |
//! | step | INT64 | steps | steps done when it was measured |
//! | epoch | DOUBLE | passes | passes over the training set by then |
//! | split | STRING | | which examples: `test`, `train` |
//! | loss | DOUBLE | nats | mean loss |
//! | accuracy | DOUBLE | share | examples classified rightly, 0 to 1 |
//! | examples | INT64 | | examples measured |
//!
//! `events`, a row per thing that happened ([`EventKind`]):
//!
//! | column | Parquet type | unit | meaning |
//! | --- | --- | --- | --- |
//! | study, run | STRING | | as above |
//! | step | INT64 | steps | steps done when it happened |
//! | time | TIMESTAMP(ms, UTC) | | when it happened |
//! | kind | STRING | | loaded, swapped, rejected, reverted, fault, log, checkpoint, resumed, paused, continued, finished, failed, stopped, judged |
//! | schedule\* | STRING | | SHA-256 of the schedule that it is about |
//! | message | STRING | | for people |
//! | duration_ns\* | INT64 | ns | how long it took |
//!
//! `summary`, a row per run:
//!
//! | column | Parquet type | unit | meaning |
//! | --- | --- | --- | --- |
//! | study, run | STRING | | as above |
//! | schedule | STRING | | the schedule's label in the study |
//! | schedule_sha256 | STRING | | the schedule that the run began with |
//! | seed | UINT64 | | the run's seed |
//! | dataset, model, optimizer | STRING | | what was trained, and how |
//! | batch_size | INT64 | examples | examples in a batch |
//! | epochs | DOUBLE | passes | passes planned |
//! | total_steps, steps_done | INT64 | steps | steps planned and done |
//! | status | STRING | | finished, failed, diverged, stopped |
//! | final_train_loss\* | DOUBLE | nats | loss of the last batch |
//! | final_eval_loss\* | DOUBLE | nats | loss of the last evaluation |
//! | final_eval_accuracy\*, best_eval_accuracy\* | DOUBLE | share | the last accuracy and the best, 0 to 1 |
//! | wall_seconds | DOUBLE | s | time that the run took, pauses not counted |
//! | started_at, finished_at | TIMESTAMP(ms, UTC) | | when it began and ended |
//! | error\* | STRING | | why it failed |
//! | device | STRING | | `cpu`, or the GPU's name |
//! | threads | INT64 | | threads that computed |
//! | pixelrate_version | STRING | | |
//! | git_commit\* | STRING | | the commit that pixelrate was built from |

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

pub use error::Error;
pub use folder::{Held, held};
pub use log::{Options, Recovery, RunLog};
pub use part::SCHEMA_VERSION;
pub use read::{
    Steps, read_evals, read_events, read_steps, read_summaries, read_summary, steps, summaries,
    write_summaries,
};
pub use rows::{EvalRow, EventKind, EventRow, Identity, RunStatus, StepRow, SummaryRow};
