//! What one process asks of a run in another.

use serde::{Deserialize, Serialize};

use crate::ScheduleSpec;

/// A request, as it lies in a run's mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Unique, and in the order of posting where the clock does not jump.
    pub id: String,
    /// What is asked.
    #[serde(flatten)]
    pub what: What,
}

/// What may be asked of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum What {
    /// Take this schedule over.
    Swap(Offer),
    /// Wait between two steps.
    Pause,
    /// Go on after a pause.
    Continue,
    /// Keep a checkpoint and end the process; the run can be resumed.
    Stop,
    /// Keep a checkpoint now, under a name, which is never let go of.
    Checkpoint {
        /// Letters, digits, `-` and `_`.
        name: String,
    },
}

/// A schedule that is offered to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The schedule. Where its plugin is a file, the file's bytes at the time of the request lie beside it.
    pub schedule: ScheduleSpec,
    /// Its first step; `None`: as soon as it is ready.
    pub at_step: Option<u64>,
    /// Whether it is given the state of the schedule before it, where both export `save` and `restore`.
    pub carry_state: bool,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Reply {
    /// It is done: the new schedule took over at this step, or the run paused before it.
    Done {
        /// The step.
        step: u64,
    },
    /// The schedule was admitted, and takes over at this step.
    Planned {
        /// The step.
        step: u64,
    },
    /// It was not done, and nothing changed.
    Rejected {
        /// Why, and what to do.
        reason: String,
    },
}
