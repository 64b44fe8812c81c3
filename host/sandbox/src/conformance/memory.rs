//! Whether memory grows with steps.

use std::time::Instant;

use super::rehearsal;
use super::stage::Stage;
use super::{LONGEST, Outcome, Verdict};
use crate::RunFacts;

/// Steps after which memory must not grow any more, and as many again in which that is seen: some collectors wait long,
/// and what keeps something of every step takes memory by doubling.
const SETTLED: u64 = 200_000;

impl Stage<'_> {
    /// Memory that does not grow from some number of steps on.
    pub(super) fn memory(&self, facts: &RunFacts) -> Outcome {
        let held = |bytes: usize| format!("{} KiB", bytes.div_ceil(1024));
        // Long enough that steps only ever go on.
        let long = RunFacts {
            total_steps: facts.total_steps.max(2 * SETTLED),
            ..facts.clone()
        };
        let facts = match self.start(&long) {
            Ok(_) => long,
            Err(_) => facts.clone(),
        };
        let mut schedule = self.start(&facts).map_err(|e| e.to_string())?;
        let (began, most) = (Instant::now(), facts.total_steps.min(2 * SETTLED));
        // By how many steps: at one, two, four and so on, and at the end.
        let (mut sizes, mut next) = (Vec::new(), 1);
        for step in 0..most {
            let answer = rehearsal::ask(&mut schedule, &facts, step);
            if answer.is_err_and(|fault| fault.kind.spoils_instance()) {
                let detail = format!("not seen: it failed at step {step}");
                return Ok((Verdict::Note, detail));
            }
            let (done, slow) = (step + 1, began.elapsed() > LONGEST);
            if done == next || done == most || done == most / 2 || slow {
                sizes.push((done, schedule.memory_bytes()));
                if done == next {
                    next *= 2;
                }
            }
            if slow {
                break;
            }
        }
        let (done, end) = sizes.last().copied().unwrap_or((0, 0));
        let half = sizes.iter().rev().find(|(steps, _)| steps * 2 <= done);
        match half {
            Some(&(steps, bytes)) if bytes < end => {
                let detail = format!(
                    "grows from {} after {steps} steps to {} after {done}: does the schedule store something at every step?",
                    held(bytes),
                    held(end)
                );
                // A short or slow run may end before a collector begins.
                if done < 2 * SETTLED {
                    Ok((Verdict::Note, detail))
                } else {
                    Err(detail)
                }
            }
            _ => Ok((
                Verdict::Pass,
                format!("{}, which does not grow in {done} steps", held(end)),
            )),
        }
    }
}
