//! What the author of a schedule needs before there is a plugin: a folder to begin with, and the compiler of its language.
//!
//! - [`language`]: the languages, what each needs and how it is compiled.
//! - [`template`]: a new plugin's folder, from the examples of `sdk/`, which are embedded.
//! - [`manifest`]: `pixelrate.toml`, which says what a folder holds and what the plugin must answer.
//! - [`compile`]: the folder's language's own compiler, called as the SDK's page says.
//!
//! Nothing here runs a plugin: that is the sandbox's.
//!
//! Without its default feature `folders` the crate is [`rust`] alone, which also builds the built-in schedules: then it
//! compiles in no time.

#[cfg(feature = "folders")]
pub mod compile;
mod error;
#[cfg(feature = "folders")]
pub mod language;
#[cfg(feature = "folders")]
pub mod manifest;
pub mod rust;
mod step;
#[cfg(feature = "folders")]
pub mod template;
#[cfg(feature = "folders")]
mod tool;
mod version;

pub use error::{Error, Outdated};
pub use step::Step;
#[cfg(feature = "folders")]
pub use tool::Tool;
pub use version::Least;
