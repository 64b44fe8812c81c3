//! Compiled functions that are kept for a plugin's next version. A language that brings its interpreter along puts it into each
//! plugin: what differs between two versions, or two plugins, is their data and a few of their functions.
//!
//! Cranelift tells functions apart by the SHA-256 of all that their compilation depends on
//! ([`cranelift_codegen::incremental_cache`](https://docs.rs/cranelift-codegen/0.135/cranelift_codegen/incremental_cache/)), so that
//! what is taken from here is what it would make of them. A plugin that comes again byte for byte needs none of this:
//! Wasmtime's own cache has it whole, and nothing here is read. As there, whoever can write into the folder is trusted: it is the
//! user's own.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmparser::{Parser, Payload};
use wasmtime::CacheStore;

use crate::turn;

/// A smaller plugin is compiled in less than a second.
const LARGE: usize = 1 << 20;
/// Bytes of functions in a file. One that would have more keeps those alone that its last plugin has, and what that has beyond is not
/// kept.
const LARGE_FILE: usize = if cfg!(test) { 6 << 20 } else { 96 << 20 };
/// Bytes of all files. Those that were not used for the longest time make room.
const ALL_FILES: u64 = 256 << 20;
/// What is written within an hour is written: what is older was left by a process that was killed.
const WRITTEN: Duration = Duration::from_secs(3600);
/// How a file is laid out. Another number is another file.
const LAYOUT: &[u8] = b"1";

/// Functions by their hash.
type Known = HashMap<[u8; 32], Bytes>;

/// Those of an engine's large plugins, in a folder: one file for each set of compilers that plugins come from.
#[derive(Debug)]
pub(crate) struct Functions {
    folder: PathBuf,
    turns: PathBuf,
    patience: Duration,
    /// The file of what is being compiled.
    current: Mutex<Option<Current>>,
    reused: AtomicUsize,
}

/// A file, and what the plugins have that are being compiled: an engine's threads do not say for which of them they ask.
#[derive(Debug)]
struct Current {
    file: PathBuf,
    plugins: usize,
    /// What the file had: read when the first function is asked for. A plugin of Wasmtime's cache asks for none.
    kept: Option<Known>,
    /// What the plugins have, and its bytes.
    used: Known,
    size: usize,
    /// Whether the file lacks some of that.
    news: bool,
}

impl Functions {
    /// Those in the cache folder `cache`, which need not exist. What another process compiles is waited for as long as `patience`.
    pub(crate) fn new(cache: &Path, patience: Duration) -> Self {
        Self {
            folder: cache.join("functions"),
            turns: cache.join("compiling"),
            patience,
            current: Mutex::default(),
            reused: AtomicUsize::new(0),
        }
    }

    /// How many were found, of all plugins.
    pub(crate) fn reused(&self) -> usize {
        self.reused.load(Ordering::Relaxed)
    }

    /// Calls `compile`, which compiles `wasm` or finds it in Wasmtime's cache: for a large plugin where no other process is at it any
    /// more, with what is kept of such plugins, and keeps what it compiled.
    pub(crate) fn around<T>(&self, wasm: &[u8], compile: impl FnOnce() -> T) -> T {
        if wasm.len() < LARGE {
            return compile();
        }
        let _turn = turn::take(&self.turns, wasm, self.patience);
        let _until_compiled = self.begin(wasm);
        compile()
    }

    /// `None` for a plugin beside which another compiler's is being compiled: that has its own file open, which serves this one as
    /// well as it can.
    fn begin(&self, wasm: &[u8]) -> Option<Compiling<'_>> {
        let file = self.folder.join(compilers(wasm));
        let mut current = self.current();
        let current = current.get_or_insert_with(|| Current {
            file: file.clone(),
            plugins: 0,
            kept: None,
            used: Known::new(),
            size: 0,
            news: false,
        });
        if current.file != file {
            return None;
        }
        current.plugins += 1;
        Some(Compiling(self))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        // What a compiler that panicked leaves is a map of whole functions.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let function = self.current().as_mut()?.get(key.try_into().ok()?)?;
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(Cow::Owned(function.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        match (self.current().as_mut(), key.try_into()) {
            (Some(current), Ok(key)) => {
                current.news = true;
                current.note(key, value.into())
            }
            _ => false,
        }
    }
}

/// A large plugin that is being compiled.
struct Compiling<'a>(&'a Functions);

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        let mut current = self.0.current();
        let Some(one) = current.as_mut() else {
            return;
        };
        one.plugins -= 1;
        if one.plugins > 0 {
            return;
        }
        let last = current.take();
        // Others need not wait for the disk.
        drop(current);
        if let Some(last) = last
            && last.news
            && !thread::panicking()
        {
            // Functions that cannot be kept are compiled again.
            let _ = last.keep(&self.0.folder);
        }
    }
}

impl Current {
    fn get(&mut self, key: [u8; 32]) -> Option<Bytes> {
        if let Some(function) = self.used.get(&key) {
            return Some(function.clone());
        }
        let file = &self.file;
        let kept = (self.kept).get_or_insert_with(|| read(file).unwrap_or_default());
        let function = kept.get(&key)?.clone();
        self.note(key, function.clone());
        Some(function)
    }

