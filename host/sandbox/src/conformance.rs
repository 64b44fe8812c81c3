//! The conformance suite: what a plugin is held to, by those who write it and by the trainer that admits it.
//!
//! [`examine`] runs all of it and measures; [`admit`] runs those checks without which a run could not be ended, resumed or
//! repeated, and is what a trainer calls before it trains.

mod description;
mod found;
mod lengths;
mod memory;
mod purity;
mod rehearsal;
mod stage;
mod state;
mod swap;
mod values;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{Error, GuardOptions, Limits, OnFault, Plugin, RunFacts};
use found::Outcome;
pub use found::{Check, Costs, Examination, Verdict};
use rehearsal::Rehearsal;
use stage::Stage;
pub use swap::admit_from;

/// Steps of a run that are rehearsed at the most.
pub const MOST_STEPS: u64 = 100_000;
/// Steps that fresh instances are asked for, one each: by the suite, and where a run waits for it.
const FRESH: usize = 32;
const FRESH_AT_ADMISSION: usize = 8;
/// How long the steps of a check may take: a step may burn a fuel of milliseconds.
const LONGEST: Duration = Duration::from_secs(20);

/// Runs the whole suite on a plugin, in a run of `facts`; of longer runs the first [`MOST_STEPS`].
pub fn examine(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
    guard: &GuardOptions,
) -> Examination {
    let stage = Stage::new(plugin, facts, limits, guard);
    let mut found = Examination {
        checks: Vec::new(),
        costs: Costs {
            bytes: plugin.bytes().len(),
            compile_ms: plugin.compile_time().as_secs_f64() * 1e3,
            ..Costs::default()
        },
    };
    found.add(
        "contract",
        Ok((Verdict::Pass, description::contract(plugin))),
    );
    found.add("imports", Ok((Verdict::Pass, description::imports(plugin))));
    let began = Instant::now();
    let started = stage.start(facts);
    found.costs.start_ms = began.elapsed().as_secs_f64() * 1e3;
    let started = started.map_err(|e| e.to_string());
    if !found.add(
        "start",
        started.map(|_| (Verdict::Pass, description::asked(plugin, facts))),
    ) {
        return found;
    }
    let rehearsal = match stage.rehearse(facts, true) {
        Ok(rehearsal) => rehearsal,
        Err(e) => {
            found.add("values", Err(e.to_string()));
            return found;
        }
    };
    rehearsal.count(&mut found.costs);
    if !found.add("values", stage.values(facts, &rehearsal, guard)) && rehearsal.was_cut_short() {
        return found;
    }
    found.add("purity", stage.purity(facts, &rehearsal, FRESH));
    found.add("state", stage.state(facts, &rehearsal));
    found.add("one step", stage.short_run(facts));
    found.add("10^12 steps", stage.long_run(facts));
    found.add("memory", stage.memory(facts));
    found
}

/// A run in which a plugin's rates are known.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The run.
    pub facts: RunFacts,
    /// Learning rates by step, from 0.
    pub rates: BTreeMap<u64, f64>,
    /// How far a rate may be off, relative to it.
    pub tolerance: f64,
}

/// Holds a plugin to the rates of `trial`, asked for in the order of steps by one instance, as a trainer does.
pub fn rates(plugin: &Plugin, trial: &Trial, limits: &Limits, guard: &GuardOptions) -> Check {
    let found = Stage::new(plugin, &trial.facts, limits, guard).rates(trial);
    let (verdict, detail) = found.unwrap_or_else(|problem| (Verdict::Fail, problem));
    Check {
        name: "test",
        verdict,
        detail,
    }
}

/// Holds a plugin to what a run needs to be begun, resumed and repeated: it starts, no fault that is sure to come ends the run, it
/// answers alike whoever asks, and its state comes back. What it would answer to a training that is not known yet is left to the
/// guard, and to what the study says of faults.
///
/// # Errors
/// What [`Schedule::start`](crate::Schedule::start) has against it; [`Error::Conformance`] with the check that failed.
pub fn admit(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
    guard: &GuardOptions,
) -> Result<(), Error> {
    let stage = Stage::new(plugin, facts, limits, guard);
    let rehearsal = stage.rehearse(facts, false)?;
    let failed = |problem| stage.failed("values", problem);
    if let Some((at, problem)) = stage.sure_to_end(&rehearsal, guard) {
        return Err(failed(format!("at step {at}, {problem}")));
    }
    stage.must_hold(facts, &rehearsal)?;
    if stage.is_known() && guard.on_fault == OnFault::Abort && !plugin.exports().save {
        let late = stage.late_steps(facts, rehearsal.steps());
        late.map_err(failed)?;
    }
    Ok(())
}

impl Stage<'_> {
    /// Whether the plugin answers in a run as it does in a rehearsal of it: it sees nothing of what is trained.
    fn is_known(&self) -> bool {
        !self.plugin.reads_training() && !self.plugin.reads_weights()
    }

    /// The fault that ends the run, whatever is trained, with its step: what a plugin that sees nothing of it ended its rehearsal
    /// with, and one at the first step, which sees nothing but the norm of the weights, and before which nothing was good.
    fn sure_to_end<'a>(
        &self,
        rehearsal: &'a Rehearsal,
        guard: &GuardOptions,
    ) -> Option<(usize, &'a str)> {
        let first = rehearsal.fault_from(0);
        let first = first.filter(|(at, _)| *at == 0 && !self.plugin.reads_weights());
        let ending = || rehearsal.ending(guard.on_fault).filter(|_| self.is_known());
        first.or_else(ending)
    }

    /// The checks without which a run could not be resumed or repeated.
    fn must_hold(&self, facts: &RunFacts, rehearsal: &Rehearsal) -> Result<(), Error> {
        for (check, found) in [
            ("purity", self.purity(facts, rehearsal, FRESH_AT_ADMISSION)),
            ("state", self.state(facts, rehearsal)),
        ] {
            found.map_err(|problem| self.failed(check, problem))?;
        }
        Ok(())
    }

    fn failed(&self, check: &'static str, problem: String) -> Error {
        Error::Conformance {
            plugin: self.plugin.name().to_owned(),
            check,
            problem,
        }
    }
}
