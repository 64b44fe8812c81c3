//! What the desk's thread does.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use pixelrate_sandbox::Schedule;
use sha2::{Digest, Sha256};

use super::orders::{Order, Orders, Refusal};
use super::{DeskOptions, Herald};
use crate::watch::{self, Change, Target, Watch};
use crate::{
    Activity, Candidate, Cause, Error, Mailbox, Offer, Reply, Request, ScheduleSpec, Stage, Status,
    Takeover, Takeovers, What,
};

/// How often the mailbox is looked into.
const LOOK: Duration = Duration::from_millis(20);
/// Before whatever step comes next.
const AT_ONCE: u64 = 0;
/// How often the run's status is written, if it changed.
const TELL: Duration = Duration::from_millis(500);

/// What the desk's thread hears.
pub(super) enum Message {
    /// A watched file is another.
    Changed(Change),
    /// A schedule was prepared, or refused.
    Prepared(Box<Prepared>),
    /// What took over, and whether it did so before.
    TookOver(Box<Takeover>, bool),
    Retired(Box<Schedule>),
    Paused(bool),
    Done(String, u64),
    /// The request, if it was one and no file's change; and why.
    Refused(Option<String>, String),
    Closed,
}

/// Why a schedule was refused, and the SHA-256 of its file, where that could be read.
struct Refused {
    problem: String,
    sha256: Option<String>,
}

/// What came of preparing a schedule.
pub(super) struct Prepared {
    outcome: Result<Candidate, Refused>,
    name: String,
    request: Option<String>,
    /// The number of the file's change that offered it.
    reload: Option<u64>,
    took: Duration,
}

pub(super) struct Clerk {
    run: PathBuf,
    stage: Stage,
    total_steps: u64,
    schedule: ScheduleSpec,
    sha256: String,
    swaps: u64,
    activity: Activity,
    mailbox: Mailbox,
    /// Requests that are being dealt with, and those whose files could not be removed.
    taken: BTreeSet<String>,
    /// Requests whose schedules took over before this process began.
    done: BTreeSet<String>,
    orders: Arc<Orders>,
    herald: Option<Herald>,
    sender: Sender<Message>,
    watch: Option<Watch>,
    /// Counts the changes of the file in force: only the newest may take over.
    reload: u64,
    /// Whether the file in force was saved, and what was saved has neither taken over nor been refused.
    edited: bool,
    /// Whether the newest change of the file in force is being prepared.
    preparing: bool,
    /// The status that was written last, and when that was tried.
    told: Option<Status>,
    tried: Option<Instant>,
}

impl Clerk {
    pub(super) fn new(
        options: DeskOptions,
        herald: Option<Herald>,
        orders: Arc<Orders>,
        sender: Sender<Message>,
    ) -> Result<Self, Error> {
        let watch = options
            .watch
            .map(|how| watching(how, sender.clone()))
            .transpose()?;
        // One that cannot be read ends the run elsewhere.
        let done = Takeovers::read(&options.run).unwrap_or_default();
        let clerk = Self {
            done: done.into_iter().filter_map(|it| it.request).collect(),
            mailbox: Mailbox::of(&options.run),
            run: options.run,
            stage: options.stage,
            total_steps: options.total_steps,
            schedule: options.schedule,
            sha256: options.sha256,
            swaps: options.swaps,
            activity: Activity::Training,
            taken: BTreeSet::new(),
            orders,
            herald,
            sender,
            watch,
            reload: 0,
            edited: false,
            preparing: false,
            told: None,
            tried: None,
        };
        clerk.promise(options.step);
        clerk.watch_files_in_force();
        if options.take_changes && clerk.watch.is_some() {
            clerk.look_for_a_change();
        }
        Ok(clerk)
    }

    /// Promises their steps to the schedules that were asked for before this process began: the first that it does, `step`,
    /// to one that named none.
    fn promise(&self, step: u64) {
        for Request { id, what } in self.mailbox.waiting().unwrap_or_default() {
            if let What::Swap(offer) = what
                // One whose step is over is refused once it is read.
                && offer.at_step.is_none_or(|at| at >= step)
                && !self.done.contains(&id)
            {
                self.orders.promise(&id, offer.at_step.unwrap_or(AT_ONCE));
            }
        }
    }

