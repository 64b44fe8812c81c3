//! One watched file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::hint::{Hint, What};
use super::stamp::{Reading, Stamp, read};
use super::stillness::{Stillness, later};
use super::target::{Watched, absolute};
use super::{Change, Options};

/// How long after a reading a change may have left no trace in a file's times: some file systems keep them to the second,
/// or to two.
const COARSE: Duration = Duration::from_millis(2_100);

#[derive(Debug)]
pub(super) struct WatchedFile {
    /// The path as it was given.
    given: PathBuf,
    path: PathBuf,
    /// What events call it: where it lies, and where links lead to from there.
    names: BTreeSet<PathBuf>,
    /// Its state when it was looked at last.
    stamp: Option<Stamp>,
    /// SHA-256 of what was told last.
    told: Option<[u8; 32]>,
    stillness: Stillness,
    /// An event asked for a look.
    asked: bool,
    /// When the file is to be read once more in case that a change left no trace.
    doubt: Option<Instant>,
}

impl WatchedFile {
    pub(super) fn new(given: &Path, options: &Options, now: Instant) -> Self {
        let path = absolute(given);
        // What cannot be read, or changes just now, counts as new once it is there and still.
        let (stamp, told) = match read(&path) {
            Ok(Reading::Whole(stamp, content)) => {
                (Some(stamp), Some(Sha256::digest(content).into()))
            }
            Ok(Reading::Moving) | Err(_) => (None, None),
        };
        Self {
            given: given.to_owned(),
            names: names(&path),
            path,
            stamp,
            told,
            stillness: Stillness::new(options),
            asked: false,
            doubt: told.is_some().then(|| later(now, COARSE)),
        }
    }

    /// Whether the file shows another state than at the last look.
    fn is_other(&mut self) -> bool {
        let stamp = Stamp::of(&self.path);
        let other = stamp != self.stamp;
        self.stamp = stamp;
        other
    }

    /// A look that an event asked for.
    fn look(&mut self, now: Instant) {
        if self.is_other() {
            self.names = names(&self.path);
            self.stillness.confirmed(now);
        }
    }
}

impl Watched for WatchedFile {
    fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.names.iter().filter_map(|name| name.parent());
        parents.map(Path::to_owned).collect()
    }

    fn hear(&mut self, hint: &Hint) {
        for path in &hint.paths {
            if self.names.contains(path) {
                match hint.what {
                    What::Written => self.stillness.written(path, hint.at),
                    What::Closed => {
                        // What was written through memory shows only now, by the file's times.
                        self.look(hint.at);
                        self.stillness.closed(path, hint.at);
                    }
                    What::Named => self.stillness.named(path, hint.at),
                    What::Touched | What::Lost => {}
                }
                self.asked = true;
            } else if hint.what == What::Named {
                // A neighbour that the file's link may go through, or the folder itself.
                self.asked = true;
            }
        }
    }

    fn look_if_asked(&mut self, now: Instant) {
        if std::mem::take(&mut self.asked) {
            self.look(now);
        }
    }

    fn poll(&mut self, now: Instant) {
        self.names = names(&self.path);
        if self.is_other() {
            self.stillness.found(now);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.stillness.due().into_iter().chain(self.doubt).min()
    }

    fn settle(&mut self, now: Instant) -> Option<Change> {
        if self.doubt.is_some_and(|doubt| doubt <= now) {
            self.doubt = None;
            if !self.stillness.is_waiting() {
                self.stillness.found(now);
            }
        }
        if self.stillness.due().is_none_or(|due| due > now) {
            return None;
        }
        if self.is_other() {
            // Its event is still on its way, or there are none.
            self.stillness.found(now);
            return None;
        }
        if self.stamp.as_ref().is_none_or(Stamp::is_empty) {
            // An editor that removes or empties a file writes it next.
            self.stillness.end(false);
            return None;
        }
        let content = match read(&self.path) {
            Ok(Reading::Whole(stamp, content)) if Some(&stamp) == self.stamp.as_ref() => content,
            Ok(_) => {
                self.stamp = Stamp::of(&self.path);
                self.stillness.found(now);
                return None;
            }
            Err(_) => {
                // As if there were none: the next look tries again.
                self.stamp = None;
                self.stillness.end(false);
                return None;
            }
        };
        let digest = Sha256::digest(&content).into();
        let other = self.told != Some(digest);
        let seen = self.stillness.end(other)?;
        if !other {
            return None;
        }
        self.told = Some(digest);
        self.doubt = Some(later(now, COARSE));
        Some(Change {
            path: self.given.clone(),
            content: Some(content),
            seen,
        })
    }
}

/// What events call a file: its folder's path without links, with its name; and the path that it leads to.
fn names(path: &Path) -> BTreeSet<PathBuf> {
    let here = path.parent().zip(path.file_name());
    let here = here.and_then(|(folder, name)| Some(fs::canonicalize(folder).ok()?.join(name)));
    here.into_iter()
        .chain(fs::canonicalize(path).ok())
        .collect()
}
