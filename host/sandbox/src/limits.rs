//! What a schedule may use, and what its answers are held to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use wasmtime::ResourceLimiter;

/// What a schedule may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
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
    /// Wall time of lifting and compiling a plugin, and of keeping its functions, in milliseconds: a small module can be made to take
    /// hours. For as long as half of it another process that compiles the same is waited for.
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
#[serde(deny_unknown_fields, default, expecting = "a table")]
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

/// What the instances of one schedule may use together. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Left>);

#[derive(Debug)]
struct Left {
    memory_limit: usize,
    memory: AtomicUsize,
    elements: AtomicUsize,
    /// Values of pictures that may be held open yet.
    values: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Left {
            memory_limit: limits.memory_bytes,
            memory: limits.memory_bytes.into(),
            elements: limits.table_elements.into(),
            values: limits.picture_pixels.saturating_mul(3).into(),
        }))
    }

    /// Bytes of memory that were granted.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.memory_limit - self.0.memory.load(Ordering::Relaxed)
    }

    /// Takes `values` of a picture, if there are so many left; else says how many there are.
    pub(crate) fn open(&self, values: u64) -> Result<(), u64> {
        let take = |left: u64| left.checked_sub(values);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.0.values.fetch_update(set, fetch, take).map(drop)
    }

    /// Gives `values` of a picture back.
    pub(crate) fn close(&self, values: u64) {
        self.0.values.fetch_add(values, Ordering::Relaxed);
    }
}

/// Takes `more` of what is left, if there is so much; else says how much there is.
fn take(left: &AtomicUsize, more: usize) -> Result<(), usize> {
    let less = |left: usize| left.checked_sub(more);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .map(drop)
}

/// What instances that are made in one call may use together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Units of fuel.
    pub(crate) fuel: u64,
    /// Milliseconds.
    pub(crate) ms: u64,
}

impl Allowance {
    pub(crate) fn of_init(limits: &Limits) -> Self {
        Self {
            fuel: limits.init_fuel,
            ms: limits.init_ms,
        }
    }

    /// Takes off what was used since `began`, and the fuel of which `left` was left.
    pub(crate) fn spend(&mut self, began: Instant, left: u64) {
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        *self = Self {
            fuel: left,
            ms: self.ms.saturating_sub(ms),
        };
    }
}

/// Core instances of one component at most, its tables, and its memories. What an instance takes of the host's memory for
/// its globals is counted nowhere else; Python's and JavaScript's components have some ten.
const PIECES: usize = 100;

/// Counts what a store's memories and tables take, and refuses what is over the limit.
pub(crate) struct Meter {
    budget: Budget,
    memory: usize,
    elements: usize,
    /// What was refused, so that the trap that follows can be explained.
    pub(crate) refused: Option<String>,
}

impl Meter {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            memory: 0,
            elements: 0,
            refused: None,
        }
    }

    /// Bytes of memory that were granted.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let Left {
            memory, elements, ..
        } = &*self.budget.0;
        memory.fetch_add(self.memory, Ordering::Relaxed);
        elements.fetch_add(self.elements, Ordering::Relaxed);
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
        let taken = take(&self.budget.0.memory, more);
        match taken {
            Ok(()) => self.memory += more,
            Err(left) => {
                self.refused = Some(format!(
                    "it asked for {more} more bytes of memory where {left} were left of `memory_bytes`"
                ));
            }
        }
        Ok(taken.is_ok())
    }

    fn instances(&self) -> usize {
        PIECES
    }

    fn tables(&self) -> usize {
        PIECES
    }

    fn memories(&self) -> usize {
        PIECES
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let taken = take(&self.budget.0.elements, more);
        match taken {
            Ok(()) => self.elements += more,
            Err(left) => {
                self.refused = Some(format!(
                    "it asked for {more} more elements of a table where {left} were left of `table_elements`"
                ));
            }
        }
        Ok(taken.is_ok())
    }
}