    pub(super) fn serve(mut self, messages: &Receiver<Message>) {
        self.tell();
        loop {
            match messages.recv_timeout(LOOK) {
                Ok(Message::Closed) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.hear(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.read_mail();
            self.tell_now_and_then();
        }
        // What the trainer said before it closed the desk still counts.
        while let Ok(message) = messages.try_recv() {
            self.hear(message);
        }
        self.tell();
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Changed(change) => self.reload(change),
            Message::Prepared(prepared) => self.hand_over(*prepared),
            Message::TookOver(takeover, again) => self.took_over(&takeover, again),
            Message::Retired(schedule) => drop(schedule),
            Message::Paused(paused) => {
                self.activity = if paused {
                    Activity::Paused
                } else {
                    Activity::Training
                };
                self.tell();
            }
            Message::Done(request, step) => self.answer(&request, &Reply::Done { step }),
            Message::Refused(Some(request), reason) => {
                self.answer(&request, &Reply::Rejected { reason });
                self.offer_what_was_put_off();
            }
            Message::Refused(None, _) => self.settle_edit(),
            Message::Closed => {}
        }
    }

    fn reload(&mut self, change: Change) {
        let Some(content) = change.content else {
            return;
        };
        self.reload += 1;
        (self.edited, self.preparing) = (true, true);
        self.orders.drop_reloads();
        // A composition is put together anew, and may be made of other files now.
        let composed = pixelrate_compose::is_composition(&self.schedule.plugin);
        if composed {
            self.watch_files_in_force();
        }
        let offer = Offer {
            schedule: self.schedule.clone(),
            at_step: None,
            carry_state: true,
        };
        let content = Some(content).filter(|_| !composed);
        self.prepare(offer, content, None, Some(self.reload));
    }

    fn read_mail(&mut self) {
        // A folder that cannot be listed now may be listed the next time.
        let Ok(waiting) = self.mailbox.waiting_or_refused() else {
            return;
        };
        // What was taken back before it was read, and since.
        let waits = |id: &str| waiting.iter().any(|request| request.id == id);
        self.orders
            .release_all_but(|id| self.taken.contains(id) || waits(id));
        let (orders, mailbox, before) = (&self.orders, &self.mailbox, self.taken.len());
        self.taken.retain(|id| {
            let stays = mailbox.holds(id);
            if !stays {
                orders.withdraw(id);
            }
            stays
        });
        if self.taken.len() < before {
            self.offer_what_was_put_off();
        }
        for Request { id, what } in waiting {
            // One that was taken back since it was listed is not taken again.
            if !self.mailbox.holds(&id) || !self.taken.insert(id.clone()) {
                continue;
            }
            let request = id.clone();
            match what {
                What::Swap(offer) => self.offered(offer, id),
                What::Pause => self.orders.put(AT_ONCE, Order::Pause { request }),
                What::Continue => self.orders.put(AT_ONCE, Order::Continue { request }),
                What::Stop => self.orders.put(AT_ONCE, Order::Stop { request }),
                What::Checkpoint { name } => {
                    self.orders
                        .put(AT_ONCE, Order::Checkpoint { request, name });
                }
            }
        }
    }

    fn offered(&mut self, offer: Offer, id: String) {
        if self.done.contains(&id) {
            // It took over, and a crash came before it was answered.
            return self.close(&id);
        }
        let bytes = match self.mailbox.plugin(&id) {
            Ok(bytes) => bytes,
            Err(problem) => {
                let reason = problem.to_string();
                return self.answer(&id, &Reply::Rejected { reason });
            }
        };
        self.prepare(offer, bytes, Some(id), None);
    }

    /// Prepares a schedule on a thread of its own: to compile it may take a minute, and others are not to wait for it.
    fn prepare(
        &mut self,
        offer: Offer,
        bytes: Option<Vec<u8>>,
        request: Option<String>,
        reload: Option<u64>,
    ) {
        let (stage, run, sender) = (self.stage.clone(), self.run.clone(), self.sender.clone());
        let orders = Arc::clone(&self.orders);
        let (total, asked) = (self.total_steps, request.clone());
        let name = offer.schedule.name();
        let work = move || {
            let began = Instant::now();
            let step = orders.step();
            let mut loaded = None;
            let outcome = unless_it_panics(|| {
                due(offer.at_step, step, total)?;
                let from = offer.at_step.unwrap_or(step);
                let plugin = stage.load(&offer.schedule, bytes.as_deref())?;
                loaded = Some(plugin.sha256().to_owned());
                let schedule = stage.admit_loaded(&run, &offer.schedule, &plugin, from)?;
                Ok(Candidate {
                    schedule,
                    cause: if reload.is_some() {
                        Cause::Reload
                    } else {
                        Cause::Swap
                    },
                    request: request.clone(),
                    at_step: offer.at_step,
                    carry_state: offer.carry_state,
                    again: None,
                    prepared_in: began.elapsed(),
                    spec: offer.schedule.clone(),
                })
            });
            let outcome = outcome.map_err(|problem| Refused {
                problem,
                sha256: loaded.or_else(|| bytes.as_deref().map(sha256)),
            });
            let prepared = Prepared {
                outcome,
                name: offer.schedule.name(),
                request,
                reload,
                took: began.elapsed(),
            };
            // A desk that was closed meanwhile takes nothing more; a request stays for the next.
            let _ = sender.send(Message::Prepared(Box::new(prepared)));
        };
        let started = std::thread::Builder::new()
            .name("admission".to_owned())
            .spawn(work);
        if let Err(problem) = started {
            let message = format!("{name}: no thread can be had to prepare it: {problem}");
            self.refuse(asked.as_deref(), message, None, Duration::ZERO);
        }
    }

    fn hand_over(&mut self, prepared: Prepared) {
        if prepared.reload.is_some_and(|change| change != self.reload) {
            return; // The file has changed again.
        }
        self.preparing &= prepared.reload.is_none();
        let request = prepared.request.as_deref();
        if let Some(id) = request.filter(|id| !self.mailbox.holds(id)) {
            // It was taken back.
            self.taken.remove(id);
            self.orders.release(id);
            return;
        }
        match prepared.outcome {
            Err(Refused { problem, sha256 }) => {
                if prepared.reload.is_some() {
                    self.settle_edit();
                }
                // Most problems begin with the plugin's name.
                let message = if problem.contains(&prepared.name) {
                    problem
                } else {
                    format!("{}: {problem}", prepared.name)
                };
                self.refuse(request, message, sha256, prepared.took);
            }
            Ok(candidate) => {
                let same = candidate.schedule.plugin().sha256() == self.sha256;
                if prepared.reload.is_some() && same {
                    self.settle_edit();
                    return; // It was changed back.
                }
                if prepared.reload.is_some() && self.orders.offers_at_once() {
                    // It has the parameters of the schedule that is about to be replaced.
                    return;
                }
                let at_step = candidate.at_step;
                let (due, order) = (at_step.unwrap_or(AT_ONCE), Order::Swap(Box::new(candidate)));
                match request {
                    Some(id) => {
                        if at_step.is_none() {
                            self.orders.drop_reloads();
                        }
                        self.orders.put_offered(id, due, order);
                    }
                    None => self.orders.put(due, order),
                }
                if let (Some(id), Some(step)) = (request, at_step) {
                    // The request stays until it is done: the run may end before.
                    let _ = self.mailbox.answer(id, &Reply::Planned { step });
                }
            }
        }
    }

    fn refuse(
        &mut self,
        request: Option<&str>,
        message: String,
        sha256: Option<String>,
        took: Duration,
    ) {
        let refusal = Refusal {
            message: message.clone(),
            sha256,
            took,
            told: self.herald.is_some(),
        };
        // The log has it from the step that is told, however long the telling takes, and whatever ends meanwhile.
        let step = self.orders.step();
        self.orders.put(AT_ONCE, Order::Refused(refusal.clone()));
        if let Some(id) = request {
            self.answer(id, &Reply::Rejected { reason: message });
        }
        if let Some(herald) = &self.herald {
            herald(step, &refusal);
        }
    }

    fn took_over(&mut self, takeover: &Takeover, again: bool) {
        let other = self.schedule.plugin != takeover.schedule.plugin;
        let wished = takeover.cause == Cause::Swap && !again;
        if other || wished {
            // A change of a file that is no longer in force comes too late, and one under other parameters.
            self.reload += 1;
            self.orders.drop_reloads();
        }
        // Its file may have been saved since it was read: nobody watched it, or what was saved was put off.
        let look = !again && other || wished && self.edited;
        if other {
            (self.edited, self.preparing) = (false, false);
        } else if takeover.cause == Cause::Reload {
            self.settle_edit();
        }
        self.schedule = takeover.schedule.clone();
        self.sha256.clone_from(&takeover.sha256);
        self.swaps += 1;
        self.watch_files_in_force();
        if look && self.watch.is_some() {
            self.look_for_a_change();
        }
        if let Some(id) = &takeover.request {
            self.answer(
                id,
                &Reply::Done {
                    step: takeover.step,
                },
            );
        }
        self.tell();
    }

    /// Answers a request and closes it. Whoever asked may be gone, and a disk that is full must not end the training: a
    /// request that could not be closed is known by its takeover the next time.
    fn answer(&mut self, id: &str, reply: &Reply) {
        if self.mailbox.holds(id) {
            let _ = self.mailbox.answer(id, reply);
        }
        self.orders.release(id);
        self.close(id);
    }

    fn close(&mut self, id: &str) {
        if self.mailbox.close(id).is_ok() {
            self.taken.remove(id);
        }
    }

    /// What was saved last has taken over or was refused, unless a newer change is on its way.
    fn settle_edit(&mut self) {
        self.edited &= self.preparing;
    }

    /// Offers what was saved while somebody's own offer waited, if that came to nothing.
    fn offer_what_was_put_off(&self) {
        if self.edited && !self.preparing {
            self.look_for_a_change();
        }
    }

    /// Offers the schedule in force as its files have it if that is another by now: they are watched only from here on.
    fn look_for_a_change(&self) {
        if let Ok(Some(content)) = self.schedule.read()
            && !content.is_empty()
            && sha256(&content) != self.sha256
        {
            let _ = self.sender.send(Message::Changed(Change {
                path: self.schedule.plugin.clone().into(),
                content: Some(content),
                seen: Instant::now(),
            }));
        }
    }

    fn watch_files_in_force(&self) {
        if let Some(watch) = &self.watch {
            let files = self.schedule.files().into_iter();
            watch.set(files.map(Target::File).collect());
        }
    }

    fn tell_now_and_then(&mut self) {
        if self.tried.is_none_or(|when| when.elapsed() >= TELL) {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let (learning_rate, train_loss) = self.orders.newest();
        let finite = |value: f64| value.is_finite().then_some(value);
        let status = Status {
            process: std::process::id(),
            activity: self.activity,
            step: self.orders.step(),
            total_steps: self.total_steps,
            learning_rate: finite(learning_rate),
            train_loss: finite(train_loss),
            schedule: self.schedule.told(),
            sha256: self.sha256.clone(),
            swaps: self.swaps,
        };
        // Nobody is helped by a run that ends because its status could not be told: it is told the next time.
        if self.told.as_ref() != Some(&status) && status.write(&self.run).is_ok() {
            self.told = Some(status);
        }
        self.tried = Some(Instant::now());
    }
}

/// What comes of preparing a schedule. Its thread must not die of a panic: the run may have been promised the schedule, and
/// somebody waits to read what became of it.
fn unless_it_panics<T>(prepare: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(prepare)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let words = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(format!(
            "preparing it panicked, which is a bug in pixelrate: {}",
            words.unwrap_or("without a word")
        ))
    })
}

