//! One watched folder of sources.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::hint::{Hint, What};
use super::stillness::{Stillness, later};
use super::target::{Watched, absolute};
use super::{Change, Options};

/// Folders that builds and package managers fill.
const BUILT: [&str; 10] = [
    "target",
    "node_modules",
    "__pycache__",
    "zig-cache",
    "zig-out",
    "nimcache",
    "_build",
    "build",
    "dist",
    "out",
];

/// Looking through a folder takes at most one part in this many of the time.
const SHARE: u32 = 20;

#[derive(Debug)]
pub(super) struct WatchedFolder {
    /// The path as it was given.
    given: PathBuf,
    path: PathBuf,
    /// The folder's path without links, by which events call it.
    root: PathBuf,
    /// Paths that don't count, from the folder on.
    ignored: BTreeSet<PathBuf>,
    /// What the last look found; `None`: no folder.
    found: Option<Found>,
    /// The files that were told last; `None`: nothing, as there was no folder.
    told: Option<Files>,
    stillness: Stillness,
    /// An event asked for a look.
    asked: bool,
    /// When the folder may be polled again.
    rested: Option<Instant>,
}

/// By their paths from the folder on, sizes and times of files.
type Files = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

#[derive(Debug)]
struct Found {
    files: Files,
    /// The folder and those below it.
    folders: BTreeSet<PathBuf>,
}

impl WatchedFolder {
    pub(super) fn new(given: &Path, ignore: &[PathBuf], options: &Options) -> Self {
        let path = absolute(given);
        let root = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let ignored = (ignore.iter())
            .filter_map(|ignored| below(&path, &root, &absolute(ignored)))
            .collect();
        let found = look(&root, &ignored);
        Self {
            given: given.to_owned(),
            path,
            root,
            ignored,
            told: found.as_ref().map(|found| found.files.clone()),
            found,
            stillness: Stillness::new(options),
            asked: false,
            rested: None,
        }
    }

    /// Whether the folder shows other files than at the last look.
    fn is_other(&mut self) -> bool {
        self.root = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let found = look(&self.root, &self.ignored);
        let other = found.as_ref().map(|found| &found.files)
            != self.found.as_ref().map(|found| &found.files);
        self.found = found;
        other
    }

    /// Whether a path from the folder on is that of a file that counts.
    fn counts(&self, relative: &Path) -> bool {
        let mut above = relative.ancestors().skip(1);
        relative.file_name().is_some_and(is_source)
            && above.all(|folder| folder.file_name().is_none_or(is_source_folder))
            && !relative.ancestors().any(|path| self.ignored.contains(path))
    }
}

impl Watched for WatchedFolder {
    fn folders(&self) -> BTreeSet<PathBuf> {
        let found = self.found.as_ref();
        found.map_or_else(BTreeSet::new, |found| found.folders.clone())
    }

    fn hear(&mut self, hint: &Hint) {
        for path in &hint.paths {
            let Ok(relative) = path.strip_prefix(&self.root) else {
                continue;
            };
            if relative.as_os_str().is_empty() {
                // The folder itself came or went.
                self.asked |= hint.what == What::Named;
                continue;
            }
            if !self.counts(relative) {
                continue;
            }
            match hint.what {
                What::Written => self.stillness.written(relative, hint.at),
                What::Closed => self.stillness.closed(relative, hint.at),
                What::Named => {
                    self.stillness.named(relative, hint.at);
                    // A new folder's own events must be listened to at once.
                    self.asked |= path.is_dir();
                }
                // Touched files are all that some file systems tell of.
                What::Touched | What::Lost => self.asked = true,
            }
        }
    }

    fn look_if_asked(&mut self, now: Instant) {
        if std::mem::take(&mut self.asked) && self.is_other() {
            self.stillness.confirmed(now);
        }
    }

    fn poll(&mut self, now: Instant) {
        if self.rested.is_some_and(|rested| now < rested) {
            return;
        }
        let before = Instant::now();
        let other = self.is_other();
        self.rested = Some(later(now, before.elapsed() * SHARE));
        // While events tell of changes, those since the last look are known already.
        let told_by_events = self.stillness.is_waiting() && !self.stillness.is_unsure();
        if other && !told_by_events {
            self.stillness.found(now);
        }
    }

    fn due(&self) -> Option<Instant> {
        self.stillness.due()
    }

