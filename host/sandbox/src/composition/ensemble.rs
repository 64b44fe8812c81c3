//! The plugins of a composition, alive, and what they make together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cast::Role;
use super::clock::{At, Plan, restart};
use super::state::{self, Saved, Writer};
use super::{Cast, Clock};
use crate::limits::{Allowance, Budget};
use crate::lines::Lines;
use crate::live::{Live, Raw};
use crate::{Fault, FaultKind, Limits, Plugin, TrainingValues, Value, guard};

/// An instance of a composition. After a fault that spoils it, it must not be called again.
pub(crate) struct Ensemble {
    cast: Arc<Cast>,
    players: Players,
}

/// The plugins' instances, and what they share.
struct Players {
    whole: Plugin,
    cast: Arc<Cast>,
    limits: Limits,
    budget: Budget,
    players: Vec<Player>,
    /// What each warm-up rises to, once it was asked for.
    targets: Vec<Option<Raw>>,
    /// What they said, and nobody took yet.
    lines: Lines,
    turn: Turn,
    /// Whether the state that they were given is of another composition, and the first step that they were asked for since.
    foreign: Option<Option<u64>>,
}

struct Player {
    live: Live,
    /// When what is around it was repeated last; `None` before its first step.
    round: Option<u64>,
}

/// What is left of a call of the whole.
struct Turn {
    step: Option<u64>,
    training: TrainingValues,
    /// Fuel that is spent.
    fuel: u64,
    /// The engine's clock when it began.
    began: u64,
    /// What instances that are made anew in it may use.
    anew: Allowance,
}

impl Ensemble {
    /// Makes an instance of each plugin, and calls its `init`.
    pub(crate) fn new(whole: &Plugin, cast: &Arc<Cast>, limits: &Limits) -> Result<Self, Fault> {
        let mut players = Players {
            whole: whole.clone(),
            cast: Arc::clone(cast),
            limits: limits.clone(),
            budget: Budget::new(limits),
            players: Vec::new(),
            targets: vec![None; cast.warmups],
            lines: Lines::default(),
            turn: Turn {
                step: None,
                training: TrainingValues::NONE,
                fuel: 0,
                began: 0,
                anew: Allowance::of_init(limits),
            },
            foreign: None,
        };
        for (index, role) in cast.roles.iter().enumerate() {
            let live = players.start(role)?;
            players.players.push(Player { live, round: None });
            players.hear(index);
        }
        Ok(Self {
            cast: Arc::clone(cast),
            players,
        })
    }

    /// Asks for the values of `step`.
    pub(crate) fn step(&mut self, step: u64, training: TrainingValues) -> Result<Raw, Fault> {
        self.players.begin(Some(step), training);
        if let Some(first @ None) = &mut self.players.foreign {
            *first = Some(step);
        }
        let Some(plan) = &self.cast.plan else {
            return Ok(Raw::default());
        };
        let at = At {
            start: 0,
            step,
            round: 0,
        };
        self.players.ask(plan, at, false)
    }

    /// The state of all plugins that export `save`.
    pub(crate) fn save(&mut self, step: Option<u64>) -> Result<Option<Vec<u8>>, Fault> {
        if !self.players.whole.exports().save {
            return Ok(None);
        }
        self.players.begin(step, TrainingValues::NONE);
        let since = self.players.foreign.flatten();
        let mut writer = Writer::new(self.players.whole.sha256(), since);
        for index in 0..self.players.players.len() {
            let player = self.players.allow(index);
            let (round, saved) = (player.round, player.live.save(step));
            if let Some(state) = self.players.heard(index, None, saved)? {
                writer.add(&Saved {
                    name: self.cast.roles[index].name.as_deref().unwrap_or_default(),
                    round,
                    state: &state,
                });
            }
        }
        Ok(Some(writer.finish()))
    }