    /// Whether there was room for it.
    fn note(&mut self, key: [u8; 32], function: Bytes) -> bool {
        let size = self.size + function.len();
        let fits = size <= LARGE_FILE;
        if fits {
            self.size = size;
            self.used.insert(key, function);
        }
        fits
    }

    /// Writes the file anew, whole: other processes may be reading it, or writing their own.
    fn keep(self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut functions = self.kept.unwrap_or_default();
        functions.extend(self.used.iter().map(|(key, code)| (*key, code.clone())));
        let mut size: usize = functions.values().map(Bytes::len).sum();
        if size > LARGE_FILE {
            (functions, size) = (self.used, self.size);
        }
        // A sum, and, for each function, its hash and length beside it.
        let mut bytes = Vec::with_capacity(4 + size + functions.len() * 40);
        bytes.extend([0; 4]);
        let mut bytes = postcard::to_extend(&functions, bytes).map_err(io::Error::other)?;
        let sum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        make_room(folder, &self.file, bytes.len() as u64)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// The functions of a file; `None` if there is none, or what it has is damaged.
fn read(path: &Path) -> Option<Known> {
    let mut file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    // It is in use: another is to make room. On a disk that cannot be written, none has to.
    let _ = file.set_modified(SystemTime::now());
    let (sum, functions) = bytes.split_first_chunk()?;
    if crc32c::crc32c(functions) != u32::from_le_bytes(*sum) {
        return None;
    }
    postcard::from_bytes(functions).ok()
}

/// Removes of `folder` what was not used for the longest time, until `size` bytes more in the place of `file` are not too many; and
/// what processes that were killed have begun to write.
fn make_room(folder: &Path, file: &Path, size: u64) -> io::Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        // Other processes write and remove, too.
        let Ok(about) = entry.metadata() else {
            continue;
        };
        let (used, path) = (about.modified()?, entry.path());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            if used.elapsed().is_ok_and(|age| age > WRITTEN) {
                let _ = fs::remove_file(path);
            }
        } else if path != file {
            others.push((used, about.len(), path));
        }
    }
    others.sort();
    let mut all = size + others.iter().map(|(_, size, _)| size).sum::<u64>();
    for (_, size, path) in others {
        if all <= ALL_FILES {
            break;
        }
        if fs::remove_file(path).is_ok() {
            all -= size;
        }
    }
    Ok(())
}

