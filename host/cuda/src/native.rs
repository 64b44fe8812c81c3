//! The C++ files' functions, each of whose failures is an [`Error`].

use std::ffi::{CStr, c_char, c_int};

use torch_sys::C_tensor;

use crate::Error;

/// An event of c10.
#[repr(C)]
pub(crate) struct RawEvent {
    _opaque: [u8; 0],
}

/// A graph, made or being recorded.
#[repr(C)]
pub(crate) struct RawGraph {
    _opaque: [u8; 0],
}

// `room` is how many bytes `problem` has.
unsafe extern "C" {
    pub(crate) fn pixelrate_cuda_stream(
        device: c_int,
        stream: *mut i64,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_enter(
        device: c_int,
        stream: i64,
        device_before: *mut c_int,
        stream_before: *mut i64,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_leave(
        device: c_int,
        device_before: c_int,
        stream_before: i64,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_event(
        device: c_int,
        event: *mut *mut RawEvent,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_event_wait(
        event: *mut RawEvent,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_event_free(event: *mut RawEvent);
    pub(crate) fn pixelrate_cuda_graphs(problem: *mut c_char, room: usize) -> c_int;
    pub(crate) fn pixelrate_cuda_graph_begin(
        graph: *mut *mut RawGraph,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_graph_end(
        graph: *mut RawGraph,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_graph_replay(
        graph: *mut RawGraph,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_graph_free(graph: *mut RawGraph);
    pub(crate) fn pixelrate_cuda_arithmetic(
        deterministic: bool,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_capability(
        device: c_int,
        major: *mut c_int,
        minor: *mut c_int,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_kernels(device: c_int, problem: *mut c_char, room: usize)
    -> c_int;
    pub(crate) fn pixelrate_cuda_launches() -> u64;
    pub(crate) fn pixelrate_cuda_convolution(
        x: *const C_tensor,
        weight: *const C_tensor,
        beside: *const C_tensor,
        made: *mut *mut C_tensor,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
    pub(crate) fn pixelrate_cuda_norm_relu(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        running_mean: *const C_tensor,
        running_var: *const C_tensor,
        momentum: f64,
        eps: f64,
        made: *mut *mut C_tensor,
        problem: *mut c_char,
        room: usize,
    ) -> c_int;
}

/// Calls one of them with room for what goes wrong.
pub(crate) fn told(call: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), Error> {
    const ROOM: usize = 1000;
    let mut problem = [0_u8; ROOM];
    if call(problem.as_mut_ptr().cast(), ROOM) == 0 {
        return Ok(());
    }
    let told = CStr::from_bytes_until_nul(&problem).unwrap_or_default();
    Err(Error(told.to_string_lossy().trim().to_owned()))
}