    /// Gives back what `save` gave. What the state does not know begins afresh, as when a part was added.
    pub(crate) fn restore(&mut self, state: &[u8], step: Option<u64>) -> Result<(), Fault> {
        if !self.players.whole.exports().restore {
            return Ok(());
        }
        self.players.begin(step, TrainingValues::NONE);
        let read = state::read(state);
        let read = read.map_err(|e| self.players.fault_of(FaultKind::Refused, e))?;
        let all = read.parts;
        // Another composition may repeat otherwise: a part's state lives on until it begins anew the next time.
        let same = (read.sha256).is_none_or(|sha256| sha256 == self.players.whole.sha256());
        self.players.foreign = if same {
            read.since.map(Some)
        } else {
            Some(None)
        };
        let mut known = 0;
        for (index, role) in self.cast.roles.iter().enumerate() {
            let name = role.name.as_deref().unwrap_or_default();
            let saved = all.iter().find(|saved| saved.name == name);
            let Some(saved) = saved.filter(|_| role.plugin.exports().restore) else {
                continue;
            };
            known += 1;
            let player = self.players.allow(index);
            player.round = saved.round.filter(|_| same);
            let restored = player.live.restore(saved.state, step);
            self.players.heard(index, None, restored)?;
        }
        if known == 0 && !all.is_empty() {
            let names: Vec<&str> = all.iter().map(|saved| saved.name).collect();
            let problem = format!(
                "the state is that of {}, and it has no part of that name",
                names.join(", ")
            );
            return Err(self.players.fault_of(FaultKind::Refused, problem));
        }
        Ok(())
    }

    /// What the plugin of this number asked for, and the values that it got, as it calls them.
    pub(crate) fn asked(&mut self, index: usize) -> &BTreeMap<String, Option<f64>> {
        &self.players.players[index].live.host().asked
    }

    /// What all plugins asked for, as it is called from outside, and what they get where nobody says otherwise.
    pub(crate) fn all_asked(&mut self) -> BTreeMap<String, Option<f64>> {
        let mut all = BTreeMap::new();
        for (role, player) in self.cast.roles.iter().zip(&mut self.players.players) {
            for (name, default) in &player.live.host().asked {
                let given = match role.facts.params.get(name) {
                    Some(Value::Number(number)) => Some(*number),
                    _ => *default,
                };
                all.insert(role.outer(name), given);
            }
        }
        all
    }

    /// What was said since it was asked last.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.players.lines.take()
    }

    pub(crate) fn fuel_used(&self) -> u64 {
        self.players.turn.fuel
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.players.budget.memory_bytes()
    }
}

impl Players {
    /// Begins a call of the whole.
    fn begin(&mut self, step: Option<u64>, training: TrainingValues) {
        self.turn = Turn {
            step,
            training,
            fuel: 0,
            began: self.whole.engine().now(),
            anew: Allowance::of_init(&self.limits),
        };
    }

    /// The answer of a part to a step on its clock. `scouting`: what it would answer first, had training shown nothing; no
    /// plugin's state is touched.
    fn ask(&mut self, plan: &Plan, at: At, scouting: bool) -> Result<Raw, Fault> {
        Ok(match plan {
            Plan::Leaf(index) => return self.ask_leaf(*index, at, scouting),
            Plan::Chain(parts) => {
                let next = parts.partition_point(|(start, ..)| *start <= at.step);
                // The first part begins at 0.
                let (start, clock, part) = &parts[next - 1];
                let at = match clock {
                    Clock::Own => at.after(*start),
                    Clock::Run => at,
                };
                return self.ask(part, at, scouting);
            }
            Plan::Multiply(parts) => {
                let mut product = Raw {
                    learning_rate: 1.0,
                    ..Raw::default()
                };
                for part in parts {
                    let factor = self.ask(part, at, scouting)?;
                    product = Raw {
                        learning_rate: product.learning_rate * factor.learning_rate,
                        momentum: product.momentum.or(factor.momentum),
                        weight_decay: product.weight_decay.or(factor.weight_decay),
                    };
                }
                product
            }
            Plan::Repeat { period, part } => {
                let begun = restart(*period, at.step);
                let at = at.after(begun);
                let round = at.start;
                return self.ask(part, At { round, ..at }, scouting);
            }
            Plan::Scale { factor, part } => {
                let of = self.ask(part, at, scouting)?;
                of.with_rate(of.learning_rate * factor)
            }
            Plan::Offset { by, part } => {
                let of = self.ask(part, at, scouting)?;
                of.with_rate(of.learning_rate + by)
            }
            Plan::Clamp { min, max, part } => {
                let of = self.ask(part, at, scouting)?;
                of.with_rate(of.learning_rate.max(*min).min(*max))
            }
            Plan::Warmup {
                steps,
                from,
                clock,
                number,
                part,
            } => {
                let factor = from + (1.0 - from) * (at.step as f64 / *steps as f64);
                let (warms, own) = (at.step < *steps, *clock == Clock::Own);
                let of = match warms {
                    true if own => self.target(*number, part, at, *steps)?,
                    false if own => self.ask(part, at.after(*steps), scouting)?,
                    _ => self.ask(part, at, scouting)?,
                };
                if warms {
                    of.with_rate(of.learning_rate * factor)
                } else {
                    of
                }
            }
        })
    }

