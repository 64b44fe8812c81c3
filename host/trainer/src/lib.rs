//! Trains image classifiers on libtorch, under a sandboxed schedule.
//!
//! One step is: ask the [schedule](pixelrate_sandbox::Schedule) for its values, forward, backward,
//! optimizer, one row in the [log](pixelrate_runlog). Every value that reaches the optimizer is the one in
//! the log, bit for bit.
//!
//! - [`spec`]: everything that is needed to run a run again (`run.toml`).
//! - [`data`]: data sets as bytes, from their official files. [`batches`] puts them on the device and draws
//!   the batches of a step from a seed.
//! - [`model`], [`precision`], [`optimizer`], [`checkpoint`]: what is trained, in which numbers, how, and how it is kept.
//! - [`train`]: the step loop.

pub mod batches;
pub mod checkpoint;
pub mod data;
pub mod device;
mod error;
mod memory;
pub mod model;
pub mod optimizer;
pub mod pictures;
pub mod precision;
pub mod spec;
pub mod train;

pub use error::Error;

/// What this program was built from: its version, libtorch's, and the commit, as far as the build knows them.
pub fn build() -> String {
    format!(
        "pixelrate {}, libtorch {}, commit {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("PIXELRATE_LIBTORCH").unwrap_or("unknown"),
        option_env!("PIXELRATE_GIT_COMMIT").unwrap_or("unknown"),
    )
}
