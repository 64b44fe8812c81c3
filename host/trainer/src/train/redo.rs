//! What took over after the checkpoint that a run goes on from, and must do so again at the same steps.

use std::collections::VecDeque;

use pixelrate_control::Takeover;

/// Takeovers in the order of their steps.
#[derive(Debug, Default)]
pub(super) struct Redo(VecDeque<Takeover>);

impl Redo {
    pub(super) fn new(takeovers: &[Takeover]) -> Self {
        Self(takeovers.iter().cloned().collect())
    }

    /// Whether one is due before `step`.
    pub(super) fn due(&self, step: u64) -> bool {
        self.0.front().is_some_and(|next| next.step <= step)
    }

    /// The step of the last.
    pub(super) fn last(&self) -> Option<u64> {
        self.0.back().map(|last| last.step)
    }

    /// The next that is due before `step`.
    pub(super) fn take(&mut self, step: u64) -> Option<Takeover> {
        self.0.pop_front_if(|next| next.step <= step)
    }
}
