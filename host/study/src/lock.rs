//! One process at a time runs what is in a study's folder, and can be asked to stop.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixelrate_trainer::train::Stop;

use crate::Error;

const LOCK: &str = ".study.lock";
/// It is there while somebody asks the process that has the lock to stop.
const STOP: &str = ".study.stop";
/// How often is looked for it, and for the lock to be free.
const LOOK: Duration = Duration::from_millis(100);
/// Whoever looks whether the lock is taken has it for an instant.
const TRIES: u32 = 3;

/// The right to run a study or a search, until it is dropped or its process ends.
#[derive(Debug)]
pub struct StudyLock {
    folder: PathBuf,
    _file: File,
}

impl StudyLock {
    /// Takes the right to run what is in `study`.
    ///
    /// # Errors
    /// [`Error::StudyHeld`] if another process has it; the disk's.
    pub fn take(study: &Path) -> Result<Self, Error> {
        let path = study.join(LOCK);
        let failed = |verb| {
            let path = path.clone();
            move |source| Error::Io { verb, path, source }
        };
        let mut file = open(&path).map_err(failed("open"))?;
        let mut tries = 0;
        while let Err(problem) = file.try_lock() {
            tries += 1;
            match problem {
                TryLockError::Error(source) => return Err(failed("lock")(source)),
                TryLockError::WouldBlock if tries < TRIES => std::thread::sleep(LOOK),
                TryLockError::WouldBlock => {
                    let mut told = String::new();
                    // Whoever has it may not have said who it is yet.
                    let _ = file.read_to_string(&mut told);
                    return Err(Error::StudyHeld {
                        folder: study.to_owned(),
                        process: told.trim().parse().ok(),
                    });
                }
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write"))?;
        // What was asked of a process that ended by itself meanwhile is not asked of this one.
        remove(&study.join(STOP))?;
        Ok(Self {
            folder: study.to_owned(),
            _file: file,
        })
    }

    /// From now on, asks for `stop` when another process [asks for it](stop).
    pub fn heed(&self, stop: &Stop) {
        let (asked, stop) = (self.folder.join(STOP), stop.clone());
        std::thread::spawn(move || {
            while !asked.exists() {
                std::thread::sleep(LOOK);
            }
            stop.ask();
        });
    }
}

/// Asks the process that runs what is in `study` to stop, and waits until it has; `false` if there is none. Once `give_up` is
/// asked it waits no more; the study stops all the same.
///
/// # Errors
/// The disk's.
pub fn stop(study: &Path, give_up: &Stop) -> Result<bool, Error> {
    let (path, asks) = (study.join(LOCK), study.join(STOP));
    if !path.exists() {
        return Ok(false);
    }
    let failed = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    };
    let file = open(&path).map_err(failed("open", &path))?;
    let mut asked = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            Err(TryLockError::WouldBlock) if asked && give_up.asked() => return Ok(true),
            Err(TryLockError::WouldBlock) => {
                // A process that took the lock meanwhile has removed what was asked of the one before it.
                if !asks.exists() {
                    File::create(&asks).map_err(failed("write", &asks))?;
                }
                asked = true;
                std::thread::sleep(LOOK);
            }
        }
    }
    if asked {
        remove(&asks)?;
    }
    Ok(asked)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Io {
            verb: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_that_is_being_run_is_not_run_twice_and_stops_when_it_is_asked_to() {
        let study = tempfile::tempdir().unwrap();
        assert!(!super::stop(study.path(), &Stop::default()).unwrap());
        let lock = StudyLock::take(study.path()).unwrap();
        let told = StudyLock::take(study.path()).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        assert!(told.contains(&process), "{told}");
        let stopped = Stop::default();
        lock.heed(&stopped);
        std::thread::scope(|scope| {
            let asks = scope.spawn(|| super::stop(study.path(), &Stop::default()));
            while !stopped.asked() {
                std::thread::sleep(LOOK);
            }
            drop(lock);
            assert!(asks.join().unwrap().unwrap());
        });
        assert!(!study.path().join(STOP).exists());
        assert!(!super::stop(study.path(), &Stop::default()).unwrap());
        StudyLock::take(study.path()).unwrap();
    }
}
