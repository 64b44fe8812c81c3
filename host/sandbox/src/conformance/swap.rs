//! Whether a schedule may take over in the middle of a run.

use std::time::Duration;

use super::Stage;
use crate::{Error, GuardOptions, Limits, OnFault, Plugin, RunFacts};

/// How long somebody waits, in a run of more than [`MOST_STEPS`](super::MOST_STEPS), for those that are too many to be
/// rehearsed with the others: a million of a small module's.
const AHEAD: Duration = Duration::from_millis(500);

/// Holds a plugin to what [`admit`](super::admit) asks, and to the guard over the steps from `step` to the run's end: a
/// schedule that is known to fault later must not replace one that works, whatever the study says of faults. In runs of more
/// than [`MOST_STEPS`](super::MOST_STEPS) those that half a second is enough for, and, of a plugin without state, some of
/// the rest.
///
/// # Errors
/// What [`Schedule::start`](crate::Schedule::start) has against it; [`Error::Conformance`] with the check that failed.
pub fn admit_from(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
    guard: &GuardOptions,
    step: u64,
) -> Result<(), Error> {
    let strict = GuardOptions {
        on_fault: OnFault::Abort,
        ..*guard
    };
    let stage = Stage::new(plugin, facts, limits, &strict);
    let rehearsal = stage.rehearse(facts, false)?;
    let failed = |check, problem| Error::Conformance {
        plugin: plugin.name().to_owned(),
        check,
        problem,
    };
    // What it would have said of steps that are over is nobody's concern, unless it did not survive them.
    let fault = if rehearsal.was_cut_short() {
        rehearsal.fault_from(0)
    } else {
        rehearsal.fault_from(step)
    };
    if let Some((at, message)) = fault {
        return Err(failed("values", format!("at step {at}, {message}")));
    }
    let known = rehearsal.steps();
    if known < facts.total_steps {
        let stateful = plugin.exports().save;
        let first = step.max(known);
        let from = if stateful { 0 } else { first };
        stage
            .steps_ahead(facts, from, first, AHEAD)
            .and_then(|reached| match stateful {
                true => Ok(()),
                false => stage.late_steps(facts, reached),
            })
            .map_err(|problem| failed("values", problem))?;
    }
    stage.must_hold(facts, &rehearsal)
}
