//! Many runs: what a study asks for, who runs it, what it came to.
//!
//! - [`spec`]: a study's TOML. [`plan`]: the runs that it asks for, all checked before anything trains.
//! - [`engine`]: each run in a process of its own, stopped and taken up again.
//! - [`statistics`], [`report`], [`figure`]: the table with its error bars, and the pictures.

pub mod engine;
mod error;
pub mod figure;
mod places;
pub mod plan;
mod raster;
pub mod report;
pub mod spec;
pub mod statistics;

pub use error::Error;
