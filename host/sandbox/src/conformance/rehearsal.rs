//! A run without a model: every step asked for, in order, with made-up losses.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Costs, Verdict};
use crate::fault::STATE_LOST;
use crate::{
    Exports, Fault, GuardOptions, OnFault, RunFacts, Schedule, StepValues, TrainingValues,
};

/// Steps between two looks at the clock where none is measured. Each may burn milliseconds.
pub(super) const CLOCK: u64 = 8;

/// What a step answered, to be compared bit for bit. A fault is its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Result<[Option<u64>; 3], String>);

impl Bits {
    pub(super) fn of(answer: Result<StepValues, Fault>) -> Self {
        Self(answer.map_err(|fault| fault.message).map(|values| {
            let all = [
                Some(values.learning_rate),
                values.momentum,
                values.weight_decay,
            ];
            all.map(|value| value.map(f64::to_bits))
        }))
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Err(message) => write!(f, "a fault ({message})"),
            Ok(bits) => {
                let values = bits.iter().flatten().copied().map(f64::from_bits);
                let text: Vec<String> = values.map(|value| format!("{value:?}")).collect();
                f.write_str(&text.join(", "))
            }
        }
    }
}

/// A number for people.
pub(super) fn told(value: f64) -> String {
    format!("{:?}", (value * 1e12).round() / 1e12)
}

/// What a run that goes well might show at `step`: a loss that falls from ln 10 with a ripple on it, an evaluation an
/// epoch that stops getting better half way, weights that shrink and grow. The same for every instance.
pub(super) fn training(step: u64, facts: &RunFacts) -> TrainingValues {
    if step == 0 {
        return TrainingValues::NONE;
    }
    let progress = |step: u64| step as f64 / facts.total_steps.max(1) as f64;
    let loss = |progress: f64| 0.05 + (10_f64.ln() - 0.05) * (-4.0 * progress).exp();
    let ripple = 1.0 + 0.1 * ((step.wrapping_mul(0x9e37_79b9) % 1024) as f64 / 1024.0 - 0.5);
    let epoch = facts.steps_per_epoch.max(1);
    let eval_step = step / epoch * epoch;
    let (eval_loss, eval_accuracy) = if eval_step == 0 {
        (f64::NAN, f64::NAN)
    } else {
        let loss = loss(progress(eval_step).min(0.5));
        (loss, (-loss).exp())
    };
    TrainingValues {
        train_loss: loss(progress(step)) * ripple,
        grad_norm: ripple,
        eval_loss,
        eval_accuracy,
        eval_step,
        // It falls and then grows again, as with weight decay.
        weight_norm: 20.0 - 5.0 * (PI * progress(step)).sin() + ripple,
    }
}

/// Asks for a step, and lets go of what the schedule says besides: over a whole run that would fill the memory.
pub(super) fn ask(
    schedule: &mut Schedule,
    facts: &RunFacts,
    step: u64,
) -> Result<StepValues, Fault> {
    let answer = schedule.step(step, training(step, facts));
    schedule.drain_events();
    answer
}

/// What the steps of a run answered, from 0 on, as bits: a long run's answers are to leave the trainer its caches.
struct Answers {
    exports: Exports,
    learning_rates: Vec<u64>,
    /// Empty for a plugin that exports none, as are the weight decays.
    momenta: Vec<u64>,
    weight_decays: Vec<u64>,
    /// The messages of those that faulted, by their steps. What stands for them above means nothing.
    faults: BTreeMap<usize, String>,
}

impl Answers {
    fn of(exports: Exports, steps: u64) -> Self {
        let room = |exported: bool| Vec::with_capacity(if exported { steps as usize } else { 0 });
        Self {
            exports,
            learning_rates: room(true),
            momenta: room(exports.momentum),
            weight_decays: room(exports.weight_decay),
            faults: BTreeMap::new(),
        }
    }

    fn push(&mut self, answer: Result<StepValues, Fault>) {
        let values = answer.unwrap_or_else(|fault| {
            self.faults.insert(self.learning_rates.len(), fault.message);
            StepValues {
                learning_rate: f64::NAN,
                momentum: self.exports.momentum.then_some(f64::NAN),
                weight_decay: self.exports.weight_decay.then_some(f64::NAN),
            }
        });
        self.learning_rates.push(values.learning_rate.to_bits());
        self.momenta.extend(values.momentum.map(f64::to_bits));
        self.weight_decays
            .extend(values.weight_decay.map(f64::to_bits));
    }

    fn bits(&self, step: usize) -> Bits {
        Bits(match self.faults.get(&step) {
            Some(message) => Err(message.clone()),
            None => Ok([
                Some(self.learning_rates[step]),
                self.momenta.get(step).copied(),
                self.weight_decays.get(step).copied(),
            ]),
        })
    }
}

