//! What the guard says of a schedule's answers, and what a test knows of them.

use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::rehearsal::{self, CLOCK, Rehearsal};
use super::stage::Stage;
use super::{LONGEST, MOST_STEPS, Outcome, Trial, Verdict};
use crate::{GuardOptions, OnFault, RunFacts};

/// Steps beyond those that are rehearsed which are tried all the same.
const LATE: usize = 8;

impl Stage<'_> {
    /// What the guard says of the steps that were rehearsed, and of some of those that were too many for that.
    pub(super) fn values(
        &self,
        facts: &RunFacts,
        rehearsal: &Rehearsal,
        guard: &GuardOptions,
    ) -> Outcome {
        let found = rehearsal.values(guard)?;
        let (known, all) = (rehearsal.steps(), facts.total_steps);
        if known >= all {
            return Ok(found);
        }
        let (verdict, detail) = found;
        if self.plugin.exports().save {
            return Ok((verdict, format!("{detail}; the run has {all}")));
        }
        let late = self.late_steps(facts, known);
        if guard.on_fault == OnFault::Abort {
            late?;
        }
        Ok((
            verdict,
            format!("{detail}, and at {} later ones of the {all}", LATE + 1),
        ))
    }

    /// Asks a fresh instance for some steps from `first` on, and for the last: those too many to be rehearsed.
    pub(super) fn late_steps(&self, facts: &RunFacts, first: u64) -> Result<(), String> {
        let all = facts.total_steps;
        if first >= all {
            return Ok(());
        }
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let late = std::iter::repeat_with(|| first + random.next_u64() % (all - first));
        // As a run asks for them.
        let mut late: Vec<u64> = late.take(LATE).collect();
        late.sort_unstable();
        let mut schedule = self.start(facts).map_err(|e| e.to_string())?;
        for step in late.into_iter().chain([all - 1]) {
            rehearsal::ask(&mut schedule, facts, step).map_err(|fault| fault.to_string())?;
        }
        Ok(())
    }

    /// Asks a fresh instance for the `count` steps from `first` on, or for as many as take no longer than the other steps of
    /// a check may, and gives the step after them.
    pub(super) fn steps_ahead(
        &self,
        facts: &RunFacts,
        first: u64,
        count: u64,
    ) -> Result<u64, String> {
        let began = Instant::now();
        let end = facts.total_steps.min(first.saturating_add(count));
        let mut schedule = self.start(facts).map_err(|e| e.to_string())?;
        for step in first..end {
            if step % CLOCK == 0 && began.elapsed() > LONGEST {
                return Ok(step);
            }
            rehearsal::ask(&mut schedule, facts, step).map_err(|fault| fault.to_string())?;
        }
        Ok(end)
    }

    pub(super) fn rates(&self, trial: &Trial) -> Outcome {
        let facts = &trial.facts;
        let mut schedule = self.start(facts).map_err(|e| e.to_string())?;
        let last = trial.rates.keys().next_back().copied().unwrap_or(0);
        let stateful = self.plugin.exports().save;
        if stateful && last >= MOST_STEPS {
            return Err(format!(
                "step {last} is too far: a schedule with state is asked for every step before it, at most {MOST_STEPS}"
            ));
        }
        let mut hold = |step: u64| {
            let found = rehearsal::ask(&mut schedule, facts, step)
                .map_err(|fault| fault.to_string())?
                .learning_rate;
            let Some(&wanted) = trial.rates.get(&step) else {
                return Ok(());
            };
            let off = (found - wanted).abs();
            if off <= trial.tolerance * wanted.abs() {
                return Ok(());
            }
            Err(format!(
                "step {step} of {} gives {found:?}, and must give {wanted:?}",
                facts.total_steps
            ))
        };
        if stateful {
            (0..=last).try_for_each(&mut hold)?;
        } else {
            trial.rates.keys().copied().try_for_each(&mut hold)?;
        }
        let (count, steps) = (trial.rates.len(), facts.total_steps);
        Ok((
            Verdict::Pass,
            format!("{count} rates of a run of {steps} steps"),
        ))
    }
}
