//! While a thread records a graph, no other may use the device. What others do invalidates the recording if it waits for the
//! whole device, as cuDNN does where it tries which of its ways is the quickest; and libtorch keeps what is being recorded in
//! the one random generator and the one allocator of a device, without a lock.
//!
//! So whoever uses a device says so with [`share`], and whoever records, or forgets a graph, is [`alone`]. Both are of the
//! whole process, and cost a few nanoseconds where nobody records.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::Error;

static DEVICES: RwLock<()> = RwLock::new(());

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held { times: 0, lock: None }) };
}

/// What a thread holds of the lock, and how many guards stand for it: a lock that is asked for twice in one thread may wait
/// for itself.
struct Held {
    times: usize,
    lock: Option<Lock>,
}

enum Lock {
    Shared {
        _lock: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _lock: RwLockWriteGuard<'static, ()>,
    },
}

/// That the calling thread uses devices: no other records until this is dropped.
#[derive(Debug)]
#[must_use = "others may record again when this is dropped"]
pub struct Shared(Guard);

/// That no other thread uses a device until this is dropped.
#[derive(Debug)]
#[must_use = "others use devices again when this is dropped"]
pub struct Alone(Guard);

/// One of a thread's guards, which all stand for one lock.
#[derive(Debug)]
struct Guard(PhantomData<*const ()>);

/// Waits until nobody records, and keeps all others from it. A thread may do so again while it does, also while it is
/// [`alone`].
pub fn share() -> Shared {
    HELD.with_borrow_mut(|held| {
        if held.lock.is_none() {
            // One that panicked left nothing behind: the lock keeps order, and no data.
            let lock = DEVICES.read().unwrap_or_else(PoisonError::into_inner);
            held.lock = Some(Lock::Shared { _lock: lock });
        }
        held.times += 1;
    });
    Shared(Guard(PhantomData))
}

/// Waits until no other thread uses a device, and keeps all of them from it. A thread may do so again while it does.
///
/// # Errors
/// The calling thread itself holds a [`Shared`], for which this would wait for ever.
pub fn alone() -> Result<Alone, Error> {
    HELD.with_borrow_mut(|held| {
        match held.lock {
            None => {
                let lock = DEVICES.write().unwrap_or_else(PoisonError::into_inner);
                held.lock = Some(Lock::Alone { _lock: lock });
            }
            Some(Lock::Alone { .. }) => {}
            Some(Lock::Shared { .. }) => {
                return Err(Error(
                    "this thread uses the device, and cannot record meanwhile".to_owned(),
                ));
            }
        }
        held.times += 1;
        Ok(Alone(Guard(PhantomData)))
    })
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A thread that ends has let go of all it held.
        let _ = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            held.times -= 1;
            if held.times == 0 {
                held.lock = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn who_records_waits_for_those_that_work_and_keeps_them_waiting() {
        let (working, recording) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _shared = share();
                        let _again = share();
                        working.store(true, Ordering::SeqCst);
                        assert!(!recording.load(Ordering::SeqCst));
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let alone = alone().unwrap();
                        assert!(!recording.swap(true, Ordering::SeqCst));
                        working.store(false, Ordering::SeqCst);
                        drop((super::alone().unwrap(), share()));
                        thread::yield_now();
                        assert!(!working.load(Ordering::SeqCst));
                        recording.store(false, Ordering::SeqCst);
                        drop(alone);
                    }
                });
            }
        });
    }

    #[test]
    fn a_thread_that_works_is_told_that_it_would_wait_for_itself() {
        let shared = share();
        assert!(alone().unwrap_err().to_string().contains("meanwhile"));
        drop(shared);
        let (sent, received) = channel();
        let held = alone().unwrap();
        let other = thread::spawn(move || {
            let _shared = share();
            sent.send(()).unwrap();
        });
        assert!(received.try_recv().is_err());
        drop(held);
        received.recv().unwrap();
        other.join().unwrap();
    }
}
