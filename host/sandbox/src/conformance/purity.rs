//! Whether a schedule answers alike whoever asks.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::rehearsal::Rehearsal;
use super::stage::Stage;
use super::{Outcome, Verdict};
use crate::RunFacts;

/// How long fresh instances may take, once [`FRESH_LEAST`] are done: some languages take long to start.
const PATIENCE: Duration = Duration::from_secs(2);
const FRESH_LEAST: usize = 4;

impl Stage<'_> {
    pub(super) fn purity(&self, facts: &RunFacts, rehearsal: &Rehearsal, fresh: usize) -> Outcome {
        if self.plugin.exports().save {
            return Ok((
                Verdict::Pass,
                "has state of its own, which it exports by `save`".to_owned(),
            ));
        }
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let known = rehearsal.steps();
        let last = std::iter::once(known - 1);
        let steps = last.chain(std::iter::repeat_with(|| random.next_u64() % known));
        let (began, mut tried) = (Instant::now(), 0);
        for step in steps.take(fresh) {
            if tried >= FRESH_LEAST && began.elapsed() > PATIENCE {
                break;
            }
            let (alone, before) = (
                self.fresh(facts, step).map_err(|e| e.to_string())?,
                rehearsal.bits(step),
            );
            if alone != before {
                return Err(format!(
                    "step {step} gives {before} after the steps before it, and {alone} in a fresh instance: \
                     let it depend on the step and what the run tells alone, or export `save` and `restore`"
                ));
            }
            tried += 1;
        }
        // The rehearsal may not reach so far: two fresh instances must agree at least.
        let end = facts.total_steps.saturating_sub(1).max(known - 1);
        let [one, other] = [self.fresh(facts, end), self.fresh(facts, end)];
        let (one, other) = (
            one.map_err(|e| e.to_string())?,
            other.map_err(|e| e.to_string())?,
        );
        if one != other {
            return Err(format!(
                "step {end} gives {one} in one fresh instance, and {other} in another"
            ));
        }
        Ok((
            Verdict::Pass,
            format!("{tried} steps agree bit for bit in fresh instances"),
        ))
    }
}
