//! Write a learning-rate schedule for pixelrate in Rust: one trait, one macro.
//!
//! ```
//! use pixelrate_schedule::{Run, Schedule, export_schedule};
//!
//! struct Halving { first: f64, every: f64 }
//!
//! impl Schedule for Halving {
//!     fn new(run: &Run) -> Result<Self, String> {
//!         Ok(Self { first: run.param("learning_rate"), every: run.param("every") })
//!     }
//!     fn learning_rate(&mut self, step: u64) -> f64 {
//!         self.first * 0.5_f64.powf((step as f64 / self.every).floor())
//!     }
//! }
//!
//! export_schedule!(Halving, parameters: [
//!     {"learning_rate" = 0.1, "The rate of the first steps."},
//!     {"every" = 1000, "Steps between two halvings."},
//! ]);
//! # fn main() {}
//! ```
//!
//! Build it as a `cdylib` for `wasm32-unknown-unknown`. What else a schedule may say (momentum, weight decay,
//! state to carry over) is exported only where the macro is told so, since the trainer asks for whatever a plugin
//! exports: `export_schedule!(Mine, exports: [momentum, save], parameters: […])`.

mod bindings {
    #![allow(missing_docs)]
    wit_bindgen::generate!({ path: "../wit", world: "imports" });
}

use bindings::pixelrate::schedule as contract;

#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod json;

/// What training has just shown. Calling any of these makes the trainer read the loss back at every step.
pub mod training {
    pub use super::contract::training::{
        eval_accuracy, eval_loss, eval_step, grad_norm, train_loss,
    };
}

/// The network itself. Calling this makes the trainer measure it at every step.
pub mod weights {
    pub use super::contract::weights::norm;
}

/// A learning-rate schedule.
pub trait Schedule: Sized + 'static {
    /// Made once, before the first step. An error ends the run with its message.
    ///
    /// # Errors
    /// Whatever the schedule has against the run or its parameters, in the user's words.
    fn new(run: &Run) -> Result<Self, String>;

    /// The learning rate of `step`, counted from 0.
    fn learning_rate(&mut self, step: u64) -> f64;

    /// The momentum (Adam: beta1) of `step`. Called if `export_schedule!` lists `momentum`.
    fn momentum(&mut self, step: u64) -> f64 {
        let _ = step;
        unreachable!("export_schedule! lists `momentum`, but the schedule does not implement it")
    }

    /// The weight decay of `step`. Called if `export_schedule!` lists `weight_decay`.
    fn weight_decay(&mut self, step: u64) -> f64 {
        let _ = step;
        unreachable!(
            "export_schedule! lists `weight_decay`, but the schedule does not implement it"
        )
    }

    /// The state to carry over a stop or into a replacement. Called if `export_schedule!` lists `save`.
    fn save(&mut self) -> Vec<u8> {
        unreachable!("export_schedule! lists `save`, but the schedule does not implement it")
    }

    /// Takes back what `save` gave. Called if `export_schedule!` lists `save`.
    ///
    /// # Errors
    /// Why the state cannot be used; the run then ends with that message.
    fn restore(&mut self, state: Vec<u8>) -> Result<(), String> {
        let _ = state;
        unreachable!("export_schedule! lists `save`, but the schedule does not implement `restore`")
    }
}

/// The run that the schedule is part of.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// What `export_schedule!` declares: names and defaults.
    #[doc(hidden)]
    pub defaults: &'static [(&'static str, f64)],
}

impl Run {
    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        contract::run::total_steps()
    }

    /// Steps that begin in an epoch, rounded up.
    pub fn steps_per_epoch(&self) -> u64 {
        contract::run::steps_per_epoch()
    }

    /// Pictures in the training set: an epoch is this over [`Self::batch_size`] steps, not always whole.
    pub fn train_examples(&self) -> u64 {
        contract::run::train_examples()
    }

    /// Pictures a step.
    pub fn batch_size(&self) -> u32 {
        contract::run::batch_size()
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        contract::run::seed()
    }

    /// The study's number for the declared parameter `name`, or its declared default.
    ///
    /// # Panics
    /// If `export_schedule!` does not declare it: that is a mistake in the plugin.
    pub fn param(&self, name: &str) -> f64 {
        match self.defaults.iter().find(|(known, _)| *known == name) {
            Some((_, default)) => contract::run::param(name, *default),
            None => panic!("the plugin asks for the parameter `{name}`, which it does not declare"),
        }
    }

    /// The study's number for the member `number` of a declared family, such as `boundary_1` of `boundary_*`;
    /// `None` if the study does not give it.
    pub fn member(&self, family: &str, number: u32) -> Option<f64> {
        let value = contract::run::param(&family.replace('*', &number.to_string()), f64::NAN);
        (!value.is_nan()).then_some(value)
    }

    /// Opens the picture that the study's parameter `param` names, resized so that width * height * 3 is close
    /// to `samples` (0: not resized). A picture that cannot be had ends the run with a message.
    pub fn open(&self, param: &str, samples: u64) -> Picture {
        Picture(contract::images::Image::open(param, samples))
    }

    /// Writes a line into the run's event log.
    pub fn log(&self, message: &str) {
        contract::run::log(message);
    }
}

/// A picture, decoded by the trainer.
#[derive(Debug)]
pub struct Picture(contract::images::Image);

impl Picture {
    /// Pixels a row.
    pub fn width(&self) -> u32 {
        self.0.width()
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.0.height()
    }

    /// 1 for a grey picture, 3 (red, green, blue) for any other.
    pub fn channels(&self) -> u32 {
        self.0.channels()
    }

    /// How many values there are: width * height * channels.
    #[allow(
        clippy::len_without_is_empty,
        reason = "the contract's name; a picture has at least one pixel"
    )]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// The value at `index`, in [0, 1]: row by row, pixel by pixel, channel by channel.
    pub fn value(&self, index: u64) -> f64 {
        self.0.value(index)
    }
}
