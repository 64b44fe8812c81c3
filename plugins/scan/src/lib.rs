//! How a picture becomes a schedule.
//!
//! A [`Scan`] visits a picture's pixels in an [`Order`], reads [`Channels`] of each, changes their [`Tone`], and lets them
//! meet the steps of a run by a [`Fit`]; a [`Control`] takes the picture's place, to tell what of it matters. The plugin
//! `image` is this crate behind the contract, and what draws a scan on its picture uses the same code.

mod chance;
mod channel;
mod choice;
mod control;
mod curve;
mod fit;
mod moments;
mod order;
mod scan;
mod settings;
mod spectrum;
mod texture;
mod tone;

pub use channel::Channels;
pub use control::{Control, MOST_STEPS};
pub use fit::Fit;
pub use moments::moments;
pub use order::{Order, places};
pub use scan::{Pixels, Scan, path};
pub use settings::Settings;
pub use spectrum::power;
pub use tone::{Normalise, Tone};
