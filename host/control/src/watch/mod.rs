//! Tells of files that changed and then stayed still.
//!
//! A file is told of when it is whole, not when its first byte moves. The rules, for each [`Target`] on its own:
//!
//! 1. **Noticing.** The system's events of the folder that a file lies in are listened to, so that a file which is
//!    replaced, removed and made again, or reached by a link that turns elsewhere is noticed as well as one that is
//!    written in place. Whatever the events say, size, times and identity are looked at every [`Options::poll`]: network
//!    file systems have no events, folders vanish and come back, and a system has only so many watches to give.
//! 2. **Waiting.** A target is still once nothing more was noticed for [`Options::quick`]; for [`Options::slow`] if it
//!    may be half written: something has it open after writing to it, nobody said that it was closed (as when polling
//!    noticed the change), or it changed already within the last [`Options::busy`]. So a lone save is told at once, and
//!    a file that is rewritten five times a second is told at its first change and at its last.
//! 3. **Telling.** A still file is read. If it changed meanwhile, the wait begins again; if it is gone or empty, an
//!    editor is about to write it; if its bytes are those told last, as after touch(1), there is nothing to tell. A
//!    folder is not read: the names, sizes and times of its files decide.
//!
//! A file is looked into once more two seconds after it was told, and after it was set, in case that a file system's
//! coarse times hid a change since. Only the monotonic clock is read, so the system's clock may jump.
//!
//! Sleeping costs nothing: one thread waits for an event or for the next time at which something falls due.

mod error;
mod events;
mod file;
mod folder;
mod hint;
mod stamp;
mod stillness;
mod target;
mod thread;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use error::Error;
pub use target::Target;

use crate::background::step_aside;
use events::Events;
use thread::{Message, Watcher};

/// How long to wait for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A file that was closed is still after this long; 20 ms.
    pub quick: Duration,
    /// A file that may be half written is still after this long; 300 ms.
    pub slow: Duration,
    /// A file that changes again within this long waits for `slow`; 1 s.
    pub busy: Duration,
    /// How often files are looked at, whatever the events say; 500 ms, and 1 ms at least.
    pub poll: Duration,
    /// Whether the system's events are used; `false`: files are polled alone.
    pub events: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quick: Duration::from_millis(20),
            slow: Duration::from_millis(300),
            busy: Duration::from_secs(1),
            poll: Duration::from_millis(500),
            events: true,
        }
    }
}

/// A file or folder that changed and is still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The target's path, as it was given.
    pub path: PathBuf,
    /// A file's bytes as they were once it was still, never none; `None` for a folder.
    pub content: Option<Vec<u8>>,
    /// When the last change before the stillness was noticed.
    pub seen: Instant,
}

/// Watches files and folders on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    options: Options,
    sender: Sender<Message>,
    /// What the thread was last asked to watch.
    targets: Mutex<Vec<Target>>,
    events_work: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching nothing. `tell` is called on the watching thread, which sees nothing else meanwhile: it had
    /// better pass the change on. It must not drop the watch, which waits for that thread.
    ///
    /// # Errors
    /// [`Error::Thread`], if the system gives no thread. That it gives no events is no error: see
    /// [`Self::events_work`].
    pub fn start(
        options: Options,
        tell: impl FnMut(Change) + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, inbox) = channel();
        let events_work = Arc::new(AtomicBool::new(false));
        let events = Events::start(options.events, &sender, Arc::clone(&events_work));
        let watcher = Watcher::new(&options, events, tell);
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                step_aside();
                watcher.run(&inbox);
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            options,
            sender,
            targets: Mutex::default(),
            events_work,
            thread: Some(thread),
        })
    }

    /// Watches these targets, and no others. What they hold now is what changes are measured from, and isn't told: it is
    /// read before this returns. A target that is watched already goes on as it is, with a change that was noticed and
    /// not told yet.
    pub fn set(&self, targets: Vec<Target>) {
        // Held until the message is sent, so that two calls at once reach the thread in their order.
        let mut known = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = Vec::new();
        for target in &targets {
            let named_twice = wanted.iter().any(|(other, _)| other == target);
            if !named_twice {
                let fresh = !known.contains(target);
                let watched = fresh.then(|| target.watched(&self.options));
                wanted.push((target.clone(), watched));
            }
        }
        // The thread ends before the watch does only if `tell` panicked, and then nobody listens.
        let _ = self.sender.send(Message::Set(wanted));
        *known = targets;
    }

    /// Whether the system tells of changes. Where it doesn't, as when its watches are used up, or if it wasn't to be
    /// asked, files are polled. A file system without events of its own isn't found out: it is polled as all are.
    #[must_use]
    pub fn events_work(&self) -> bool {
        self.events_work.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            // If `tell` panicked, that was reported when it did.
            let _ = thread.join();
        }
    }
}
