//! Events.

use std::ptr::{self, NonNull};

use crate::native::{self, RawEvent, told};
use crate::{Error, made, numbered};

/// A place in a stream that can be waited for.
#[derive(Debug)]
pub struct Event(NonNull<RawEvent>);

impl Event {
    /// Where the calling thread's stream on this device is now.
    ///
    /// # Errors
    /// There is no such device.
    pub fn record(device: usize) -> Result<Self, Error> {
        let (device, mut event) = (numbered(device)?, ptr::null_mut());
        told(|problem, room| {
            // SAFETY: both pointers lead to what is written to, and live through the call.
            unsafe { native::pixelrate_cuda_event(device, &raw mut event, problem, room) }
        })?;
        made(event).map(Self)
    }

    /// Waits until the device has done all that was in the stream before it.
    ///
    /// # Errors
    /// What the device reported while it finished the earlier work.
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
