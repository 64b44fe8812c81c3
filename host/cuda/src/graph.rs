//! Graphs of recorded work.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use crate::exclusive::{Alone, alone};
use crate::native::{self, RawGraph, told};
use crate::{Error, made};

/// Whether work can be recorded with the libtorch that is loaded.
///
/// # Errors
/// Its CUDA part is not loaded, or of another release.
pub fn can_record() -> Result<(), Error> {
    told(|problem, room| {
        // SAFETY: the pointer leads to what is written to.
        unsafe { native::pixelrate_cuda_graphs(problem, room) }
    })
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
    /// After an error nothing can be relied on to be recorded in this process any more: libtorch's allocators may still take
    /// the thread for one that records. Its random numbers are told that nothing is recorded, so that what was recorded
    /// before goes on.
    ///
    /// # Errors
    /// Of `work`, if it gives one; that it panicked; else what CUDA has against the recording, such as an operation that
    /// cannot be recorded.
    pub fn record<T, E: From<Error>>(
        _alone: &Alone,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let recording = Recording::begin()?;
        // tch's operators panic with what libtorch throws.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let ended = recording.end();
        if ended.is_err() {
            // `CUDAGraph::capture_end` throws before it tells the device's one generator, by which every other graph would
            // be refused its replay (`CUDAGeneratorState::increase`): a recording of nothing tells it.
            let nothing = Recording::begin().and_then(Recording::end);
            std::mem::forget(nothing);
        }
        match outcome {
            Err(panic) => Err(Error(message(&*panic)).into()),
            Ok(Err(own)) => Err(own),
            Ok(Ok(given)) => Ok((ended?, given)),
        }
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
        // In a thread that uses the device while it forgets a graph, which none does, the graph's memory is lost.
        let Ok(_alone) = alone() else { return };
        // SAFETY: it was made by `pixelrate_cuda_graph_begin` and recorded whole, and is used by nobody any more.
        unsafe { native::pixelrate_cuda_graph_free(self.0.as_ptr()) }
    }
}

/// A graph that is being recorded. If it cannot be brought to its end, it is never freed: libtorch's allocators and generator
/// go on knowing its address.
struct Recording(NonNull<RawGraph>);

impl Recording {
    fn begin() -> Result<Self, Error> {
        let mut graph = ptr::null_mut();
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_graph_begin(&raw mut graph, problem, room) }
        })?;
        made(graph).map(Self)
    }

    fn end(self) -> Result<Graph, Error> {
        let Self(graph) = self;
        told(|problem, room| {
            // SAFETY: the graph lives, and is being recorded by this thread.
            unsafe { native::pixelrate_cuda_graph_end(graph.as_ptr(), problem, room) }
        })?;
        Ok(Graph(graph))
    }
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(ToString::to_string);
    let written = || panic.downcast_ref::<String>().cloned();
    fixed
        .or_else(written)
        .unwrap_or_else(|| "it panicked without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panics_words_are_kept() {
        let told = |panic: fn()| message(&*catch_unwind(panic).unwrap_err());
        assert_eq!(told(|| panic!("out of memory")), "out of memory");
        assert_eq!(told(|| panic!("{} bytes", 3)), "3 bytes");
        let other = told(|| std::panic::panic_any(3));
        assert!(other.contains("without a word"), "{other}");
    }
}
