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

/// A schedule that was offered and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name, and why it was refused.
    pub message: String,
    /// How long it took to find that out.
    pub took: Duration,
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
    orders: BTreeMap<(u64, u64), Order>,
    /// Requests whose schedules are being prepared and were promised a step, which must not pass before they are ready.
    promised: BTreeMap<String, u64>,
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
        let count = queue.count;
        queue.count += 1;
        queue.orders.insert((step, count), order);
        self.set_next(&queue);
        self.came.notify_all();
    }

    pub(super) fn take(&self, step: u64) -> Option<Order> {
        let mut queue = self.queue();
        let first = queue.orders.first_entry()?;
        if first.key().0 > step {
            return None;
        }
        let order = first.remove();
        self.set_next(&queue);
        Some(order)
    }

    /// Promises a request that its step does not pass before it is ready, or refused.
    pub(super) fn promise(&self, request: &str, step: u64) {
        let mut queue = self.queue();
        queue.promised.insert(request.to_owned(), step);
        self.set_next(&queue);
    }

    /// A promise was kept, if there was one: its order lies ready, or it was refused.
    pub(super) fn keep_promise(&self, request: &str) {
        let mut queue = self.queue();
        if queue.promised.remove(request).is_some() {
            self.set_next(&queue);
            self.came.notify_all();
        }
    }

    /// Whether something that was promised for the time before `step` is not ready yet.
    pub(super) fn awaits(&self, step: u64) -> bool {
        self.queue().promised.values().any(|due| *due <= step)
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
        if !queue.orders.keys().any(|(due, _)| *due <= step) {
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
        let promised = queue.promised.values().copied().min();
        let next = orders.into_iter().chain(promised).min();
        self.next.store(next.unwrap_or(NONE), Ordering::Release);
    }
}
