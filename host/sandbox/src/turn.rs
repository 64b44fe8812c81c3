//! One process at a time compiles a large plugin; others that load the same find it in the cache then. A schedule's next version is
//! loaded by the `pixelrate build` that made it and by all runs of a study, in the same second.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How often a turn's end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Takes the turn of `wasm` in `folder`, which ends when the file is dropped. `None` where another had it: that has compiled it by
/// now, or has taken longer than `patience`; and where no file can be locked.
pub(crate) fn take(folder: &Path, wasm: &[u8], patience: Duration) -> Option<File> {
    fs::create_dir_all(folder).ok()?;
    // One of so few names that nobody has to remove the files. That other plugins of the same name wait in vain is rare.
    let name = format!("{:02x}", crc32c::crc32c(wasm) & 0xff);
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(name))
        .ok()?;
    if file.try_lock().is_ok() {
        return Some(file);
    }
    let until = Instant::now() + patience;
    // All that wait go on at once.
    while matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) && Instant::now() < until
    {
        thread::sleep(LOOK);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_comes_second_waits_for_the_first_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("turns");
        let (one, other) = (b"one".as_slice(), b"other".as_slice());
        let first = take(&place, one, LONG).unwrap();
        let (told, tells) = channel();
        thread::scope(|scope| {
            for _ in 0..2 {
                let (place, told) = (&place, told.clone());
                scope.spawn(move || {
                    let turn = take(place, one, LONG);
                    told.send(turn.is_none()).unwrap();
                });
            }
            assert!(take(&place, other, LONG).is_some());
            assert!(tells.recv_timeout(Duration::from_millis(300)).is_err());
            drop(first);
            assert_eq!([tells.recv().unwrap(), tells.recv().unwrap()], [true; 2]);
        });
        assert!(take(&place, one, LONG).is_some());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let _first = take(folder.path(), b"one", LONG).unwrap();
        assert!(take(folder.path(), b"one", Duration::from_millis(50)).is_none());
        // A folder that is a file.
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(take(&file, b"one", LONG).is_none());
    }
}
