//! Steers a run from outside its process: hot reload, swaps, pauses, and the record of them.
//!
//! A trainer opens a [`Desk`] for its run. The desk's thread watches the file of the schedule in force, reads the
//! requests that other processes post to the run's [`Mailbox`], and prepares each schedule that is offered on another
//! thread: it is compiled, held to the conformance suite, rehearsed and started there. What the trainer must do lies
//! ready as an [`Order`] between two steps; until then the desk costs it one load of an atomic number a step.
//!
//! Every schedule that takes over is a line of the run's [`Takeovers`], with its first step, its file's hash, its
//! parameters and the state that it was given: from these a run is resumed, replayed and forked.
//!
//! ```text
//! <run>/swaps.jsonl          a line per schedule that took over
//! <run>/status.json          where the run is, for `pixelrate ps`
//! <run>/control/             requests of other processes, and the answers to them
//! <run>/plugins/<sha256>.wasm
//! <run>/pictures/            the pictures that its schedules opened
//! ```

mod background;
mod candidate;
mod desk;
mod error;
mod files;
mod mailbox;
mod request;
mod spec;
mod status;
mod takeover;
pub mod watch;

pub use candidate::{Candidate, Stage};
pub use desk::{Desk, DeskOptions, Herald, Order, Refusal};
pub use error::Error;
pub use files::{keep_pictures, keep_plugin, pictures_folder, plugin_path, write_whole};
pub use mailbox::Mailbox;
pub use request::{Offer, Reply, Request, What};
pub use spec::ScheduleSpec;
pub use status::{Activity, Status};
pub use takeover::{Cause, Takeover, Takeovers, in_force};
