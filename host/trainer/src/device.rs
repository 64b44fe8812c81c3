//! Which device trains, and how many threads it may use.

use std::sync::OnceLock;

use pixelrate_cuda::{Entered, Shared, Stream};
use tch::Device;

use crate::Error;
use crate::spec::Training;

/// How many runs of one process can train on one GPU at once.
pub const STREAMS: usize = pixelrate_cuda::STREAMS;

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

/// The device that `name` asks for. Only where it is not `cpu` is libtorch's CUDA part loaded. A process that is to train on
/// CUDA opens it before it trains on the CPU: libtorch looks once for what it has, when it is first seeded.
///
/// # Errors
/// [`Error::Spec`] if it is not known, or not on this machine.
pub fn open(name: &str) -> Result<Device, Error> {
    let asked = parse(name)?;
    if asked == Some(Device::Cpu) {
        return Ok(Device::Cpu);
    }
    let unloaded = load_cuda();
    match asked {
        None => Ok(Device::cuda_if_available()),
        Some(Device::Cuda(index)) if (index as i64) >= tch::Cuda::device_count() => {
            Err(Error::Spec {
                key: "device".to_owned(),
                problem: format!(
                    "\"{name}\" is not on this machine: libtorch sees {} CUDA devices{}; use cpu or auto",
                    tch::Cuda::device_count(),
                    unloaded.map_or_else(String::new, |why| format!(" ({why})"))
                ),
            })
        }
        Some(device) => Ok(device),
    }
}

/// Whether `training` is on a device of this machine on which several runs of one process train at once, each in a stream of
/// its own. A dry run trains on none.
pub fn has_streams(training: &Training) -> bool {
    let open = || open(&training.device);
    !training.is_dry()
        && matches!(open(), Ok(Device::Cuda(index)) if pixelrate_cuda::capability(index).is_ok())
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
/// threads or processes, does not wait for it. `None` on the CPU, which has none.
///
/// # Errors
/// CUDA's; or as many runs of this process train there as it has streams.
pub(crate) fn own_stream(device: Device) -> Result<Option<Entered>, Error> {
    let Device::Cuda(index) = device else {
        return Ok(None);
    };
    let _shared = pixelrate_cuda::share();
    Ok(Some(Stream::new(index)?.enter()?))
}

/// Keeps other threads from recording while the calling one uses `device`, until it is dropped. `None` on the CPU, where
/// nothing is recorded.
pub(crate) fn share(device: Device) -> Option<Shared> {
    matches!(device, Device::Cuda(_)).then(pixelrate_cuda::share)
}

/// How the runs of this process compute on `device` from now on, as [`pixelrate_cuda::set_arithmetic`] says. On the CPU a run
/// gives the same bits each time in any case.
///
/// # Errors
/// libtorch's.
pub(crate) fn set_arithmetic(device: Device, deterministic: bool) -> Result<(), Error> {
    if let Device::Cuda(_) = device {
        pixelrate_cuda::set_arithmetic(&pixelrate_cuda::alone()?, deterministic)?;
    }
    Ok(())
}

/// What CUDA and cuBLAS read from the environment as they start, and what a program that may train on a GPU sets there first of
/// all, where its user has not: as many ways for commands to reach the device as runs have streams, for else they wait for one
/// another, and room of one size for cuBLAS, whose sums are cut by it.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("CUDA_DEVICE_MAX_CONNECTIONS", "32"),
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
];

/// What asks in the environment, by `1`, for kernels of our own.
pub(crate) const KERNELS: &str = "PIXELRATE_CUDA_KERNELS";

/// Whether operations on `device` go by kernels of our own where these suit what is computed: on CUDA, where the environment
/// asks for them.
pub(crate) fn has_kernels(device: Device) -> bool {
    static ASKED_FOR: OnceLock<bool> = OnceLock::new();
    let asked_for =
        || *ASKED_FOR.get_or_init(|| std::env::var_os(KERNELS).is_some_and(|said| said == "1"));
    #[cfg(test)]
    if tests::AS_A_DEVICE.get() || matches!(device, Device::Cuda(_)) {
        return !tests::BY_LIBTORCH.get();
    }
    matches!(device, Device::Cuda(_)) && asked_for()
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
/// `libtorch_cuda`, since no symbol of it is named, and it registers itself when it is loaded. Gives why that could not be,
/// where it could not.
pub(crate) fn load_cuda() -> Option<&'static str> {
    static PROBLEM: OnceLock<Option<String>> = OnceLock::new();
    let problem = PROBLEM.get_or_init(|| {
        #[cfg(target_os = "linux")]
        {
            use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
            // SAFETY: the library's initialisers only register kernels with the libtorch that is loaded
            // already and is of the same build, since both are found by the same rpath.
            let library =
                unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_LAZY | RTLD_GLOBAL) };
            match library {
                // It must stay for as long as the process: what it registered points into it.
                Ok(library) => std::mem::forget(library),
                Err(problem) => return Some(problem.to_string()),
            }
        }
        None
    });
    problem.as_deref()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Whether the CPU trains in this thread as another device would: the same operations, one after another.
        pub(crate) static AS_A_DEVICE: Cell<bool> = const { Cell::new(false) };
        /// Whether this thread's operations have no kernels but libtorch's.
        pub(crate) static BY_LIBTORCH: Cell<bool> = const { Cell::new(false) };
    }
}