/// A file's hash, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Whether a schedule can take over before `at_step` in a run that has done `step` of `total` steps.
fn due(at_step: Option<u64>, step: u64, total: u64) -> Result<(), String> {
    match at_step {
        Some(at) if at < step => Err(format!(
            "step {at} is over: the run is at step {step} of {total}"
        )),
        Some(at) if at >= total => Err(format!(
            "the run has {total} steps, from 0: there is no step {at}"
        )),
        _ => Ok(()),
    }
}

fn watching(how: watch::Options, sender: Sender<Message>) -> Result<Watch, Error> {
    let tell = move |change| {
        // A desk that was closed hears of no more changes.
        let _ = sender.send(Message::Changed(change));
    };
    Ok(Watch::start(how, tell)?)
}

#[cfg(test)]
mod tests {
    use super::unless_it_panics;

    #[test]
    fn a_panic_is_a_refusal_in_its_own_words() {
        let refused = |panics: fn() -> Result<(), String>| unless_it_panics(panics).unwrap_err();
        assert!(refused(|| panic!("words")).ends_with(": words"));
        assert!(refused(|| panic!("{} words", 2)).ends_with(": 2 words"));
        assert_eq!(refused(|| Err("no file".to_owned())), "no file");
        assert_eq!(unless_it_panics(|| Ok(5)), Ok(5));
    }
}
