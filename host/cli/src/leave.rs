//! How the program ends: without libtorch's destructors. They clear its tables of operators, which takes a third of the time of
//! a command that computes nothing, and they clear them also beside a thread that still computes with them.

/// Ends the process, whichever way its end begins, before the destructors of the libraries that it was loaded with. What is
/// registered later (a profiler's report, say) runs before.
#[cfg(target_env = "gnu")]
pub(crate) fn without_destructors() {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn on_exit(act: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn end(code: c_int, _: *mut c_void) {
        // SAFETY: The one writes what C's streams hold, as `exit` would have done later (Rust's are flushed before), the other ends
        // the process and runs none of its code.
        unsafe {
            libc::fflush(std::ptr::null_mut());
            libc::_exit(code)
        }
    }
    // SAFETY: glibc's, of this signature (`man 3 on_exit`); the function that it keeps is there as long as the program. Where it
    // cannot be kept, the destructors run.
    unsafe { on_exit(end, std::ptr::null_mut()) };
}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn without_destructors() {}
