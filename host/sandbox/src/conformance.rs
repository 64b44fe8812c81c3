//! The conformance suite: what a plugin is held to, by those who write it and by the trainer that admits it.
//!
//! [`examine`] runs all of it and measures; [`admit`] runs those checks without which a run could not be resumed or
//! repeated, and is what a trainer calls before it trains.

mod rehearsal;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::contract::{CONTRACT, PACKAGE, PACKAGE_NAME};
use crate::{Error, FaultKind, GuardOptions, Limits, Plugin, RunFacts, Schedule};
use rehearsal::{Bits, Rehearsal, told};

/// Steps of a run that are rehearsed at the most.
pub const MOST_STEPS: u64 = 100_000;
/// Steps that fresh instances are asked for, one each: by the suite, and where a run waits for it.
const FRESH: usize = 32;
const FRESH_AT_ADMISSION: usize = 8;
/// How long that may take, once [`FRESH_LEAST`] are done: some languages take long to start.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the steps of a check may take: a step may burn a fuel of milliseconds.
const LONGEST: Duration = Duration::from_secs(20);
const FRESH_LEAST: usize = 4;
/// Steps that an instance with restored state is compared over.
const FUTURE: u64 = 5_000;
/// A run that no counter may run over in.
const LONG_RUN: u64 = 1_000_000_000_000;
/// Steps after which memory must not grow any more, and as many again in which that is seen: some collectors wait long,
/// and what keeps something of every step takes memory by doubling.
const SETTLED: u64 = 200_000;
/// Steps beyond those that are rehearsed which are tried all the same.
const LATE: usize = 8;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// Allowed, and worth knowing.
    Note,
    /// The plugin is refused.
    Fail,
}

/// One check of the suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its name: `contract`, `imports`, `start`, `values`, `purity`, `state`, `one step`, `10^12 steps`, `memory`.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, and where it is wrong what to do.
    pub detail: String,
}

/// What a plugin costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Bytes of the file.
    pub bytes: usize,
    /// Milliseconds to read, lift and compile it, or to fetch it compiled from the cache.
    pub compile_ms: f64,
    /// Milliseconds to make an instance and call `init`.
    pub start_ms: f64,
    /// Nanoseconds of a step's calls, the guard and the clock included: the median.
    pub call_ns_median: u64,
    /// The slowest.
    pub call_ns_worst: u64,
    /// Fuel of a step's calls, about one unit an instruction: the median.
    pub fuel_median: u64,
    /// The most.
    pub fuel_worst: u64,
    /// Bytes of linear memory after the last step.
    pub memory_bytes: usize,
    /// Steps that were called for these numbers.
    pub steps: u64,
}

/// What the suite found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// Every check, in the order of the suite; what cannot be tried after a failure is left out.
    pub checks: Vec<Check>,
    /// What the plugin costs, as far as it ran.
    pub costs: Costs,
}

impl Examination {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first check that failed.
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks
            .iter()
            .find(|check| check.verdict == Verdict::Fail)
    }

    fn add(&mut self, name: &'static str, found: Result<(Verdict, String), String>) -> bool {
        let (verdict, detail) = found.unwrap_or_else(|problem| (Verdict::Fail, problem));
        self.checks.push(Check {
            name,
            verdict,
            detail,
        });
        verdict != Verdict::Fail
    }
}

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
    found.add("contract", Ok((Verdict::Pass, contract(plugin))));
    found.add("imports", Ok((Verdict::Pass, imports(plugin))));
    let began = Instant::now();
    let started = stage.start(facts);
    found.costs.start_ms = began.elapsed().as_secs_f64() * 1e3;
    let started = started.map_err(|e| e.to_string());
    if !found.add(
        "start",
        started.map(|_| (Verdict::Pass, asked(plugin, facts))),
    ) {
        return found;
    }
    let rehearsal = match stage.rehearse(facts) {
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

/// Holds a plugin to what a run needs to be resumed and repeated: it starts, answers alike whoever asks, and its state
/// comes back. What it answers is left to the guard, and to what the study says of faults.
///
/// # Errors
/// What [`Schedule::start`] has against it; [`Error::Conformance`] with the check that failed.
pub fn admit(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
    guard: &GuardOptions,
) -> Result<(), Error> {
    let stage = Stage::new(plugin, facts, limits, guard);
    let rehearsal = stage.rehearse(facts)?;
    for (check, found) in [
        (
            "purity",
            stage.purity(facts, &rehearsal, FRESH_AT_ADMISSION),
        ),
        ("state", stage.state(facts, &rehearsal)),
    ] {
        found.map_err(|problem| Error::Conformance {
            plugin: plugin.name().to_owned(),
            check,
            problem,
        })?;
    }
    Ok(())
}

fn contract(plugin: &Plugin) -> String {
    let kind = if plugin.lifted() {
        "a core module, lifted"
    } else {
        "a component"
    };
    let exports = plugin.exports().names().collect::<Vec<_>>().join(", ");
    let built = match plugin.contract() {
        Some(version) => format!("built for {PACKAGE_NAME}@{version}"),
        None => format!("names no version of {PACKAGE_NAME}"),
    };
    let here = &CONTRACT.version;
    format!("{kind}; {built}, this is {here}; exports {exports}")
}

fn imports(plugin: &Plugin) -> String {
    let bare = |name: &String| name.split('@').next().unwrap_or(name).to_owned();
    let (own, wasi): (Vec<_>, Vec<_>) = plugin
        .imports()
        .iter()
        .map(bare)
        .partition(|name| name.starts_with(PACKAGE));
    let own: Vec<&str> = own.iter().map(|name| &name[PACKAGE.len()..]).collect();
    let own = crate::lift::listed(&own);
    match wasi.len() {
        0 => own,
        1 => format!("{own}; and a part of WASI, which is empty"),
        parts => format!("{own}; and {parts} parts of WASI, which are empty"),
    }
}

fn asked(plugin: &Plugin, facts: &RunFacts) -> String {
    let declared = plugin.parameters().len();
    let given = facts.params.len();
    let declares = match declared {
        0 => "declares no parameters".to_owned(),
        1 => "declares 1 parameter".to_owned(),
        _ => format!("declares {declared} parameters"),
    };
    format!("{declares}, {given} given")
}

/// What all checks of one plugin share.
struct Stage<'a> {
    plugin: &'a Plugin,
    limits: &'a Limits,
    guard: GuardOptions,
    steps: u64,
}

