//! What a schedule may use, and what its answers are held to.

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// What a schedule may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Fuel of one call after `init`: about one unit an instruction.
    pub step_fuel: u64,
    /// Fuel of instantiation and `init`.
    pub init_fuel: u64,
    /// Wall time of one call, in milliseconds: a net behind the fuel, since host calls burn none.
    pub step_ms: u64,
    /// Wall time of instantiation and `init`, in milliseconds.
    pub init_ms: u64,
    /// Bytes of linear memory, over all memories.
    pub memory_bytes: usize,
    /// Elements of all tables.
    pub table_elements: usize,
    /// Bytes of the guest's stack, at most [`Limits::MOST_STACK`].
    pub stack_bytes: usize,
    /// Bytes of a plugin's file.
    pub plugin_bytes: u64,
    /// Wall time of lifting and compiling a plugin, in milliseconds: a small module can be made to take hours.
    pub compile_ms: u64,
    /// Pixels of a picture, before it is resized.
    pub picture_pixels: u64,
    /// Bytes of a picture's file.
    pub picture_bytes: u64,
}

impl Limits {
    /// The largest stack that a guest may be given: it lies on that of the thread that calls, which has 2 MiB
    /// where Rust made it.
    pub const MOST_STACK: usize = 1 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A unit takes about 2 ns, so that the fuel is gone long before the time, on a slow and busy
            // machine too: what stops a plugin is then the same everywhere.
            step_fuel: 100_000_000,
            init_fuel: 5_000_000_000,
            step_ms: 5_000,
            init_ms: 120_000,
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            // Languages that bring an interpreter along take some 20 MB.
            plugin_bytes: 64 << 20,
            // Those take up to a minute on a busy core.
            compile_ms: 180_000,
            picture_pixels: 100_000_000,
            picture_bytes: 64 << 20,
        }
    }
}

/// What a schedule's answers are held to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardOptions {
    /// The highest learning rate that the trainer takes.
    pub max_learning_rate: f64,
    /// What follows a fault.
    pub on_fault: OnFault,
}

impl Default for GuardOptions {
    /// A ceiling of 10, and `abort`.
    fn default() -> Self {
        Self {
            max_learning_rate: 10.0,
            on_fault: OnFault::Abort,
        }
    }
}

/// What follows a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// The run ends.
    Abort,
    /// The last good values stay in force; before there are any, the run ends.
    Hold,
}

/// Counts what a store's memories and tables take, and refuses what is over the limit.
pub(crate) struct Meter {
    memory_limit: usize,
    memory_left: usize,
    elements_left: usize,
    /// What was refused, so that the trap that follows can be explained.
    pub(crate) refused: Option<String>,
}

impl Meter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            memory_left: limits.memory_bytes,
            elements_left: limits.table_elements,
            refused: None,
        }
    }

    /// Bytes of memory that were granted.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_limit - self.memory_left
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.memory_left;
        if fits {
            self.memory_left -= more;
        } else {
            self.refused = Some(format!(
                "it asked for {more} more bytes of memory where {} were left of `memory_bytes`",
                self.memory_left
            ));
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = more <= self.elements_left;
        if fits {
            self.elements_left -= more;
        } else {
            self.refused = Some(format!(
                "it asked for {more} more elements of a table where {} were left of `table_elements`",
                self.elements_left
            ));
        }
        Ok(fits)
    }
}
