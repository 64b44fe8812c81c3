//! What a run does, or how it ended, in a word.

use std::fmt;

use pixelrate_runlog::{RunStatus, SummaryRow};
use serde::Serialize;

/// What a run does, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process has it and has not come to its first step yet.
    Preparing,
    /// It trains.
    Training,
    /// A process has it, and was told to wait.
    Paused,
    /// No process has it, and it has not ended: it was stopped or killed, and can be resumed.
    Stopped,
    /// It did all its steps.
    Finished,
    /// An error ended it.
    Failed,
    /// Its loss left the finite numbers.
    Diverged,
}

impl State {
    /// All of them, in the order of a run's life.
    pub const ALL: [Self; 7] = [
        Self::Preparing,
        Self::Training,
        Self::Paused,
        Self::Stopped,
        Self::Finished,
        Self::Failed,
        Self::Diverged,
    ];

    /// That of a run that no process has, by how it ended.
    pub(super) fn at_rest(summary: Option<&SummaryRow>) -> Self {
        match summary.map(|row| row.status) {
            None | Some(RunStatus::Stopped) => Self::Stopped,
            Some(RunStatus::Finished) => Self::Finished,
            Some(RunStatus::Failed) => Self::Failed,
            Some(RunStatus::Diverged) => Self::Diverged,
        }
    }

    /// The state in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
        }
    }

    /// Whether no step is left to do.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Diverged)
    }

    /// Whether a process has the run now.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Preparing | Self::Training | Self::Paused)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
