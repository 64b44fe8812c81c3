//! Whether a schedule may take over in the middle of a run.

use super::Stage;
use crate::{Error, GuardOptions, Limits, OnFault, Plugin, RunFacts};

/// Steps from the run's own on that are asked for in a run of more than [`MOST_STEPS`](super::MOST_STEPS): a small module's
/// take some 5 ms, for which somebody waits.
const AHEAD: u64 = 10_000;

/// Holds a plugin to what [`admit`](super::admit) asks, and to the guard over the steps from `step` to the run's end: a
/// schedule that is known to fault later must not replace one that works, whatever the study says of faults. In runs of more
/// than [`MOST_STEPS`](super::MOST_STEPS) over those, and, of a plugin without state, over the 10,000 from `step` on and some
/// of the rest.
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
    // What it would have said of steps that are over is nobody's concern, unless it did not survive them.
    let fault = if rehearsal.was_cut_short() {
        rehearsal.fault_from(0)
    } else {
        rehearsal.fault_from(step)
    };
    if let Some((at, message)) = fault {
        return Err(stage.failed("values", format!("at step {at}, {message}")));
    }
    let first = step.max(rehearsal.steps());
    if first < facts.total_steps && !plugin.exports().save {
        stage
            .steps_ahead(facts, first, AHEAD)
            .and_then(|reached| stage.late_steps(facts, reached))
            .map_err(|problem| stage.failed("values", problem))?;
    }
    stage.must_hold(facts, &rehearsal)
}
