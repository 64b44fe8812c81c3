//! What an event of the system's says of the files that it names.

use std::path::PathBuf;
use std::time::Instant;

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, ModifyKind};

/// Something may have changed.
#[derive(Debug, Clone)]
pub(super) struct Hint {
    pub(super) what: What,
    pub(super) paths: Vec<PathBuf>,
    /// When the event came.
    pub(super) at: Instant,
}

/// What happened to the paths of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// They were written to, and may be open still.
    Written,
    /// Somebody who could write to them closed them.
    Closed,
    /// The names came, went or now mean other files.
    Named,
    /// Times, permissions or the like, which may be the only sign of a change.
    Touched,
    /// Events were lost: anything may have changed.
    Lost,
}

impl Hint {
    /// What is to be thought of an event; `None`: nothing, as of somebody who only reads.
    pub(super) fn of(event: notify::Result<notify::Event>, at: Instant) -> Option<Self> {
        let lost = Self {
            what: What::Lost,
            paths: Vec::new(),
            at,
        };
        let Ok(event) = event else {
            return Some(lost);
        };
        if event.need_rescan() {
            return Some(lost);
        }
        let what = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => What::Closed,
            EventKind::Access(_) => return None,
            EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_)) => What::Named,
            EventKind::Modify(ModifyKind::Metadata(_)) => What::Touched,
            EventKind::Modify(_) | EventKind::Any | EventKind::Other => What::Written,
        };
        Some(Self {
            what,
            paths: event.paths,
            at,
        })
    }
}
