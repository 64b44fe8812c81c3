//! What this machine lets a test do to a run: file systems to mount, a clock that jumps.

use super::*;

/// What this machine lets a test do.
pub(super) struct Means {
    /// A folder for what all rounds use, as long as they do.
    _place: tempfile::TempDir,
    /// Whether file systems can be mounted.
    pub(super) mounts: bool,
    /// A library that makes the clock jump for a process that it is loaded into.
    pub(super) clock: Option<PathBuf>,
}

impl Means {
    pub(super) fn find() -> Self {
        let place = tempfile::tempdir().unwrap();
        let tried = place.path().join("tried");
        fs::create_dir(&tried).unwrap();
        let mounts = Mount::disk(&tried).is_some();
        assert!(
            mounts || std::env::var_os("PIXELRATE_REQUIRE_MOUNTS").is_none(),
            "no file system can be mounted here, and PIXELRATE_REQUIRE_MOUNTS asks for it"
        );
        let clock = jumping_clock(place.path()).filter(|library| jumps(library));
        Self {
            _place: place,
            mounts,
            clock,
        }
    }

    pub(super) fn can(&self, fault: Fault) -> bool {
        fault != Fault::ReadOnlyFolder || self.mounts
    }
}

/// Builds a library whose system clock jumps by up to six days either way, ten times a second. The monotonic one is
/// the system's.
pub(super) fn jumping_clock(place: &Path) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let source = "
        #define _GNU_SOURCE
        #include <time.h>
        #include <unistd.h>
        #include <sys/syscall.h>
        int clock_gettime(clockid_t id, struct timespec *at) {
            long failed = syscall(SYS_clock_gettime, id, at);
            if (failed || id != CLOCK_REALTIME) return (int)failed;
            struct timespec now;
            syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
            unsigned long tenth = now.tv_sec * 10ul + now.tv_nsec / 100000000ul;
            at->tv_sec += (long)(tenth * 0x9e3779b97f4a7c15ul >> 44) - (1 << 19);
            return 0;
        }";
    let (c, library) = (place.join("clock.c"), place.join("clock.so"));
    fs::write(&c, source).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &c])
        .output();
    built
        .is_ok_and(|output| output.status.success())
        .then_some(library)
}

/// Whether a program into which `library` is loaded is told another time, and not always the same.
pub(super) fn jumps(library: &Path) -> bool {
    let told = || {
        let date = Command::new("date")
            .arg("+%s")
            .env("LD_PRELOAD", library)
            .output();
        let text = String::from_utf8(date.ok()?.stdout).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = told();
    std::thread::sleep(Duration::from_millis(150));
    let far = |at: u64, from: u64| at.abs_diff(from) > 60;
    first
        .zip(told())
        .is_some_and(|(one, other)| far(one, now.as_secs()) && far(other, one))
}

/// A mounted file system, unmounted when it is dropped.
pub(super) struct Mount(PathBuf);

impl Mount {
    pub(super) fn make(arguments: &[&str], at: &Path) -> Option<Self> {
        let done = Command::new("mount").args(arguments).arg(at).output();
        done.is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }

    /// A small disk.
    pub(super) fn disk(at: &Path) -> Option<Self> {
        Self::make(&["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"], at)
    }

    /// The folder itself, which cannot be written for as long as this lives.
    pub(super) fn read_only(folder: &Path) -> Self {
        for _ in 0..100 {
            let mount = Self::make(&["--bind", folder.to_str().unwrap()], folder).unwrap();
            let done = Command::new("mount")
                .args(["-o", "remount,bind,ro"])
                .arg(folder)
                .output();
            if done.unwrap().status.success() {
                return mount;
            }
            // Somebody has just opened a file to write to.
        }
        panic!("{} cannot be made read-only", folder.display());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process may have a file open in it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
