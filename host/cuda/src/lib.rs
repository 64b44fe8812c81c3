//! What tch does not expose of libtorch's CUDA part: streams, events, graphs of recorded work, how a device computes, and
//! operations with kernels of our own.
//!
//! It is built with any libtorch 2.11. Where its CUDA part is not loaded, or there is no such device, everything here fails
//! with a message, and whoever calls does without. The C++ files are compiled by the build script, kernels where they
//! are needed; `unsafe` is only what calls C++.

mod event;
mod exclusive;
mod graph;
mod kernels;
mod native;
mod stream;

use std::ffi::c_int;
use std::ptr::NonNull;

pub use event::Event;
pub use exclusive::{Alone, Shared, alone, share};
pub use graph::{Graph, can_record};
pub use kernels::{Norm, can_compile, convolution, launches, norm_relu};
use native::told;
pub use stream::{Entered, STREAMS, Stream};

/// An error of libtorch's or CUDA's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CUDA: {0}")]
pub struct Error(String);

/// Sets how all CUDA devices compute from now on, in this process: 32-bit floats are whole in convolutions, too, and cuDNN
/// tries which of its ways is the quickest for each size. `deterministic`: instead, all work gives the same bits each time,
/// or fails if libtorch has no way to do so. It stays so, whatever is said later, since runs side by side share it.
///
/// Takes [`Alone`] since whatever computes reads it.
///
/// # Errors
/// libtorch's.
pub fn set_arithmetic(_alone: &Alone, deterministic: bool) -> Result<(), Error> {
    told(|problem, room| {
        // SAFETY: the pointer leads to what is written to, and nobody computes meanwhile.
        unsafe { native::pixelrate_cuda_arithmetic(deterministic, problem, room) }
    })
}

/// The generation of the CUDA device of this number: (9, 0) of Hopper.
///
/// # Errors
/// There is no such device.
pub fn capability(device: usize) -> Result<(u32, u32), Error> {
    let (device, mut major, mut minor) = (numbered(device)?, 0, 0);
    told(|problem, room| {
        // SAFETY: all pointers lead to what is written to, and live through the call.
        unsafe {
            native::pixelrate_cuda_capability(device, &raw mut major, &raw mut minor, problem, room)
        }
    })?;
    Ok((major.unsigned_abs(), minor.unsigned_abs()))
}

fn numbered(device: usize) -> Result<c_int, Error> {
    // c10 keeps a device's number in eight bits.
    i8::try_from(device)
        .map(c_int::from)
        .map_err(|_| Error(format!("there is no device {device}")))
}

fn made<T>(pointer: *mut T) -> Result<NonNull<T>, Error> {
    let nothing = || Error("libtorch made nothing, and does not tell why".to_owned());
    NonNull::new(pointer).ok_or_else(nothing)
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
            can_record().unwrap_err(),
            can_compile(0).unwrap_err(),
            Graph::record(&alone().unwrap(), || Ok::<_, Error>(()))
                .map(drop)
                .unwrap_err(),
        ];
        for problem in problems {
            let told = problem.to_string();
            assert!(told.starts_with("CUDA: ") && told.len() > 20, "{told}");
        }
        let problem = Stream::new(1000).unwrap_err().to_string();
        assert_eq!(problem, "CUDA: there is no device 1000");
    }

    #[test]
    fn how_devices_compute_can_be_set_before_there_is_one() {
        let alone = alone().unwrap();
        set_arithmetic(&alone, false).unwrap();
    }
}
