//! What whoever measures says to the processes that train, and what they answer: a line of JSON each.

use serde::{Deserialize, Serialize};

/// Said to a process, after the spec of what it is to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// Train until the next order.
    Train {
        /// Threads.
        threads: u32,
        /// Seconds that are not counted.
        warm_up: f64,
        /// Seconds after them in which steps are counted.
        seconds: f64,
    },
    /// Do nothing.
    Rest,
}

/// Said by a process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// It can train.
    Ready,
    /// How quickly it trains; it goes on with that, so that others are not disturbed less than by a run.
    Pace {
        /// Steps a second.
        steps: f64,
        /// The most memory that it has had, in bytes; `None` where the system does not tell.
        memory: Option<u64>,
    },
    /// It does nothing.
    Resting,
}
