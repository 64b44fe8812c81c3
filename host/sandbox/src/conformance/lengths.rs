//! Runs of other lengths than the one that is rehearsed.

use super::rehearsal::{self, told};
use super::stage::Stage;
use super::{Outcome, Verdict};
use crate::{Error, FaultKind, RunFacts};

/// A run that no counter may run over in.
const LONG_RUN: u64 = 1_000_000_000_000;

impl Stage<'_> {
    pub(super) fn short_run(&self, facts: &RunFacts) -> Outcome {
        let short = RunFacts {
            total_steps: 1,
            steps_per_epoch: 1,
            train_examples: u64::from(facts.batch_size),
            ..facts.clone()
        };
        self.elsewhere(&short, &[0])
    }

    pub(super) fn long_run(&self, facts: &RunFacts) -> Outcome {
        let long = RunFacts {
            total_steps: LONG_RUN,
            ..facts.clone()
        };
        if self.plugin.exports().save {
            self.elsewhere(&long, &[0, 1])
        } else {
            self.elsewhere(&long, &[0, LONG_RUN / 2, LONG_RUN - 1])
        }
    }

    /// Steps of another run. That run may be refused with a message, or be too long for the limits; what is answered must
    /// be good.
    pub(super) fn elsewhere(&self, facts: &RunFacts, steps: &[u64]) -> Outcome {
        let refuses = |message: &str| Ok((Verdict::Note, format!("it does not run so: {message}")));
        let mut schedule = match self.start(facts) {
            Ok(schedule) => schedule,
            Err(Error::Start(fault)) => return refuses(&fault.message),
            Err(e) => return Err(e.to_string()),
        };
        let mut rates = Vec::new();
        for &step in steps {
            match rehearsal::ask(&mut schedule, facts, step) {
                Ok(values) => rates.push(told(values.learning_rate)),
                Err(fault) if matches!(fault.kind, FaultKind::Refused | FaultKind::OutOfFuel) => {
                    return refuses(&fault.message);
                }
                Err(fault) => return Err(fault.to_string()),
            }
        }
        Ok((Verdict::Pass, rates.join(", ")))
    }
}