    fn settle(&mut self, now: Instant) -> Option<Change> {
        if self.stillness.due().is_none_or(|due| due > now) {
            return None;
        }
        // Where no events tell of it, a folder is still if two looks see the same.
        let unsure = self.stillness.is_unsure();
        if self.is_other() && unsure {
            self.stillness.found(now);
            return None;
        }
        let found = self.found.as_ref().map(|found| &found.files);
        let other = found.is_some() && found != self.told.as_ref();
        let seen = self.stillness.end(other)?;
        if !other {
            return None;
        }
        self.told = found.cloned();
        Some(Change {
            path: self.given.clone(),
            content: None,
            seen,
        })
    }
}

/// Looks through a folder. What vanishes meanwhile, or may not be read, is passed over.
fn look(root: &Path, ignored: &BTreeSet<PathBuf>) -> Option<Found> {
    let mut found = Found {
        files: Files::new(),
        folders: BTreeSet::new(),
    };
    // Folders that are still to be looked into, from the root on.
    let mut ahead = vec![PathBuf::new()];
    while let Some(folder) = ahead.pop() {
        let path = root.join(&folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(_) if folder.as_os_str().is_empty() => return None,
            Err(_) => continue,
        };
        found.folders.insert(path);
        for entry in entries.flatten() {
            let (name, relative) = (entry.file_name(), folder.join(entry.file_name()));
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if !is_source(&name) || ignored.contains(&relative) {
                continue;
            }
            if kind.is_dir() {
                if is_source_folder(&name) {
                    ahead.push(relative);
                }
            } else if let Ok(metadata) = fs::metadata(entry.path())
                && metadata.is_file()
            {
                let state = (metadata.len(), metadata.modified().ok());
                found.files.insert(relative, state);
            }
        }
    }
    Some(found)
}

/// A path from a folder on, whether it is told with the links of the folder's path or without; `None`: it isn't in it.
fn below(path: &Path, root: &Path, other: &Path) -> Option<PathBuf> {
    let relative = other
        .strip_prefix(path)
        .or_else(|_| other.strip_prefix(root));
    if let Ok(relative) = relative {
        return Some(relative.to_owned());
    }
    // It may not be there yet, but its folder is, if anything can be said.
    let folder = fs::canonicalize(other.parent()?).ok()?;
    let relative = folder.strip_prefix(root).ok()?;
    Some(relative.join(other.file_name()?))
}

/// Whether a file or folder of that name may be a source: it isn't hidden, nor an editor's own.
fn is_source(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let hidden = name.starts_with('.');
    let scratch = name.ends_with('~')
        || [
            ".swp",
            ".swo",
            ".swx",
            ".tmp",
            ".part",
            "___jb_tmp___",
            "___jb_old___",
        ]
        .iter()
        .any(|end| name.ends_with(end));
    // Emacs saves unsaved text in the one; Vim tries out whether it may write with the other.
    let emacs = name.starts_with('#') && name.ends_with('#');
    let vim = name == "4913";
    !(hidden || scratch || emacs || vim)
}

/// Whether a folder of that name may hold sources.
fn is_source_folder(name: &OsStr) -> bool {
    is_source(name) && !BUILT.iter().any(|built| name == *built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_from_what_builds_and_editors_leave() {
        for name in [
            "schedule.rs",
            "4913.rs",
            "a~b",
            "tmp",
            "#x",
            "Makefile",
            "target.rs",
        ] {
            assert!(is_source(OsStr::new(name)), "{name}");
        }
        for name in [
            ".git",
            "x.rs~",
            ".x.rs.swp",
            "x.swp",
            "x.1-0.part",
            "4913",
            "#x.rs#",
            ".#x.rs",
            "x___jb_tmp___",
        ] {
            assert!(!is_source(OsStr::new(name)), "{name}");
        }
        for name in [
            "target",
            "node_modules",
            "__pycache__",
            ".zig-cache",
            "_build",
        ] {
            assert!(!is_source_folder(OsStr::new(name)), "{name}");
        }
        assert!(is_source_folder(OsStr::new("src")));
    }

    #[test]
    fn a_path_counts_by_all_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let ignore = [folder.path().join("made"), folder.path().join("x.wasm")];
        let watched = WatchedFolder::new(folder.path(), &ignore, &Options::default());
        for path in ["a.rs", "src/a.rs", "src/made/a.rs", "src/x.wasm"] {
            assert!(watched.counts(Path::new(path)), "{path}");
        }
        for path in [
            "x.wasm",
            "made",
            "made/deep/a.rs",
            "src/target/a.rs",
            ".git/a",
            "src/a~",
        ] {
            assert!(!watched.counts(Path::new(path)), "{path}");
        }
    }
}
