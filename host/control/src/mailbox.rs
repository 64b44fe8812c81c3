//! Where processes leave requests for a run, and find the answers: a folder of small files.
//!
//! Files work wherever a run's folder can be seen, need no process that serves, and keep what was asked of a run that
//! does not run now. Each appears whole, by a rename.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::write_whole;
use crate::{Error, Reply, Request, What};

const REQUEST: &str = ".request.json";
const REPLY: &str = ".reply.json";
const PLUGIN: &str = ".plugin";

/// The mailbox of one run.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
}

impl Mailbox {
    /// The mailbox of the run in `run`, which need not run now.
    pub fn of(run: &Path) -> Self {
        Self {
            folder: run.join("control"),
        }
    }

    /// Leaves a request, and gives its id. `plugin` is the file of an offered schedule that is not built in.
    ///
    /// # Errors
    /// The disk's.
    pub fn post(&self, what: What, plugin: Option<&[u8]>) -> Result<String, Error> {
        static POSTED: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(&self.folder).map_err(Error::io("make", &self.folder))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let id = format!(
            "{:020}-{}-{}",
            now.as_nanos(),
            std::process::id(),
            POSTED.fetch_add(1, Ordering::Relaxed)
        );
        if let Some(bytes) = plugin {
            write_whole(&self.file(&id, PLUGIN), bytes)?;
        }
        let request = Request { id, what };
        self.write(&self.file(&request.id, REQUEST), &request)?;
        Ok(request.id)
    }

    /// The answer to a request, once there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn reply(&self, id: &str) -> Result<Option<Reply>, Error> {
        self.read(&self.file(id, REPLY))
    }

    /// Takes a request back, or its answer away.
    ///
    /// # Errors
    /// The disk's.
    pub fn clear(&self, id: &str) -> Result<(), Error> {
        self.close(id)?;
        remove(&self.file(id, REPLY))
    }

    /// Whether a request still waits: whoever asked may have taken it back.
    pub fn holds(&self, id: &str) -> bool {
        self.file(id, REQUEST).exists()
    }

    /// The requests that wait, oldest first. One that cannot be read is left alone: it is not for this version.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn waiting(&self) -> Result<Vec<Request>, Error> {
        self.list(|_, _| {})
    }

    /// As [`waiting`](Self::waiting), for the process that trains the run: what it cannot read it refuses, since whoever asked
    /// waits for an answer.
    pub(crate) fn waiting_or_refused(&self) -> Result<Vec<Request>, Error> {
        self.list(|id, problem| {
            let reason = format!(
                "the process that trains this run does not understand the request, which is of another version of pixelrate \
                 ({problem}): stop the run, resume it with this version, and ask again"
            );
            // Where the disk takes no answer, the next look tries again.
            if self.answer(id, &Reply::Rejected { reason }).is_ok() {
                let _ = self.close(id);
            }
        })
    }

    /// Hears of the id of each request that cannot be understood, and why.
    fn list(&self, foreign: impl Fn(&str, &str)) -> Result<Vec<Request>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(Error::io("list", &self.folder)(source)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io("list", &self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Some(id) = name.strip_suffix(REQUEST) else {
                continue;
            };
            match self.read::<Request>(&path) {
                Ok(request) => found.extend(request),
                Err(Error::Damaged { problem, .. }) => foreign(id, &problem),
                // What cannot be read now may be at the next look.
                Err(_) => {}
            }
        }
        found.sort_by(|one: &Request, other| one.id.cmp(&other.id));
        Ok(found)
    }

    /// The file that was left with a request.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn plugin(&self, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(id, PLUGIN);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io("read", &path)(source)),
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The disk's.
    pub fn answer(&self, id: &str, reply: &Reply) -> Result<(), Error> {
        self.write(&self.file(id, REPLY), reply)
    }

    /// Removes a request that was dealt with; its answer stays for whoever asked.
    ///
    /// # Errors
    /// The disk's.
    pub fn close(&self, id: &str) -> Result<(), Error> {
        remove(&self.file(id, REQUEST))?;
        remove(&self.file(id, PLUGIN))
    }

    fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{id}{kind}"))
    }

    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::Damaged {
            path: path.to_owned(),
            line: e.line(),
            problem: e.to_string(),
        })?;
        write_whole(path, &bytes)
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("read", path)(source)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| Error::Damaged {
                path: path.to_owned(),
                line: e.line(),
                problem: e.to_string(),
            })
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::io("remove", path)(source))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nobody_here_understands_is_refused_by_whoever_trains_the_run() {
        let run = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(run.path());
        let known = mailbox.post(What::Pause, None).unwrap();
        let foreign = "00000000000000000001-1-0";
        let file = mailbox.file(foreign, REQUEST);
        fs::write(&file, r#"{"id": "x", "what": "dance"}"#).unwrap();
        // Whoever only looks does not answer.
        assert_eq!(mailbox.waiting().unwrap().len(), 1);
        assert!(file.exists() && mailbox.reply(foreign).unwrap().is_none());
        let waiting = mailbox.waiting_or_refused().unwrap();
        assert_eq!(
            waiting.iter().map(|it| &it.id).collect::<Vec<_>>(),
            [&known]
        );
        let Some(Reply::Rejected { reason }) = mailbox.reply(foreign).unwrap() else {
            panic!("no answer");
        };
        assert!(reason.contains("another version"), "{reason}");
        assert!(!file.exists());
    }
}
