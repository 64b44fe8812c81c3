//! A live schedule behind its guard.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::composition::{Cast, Role};
use crate::fault::STATE_LOST;
use crate::instance::Instance;
use crate::limits::{Allowance, Budget};
use crate::live::{Live, Raw};
use crate::{
    Error, Fault, FaultKind, GuardOptions, Limits, OnFault, Plugin, RunFacts, TrainingValues,
    guard, parameters,
};

/// What a schedule said of one step, and the guard let pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepValues {
    /// Learning rate: finite, 0 or more, at most the study's ceiling.
    pub learning_rate: f64,
    /// Momentum (Adam: beta1), if the plugin exports it: in [0, 1).
    pub momentum: Option<f64>,
    /// Weight decay, if the plugin exports it: finite, 0 or more.
    pub weight_decay: Option<f64>,
}

/// Something that a schedule did besides answering.
#[derive(Debug, Clone, PartialEq)]
pub enum SandboxEvent {
    /// It logged (or printed) a line.
    Log {
        /// The step that it was asked for; `None` before the first.
        step: Option<u64>,
        /// The line.
        line: String,
    },
    /// It faulted, and the last good values stayed in force.
    Held(Fault),
}

impl SandboxEvent {
    /// Whether it tells of a fault.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Held(_))
    }
}

impl fmt::Display for SandboxEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { line, .. } => f.write_str(line),
            Self::Held(fault) => write!(f, "{fault}; the last good values are held"),
        }
    }
}

/// Bytes of lines that one schedule may log: a run's event log must not fill the disk.
const SAYS: usize = 64 << 20;
/// What an event takes besides its text.
const EVENT: usize = 64;

/// Steps that are asked for at once by a schedule that [asks ahead](Schedule::ask_ahead). In the trainer a call finds cold
/// caches, and takes forty times as long as the next.
const AHEAD: usize = 16;
/// Fuel after which no more is asked for at once: a tenth of a millisecond, or about.
const ENOUGH: u64 = 200_000;

/// What a schedule answered for a step.
struct Answer {
    step: u64,
    raw: Result<Raw, Fault>,
    /// What it said meanwhile.
    lines: Vec<String>,
    fuel: u64,
}

