//! Which device trains, and how many threads it may use.

use std::sync::Once;

use pixelrate_cuda::{Entered, Stream};
use tch::Device;

use crate::Error;

/// Reads `auto`, `cpu`, `cuda` or `cuda:N`. `None` stands for `auto`.
///
/// # Errors
/// [`Error::Spec`] for any other word.
pub fn parse(name: &str) -> Result<Option<Device>, Error> {
    let cuda = |index: &str| index.parse().ok().map(Device::Cuda);
    match name {
        "auto" => Ok(None),
        "cpu" => Ok(Some(Device::Cpu)),
        "cuda" => Ok(Some(Device::Cuda(0))),
        other => match other.strip_prefix("cuda:").and_then(cuda) {
            Some(device) => Ok(Some(device)),
            None => Err(Error::Spec {
                key: "device".to_owned(),
                problem: format!("\"{other}\" is not known: use auto, cpu, cuda or cuda:N"),
            }),
        },
    }
}

/// The device that `name` asks for.
///
/// # Errors
/// [`Error::Spec`] if it is not known, or not on this machine.
pub fn open(name: &str) -> Result<Device, Error> {
    load_cuda();
    match parse(name)? {
        None => Ok(Device::cuda_if_available()),
        Some(Device::Cuda(index)) if (index as i64) >= tch::Cuda::device_count() => {
            Err(Error::Spec {
                key: "device".to_owned(),
                problem: format!(
                    "\"{name}\" is not on this machine: libtorch sees {} CUDA devices; use cpu or auto",
                    tch::Cuda::device_count()
                ),
            })
        }
        Some(device) => Ok(device),
    }
}

/// Whether `name` asks for a device on which several runs of one process train at once, each in a stream of its own.
pub fn has_streams(name: &str) -> bool {
    matches!(open(name), Ok(Device::Cuda(index)) if pixelrate_cuda::capability(index).is_ok())
}

/// Whether what trains on `device` is prepared on the host, step by step, and not by operations of the device.
pub(crate) fn is_host(device: Device) -> bool {
    #[cfg(test)]
    if tests::AS_A_DEVICE.get() {
        return false;
    }
    device == Device::Cpu
}

/// Gives the calling thread a stream of its own on `device`, until the guard is dropped: what else runs there, in other
/// threads or processes, does not wait for it. `None` where there are no streams to be had.
pub(crate) fn own_stream(device: Device) -> Option<Entered> {
    match device {
        Device::Cuda(index) => Stream::new(index).and_then(Stream::enter).ok(),
        _ => None,
    }
}

/// How the log and reports name `device`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".to_owned(),
        Device::Vulkan => "vulkan".to_owned(),
        Device::Cpu => "cpu".to_owned(),
    }
}

/// Gives the calling thread `threads` threads for one operation. The sums of an operation are cut by their
/// number, so that it is part of what gives a run its bits.
pub fn set_threads(threads: u32) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// The processor's name and its number of cores, as far as the system tells.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{model}, {cores} cores")
}

/// Makes CUDA known to a program that was linked against libtorch's CPU part alone: the linker drops
/// `libtorch_cuda`, since no symbol of it is named, and it registers itself when it is loaded.
fn load_cuda() {
    static LOAD: Once = Once::new();
    LOAD.call_once(|| {
        #[cfg(target_os = "linux")]
        {
            use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
            // SAFETY: the library's initialisers only register kernels with the libtorch that is loaded
            // already and is of the same build, since both are found by the same rpath.
            let library =
                unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_LAZY | RTLD_GLOBAL) };
            if let Ok(library) = library {
                // It must stay for as long as the process: what it registered points into it.
                std::mem::forget(library);
            }
        }
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Whether the CPU trains in this thread as another device would: the same operations, one after another.
        pub(crate) static AS_A_DEVICE: Cell<bool> = const { Cell::new(false) };
    }
}