impl<'a> Stage<'a> {
    fn new(plugin: &'a Plugin, facts: &RunFacts, limits: &'a Limits, guard: &GuardOptions) -> Self {
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

    fn start(&self, facts: &RunFacts) -> Result<Schedule, Error> {
        Schedule::start(self.plugin, facts, self.limits, &self.guard)
    }

    fn rehearse(&self, facts: &RunFacts) -> Result<Rehearsal, Error> {
        let mut schedule = self.start(facts)?;
        Ok(Rehearsal::of(&mut schedule, facts, self.steps, LONGEST))
    }

    /// The bits of `step` in a fresh instance that was asked for nothing before.
    fn fresh(&self, facts: &RunFacts, step: u64) -> Result<Bits, Error> {
        let mut schedule = self.start(facts)?;
        Ok(Bits::of(rehearsal::ask(&mut schedule, facts, step)))
    }

    /// What the guard says of the steps that were rehearsed, and of some of those that were too many for that.
    fn values(
        &self,
        facts: &RunFacts,
        rehearsal: &Rehearsal,
        guard: &GuardOptions,
    ) -> Result<(Verdict, String), String> {
        let found = rehearsal.values(guard)?;
        let (known, all) = (rehearsal.steps(), facts.total_steps);
        if known >= all {
            return Ok(found);
        }
        let (verdict, detail) = found;
        if self.plugin.exports().save {
            return Ok((verdict, format!("{detail}; the run has {all}")));
        }
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let late = std::iter::repeat_with(|| known + random.next_u64() % (all - known));
        let mut schedule = self.start(facts).map_err(|e| e.to_string())?;
        for step in late.take(LATE).chain([all - 1]) {
            let answer = rehearsal::ask(&mut schedule, facts, step);
            if let Err(fault) = answer
                && guard.on_fault == crate::OnFault::Abort
            {
                return Err(fault.to_string());
            }
        }
        Ok((
            verdict,
            format!("{detail}, and at {} later ones of the {all}", LATE + 1),
        ))
    }

    fn purity(
        &self,
        facts: &RunFacts,
        rehearsal: &Rehearsal,
        fresh: usize,
    ) -> Result<(Verdict, String), String> {
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
            if alone != *before {
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

    fn state(&self, facts: &RunFacts, rehearsal: &Rehearsal) -> Result<(Verdict, String), String> {
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
            if bits != *rehearsal.bits(step) {
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
                if bits != *before {
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

    fn rates(&self, trial: &Trial) -> Result<(Verdict, String), String> {
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

    fn short_run(&self, facts: &RunFacts) -> Result<(Verdict, String), String> {
        let short = RunFacts {
            total_steps: 1,
            steps_per_epoch: 1,
            train_examples: u64::from(facts.batch_size),
            ..facts.clone()
        };
        self.elsewhere(&short, &[0])
    }

    fn long_run(&self, facts: &RunFacts) -> Result<(Verdict, String), String> {
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
    fn elsewhere(&self, facts: &RunFacts, steps: &[u64]) -> Result<(Verdict, String), String> {
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

    /// Memory that does not grow from some number of steps on.
    fn memory(&self, facts: &RunFacts) -> Result<(Verdict, String), String> {
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
                    "grows from {} after {steps} steps to {} after {done}: does it keep something of every step?",
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