/// One instance of a plugin in a run, called once a step.
pub struct Schedule {
    plugin: Plugin,
    cast: Arc<Cast>,
    limits: Limits,
    guard: GuardOptions,
    /// `None` after a fault that spoilt the instance, until it is made anew.
    live: Option<Instance>,
    last_good: Option<StepValues>,
    step: Option<u64>,
    /// Fuel that the newest step burnt.
    fuel: u64,
    /// Whether it is asked for steps before their turn.
    asks_ahead: bool,
    /// Answers whose turn is to come.
    ahead: VecDeque<Answer>,
    events: Vec<SandboxEvent>,
    /// Bytes that it may still say.
    may_say: usize,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("plugin", &self.plugin)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Schedule {
    /// Makes an instance and calls its `init`.
    ///
    /// # Errors
    /// [`Error::Parameter`] and [`Error::ParameterValue`] if a parameter is not one of the plugin's;
    /// [`Error::Start`] if instantiation or `init` fail.
    pub fn start(
        plugin: &Plugin,
        facts: &RunFacts,
        limits: &Limits,
        guard: &GuardOptions,
    ) -> Result<Self, Error> {
        let cast = Arc::new(Cast::new(plugin, facts)?);
        for role in &cast.roles {
            parameters::check_values(plugin, role)?;
        }
        let mut live =
            Instance::new(plugin, &cast, limits).map_err(|fault| explain(plugin, &cast, fault))?;
        check_names(plugin, &cast, limits, &mut live)?;
        let mut schedule = Self {
            plugin: plugin.clone(),
            cast,
            limits: limits.clone(),
            guard: *guard,
            live: Some(live),
            last_good: None,
            step: None,
            fuel: 0,
            asks_ahead: false,
            ahead: VecDeque::new(),
            events: Vec::new(),
            may_say: SAYS,
        };
        schedule.collect_lines();
        Ok(schedule)
    }

    /// From now on asks for some steps at once, if the plugin's answers depend on the step alone: it sees nothing of training,
    /// and has no state to save, so that [conformance](crate::conformance) has held it to that. What it says and what it does
    /// wrong still come at their own steps.
    pub fn ask_ahead(&mut self) {
        let plugin = &self.plugin;
        self.asks_ahead = plugin.composed().is_none()
            && !plugin.exports().save
            && !plugin.reads_training()
            && !plugin.reads_weights();
    }

    /// The values of `step`. With `hold`, a fault gives the last good ones, and an event tells of it.
    ///
    /// # Errors
    /// The fault, if the study says `abort`, if there were no good values yet, or if it spoilt an instance that had a state: a
    /// value can be held, and a schedule that began anew would answer as another.
    pub fn step(&mut self, step: u64, training: TrainingValues) -> Result<StepValues, Fault> {
        let follows = self
            .step
            .is_some_and(|last| last.checked_add(1) == Some(step));
        self.step = Some(step);
        let answer = match self.ahead.pop_front() {
            Some(answer) if answer.step == step => answer,
            _ => {
                self.ahead.clear();
                let answer = self.ask(step, training);
                if self.asks_ahead && follows && answer.raw.is_ok() {
                    self.fill(step, training);
                }
                answer
            }
        };
        self.fuel = answer.fuel;
        self.keep_lines(answer.lines);
        let guarded = answer.raw.and_then(|raw| self.guarded(step, &raw));
        let mut fault = match guarded {
            Ok(values) => {
                self.last_good = Some(values);
                return Ok(values);
            }
            Err(fault) => fault,
        };
        match (self.guard.on_fault, self.last_good) {
            (OnFault::Hold, Some(_))
                if fault.kind.spoils_instance() && self.plugin.exports().save =>
            {
                fault.message = format!("{}; {STATE_LOST}", fault.message);
                Err(fault)
            }
            (OnFault::Hold, Some(values)) => {
                self.events.push(SandboxEvent::Held(fault));
                Ok(values)
            }
            _ => Err(fault),
        }
    }

    /// The state to carry over, if the plugin exports `save`.
    ///
    /// # Errors
    /// Its fault.
    pub fn save(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if !self.plugin.exports().save {
            return Ok(None);
        }
        let step = self.step;
        let saved = self.instance().and_then(|live| live.save(step));
        self.collect_lines();
        saved.inspect_err(|fault| self.give_up_after(fault))
    }

    /// Gives back what `save` gave. Does nothing if the plugin does not export `restore`.
    ///
    /// # Errors
    /// Its fault.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Fault> {
        let step = self.step;
        let restored = self.instance().and_then(|live| live.restore(state, step));
        self.collect_lines();
        restored.inspect_err(|fault| self.give_up_after(fault))
    }

    /// The newest values that the guard let pass: what `hold` falls back on.
    pub fn last_good(&self) -> Option<StepValues> {
        self.last_good
    }

    /// Sets what `hold` falls back on until the schedule answers again: in a resumed run, the values of the step
    /// before its checkpoint, so that a fault right after it is held as it would have been.
    pub fn set_last_good(&mut self, values: StepValues) {
        self.last_good = Some(values);
    }

    /// Changes what follows a fault: a schedule that has just taken over may be held to more than one that has proved
    /// itself.
    pub fn set_on_fault(&mut self, on_fault: OnFault) {
        self.guard.on_fault = on_fault;
    }

