//! Whether a schedule's state comes back.

use std::time::Instant;

use super::rehearsal::{self, Bits, Rehearsal};
use super::stage::Stage;
use super::{LONGEST, Outcome, Verdict};
use crate::RunFacts;

/// Steps that an instance with restored state is compared over.
const FUTURE: u64 = 5_000;

impl Stage<'_> {
    pub(super) fn state(&self, facts: &RunFacts, rehearsal: &Rehearsal) -> Outcome {
        let has = self.plugin.exports();
        match (has.save, has.restore) {
            (false, false) => return Ok((Verdict::Pass, "none".to_owned())),
            (true, true) => {}
            (true, false) => {
                return Err(
                    "exports `save` without `restore`: a resumed run would lose what it saved"
                        .to_owned(),
                );
            }
            (false, true) => {
                return Err(
                    "exports `restore` without `save`: there is nothing to restore".to_owned(),
                );
            }
        }
        let known = rehearsal.steps();
        let cuts = [0, known / 3, 2 * known / 3, known - 1];
        let mut saved: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut saving = self.start(facts).map_err(|e| e.to_string())?;
        for step in 0..known {
            if cuts.contains(&step) {
                let state = saving.save().map_err(|fault| fault.to_string())?;
                saved.push((step, state.unwrap_or_default()));
            }
            let bits = Bits::of(rehearsal::ask(&mut saving, facts, step));
            if bits != rehearsal.bits(step) {
                return Err(format!(
                    "step {step} gives {}, and {bits} where it was saved before: `save` must change nothing",
                    rehearsal.bits(step)
                ));
            }
        }
        for (cut, state) in &saved {
            let mut restored = self.start(facts).map_err(|e| e.to_string())?;
            let problem = |problem: String| {
                format!("saved before step {cut} and restored in a fresh instance, {problem}")
            };
            restored
                .restore(state)
                .map_err(|fault| problem(fault.message))?;
            let began = Instant::now();
            for step in *cut..known.min(cut + FUTURE) {
                if began.elapsed() > LONGEST / 4 {
                    break;
                }
                let bits = Bits::of(rehearsal::ask(&mut restored, facts, step));
                let before = rehearsal.bits(step);
                if bits != before {
                    return Err(problem(format!(
                        "step {step} gives {bits}, and {before} without a stop: `save` leaves something out"
                    )));
                }
            }
        }
        let bytes = saved
            .iter()
            .map(|(_, state)| state.len())
            .max()
            .unwrap_or(0);
        Ok((
            Verdict::Pass,
            format!(
                "saved and restored at {} steps to the same bits; {bytes} bytes",
                saved.len()
            ),
        ))
    }
}