    /// What a warm-up rises to.
    fn target(&mut self, number: usize, part: &Plan, at: At, steps: u64) -> Result<Raw, Fault> {
        if let Some(known) = self.targets[number] {
            return Ok(known);
        }
        let first = At {
            start: at.start + steps,
            step: 0,
            round: at.round,
        };
        let found = self.ask(part, first, true)?;
        self.targets[number] = Some(found);
        Ok(found)
    }

    fn ask_leaf(&mut self, index: usize, at: At, scouting: bool) -> Result<Raw, Fault> {
        let stateful = self.cast.roles[index].plugin.exports().save;
        if scouting && stateful {
            // Its own instance must see its first step once, and when it comes.
            let cast = Arc::clone(&self.cast);
            let fresh = self.start(&cast.roles[index])?;
            let own = std::mem::replace(&mut self.players[index].live, fresh);
            let answer = self.ask_live(index, at, TrainingValues::NONE);
            self.players[index].live = own;
            return answer;
        }
        if scouting {
            return self.ask_live(index, at, TrainingValues::NONE);
        }
        let since = self.foreign.flatten();
        let player = &mut self.players[index];
        let anew = match player.round {
            Some(round) => round != at.round,
            // What is around it is repeated for the first time since it has a state of another composition.
            None => at.round > 0 && since.is_some_and(|since| at.round >= since),
        };
        let anew = stateful && anew;
        player.round = Some(at.round);
        if anew {
            let cast = Arc::clone(&self.cast);
            self.players[index].live = self.start(&cast.roles[index])?;
            self.hear(index);
        }
        self.ask_live(index, at, at.shown(self.turn.training))
    }

    fn ask_live(&mut self, index: usize, at: At, training: TrainingValues) -> Result<Raw, Fault> {
        let answer = self.allow(index).live.step(at.step, training);
        let raw = self.heard(index, Some(at.step), answer)?;
        match guard::problem(&raw, f64::INFINITY) {
            None => Ok(raw),
            Some((kind, message)) => Err(self.fault(index, Some(at.step), kind, &message)),
        }
    }

    /// A player that may use what is left of this call.
    fn allow(&mut self, index: usize) -> &mut Player {
        let fuel = self.limits.step_fuel.saturating_sub(self.turn.fuel);
        let since = self.whole.engine().now().saturating_sub(self.turn.began);
        let player = &mut self.players[index];
        player.live.within(fuel, since);
        player
    }

    /// Collects what a call used and said; `step` is on the part's clock.
    fn heard<T>(
        &mut self,
        index: usize,
        step: Option<u64>,
        answer: Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.turn.fuel += self.players[index].live.fuel_used();
        self.hear(index);
        answer.map_err(|fault| self.fault(index, step, fault.kind, &fault.message))
    }

    fn hear(&mut self, index: usize) {
        let lines = self.players[index].live.host().lines();
        if !lines.is_empty() {
            let name = self.cast.roles[index].name.as_deref().unwrap_or_default();
            for line in lines.take() {
                self.lines.push(&format!("{name}: {line}"));
            }
        }
    }

    /// Makes an instance of a plugin, within what is left for that in this call.
    fn start(&mut self, role: &Role) -> Result<Live, Fault> {
        let (limits, anew) = (&self.limits, &mut self.turn.anew);
        let live = Live::new(&role.plugin, &role.facts, limits, &self.budget, anew);
        live.map_err(|fault| {
            let name = role.name.as_deref().unwrap_or_default();
            self.fault_of(fault.kind, format!("part `{name}`: {}", fault.message))
        })
    }

    fn fault(&self, index: usize, step: Option<u64>, kind: FaultKind, message: &str) -> Fault {
        let name = self.cast.roles[index].name.as_deref().unwrap_or_default();
        self.fault_of(
            kind,
            match step {
                Some(step) if Some(step) != self.turn.step => {
                    format!("part `{name}`, at its step {step}: {message}")
                }
                _ => format!("part `{name}`: {message}"),
            },
        )
    }

    fn fault_of(&self, kind: FaultKind, message: String) -> Fault {
        Fault {
            plugin: self.whole.name().to_owned(),
            sha256: self.whole.sha256().to_owned(),
            step: self.turn.step,
            kind,
            message,
        }
    }
}
