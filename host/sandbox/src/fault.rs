//! What a schedule did that it must not.

use std::fmt;

/// A schedule's trap, or an answer that the guard refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The plugin's name.
    pub plugin: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    /// The step that was asked for; `None` before the first.
    pub step: Option<u64>,
    /// What kind of fault.
    pub kind: FaultKind,
    /// What happened, the guest's own message included.
    pub message: String,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// It called `fail`.
    Refused,
    /// It trapped: a panic, an impossible memory access, a stack that ran over.
    Trap,
    /// It used up the fuel of one call.
    OutOfFuel,
    /// It took longer than one call may.
    Deadline,
    /// Its answer was NaN or infinite.
    NotFinite,
    /// Its answer was below zero.
    Negative,
    /// Its learning rate was over the study's ceiling, or its momentum not below 1.
    OverCeiling,
}

/// Why a fault of a schedule that has a state ends a run that holds.
pub(crate) const STATE_LOST: &str =
    "its state is lost with its instance, so that `on_fault = \"hold\"` has nothing to go on with";

impl FaultKind {
    /// Whether the instance is beyond use, and must be made anew.
    pub(crate) fn spoils_instance(self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Trap | Self::OutOfFuel | Self::Deadline
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.sha256.get(..12).unwrap_or(&self.sha256);
        write!(f, "schedule {} ({short}) ", self.plugin)?;
        match self.step {
            Some(step) => write!(f, "failed at step {step}: {}", self.message),
            None => write!(f, "failed before its first step: {}", self.message),
        }
    }
}

impl std::error::Error for Fault {}