    /// What happened since the last call.
    pub fn drain_events(&mut self) -> Vec<SandboxEvent> {
        std::mem::take(&mut self.events)
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Fuel that the newest step burnt, over all its functions: about one unit an instruction.
    pub fn fuel_used(&self) -> u64 {
        self.fuel
    }

    /// Bytes of linear memory that the instance holds.
    pub fn memory_bytes(&self) -> usize {
        self.live.as_ref().map_or(0, Instance::memory_bytes)
    }

    /// Parameters that the instance has asked for by now, and the defaults that it gave: none for a picture's.
    pub fn asked(&mut self) -> BTreeMap<String, Option<f64>> {
        let live = self.live.as_mut();
        live.map_or_else(BTreeMap::new, Instance::all_asked)
    }

    /// Asks for `step`.
    fn ask(&mut self, step: u64, training: TrainingValues) -> Answer {
        let raw = self.instance().and_then(|live| live.step(step, training));
        let live = self.live.as_mut();
        let (lines, fuel) = live.map_or_else(Default::default, |live| {
            (live.take_lines(), live.fuel_used())
        });
        if let Err(fault) = &raw {
            self.give_up_after(fault);
        }
        Answer {
            step,
            raw,
            lines,
            fuel,
        }
    }

    /// Asks for the steps after `step`, up to the run's end or the first fault. No step waits long for others' answers.
    fn fill(&mut self, step: u64, training: TrainingValues) {
        let mut burnt = 0;
        let end = self.cast.roles[0].facts.total_steps;
        for step in (step + 1..end).take(AHEAD - 1) {
            let answer = self.ask(step, training);
            burnt += answer.fuel;
            let goes_on = answer.raw.is_ok() && burnt < ENOUGH;
            self.ahead.push_back(answer);
            if !goes_on {
                return;
            }
        }
    }

    /// The instance, made anew if a fault spoilt the last one.
    fn instance(&mut self) -> Result<&mut Instance, Fault> {
        match &mut self.live {
            Some(live) => Ok(live),
            none => {
                let live = Instance::new(&self.plugin, &self.cast, &self.limits);
                Ok(none.insert(live.map_err(|fault| Fault {
                    step: self.step,
                    ..fault
                })?))
            }
        }
    }

    /// Lets go of the instance if `fault` spoilt it.
    fn give_up_after(&mut self, fault: &Fault) {
        if fault.kind.spoils_instance() {
            self.live = None;
        }
    }

    fn guarded(&self, step: u64, raw: &Raw) -> Result<StepValues, Fault> {
        if let Some((kind, message)) = guard::problem(raw, self.guard.max_learning_rate) {
            return Err(self.fault(step, kind, message));
        }
        Ok(StepValues {
            learning_rate: raw.learning_rate,
            momentum: raw.momentum,
            weight_decay: raw.weight_decay,
        })
    }

    fn fault(&self, step: u64, kind: FaultKind, message: String) -> Fault {
        Fault {
            plugin: self.plugin.name().to_owned(),
            sha256: self.plugin.sha256().to_owned(),
            step: Some(step),
            kind,
            message,
        }
    }

    fn collect_lines(&mut self) {
        if let Some(live) = &mut self.live {
            let lines = live.take_lines();
            self.keep_lines(lines);
        }
    }

    fn keep_lines(&mut self, lines: Vec<String>) {
        let step = self.step;
        for line in lines {
            if self.may_say == 0 {
                return;
            }
            self.may_say = self.may_say.saturating_sub(line.len() + EVENT);
            self.events.push(SandboxEvent::Log { step, line });
            if self.may_say == 0 {
                let line = format!("it has said over {} MiB: no more of it is kept", SAYS >> 20);
                self.events.push(SandboxEvent::Log { step, line });
            }
        }
    }
}

/// A parameter that a plugin neither declares nor ever asked for is misspelt. It may ask late: it is called once, in an
/// instance of its own, before that is said.
fn check_names(
    whole: &Plugin,
    cast: &Cast,
    limits: &Limits,
    live: &mut Instance,
) -> Result<(), Error> {
    for (index, role) in cast.roles.iter().enumerate() {
        let (declared, facts) = (role.plugin.parameters(), &role.facts);
        if parameters::unknown(declared, Some(live.asked(index)), facts).is_none() {
            continue;
        }
        let (budget, mut init) = (Budget::new(limits), Allowance::of_init(limits));
        let mut rehearsal = Live::new(&role.plugin, facts, limits, &budget, &mut init)?;
        // A fault here is the first step's own to report.
        let _ = rehearsal.step(0, TrainingValues::NONE);
        let asked = &rehearsal.host().asked;
        if let Some(name) = parameters::unknown(declared, Some(asked), facts) {
            return Err(misspelt(whole, role, asked, name));
        }
    }
    Ok(())
}

/// A plugin that fails in `init` may fail for want of a parameter that was misspelt: say that first.
fn explain(whole: &Plugin, cast: &Cast, fault: Fault) -> Error {
    let nothing = BTreeMap::new();
    for role in &cast.roles {
        let declared = role.plugin.parameters();
        if let Some(name) = parameters::unknown(declared, None, &role.facts)
            && !declared.is_empty()
        {
            return misspelt(whole, role, &nothing, name);
        }
    }
    Error::Start(fault)
}

fn misspelt(
    whole: &Plugin,
    role: &Role,
    asked: &BTreeMap<String, Option<f64>>,
    name: &str,
) -> Error {
    let outer = |(name, value): (&String, &Option<f64>)| (role.outer(name), *value);
    let asked = asked.iter().map(outer).collect();
    let mut declared = role.plugin.parameters().to_vec();
    for parameter in &mut declared {
        parameter.name = role.outer(&parameter.name);
    }
    parameters::misspelt(&role.told(whole), &declared, &asked, &role.outer(name))
}