/// Every step of a run, as one instance answered it.
pub(super) struct Rehearsal {
    answers: Answers,
    rates: (f64, f64),
    faults: u64,
    first_fault: Option<Fault>,
    times: Vec<u64>,
    fuel: Vec<u64>,
    /// Bytes of memory at the end.
    memory: usize,
    cut_short: bool,
}

impl Rehearsal {
    /// As many of the first `steps` as take no longer than `longest`, and at least one. To measure each step costs as much
    /// as a small schedule does, so that it is left out where somebody waits for a swap.
    pub(super) fn of(
        schedule: &mut Schedule,
        facts: &RunFacts,
        steps: u64,
        longest: Duration,
        measure: bool,
    ) -> Self {
        let start = Instant::now();
        let plugin = schedule.plugin();
        let shows = plugin.reads_training() || plugin.reads_weights();
        let mut run = Self {
            answers: Answers::of(schedule.plugin().exports(), steps),
            rates: (f64::INFINITY, f64::NEG_INFINITY),
            faults: 0,
            first_fault: None,
            times: Vec::new(),
            fuel: Vec::new(),
            memory: 0,
            cut_short: false,
        };
        for step in 0..steps {
            let shown = if shows {
                training(step, facts)
            } else {
                TrainingValues::NONE
            };
            let began = measure.then(Instant::now);
            let answer = schedule.step(step, shown);
            if let Some(began) = began {
                run.times
                    .push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
                run.fuel.push(schedule.fuel_used());
            }
            // Nobody reads them here, and they must not pile up.
            schedule.drain_events();
            match &answer {
                Ok(values) => {
                    run.rates.0 = run.rates.0.min(values.learning_rate);
                    run.rates.1 = run.rates.1.max(values.learning_rate);
                }
                Err(fault) => {
                    run.faults += 1;
                    run.first_fault.get_or_insert_with(|| fault.clone());
                }
            }
            let spoilt = answer
                .as_ref()
                .is_err_and(|fault| fault.kind.spoils_instance());
            run.answers.push(answer);
            if spoilt {
                // What a new instance would say is another run's story.
                run.cut_short = true;
                break;
            }
            let looks_at_the_clock = measure || step % CLOCK == 0;
            if looks_at_the_clock && start.elapsed() > longest {
                break;
            }
        }
        run.memory = schedule.memory_bytes();
        run
    }

    /// Whether a fault left no instance to go on with.
    pub(super) fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// The first fault at `step` or after it: its step and message.
    pub(super) fn fault_from(&self, step: u64) -> Option<(usize, &str)> {
        let from = usize::try_from(step).unwrap_or(usize::MAX);
        let (&at, message) = self.answers.faults.range(from..).next()?;
        Some((at, message))
    }

    /// The fault that ends a run which is answered so: its step and message.
    pub(super) fn ending(&self, on_fault: OnFault) -> Option<(usize, &str)> {
        let faults = &self.answers.faults;
        let (&at, message) = match on_fault {
            OnFault::Abort => faults.first_key_value()?,
            // Those before the last were held, and it took the state along.
            OnFault::Hold if self.cut_short && self.answers.exports.save => {
                faults.last_key_value()?
            }
            OnFault::Hold => return None,
        };
        Some((at, message))
    }

    /// Steps that were answered, at least one.
    pub(super) fn steps(&self) -> u64 {
        self.answers.learning_rates.len() as u64
    }

    pub(super) fn bits(&self, step: u64) -> Bits {
        self.answers.bits(step as usize)
    }

    pub(super) fn count(&self, costs: &mut Costs) {
        let median_and_worst = |numbers: &[u64]| {
            let mut sorted = numbers.to_vec();
            sorted.sort_unstable();
            let worst = sorted.last().copied().unwrap_or(0);
            (sorted.get(sorted.len() / 2).copied().unwrap_or(0), worst)
        };
        (costs.call_ns_median, costs.call_ns_worst) = median_and_worst(&self.times);
        (costs.fuel_median, costs.fuel_worst) = median_and_worst(&self.fuel);
        costs.memory_bytes = self.memory;
        costs.steps = self.steps();
    }

    /// Whether the guard let every value pass.
    pub(super) fn values(&self, guard: &GuardOptions) -> Result<(Verdict, String), String> {
        let (low, high) = (told(self.rates.0), told(self.rates.1));
        let steps = self.steps();
        match &self.first_fault {
            None => Ok((
                Verdict::Pass,
                format!(
                    "learning rates from {low} to {high} over {steps} steps, the ceiling is {}",
                    guard.max_learning_rate
                ),
            )),
            Some(fault) => {
                let more = match self.faults - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} faults more)"),
                };
                let text = format!("{fault}{more}");
                // It is cut short by what spoils an instance alone.
                match guard.on_fault {
                    OnFault::Abort => Err(text),
                    OnFault::Hold if self.cut_short && self.answers.exports.save => {
                        Err(format!("{text}; {STATE_LOST}"))
                    }
                    OnFault::Hold => Ok((Verdict::Note, format!("{text}; the study holds"))),
                }
            }
        }
    }
}
