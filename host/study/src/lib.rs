//! Many runs: what a study asks for, who runs it, what it came to.
//!
//! - [`spec`]: a study's TOML. [`plan`]: the runs that it asks for, all checked before anything trains.
//! - [`split`]: how many runs side by side, with how many threads. [`engine`]: each run in a process of its own, stopped and
//!   taken up again.
//! - [`search`]: the best parameters, or pictures, by successive halving. [`range_test`]: a rate to begin with.
//! - [`steer`]: swaps, pauses and stops of runs in other processes. [`mod@fork`], [`mod@replay`]: a run's second lives.
//! - [`runs`]: the runs that there are, what each does, and which of them are meant. [`queue`]: those that have not begun.
//! - [`statistics`], [`report`], [`figure`]: what can be claimed, with error bars, and the pictures. [`lineage`]: runs that were
//!   forked, with what they came from. [`scan`]: a picture with the way of its schedule drawn on it.

mod complaints;
mod copy;
pub mod counted;
mod ended;
pub mod engine;
mod error;
pub mod figure;
pub mod fork;
mod index;
pub mod lineage;
pub mod lock;
pub mod names;
pub mod plan;
pub mod queue;
pub mod range_test;
mod raster;
pub mod rebuild;
pub mod replay;
pub mod report;
pub mod runs;
pub mod scan;
pub mod search;
pub mod spec;
pub mod split;
pub mod statistics;
pub mod steer;

pub use error::Error;
