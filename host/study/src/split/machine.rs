//! What the system tells of the machine: its cores, its memory, and what else it is busy with.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The cores that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cores {
    /// How many.
    pub(super) count: usize,
    /// The processor, and how many cores there are.
    pub(super) machine: String,
}

impl Cores {
    pub(super) fn here() -> Self {
        Self {
            count: std::thread::available_parallelism().map_or(1, usize::from),
            machine: pixelrate_trainer::device::machine(),
        }
    }
}

/// The most memory that this process has had, in bytes.
pub(super) fn own_peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Bytes of memory that processes may still take: the system's, or what the control groups that this process is in leave.
pub(super) fn free_memory() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok();
    let system = system.and_then(|text| field(&text, "MemAvailable:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(group.unwrap_or_default());
    let left = own
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
        .filter_map(left_of_group);
    left.chain(system).min()
}

/// What a control group with a bound leaves.
fn left_of_group(folder: &Path) -> Option<u64> {
    let read = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(read("memory.max")?.saturating_sub(read("memory.current")?))
}

/// A field of the kind `Name:   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The share of the machine that is busy over `time`, whoever it is for, but for what is nice to others; 0 where the system
/// does not tell.
pub(super) fn busy(time: Duration) -> f64 {
    let read = || {
        fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|text| times(&text))
    };
    let before = read();
    std::thread::sleep(time);
    before
        .zip(read())
        .map_or(0.0, |(before, now)| share(before, now))
}

/// The share of the time between two readings of [`times`] that was busy.
fn share((busy, all): (u64, u64), (busy_now, all_now): (u64, u64)) -> f64 {
    let passed = all_now.saturating_sub(all);
    // Waiting for disks may be counted backwards.
    (busy_now.saturating_sub(busy) as f64 / passed.max(1) as f64).min(1.0)
}

/// Time that all cores were busy for, and all time.
fn times(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let numbers: Vec<u64> = line
        .split_whitespace()
        .map_while(|n| n.parse().ok())
        .collect();
    // user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen.
    let [user, nice, system, idle, waiting, hard, soft, stolen, ..] = numbers[..] else {
        return None;
    };
    let busy = user + system + hard + soft + stolen;
    Some((busy, busy + nice + idle + waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "VmPeak:\t   10 kB\nVmHWM:\t   12345 kB\n";
        assert_eq!(field(text, "VmHWM:"), Some(12_345 * 1024));
        assert_eq!(field(text, "VmRSS:"), None);
        if cfg!(target_os = "linux") {
            let (own, free) = (own_peak().unwrap(), free_memory().unwrap());
            assert!(own > 1 << 20 && free > 1 << 20, "{own} {free}");
        }
    }

    #[test]
    fn what_is_nice_to_others_does_not_make_a_machine_busy() {
        let text = "cpu  10 200 5 700 30 1 2 3 0 0\ncpu0 1 2 3\n";
        assert_eq!(times(text), Some((21, 951)));
        assert_eq!(times("cpu  10 x"), None);
        assert_eq!(share((21, 951), (46, 1051)), 0.25);
        // Waiting for a disk was counted less than before.
        assert_eq!(share((21, 951), (46, 941)), 1.0);
        assert_eq!(share((21, 951), (21, 951)), 0.0);
    }

    #[test]
    fn a_group_without_a_bound_leaves_what_the_system_has() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("memory.current", "1000\n");
        write("memory.max", "max\n");
        assert_eq!(left_of_group(folder.path()), None);
        write("memory.max", "5000\n");
        assert_eq!(left_of_group(folder.path()), Some(4000));
        write("memory.max", "500\n");
        assert_eq!(left_of_group(folder.path()), Some(0));
    }
}