/// A name for what made `wasm`: a digest of what its `producers` sections say. Plugins of one language's compiler share its
/// interpreter.
fn compilers(wasm: &[u8]) -> String {
    // One that cannot be read to its end is not compiled either.
    let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    let producers: BTreeSet<&[u8]> = payloads
        .filter_map(|payload| match payload {
            Payload::CustomSection(section) if section.name() == "producers" => {
                Some(section.data())
            }
            _ => None,
        })
        .collect();
    let mut digest = Sha256::new_with_prefix(LAYOUT);
    for section in producers {
        digest.update(section);
    }
    hex::encode(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use wasmtime::{Engine, Module};

    use super::*;
    use crate::EngineOptions;
    use crate::engine::config;

    /// A large module of 300 functions, each of which calls the one before it, with a memory access, a trap and a table of branches;
    /// `more` functions stand before them, so that all numbers and places are others. The first of the 300 adds `number`.
    fn module(more: usize, number: u32) -> Vec<u8> {
        let mut functions = "(func (param i32) (result i32) (i32.const 1))".repeat(more);
        for this in 0..300 {
            let (before, added) = if this == 0 {
                ("(local.get 0)".to_owned(), number)
            } else {
                (format!("(call $f{} (local.get 0))", this - 1), this)
            };
            write!(
                functions,
                "(func $f{this} (param i32) (result i32)
                    (block $a (block $b (br_table $a $b (i32.rem_u (local.get 0) (i32.const 3)))))
                    (i32.add (i32.const {added}) (i32.div_u {before} (i32.load8_u (local.get 0)))))"
            )
            .unwrap();
        }
        let data = "x".repeat(LARGE);
        let text = format!("(module (memory 17) (data (i32.const 0) \"{data}\") {functions})");
        wat::parse_str(text).unwrap()
    }

    fn compiled(wasm: &[u8], functions: Option<&Arc<Functions>>) -> Vec<u8> {
        let mut config = config(&EngineOptions::default());
        if let Some(functions) = functions {
            let store: Arc<dyn CacheStore> = Arc::clone(functions) as _;
            config.enable_incremental_compilation(store).unwrap();
        }
        let engine = Engine::new(&config).unwrap();
        let compile = || Module::new(&engine, wasm).unwrap().serialize().unwrap();
        match functions {
            None => compile(),
            Some(functions) => functions.around(wasm, compile),
        }
    }

    fn in_folder(folder: &tempfile::TempDir) -> Arc<Functions> {
        Arc::new(Functions::new(folder.path(), Duration::ZERO))
    }

    fn files(folder: &tempfile::TempDir) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder.path().join("functions")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_changed_module_is_compiled_to_the_same_bytes_from_kept_functions() {
        let folder = tempfile::tempdir().unwrap();
        let first = in_folder(&folder);
        let module_of_7 = module(0, 7);
        assert_eq!(
            compiled(&module_of_7, Some(&first)),
            compiled(&module_of_7, None)
        );
        assert!(first.reused() < 10, "{}", first.reused());
        assert!(first.current().is_none(), "what was kept stays in memory");
        for changed in [module(0, 100_003), module(5, 7)] {
            // As another process finds them.
            let second = in_folder(&folder);
            assert_eq!(compiled(&changed, Some(&second)), compiled(&changed, None));
            assert!(second.reused() >= 299, "{}", second.reused());
        }
        assert_eq!(files(&folder).len(), 1);
    }

    #[test]
    fn plugins_of_a_compiler_that_are_compiled_at_once_share_a_file_and_others_go_without() {
        let folder = tempfile::tempdir().unwrap();
        let functions = in_folder(&folder);
        let mut other = module(0, 7);
        // Another compiler's: a custom section of one field without values.
        other.extend(b"\0\x0d\x09producers\x01\0\0");
        let (one, two) = (module(0, 7), module(0, 8));
        functions.around(&one, || {
            assert!(functions.begin(&other).is_none());
            compiled(&two, Some(&functions));
            assert!(!folder.path().join("functions").exists());
            compiled(&one, Some(&functions));
        });
        let kept = read(&files(&folder)[0]).unwrap();
        assert!(kept.len() > 300 && functions.reused() >= 299);
        compiled(&other, Some(&functions));
        assert_eq!(files(&folder).len(), 2);
    }

    #[test]
    fn a_compiler_that_panics_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let functions = in_folder(&folder);
        let large = module(0, 7);
        let panics = || {
            functions.around(&large, || {
                functions.insert(&[0; 32], vec![1]);
                panic!("as a compiler might");
            });
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_err();
        assert!(functions.current().is_none());
        assert!(!folder.path().join("functions").exists());
    }

    #[test]
    fn a_file_has_room_for_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let functions = in_folder(&folder);
        let large = module(0, 7);
        let third = vec![0; LARGE_FILE / 3];
        let keep = |keys: [u8; 3]| {
            functions.around(&large, || {
                keys.map(|key| {
                    let key = [key; 32];
                    functions.get(&key).is_some() || functions.insert(&key, third.clone())
                })
            })
        };
        let kept = || {
            let functions = read(&files(&folder)[0]).unwrap();
            let mut keys: Vec<u8> = functions.keys().map(|key| key[0]).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keep([1, 2, 3]), [true; 3]);
        assert_eq!(kept(), [1, 2, 3]);
        // The first stays no longer, since no plugin asked for it.
        assert_eq!(keep([2, 3, 4]), [true; 3]);
        assert_eq!(kept(), [2, 3, 4]);
        functions.around(&large, || {
            for (key, fits) in [(2, true), (5, true), (6, true), (7, false)] {
                let key = [key; 32];
                let found = functions.get(&key).is_some();
                assert_eq!(found || functions.insert(&key, third.clone()), fits);
            }
        });
        assert_eq!(kept(), [2, 5, 6]);
    }

    #[test]
    fn a_damaged_file_is_none_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let module = module(0, 7);
        compiled(&module, Some(&in_folder(&folder)));
        let [file] = files(&folder).try_into().unwrap();
        let (whole, known) = (fs::read(&file).unwrap(), read(&file).unwrap());
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        for damaged in [&changed[..], &whole[..whole.len() / 2], b"", b"123"] {
            fs::write(&file, damaged).unwrap();
            let functions = in_folder(&folder);
            assert_eq!(compiled(&module, Some(&functions)), compiled(&module, None));
            assert_eq!(read(&file).unwrap(), known);
        }
    }

    #[test]
    fn of_small_modules_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let functions = in_folder(&folder);
        let small = wat::parse_str("(module (func (export \"f\")))").unwrap();
        compiled(&small, Some(&functions));
        assert!(!folder.path().join("functions").exists());
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let third = ALL_FILES / 3;
        let file = |name: &str, age| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(third).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        for (name, hours) in [
            ("newer", 3),
            ("oldest", 5),
            ("older", 4),
            (".killed", 2),
            (".writing", 0),
        ] {
            file(name, Duration::from_secs(3600 * hours));
        }
        let left = |written: &str, size| {
            make_room(folder.path(), &folder.path().join(written), size).unwrap();
            let names = ["oldest", "older", "newer", ".killed", ".writing"];
            names.map(|name| folder.path().join(name).exists())
        };
        // In the place of one of its size.
        assert_eq!(left("oldest", third), [true, true, true, false, true]);
        // What is read is used.
        assert_eq!(read(&folder.path().join("oldest")), None);
        assert_eq!(left("new", third), [true, false, true, false, true]);
        assert_eq!(left("newer", third * 3), [false, false, true, false, true]);
    }
}
