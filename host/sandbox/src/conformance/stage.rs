//! What all checks of one plugin share.

use super::rehearsal::{self, Bits, Rehearsal};
use super::{LONGEST, MOST_STEPS};
use crate::{Error, GuardOptions, Limits, Plugin, RunFacts, Schedule};

/// What all checks of one plugin share.
pub(super) struct Stage<'a> {
    pub(super) plugin: &'a Plugin,
    limits: &'a Limits,
    guard: GuardOptions,
    steps: u64,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        plugin: &'a Plugin,
        facts: &RunFacts,
        limits: &'a Limits,
        guard: &GuardOptions,
    ) -> Self {
        Self {
            plugin,
            limits,
            // A fault must be seen here, whatever the study does about it.
            guard: GuardOptions {
                on_fault: crate::OnFault::Abort,
                ..*guard
            },
            steps: facts.total_steps.clamp(1, MOST_STEPS),
        }
    }

    pub(super) fn start(&self, facts: &RunFacts) -> Result<Schedule, Error> {
        Schedule::start(self.plugin, facts, self.limits, &self.guard)
    }

    pub(super) fn rehearse(&self, facts: &RunFacts, measure: bool) -> Result<Rehearsal, Error> {
        let mut schedule = self.start(facts)?;
        let (steps, longest) = (self.steps, LONGEST);
        Ok(Rehearsal::of(&mut schedule, facts, steps, longest, measure))
    }

    /// The bits of `step` in a fresh instance that was asked for nothing before.
    pub(super) fn fresh(&self, facts: &RunFacts, step: u64) -> Result<Bits, Error> {
        let mut schedule = self.start(facts)?;
        Ok(Bits::of(rehearsal::ask(&mut schedule, facts, step)))
    }
}
