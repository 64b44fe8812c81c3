//! What the built-in schedules share, so that each is little more than its parameters: clocks, warm-up, cycles, curves
//! and metrics. Nothing here is exported from a plugin.

pub mod clock;
pub mod cycles;
pub mod metric;
pub mod power;
pub mod read;
pub mod shape;
pub mod state;
pub mod triangle;
pub mod warmup;
