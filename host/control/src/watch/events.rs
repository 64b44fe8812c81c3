//! The system's events of folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::hint::Hint;
use super::stamp::Identity;
use super::thread::Message;

/// Listens to the events of a set of folders, as far as the system lets it.
#[derive(Debug)]
pub(super) struct Events {
    /// `None`: there are no events, or they weren't asked for.
    watcher: Option<RecommendedWatcher>,
    /// The folders that are listened to, each with what it was when that began.
    heard: BTreeMap<PathBuf, Identity>,
    /// Whether all wanted folders that exist are listened to.
    work: Arc<AtomicBool>,
}

impl Events {
    /// Sends what it hears to `sender`.
    pub(super) fn start(wanted: bool, sender: &Sender<Message>, work: Arc<AtomicBool>) -> Self {
        let sender = sender.clone();
        let watcher = wanted.then(|| {
            notify::recommended_watcher(move |event| {
                if let Some(hint) = Hint::of(event, Instant::now()) {
                    // A watch that is being dropped hears no more.
                    let _ = sender.send(Message::Heard(hint));
                }
            })
        });
        let watcher = watcher.and_then(Result::ok);
        work.store(watcher.is_some(), Ordering::Relaxed);
        Self {
            watcher,
            heard: BTreeMap::new(),
            work,
        }
    }

    /// A path now means something else: if it is a folder that is listened to, that is over.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Some(watcher) = &mut self.watcher
            && self.heard.remove(path).is_some()
        {
            // Gone already, if the folder is.
            let _ = watcher.unwatch(path);
        }
    }

    /// Listens to these folders, and no others. Returns whether there is one among them that wasn't listened to before:
    /// what happened in it until now was not heard.
    pub(super) fn listen(&mut self, wanted: &BTreeSet<PathBuf>) -> bool {
        let other = |(path, was): (&PathBuf, &Identity)| {
            let same = wanted.contains(path) && Identity::of_folder(path).as_ref() == Some(was);
            (!same).then(|| path.clone())
        };
        let others: Vec<PathBuf> = self.heard.iter().filter_map(other).collect();
        for path in others {
            self.forget(&path);
        }
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let (mut new, mut all) = (false, true);
        for path in wanted {
            if self.heard.contains_key(path) {
                continue;
            }
            // Asked for before listening: if the folder is replaced in between, the next look finds another.
            let Some(identity) = Identity::of_folder(path) else {
                continue;
            };
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.heard.insert(path.clone(), identity);
                    new = true;
                }
                Err(error) => {
                    all = false;
                    if matches!(error.kind, ErrorKind::MaxFilesWatch) {
                        break;
                    }
                }
            }
        }
        self.work.store(all, Ordering::Relaxed);
        new
    }
}
