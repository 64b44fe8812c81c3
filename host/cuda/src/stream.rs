//! Streams, each of which is one run's alone for as long as the run uses it.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::native::{self, told};
use crate::{Error, numbered};

/// How many of a device's streams can be in use at once: libtorch has no more of one kind.
pub const STREAMS: usize = 32;

/// An order of work on a device: what is in one waits for what came before in the same, and for nothing in others. It is
/// nobody else's until it is dropped.
#[derive(Debug)]
pub struct Stream {
    device: c_int,
    number: i64,
}

impl Stream {
    /// One that is not the default, and that nobody else has, on the CUDA device of this number.
    ///
    /// # Errors
    /// There is no such device, or all its [streams](STREAMS) are in use.
    pub fn new(device: usize) -> Result<Self, Error> {
        let device = numbered(device)?;
        let mut pools = pools();
        let pool = match pools.get_mut(&device) {
            Some(pool) => pool,
            None => pools.entry(device).or_insert(Pool::new(numbers(device)?)),
        };
        let all = pool.0.len();
        match pool.take() {
            Some(number) => Ok(Self { device, number }),
            None => Err(Error(format!(
                "all {all} streams of device {device} are in use: train fewer runs at a time"
            ))),
        }
    }

    /// Makes it, and its device, the calling thread's: what libtorch does there from now on is in it, until the guard is
    /// dropped.
    ///
    /// # Errors
    /// CUDA's.
    pub fn enter(self) -> Result<Entered, Error> {
        let (mut device_before, mut stream_before) = (0, 0);
        told(|problem, room| {
            // SAFETY: the stream is one that libtorch gave for this device; the pointers lead to what is written to.
            unsafe {
                native::pixelrate_cuda_enter(
                    self.device,
                    self.number,
                    &raw mut device_before,
                    &raw mut stream_before,
                    problem,
                    room,
                )
            }
        })?;
        Ok(Entered {
            own: self,
            device_before,
            stream_before,
            _of_this_thread: PhantomData,
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(pool) = pools().get_mut(&self.device) {
            pool.give_back(self.number);
        }
    }
}

/// That a thread works in a stream.
#[derive(Debug)]
#[must_use = "the thread leaves the stream when this is dropped"]
pub struct Entered {
    own: Stream,
    device_before: c_int,
    stream_before: i64,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Self {
            own,
            device_before,
            stream_before,
            ..
        } = self;
        // They were the thread's before; what goes wrong now is told by whatever is done next.
        let _ = told(|problem, room| {
            // SAFETY: libtorch gave both numbers; the pointer leads to what is written to.
            unsafe {
                native::pixelrate_cuda_leave(
                    own.device,
                    *device_before,
                    *stream_before,
                    problem,
                    room,
                )
            }
        });
    }
}

/// The streams of a device by their numbers, in rising order, and whether each is taken.
#[derive(Debug, Default)]
struct Pool(Vec<(i64, bool)>);

impl Pool {
    fn new(mut numbers: Vec<i64>) -> Self {
        numbers.sort_unstable();
        Self(numbers.into_iter().map(|number| (number, false)).collect())
    }

    /// The lowest that is free: memory that an earlier run's work left in it is used again.
    fn take(&mut self) -> Option<i64> {
        let (number, taken) = self.0.iter_mut().find(|(_, taken)| !taken)?;
        *taken = true;
        Some(*number)
    }

    fn give_back(&mut self, number: i64) {
        for (own, taken) in &mut self.0 {
            *taken &= *own != number;
        }
    }
}

fn pools() -> MutexGuard<'static, BTreeMap<c_int, Pool>> {
    static POOLS: Mutex<BTreeMap<c_int, Pool>> = Mutex::new(BTreeMap::new());
    // Nothing that is done while it is held leaves a pool half changed.
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All streams that libtorch has for a device. It hands them out in turn, so that they are known once one comes again.
fn numbers(device: c_int) -> Result<Vec<i64>, Error> {
    let mut numbers = Vec::with_capacity(STREAMS);
    while numbers.len() < STREAMS {
        let mut number = 0;
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_stream(device, &raw mut number, problem, room) }
        })?;
        if numbers.contains(&number) {
            break;
        }
        numbers.push(number);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_nobody_elses_until_it_is_given_back() {
        let mut pool = Pool::new(vec![7, 3, 5]);
        assert_eq!([pool.take(), pool.take()], [Some(3), Some(5)]);
        pool.give_back(3);
        assert_eq!([pool.take(), pool.take()], [Some(3), Some(7)]);
        assert_eq!(pool.take(), None);
        pool.give_back(5);
        assert_eq!([pool.take(), pool.take()], [Some(5), None]);
    }
}
