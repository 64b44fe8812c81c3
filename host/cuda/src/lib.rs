//! What tch does not expose of libtorch's CUDA part: streams, events, and graphs of recorded work.
//!
//! It is built with any libtorch 2.11. Where its CUDA part is not loaded, or there is no such device, everything here fails
//! with a message, and whoever calls does without. The one C++ file is compiled by the build script; `unsafe` is only what
//! calls it.

mod native;

use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use native::{RawEvent, RawGraph, told};

/// What libtorch, or CUDA, has against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CUDA: {0}")]
pub struct Error(String);

/// An order of work on a device: what is in one waits for what came before in the same, and for nothing in others. libtorch
/// has 32 of them, and hands them out in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    device: c_int,
    number: i64,
}

impl Stream {
    /// One that is not the default, on the CUDA device of this number.
    ///
    /// # Errors
    /// There is no such device.
    pub fn new(device: usize) -> Result<Self, Error> {
        let (device, mut number) = (c_int(device)?, 0);
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_stream(device, &raw mut number, problem, room) }
        })?;
        Ok(Self { device, number })
    }

    /// Makes it the calling thread's: what libtorch does there from now on is in it, until the guard is dropped.
    ///
    /// # Errors
    /// CUDA's.
    pub fn enter(self) -> Result<Entered, Error> {
        let before = self.exchange()?;
        Ok(Entered {
            before,
            _of_this_thread: PhantomData,
        })
    }

    fn exchange(self) -> Result<Self, Error> {
        let Self { device, number } = self;
        let mut before = 0;
        told(|problem, room| {
            // SAFETY: the stream is one that libtorch gave for this device; the pointers lead to what is written to.
            unsafe {
                native::pixelrate_cuda_exchange(device, number, &raw mut before, problem, room)
            }
        })?;
        Ok(Self {
            device,
            number: before,
        })
    }
}

/// That a thread works in a stream.
#[derive(Debug)]
#[must_use = "the thread leaves the stream when this is dropped"]
pub struct Entered {
    before: Stream,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // There was such a stream before; what goes wrong now is told by whatever is done next.
        let _ = self.before.exchange();
    }
}

/// A place in a stream that can be waited for.
#[derive(Debug)]
pub struct Event(NonNull<RawEvent>);

// SAFETY: it is a handle of CUDA's, which any thread may use; c10 keeps nothing of a thread in it.
unsafe impl Send for Event {}

impl Event {
    /// Where the calling thread's stream on this device is now.
    ///
    /// # Errors
    /// There is no such device.
    pub fn record(device: usize) -> Result<Self, Error> {
        let (device, mut event) = (c_int(device)?, ptr::null_mut());
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_event(device, &raw mut event, problem, room) }
        })?;
        made(event).map(Self)
    }

    /// Waits until the device has done all that was in the stream before it.
    ///
    /// # Errors
    /// What went wrong on the device by then.
    pub fn wait(&self) -> Result<(), Error> {
        told(|problem, room| {
            // SAFETY: the event lives until it is dropped.
            unsafe { native::pixelrate_cuda_event_wait(self.0.as_ptr(), problem, room) }
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was made by `pixelrate_cuda_event`, and is used by nobody any more.
        unsafe { native::pixelrate_cuda_event_free(self.0.as_ptr()) }
    }
}

/// Recorded work, which one call repeats: on the tensors that it was recorded with, where they were, whatever they hold now.
/// The memory that it used meanwhile is its own.
#[derive(Debug)]
pub struct Graph(NonNull<RawGraph>);

impl Graph {
    /// Records what `work` gives the calling thread's stream, which must not be the default one. Nothing of it is done; the
    /// tensors that `work` returns hold something after the first [`replay`](Self::replay). It must not wait for the device,
    /// nor read from it, and everything that it does must have been done once before.
    ///
    /// # Errors
    /// Something of `work` cannot be recorded, or libtorch's CUDA part is not loaded.
    pub fn record<T>(work: impl FnOnce() -> T) -> Result<(Self, T), Error> {
        let recording = Recording::begin()?;
        let given = work();
        Ok((recording.end()?, given))
    }

    /// Puts the work into the calling thread's stream once more.
    ///
    /// # Errors
    /// CUDA's.
    pub fn replay(&self) -> Result<(), Error> {
        told(|problem, room| {
            // SAFETY: the graph lives until it is dropped, and was recorded whole.
            unsafe { native::pixelrate_cuda_graph_replay(self.0.as_ptr(), problem, room) }
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it was made by `pixelrate_cuda_graph_begin`, and is used by nobody any more.
        unsafe { native::pixelrate_cuda_graph_free(self.0.as_ptr()) }
    }
}

/// A graph that is being recorded. Dropped, as by a panic, it ends the recording and forgets it.
struct Recording(Option<Graph>);

impl Recording {
    fn begin() -> Result<Self, Error> {
        let mut graph = ptr::null_mut();
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_graph_begin(&raw mut graph, problem, room) }
        })?;
        Ok(Self(Some(Graph(made(graph)?))))
    }

    fn end(mut self) -> Result<Graph, Error> {
        let graph = self.0.take().ok_or_else(nothing)?;
        finish(&graph)?;
        Ok(graph)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(graph) = self.0.take() {
            // Whoever unwinds has another problem to tell.
            let _ = finish(&graph);
        }
    }
}

fn finish(graph: &Graph) -> Result<(), Error> {
    told(|problem, room| {
        // SAFETY: the graph lives, and is being recorded by this thread.
        unsafe { native::pixelrate_cuda_graph_end(graph.0.as_ptr(), problem, room) }
    })
}

/// The generation of the CUDA device of this number: (9, 0) of Hopper.
///
/// # Errors
/// There is no such device.
pub fn capability(device: usize) -> Result<(u32, u32), Error> {
    let (device, mut major, mut minor) = (c_int(device)?, 0, 0);
    told(|problem, room| {
        // SAFETY: all pointers lead to what is written to, and live through the call.
        unsafe {
            native::pixelrate_cuda_capability(device, &raw mut major, &raw mut minor, problem, room)
        }
    })?;
    Ok((major.unsigned_abs(), minor.unsigned_abs()))
}

fn c_int(device: usize) -> Result<c_int, Error> {
    // c10 keeps a device's number in eight bits.
    i8::try_from(device)
        .map(c_int::from)
        .map_err(|_| Error(format!("there is no device {device}")))
}

fn made<T>(pointer: *mut T) -> Result<NonNull<T>, Error> {
    NonNull::new(pointer).ok_or_else(nothing)
}

fn nothing() -> Error {
    Error("libtorch made nothing, and does not tell why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests run on machines without a GPU, where all of this has to fail with a reason; on one with a GPU, the trainer's
    /// do more.
    #[test]
    fn without_a_device_everything_says_why() {
        if tch::Cuda::is_available() {
            return;
        }
        let problems = [
            Stream::new(0).map(drop).unwrap_err(),
            Event::record(0).map(drop).unwrap_err(),
            Graph::record(|| ()).map(drop).unwrap_err(),
        ];
        for problem in problems {
            assert!(problem.to_string().len() > 20, "{problem}");
        }
        let problem = Stream::new(1000).unwrap_err().to_string();
        assert_eq!(problem, "CUDA: there is no device 1000");
    }
}
