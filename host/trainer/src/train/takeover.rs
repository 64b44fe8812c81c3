//! Schedules that take over between two steps, and what else a run is asked for there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrate_control::{Candidate, Cause, Order, Refusal, Takeover};
use pixelrate_runlog::{EventKind, EventRow};
use pixelrate_sandbox::{Fault, OnFault, Schedule, StepValues};

use super::attempt::{Attempt, nanoseconds, unix_ms};
use super::{Observer, Stop};
use crate::Error;
use crate::spec::ScheduleSpec;

/// How long a run that waits does not look whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A schedule in a run, and what it is.
pub(super) struct InForce {
    pub(super) schedule: Schedule,
    pub(super) spec: ScheduleSpec,
    pub(super) sha256: Arc<str>,
    /// Whether it must be shown every loss before it is asked for the next step.
    pub(super) reads_training: bool,
    /// Whether the norm of the weights is measured for it.
    pub(super) reads_weights: bool,
}

impl InForce {
    pub(super) fn new(mut schedule: Schedule, spec: ScheduleSpec) -> Self {
        schedule.ask_ahead();
        Self {
            sha256: schedule.plugin().sha256().into(),
            reads_training: schedule.plugin().reads_training(),
            reads_weights: schedule.plugin().reads_weights(),
            schedule,
            spec,
        }
    }
}

/// A schedule that comes back if the one after it faults too soon.
pub(super) struct Previous {
    pub(super) held: InForce,
    /// The state that it left, for the record of a rollback.
    pub(super) left: Option<Vec<u8>>,
}

/// What was in force before the first takeover of a step: a checkpoint of that step stands before all of them, and they
/// are done again when a run goes on from it.
pub(super) struct Turn {
    step: u64,
    sha256: String,
    state: Option<Vec<u8>>,
}

/// What a run does after its orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Train,
    Stop,
}

