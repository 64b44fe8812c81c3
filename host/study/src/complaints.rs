//! What a process of a run's writes to its standard error, which says why it ended.

use std::io::{self, Read};
use std::process::{Child, ExitStatus};
use std::thread::JoinHandle;

/// All of it, read by a thread of its own, so that the process never waits for a reader.
pub(crate) struct Complaints(Option<JoinHandle<String>>);

impl Complaints {
    /// Those of `child`, whose standard error is a pipe.
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                let _ = stderr.read_to_end(&mut said);
                String::from_utf8_lossy(&said).into_owned()
            })
        }))
    }

    /// Why the process ended: what it said, or else how it ended. Waits until nobody writes any more.
    pub(crate) fn told(self, status: io::Result<ExitStatus>) -> String {
        let text = self.0.and_then(|thread| thread.join().ok());
        let text = text.unwrap_or_default();
        match (text.trim().trim_start_matches("error: "), status) {
            ("", Ok(status)) => format!("its process ended with {status}"),
            ("", Err(problem)) => problem.to_string(),
            (said, _) => said.to_owned(),
        }
    }
}
