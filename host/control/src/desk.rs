//! The thread beside a trainer that watches, reads requests and prepares schedules.

mod clerk;
mod orders;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

pub use orders::{Order, Refusal};

use crate::background::step_aside;
use crate::{Error, ScheduleSpec, Stage, Takeover, watch};
use clerk::{Clerk, Message};
use orders::Orders;
use pixelrate_sandbox::Schedule;

/// What a desk must know of its run.
#[derive(Debug)]
pub struct DeskOptions {
    /// The run's folder.
    pub run: PathBuf,
    /// Where candidates are prepared.
    pub stage: Stage,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// The first step that this process will do.
    pub step: u64,
    /// The schedule in force there.
    pub schedule: ScheduleSpec,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Schedules that took over before.
    pub swaps: u64,
    /// How files are watched; `None`: they are not, and requests alone are served.
    pub watch: Option<watch::Options>,
    /// Whether the file of the schedule in force is taken over if it changed before it could be watched.
    pub take_changes: bool,
}

/// Tells whoever looks on of a schedule that was refused after so many steps. The desk's thread calls it at once, whatever the
/// trainer is at: a step or an evaluation may take longer than a person waits for an answer.
pub type Herald = Box<dyn Fn(u64, &Refusal) + Send>;

/// A trainer's end of its desk. Dropping it ends the thread, and leaves the run's last status on the disk.
#[derive(Debug)]
pub struct Desk {
    orders: Arc<Orders>,
    clerk: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    /// Opens a desk: from here on requests are served. With a `herald`, refusals are told by it.
    ///
    /// # Errors
    /// No thread can be had, or the file of the schedule in force cannot be watched.
    pub fn open(options: DeskOptions, herald: Option<Herald>) -> Result<Self, Error> {
        let orders = Arc::new(Orders::new(options.step));
        let (clerk, messages) = channel();
        let run = options.run.clone();
        let served = Clerk::new(options, herald, Arc::clone(&orders), clerk.clone())?;
        let thread = std::thread::Builder::new()
            .name("desk".to_owned())
            .spawn(move || {
                step_aside();
                served.serve(&messages);
            })
            .map_err(Error::io("start a thread for", &run))?;
        Ok(Self {
            orders,
            clerk,
            thread: Some(thread),
        })
    }

    /// Whether an order waits for the time before `step`: one load of an atomic number.
    pub fn wanted(&self, step: u64) -> bool {
        self.orders.wanted(step)
    }

    /// The oldest order that is due before `step`.
    pub fn order(&self, step: u64) -> Option<Order> {
        self.orders.take(step)
    }

    /// Adds an order that is due before `step`: one that was taken too early.
    pub fn put(&self, step: u64, order: Order) {
        self.orders.put(step, order);
    }

    /// Whether a schedule that an earlier process promised for before `step` is still being prepared: the run waits for it. One
    /// that named no step was promised for the first.
    pub fn awaits(&self, step: u64) -> bool {
        self.orders.awaits(step)
    }

    /// Waits for an order, `longest` at the most: for a run that was told to wait.
    pub fn wait(&self, longest: Duration) {
        self.orders.wait(longest);
    }

    /// Tells where the run is: steps done, and what the newest was like. Takes some nanoseconds.
    pub fn tell(&self, step: u64, learning_rate: f64, train_loss: f64) {
        self.orders.tell(step, learning_rate, train_loss);
    }

    /// Tells that the run waits, or goes on.
    pub fn paused(&self, paused: bool) {
        self.send(Message::Paused(paused));
    }

    /// Tells that a schedule took over: its file is watched from here on, and whoever asked for it is answered. `again`: as
    /// it did before the run went back to a checkpoint.
    pub fn took_over(&self, takeover: &Takeover, again: bool) {
        self.send(Message::TookOver(Box::new(takeover.clone()), again));
    }

    /// Lets go of a schedule on the desk's thread: to free its memory takes longer than a swap may.
    pub fn retire(&self, schedule: Schedule) {
        self.send(Message::Retired(Box::new(schedule)));
    }

    /// Answers a request that was done before `step`.
    pub fn done(&self, request: &str, step: u64) {
        self.send(Message::Done(request.to_owned(), step));
    }

    /// Answers a request that could not be done. Of a schedule that nobody asked for, the file's change is refused.
    pub fn refuse(&self, request: Option<&str>, reason: &str) {
        let request = request.map(str::to_owned);
        self.send(Message::Refused(request, reason.to_owned()));
    }

    fn send(&self, message: Message) {
        // The thread ends when this is dropped, and not before.
        let _ = self.clerk.send(message);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.send(Message::Closed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}
