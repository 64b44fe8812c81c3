//! Whether a schedule may take over in the middle of a run.

use super::Stage;
use crate::{Error, GuardOptions, Limits, OnFault, Plugin, RunFacts};

/// Holds a plugin to what [`admit`](super::admit) asks, and to the guard over the steps from `step` to the run's end, of
/// longer runs the first [`MOST_STEPS`](super::MOST_STEPS) and some later ones: a schedule that is known to fault later
/// must not replace one that works, whatever the study says of faults.
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
    if !plugin.exports().save {
        stage
            .late_steps(facts, step.max(rehearsal.steps()))
            .map_err(|problem| failed("values", problem))?;
    }
    stage.must_hold(facts, &rehearsal)
}
