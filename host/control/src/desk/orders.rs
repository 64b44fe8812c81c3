//! What waits for the trainer between two steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Candidate;

/// Something that a trainer does between two steps.
#[derive(Debug)]
pub enum Order {
    /// Let this schedule take over.
    Swap(Box<Candidate>),
    /// Log that a schedule was offered and refused.
    Refused(Refusal),
    /// Wait.
    Pause {
        /// The request.
        request: String,
    },
    /// Go on.
    Continue {
        /// The request.
        request: String,
    },
    /// Keep a checkpoint that is never let go of.
    Checkpoint {
        /// The request.
        request: String,
        /// Its name.
        name: String,
    },
    /// Keep a checkpoint and end.
    Stop {
        /// The request.
        request: String,
    },
}

impl Order {
    /// The request that it comes of.
    fn request(&self) -> Option<&str> {
        match self {
            Self::Swap(candidate) => candidate.request.as_deref(),
            Self::Refused(_) => None,
            Self::Pause { request }
            | Self::Continue { request }
            | Self::Checkpoint { request, .. }
            | Self::Stop { request } => Some(request),
        }
    }
}

/// A schedule that was offered and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name, and why it was refused.
    pub message: String,
    /// SHA-256 of its file; `None` where there was none to read.
    pub sha256: Option<String>,
    /// How long it took to find that out.
    pub took: Duration,
    /// Whether the [`Herald`](super::Herald) told it already.
    pub told: bool,
}

/// No step.
const NONE: u64 = u64::MAX;

/// Orders by the step before which they are due, and where the trainer is.
#[derive(Debug)]
pub(super) struct Orders {
    /// The first step before which something is due.
    next: AtomicU64,
    queue: Mutex<Queue>,
    came: Condvar,
    step: AtomicU64,
    learning_rate: AtomicU64,
    train_loss: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    count: u64,
    orders: BTreeMap<Place, Order>,
    /// Requests whose schedules are being prepared and were promised a step, which must not pass before they are ready.
    promised: BTreeMap<String, Place>,
}

/// The step before which an order is due, and its number.
type Place = (u64, u64);

impl Queue {
    fn next_place(&mut self, step: u64) -> Place {
        let count = self.count;
        self.count += 1;
        (step, count)
    }

    /// The first order that is due before `step`. A schedule waits for those that were promised a place before its own: of
    /// two that were asked for, the later is to stay.
    fn due(&self, step: u64) -> Option<Place> {
        let ready = |place: &Place, order: &Order| {
            !matches!(order, Order::Swap(_)) || self.promised.values().all(|other| other > place)
        };
        self.orders
            .range(..=(step, u64::MAX))
            .find(|(place, order)| ready(place, order))
            .map(|(place, _)| *place)
    }
}

impl Orders {
    pub(super) fn new(step: u64) -> Self {
        let none = f64::NAN.to_bits();
        Self {
            next: AtomicU64::new(NONE),
            queue: Mutex::default(),
            came: Condvar::new(),
            step: AtomicU64::new(step),
            learning_rate: AtomicU64::new(none),
            train_loss: AtomicU64::new(none),
        }
    }

    pub(super) fn wanted(&self, step: u64) -> bool {
        self.next.load(Ordering::Acquire) <= step
    }

    pub(super) fn put(&self, step: u64, order: Order) {
        let mut queue = self.queue();
        let place = queue.next_place(step);
        queue.orders.insert(place, order);
        self.set_next(&queue);
        self.came.notify_all();
    }

    pub(super) fn take(&self, step: u64) -> Option<Order> {
        let mut queue = self.queue();
        let place = queue.due(step)?;
        let order = queue.orders.remove(&place);
        self.set_next(&queue);
        order
    }

    /// Promises a request that its step does not pass before it is ready, or refused, and that it keeps its turn among others.
    pub(super) fn promise(&self, request: &str, step: u64) {
        let mut queue = self.queue();
        let place = queue.next_place(step);
        queue.promised.insert(request.to_owned(), place);
        self.set_next(&queue);
    }

    /// Adds what a request offered, in the place that it was promised, if it was, and else before `step`.
    pub(super) fn put_offered(&self, request: &str, step: u64, order: Order) {
        let mut queue = self.queue();
        let promised = queue.promised.remove(request);
        let place = promised.unwrap_or_else(|| queue.next_place(step));
        queue.orders.insert(place, order);
        self.set_next(&queue);
        self.came.notify_all();
    }

    /// Takes back what a request ordered, if the trainer has not taken it yet, and what it was promised.
    pub(super) fn withdraw(&self, request: &str) {
        let mut queue = self.queue();
        queue
            .orders
            .retain(|_, order| order.request() != Some(request));
        queue.promised.remove(request);
        self.set_next(&queue);
        self.came.notify_all();
    }

    /// Whether a schedule that somebody asked for takes over before the next step.
    pub(super) fn offers_at_once(&self) -> bool {
        let queue = self.queue();
        let offered = |order: &Order| matches!(order, Order::Swap(it) if it.request.is_some());
        let mut due = queue.orders.range(..=(self.step(), u64::MAX));
        due.any(|(_, order)| offered(order))
    }

    /// Nothing waits for a request any more, if anything did: it was refused, or taken back.
    pub(super) fn release(&self, request: &str) {
        let mut queue = self.queue();
        if queue.promised.remove(request).is_some() {
            self.set_next(&queue);
            self.came.notify_all();
        }
    }

    /// Lets go of the promises to all other requests.
    pub(super) fn release_all_but(&self, is_there: impl Fn(&str) -> bool) {
        let mut queue = self.queue();
        let before = queue.promised.len();
        queue.promised.retain(|request, _| is_there(request));
        if queue.promised.len() < before {
            self.set_next(&queue);
            self.came.notify_all();
        }
    }

    /// Whether something that was promised for the time before `step` is not ready yet.
    pub(super) fn awaits(&self, step: u64) -> bool {
        self.queue().promised.values().any(|(due, _)| *due <= step)
    }

    /// Takes back every schedule that waits for its file's last change: a newer one is on its way.
    pub(super) fn drop_reloads(&self) {
        let mut queue = self.queue();
        queue.orders.retain(|_, order| {
            !matches!(order, Order::Swap(candidate)
                if candidate.cause == crate::Cause::Reload && candidate.again.is_none())
        });
        self.set_next(&queue);
    }

    pub(super) fn wait(&self, longest: Duration) {
        let queue = self.queue();
        // What is due at a later step does not come nearer while the run waits.
        let step = self.step();
        if queue.due(step).is_none() {
            drop(self.came.wait_timeout(queue, longest));
        }
    }

    pub(super) fn tell(&self, step: u64, learning_rate: f64, train_loss: f64) {
        self.step.store(step, Ordering::Relaxed);
        self.learning_rate
            .store(learning_rate.to_bits(), Ordering::Relaxed);
        self.train_loss
            .store(train_loss.to_bits(), Ordering::Relaxed);
    }

    /// Steps done, as far as it was told.
    pub(super) fn step(&self) -> u64 {
        self.step.load(Ordering::Relaxed)
    }

    /// The newest learning rate and loss.
    pub(super) fn newest(&self) -> (f64, f64) {
        let read = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (read(&self.learning_rate), read(&self.train_loss))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whoever panicked left whole orders behind: each is put and taken in one piece.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_next(&self, queue: &Queue) {
        let orders = queue.orders.keys().next().map(|key| key.0);
        let promised = queue.promised.values().map(|place| place.0).min();
        let next = orders.into_iter().chain(promised).min();
        self.next.store(next.unwrap_or(NONE), Ordering::Release);
    }
}
