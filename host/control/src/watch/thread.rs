//! What the watching thread does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::events::Events;
use super::hint::{Hint, What};
use super::stillness::later;
use super::target::Watched;
use super::{Change, Options, Target};

/// As often as this, at most, a `poll` of zero looks.
const LEAST_POLL: Duration = Duration::from_millis(1);
/// How long the thread sleeps with nothing to watch.
const IDLE: Duration = Duration::from_secs(3_600);
/// How many folders deep new ones are followed at once; the next poll follows the rest.
const DEPTH: usize = 8;

/// What the watching thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Watch these. Where nothing comes with a target, it is watched already.
    Set(Vec<(Target, Option<Box<dyn Watched>>)>),
    /// The system's events say that something may have changed.
    Heard(Hint),
    /// End.
    Stop,
}

pub(super) struct Watcher<F> {
    poll: Duration,
    events: Events,
    watched: Vec<(Target, Box<dyn Watched>)>,
    /// When all targets are to be looked at.
    next_poll: Instant,
    tell: F,
}

impl<F: FnMut(Change)> Watcher<F> {
    pub(super) fn new(options: &Options, events: Events, tell: F) -> Self {
        let poll = options.poll.max(LEAST_POLL);
        Self {
            poll,
            events,
            watched: Vec::new(),
            next_poll: later(Instant::now(), poll),
            tell,
        }
    }

    /// Watches until it is told to stop, or nobody is left who could tell.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let wait = self.next_due().saturating_duration_since(Instant::now());
            let first = match inbox.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut rearranged = false;
            // All that was heard until now counts before anything is called still.
            for message in first.into_iter().chain(inbox.try_iter()) {
                match message {
                    Message::Stop => return,
                    Message::Set(targets) => {
                        self.set(targets);
                        rearranged = true;
                    }
                    Message::Heard(hint) => rearranged |= self.hear(&hint),
                }
            }
            let now = Instant::now();
            for (_, watched) in &mut self.watched {
                watched.look_if_asked(now);
            }
            if now >= self.next_poll {
                self.look_at_all(now);
                self.next_poll = later(now, self.poll);
                rearranged = true;
            }
            if rearranged {
                self.listen(now);
            }
            self.settle();
        }
    }

    fn next_due(&self) -> Instant {
        if self.watched.is_empty() {
            return later(Instant::now(), IDLE);
        }
        let dues = self.watched.iter().filter_map(|(_, watched)| watched.due());
        dues.chain([self.next_poll]).min().unwrap_or(self.next_poll)
    }

    fn set(&mut self, targets: Vec<(Target, Option<Box<dyn Watched>>)>) {
        let mut before = std::mem::take(&mut self.watched);
        for (target, fresh) in targets {
            let known = before.iter().position(|(other, _)| *other == target);
            let watched = fresh.or_else(|| known.map(|place| before.swap_remove(place).1));
            if let Some(watched) = watched {
                self.watched.push((target, watched));
            }
        }
    }

    /// Passes a hint on. Returns whether the folders to be listened to may be others now.
    fn hear(&mut self, hint: &Hint) -> bool {
        match hint.what {
            What::Lost => {
                self.look_at_all(hint.at);
                return true;
            }
            What::Named => hint.paths.iter().for_each(|path| self.events.forget(path)),
            _ => {}
        }
        for (_, watched) in &mut self.watched {
            watched.hear(hint);
        }
        hint.what == What::Named
    }

    fn look_at_all(&mut self, now: Instant) {
        for (_, watched) in &mut self.watched {
            watched.poll(now);
        }
    }

    /// Listens to the folders that the targets lie in. What happened in a new one before is found by looking.
    fn listen(&mut self, now: Instant) {
        for _ in 0..DEPTH {
            let folders = self.watched.iter().map(|(_, watched)| watched.folders());
            let folders: BTreeSet<PathBuf> = folders.flatten().collect();
            if !self.events.listen(&folders) {
                break;
            }
            self.look_at_all(now);
        }
    }

    fn settle(&mut self) {
        for (_, watched) in &mut self.watched {
            if let Some(change) = watched.settle(Instant::now()) {
                (self.tell)(change);
            }
        }
    }
}