impl Attempt {
    /// Does what is due before the next step.
    pub(super) fn attend(
        &mut self,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Then, Error> {
        let mut paused: Option<Instant> = None;
        loop {
            if let Some(takeover) = self.redo.take(self.at.step) {
                self.swap_again(&takeover, observer)?;
                continue;
            }
            match self.desk.order(self.at.step) {
                Some(Order::Swap(candidate)) => self.offered(candidate, observer)?,
                Some(Order::Refused(refusal)) => self.refused(refusal, observer)?,
                Some(Order::Checkpoint { request, name }) => {
                    self.named_checkpoint(observer, Some(&name))?;
                    self.desk.done(&request, self.at.step);
                }
                Some(Order::Pause { request }) => {
                    if paused.is_none() {
                        self.pause(observer)?;
                        paused = Some(Instant::now());
                    }
                    self.desk.done(&request, self.at.step);
                }
                Some(Order::Continue { request }) => {
                    if let Some(since) = paused.take() {
                        self.go_on(observer, since)?;
                    }
                    self.desk.done(&request, self.at.step);
                }
                Some(Order::Stop { request }) => {
                    // The answer comes when the checkpoint is there.
                    self.stop_request = Some(request);
                    self.paused += paused.map_or(Duration::ZERO, |since| since.elapsed());
                    return Ok(Then::Stop);
                }
                None if stop.asked() => {
                    self.paused += paused.map_or(Duration::ZERO, |since| since.elapsed());
                    return Ok(Then::Stop);
                }
                None if paused.is_none() && !self.desk.awaits(self.at.step) => {
                    return Ok(Then::Train);
                }
                None => self.desk.wait(LOOK),
            }
        }
    }

    /// Whoever told the run to wait may switch the machine off: nothing must be lost by it.
    fn pause(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        self.checkpoint(observer)?;
        let message = format!("before step {}", self.at.step);
        self.event(observer, EventKind::Paused, message, None)?;
        self.log.flush()?;
        self.desk.paused(true);
        Ok(())
    }

    fn go_on(&mut self, observer: &mut dyn Observer, since: Instant) -> Result<(), Error> {
        self.desk.paused(false);
        self.paused += since.elapsed();
        let message = format!("before step {}", self.at.step);
        let waited = Some(nanoseconds(since));
        self.event(observer, EventKind::Continued, message, waited)
    }

    /// Lets a schedule take over that is new to the run. What the run trained under before it went back to a checkpoint
    /// comes first, step by step as it was: who offers a schedule means it to replace what was in force then.
    fn offered(
        &mut self,
        candidate: Box<Candidate>,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let Some(last) = self.redo.last() else {
            return self.swap(*candidate, observer);
        };
        match candidate.at_step {
            None => self.desk.put(last, Order::Swap(candidate)),
            Some(at) => {
                let reason = format!(
                    "step {at} was over before the run went back to a checkpoint: an earlier takeover is still to be repeated at step {last}"
                );
                self.reject(*candidate, &reason, observer)?;
            }
        }
        Ok(())
    }

    /// Lets a schedule take over, or says why it cannot.
    fn swap(&mut self, mut candidate: Candidate, observer: &mut dyn Observer) -> Result<(), Error> {
        let began = Instant::now();
        let step = self.at.step;
        if let Some(at) = candidate.at_step.filter(|&at| at < step) {
            let reason = format!("step {at} was over when it was ready: the run is at {step}");
            return self.reject(candidate, &reason, observer);
        }
        let again = candidate.again.take();
        let (state, left) = match &again {
            // What is left is what it was, unless this machine does not give the bits of the one before.
            Some(takeover) => {
                let left = self.in_force.schedule.save();
                let known = takeover.left.clone();
                (takeover.state.clone(), left.unwrap_or(known))
            }
            None => {
                let takes = candidate.carry_state && candidate.schedule.plugin().exports().restore;
                match self.state_to_leave(takes, observer)? {
                    Ok(left) => (left.clone().filter(|_| takes), left),
                    Err(reason) => return self.reject(candidate, &reason, observer),
                }
            }
        };
        if let Some(state) = &state
            && let Err(fault) = candidate.schedule.restore(state)
        {
            if again.is_some() {
                // Anything but the very same schedule would be another run.
                return Err(fault.into());
            }
            let reason = format!(
                "it does not take the state of the schedule in force ({}): use `--fresh` to start it without that state",
                fault.message
            );
            return self.reject(candidate, &reason, observer);
        }
        // What `hold` falls back on, until it has answered once.
        if let Some(values) = self.in_force.schedule.last_good() {
            let exports = candidate.schedule.plugin().exports();
            candidate.schedule.set_last_good(StepValues {
                learning_rate: values.learning_rate,
                momentum: values.momentum.filter(|_| exports.momentum),
                weight_decay: values.weight_decay.filter(|_| exports.weight_decay),
            });
        }
        let held = InForce::new(candidate.schedule, candidate.spec);
        let takeover = Takeover {
            step,
            cause: candidate.cause,
            schedule: held.spec.clone(),
            sha256: held.sha256.to_string(),
            state,
            left,
            request: candidate.request,
            time_unix_ms: unix_ms(),
        };
        let before = std::mem::replace(&mut self.in_force, held);
        self.turn(&before.sha256, takeover.left.clone());
        let (new, old) = told_apart(&self.in_force, &before);
        self.put_on_probation(before, &takeover);
        self.record(&takeover, again.is_some())?;
        let branches = self.branches && takeover.cause == Cause::Fork;
        let message = format!(
            "{new} took over{} from {old}{} ({}, ready after {:.1} ms)",
            if again.is_some() && !branches {
                " again"
            } else {
                ""
            },
            if takeover.state.is_some() {
                ", with its state"
            } else {
                ""
            },
            takeover.cause.as_str(),
            candidate.prepared_in.as_secs_f64() * 1e3
        );
        self.event(
            observer,
            EventKind::Swapped,
            message,
            Some(nanoseconds(began)),
        )
    }

    /// The state of the schedule in force, which is about to be replaced; the inner error says why the swap is refused. One
    /// that cannot be saved while it is on probation has faulted, and the one before it is asked. Where the state is not
    /// `needed`, a fault does not stop the swap, which may well be meant to get rid of the schedule.
    fn state_to_leave(
        &mut self,
        needed: bool,
        observer: &mut dyn Observer,
    ) -> Result<Result<Option<Vec<u8>>, String>, Error> {
        self.settle_probation();
        loop {
            let fault = match self.in_force.schedule.save() {
                Ok(state) => return Ok(Ok(state)),
                Err(fault) => fault,
            };
            if self.probation.is_on() {
                self.roll_back(fault, observer)?;
            } else if !needed {
                self.event(observer, EventKind::Fault, fault.to_string(), None)?;
                return Ok(Ok(None));
            } else if self.in_force.spec.on_fault == OnFault::Hold {
                return Ok(Err(format!(
                    "the schedule in force could not be saved: {fault}; use `--fresh` to start the new one without its state"
                )));
            } else {
                return Err(fault.into());
            }
        }
    }

    /// Repeats what took over here before the run went back to a checkpoint.
    fn swap_again(
        &mut self,
        takeover: &Takeover,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let comes_back = |previous: &Previous| *previous.held.sha256 == *takeover.sha256;
        if takeover.cause == Cause::Rollback
            && self.probation.top().is_some_and(comes_back)
            && let Some(previous) = self.probation.roll_back(takeover.step)
        {
            return self.put_back(previous, Some(takeover), observer);
        }
        let candidate = self
            .stage
            .again(&self.folder, takeover)
            .map_err(|problem| {
                let told = takeover.schedule.told();
                Error::Spec {
                    key: "swaps.jsonl".to_owned(),
                    problem: format!(
                        "{told} cannot take over again at step {}: {problem}",
                        takeover.step
                    ),
                }
            })?;
        self.swap(candidate, observer)
    }

    /// Keeps the schedule before, as long as it may have to come back.
    fn put_on_probation(&mut self, before: InForce, takeover: &Takeover) {
        let before = Previous {
            held: before,
            left: takeover.left.clone(),
        };
        let gone = self.probation.took_over(before, takeover);
        self.let_go(gone);
    }

    /// Writes a takeover down, unless it was written down when it happened first.
    fn record(&mut self, takeover: &Takeover, again: bool) -> Result<(), Error> {
        self.swaps += 1;
        if !again {
            self.takeovers.add(takeover)?;
        }
        self.desk.took_over(takeover, again);
        Ok(())
    }

    /// Logs what was refused after the last step: somebody was told of it.
    pub(super) fn last_refusals(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        while let Some(order) = self.desk.order(self.at.step) {
            if let Order::Refused(refusal) = order {
                self.refused(refusal, observer)?;
            }
        }
        Ok(())
    }

    /// Logs that a schedule was refused. Whoever looks on hears of it here, unless that was told.
    fn refused(&mut self, refusal: Refusal, observer: &mut dyn Observer) -> Result<(), Error> {
        let took = u64::try_from(refusal.took.as_nanos()).ok();
        let row = EventRow {
            // The row is about what was refused, and not about what is in force.
            schedule: refusal.sha256,
            ..self.event_row(EventKind::Rejected, refusal.message, took)
        };
        self.log.event(row.clone())?;
        if !refusal.told {
            observer.event(&row);
        }
        Ok(())
    }

    fn reject(
        &mut self,
        candidate: Candidate,
        reason: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let message = format!("{}: {reason}", candidate.spec.told());
        self.desk.refuse(candidate.request.as_deref(), &message);
        let refusal = Refusal {
            message,
            sha256: Some(candidate.schedule.plugin().sha256().to_owned()),
            took: candidate.prepared_in,
            told: false,
        };
        self.desk.retire(candidate.schedule);
        self.refused(refusal, observer)
    }

    /// Puts the schedule before this one back, if this one is on probation; else the fault stands.
    pub(super) fn roll_back(
        &mut self,
        fault: Fault,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let step = self.at.step;
        let Some(previous) = self.probation.roll_back(step) else {
            return Err(fault.into());
        };
        self.drain_schedule(observer)?;
        self.event(observer, EventKind::Fault, fault.to_string(), None)?;
        self.put_back(previous, None, observer)
    }

    /// Lets the schedule before take over. `again`: as it did once before at this step.
    fn put_back(
        &mut self,
        previous: Previous,
        again: Option<&Takeover>,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let (began, step) = (Instant::now(), self.at.step);
        let faulty = std::mem::replace(&mut self.in_force, previous.held);
        // Nobody goes on from the state of one that faulted.
        self.turn(&faulty.sha256, None);
        self.settle_probation();
        let takeover = again.cloned().unwrap_or_else(|| Takeover {
            step,
            cause: Cause::Rollback,
            schedule: self.in_force.spec.clone(),
            sha256: self.in_force.sha256.to_string(),
            state: previous.left,
            left: None,
            request: None,
            time_unix_ms: unix_ms(),
        });
        self.record(&takeover, again.is_some())?;
        let (back, gone) = told_apart(&self.in_force, &faulty);
        let message = format!(
            "{back} is back{}: {gone} faulted at step {step}, soon after it took over",
            if again.is_some() { " again" } else { "" },
        );
        self.desk.retire(faulty.schedule);
        self.event(
            observer,
            EventKind::Reverted,
            message,
            Some(nanoseconds(began)),
        )
    }

    /// Keeps what was in force before the first takeover of the next step.
    fn turn(&mut self, sha256: &str, state: Option<Vec<u8>>) {
        let step = self.at.step;
        if self.turn.as_ref().is_none_or(|turn| turn.step != step) {
            self.turn = Some(Turn {
                step,
                sha256: sha256.to_owned(),
                state,
            });
        }
    }

    /// The schedule that a checkpoint stands under now, and its state. One that cannot be saved while it is on probation
    /// has faulted.
    pub(super) fn state_before(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<(String, Option<Vec<u8>>), Error> {
        loop {
            if let Some(turn) = &self.turn
                && turn.step == self.at.step
            {
                return Ok((turn.sha256.clone(), turn.state.clone()));
            }
            match self.in_force.schedule.save() {
                Ok(state) => return Ok((self.in_force.sha256.to_string(), state)),
                Err(fault)
                    if !self.probation.is_on() && self.in_force.spec.on_fault == OnFault::Hold =>
                {
                    return Err(Error::Unsaved(fault));
                }
                Err(fault) => self.roll_back(fault, observer)?,
            }
        }
    }

    /// Ends the probation of a schedule that has lasted long enough.
    pub(super) fn settle_probation(&mut self) {
        let gone = self.probation.settle(self.at.step);
        self.let_go(gone);
    }

    /// Lets go of what need not come back any more. Once the schedule in force is not on probation, its faults follow the
    /// study.
    fn let_go(&mut self, gone: Vec<Previous>) {
        for previous in gone {
            self.desk.retire(previous.held.schedule);
        }
        if !self.probation.is_on() {
            let on_fault = self.in_force.spec.on_fault;
            self.in_force.schedule.set_on_fault(on_fault);
        }
    }
}

/// Digits of a hash that tell two files apart for a person.
const DIGITS: usize = 8;

/// Two schedules in words; with the beginnings of their hashes, where nothing else tells one from the other.
fn told_apart(one: &InForce, other: &InForce) -> (String, String) {
    let alike = one.spec.told() == other.spec.told() && one.sha256 != other.sha256;
    let told = |held: &InForce| {
        let digits = held.sha256.get(..DIGITS).filter(|_| alike);
        let digits = digits.map_or_else(String::new, |digits| format!(" [{digits}]"));
        format!("{}{digits}", held.spec.told())
    };
    (told(one), told(other))
}
