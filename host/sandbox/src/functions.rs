//! Compiled functions that are kept for a plugin's next version. A language that brings its interpreter along puts it into each
//! plugin: what differs between two versions, or two plugins, is their data and a few of their functions.
//!
//! Cranelift tells functions apart by the SHA-256 of all that their compilation depends on
//! ([`cranelift_codegen::incremental_cache`](https://docs.rs/cranelift-codegen/0.135/cranelift_codegen/incremental_cache/)), so that
//! what is taken from here is what it would make of them. A plugin that comes again byte for byte needs none of this:
//! Wasmtime's own cache has it whole, and nothing here is read.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmparser::{KnownCustom, Parser, Payload};
use wasmtime::CacheStore;

/// A smaller plugin is compiled in less than a second.
const LARGE: usize = 1 << 20;
/// A file that would be larger keeps those functions alone that its last plugin has.
const LARGE_FILE: usize = 96 << 20;
/// All files together. The oldest make room.
const ALL_FILES: u64 = 256 << 20;

/// Functions by their hash.
type Known = HashMap<[u8; 32], Bytes>;

/// Those of an engine's large plugins, in a folder: one file for each set of compilers that plugins come from.
#[derive(Debug)]
pub(crate) struct Functions {
    folder: PathBuf,
    /// Of the plugin that is being compiled.
    current: Mutex<Option<Current>>,
    reused: AtomicUsize,
}

#[derive(Debug)]
struct Current {
    file: PathBuf,
    /// What the file had: read when the first function is asked for. A plugin of Wasmtime's cache asks for none.
    kept: Option<Known>,
    /// What the plugin has.
    used: Known,
    /// Whether some of that are in no file.
    news: bool,
}

impl Functions {
    /// Those in `folder`, which need not exist.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            current: Mutex::default(),
            reused: AtomicUsize::new(0),
        }
    }

    /// How many were found, of all plugins.
    pub(crate) fn reused(&self) -> usize {
        self.reused.load(Ordering::Relaxed)
    }

    /// Calls `compile`, which compiles `wasm`, with what is kept of such plugins, and keeps what it compiled.
    pub(crate) fn around<T>(&self, wasm: &[u8], compile: impl FnOnce() -> T) -> T {
        let _until_compiled = self.begin(wasm);
        compile()
    }

    /// `None` where nothing is kept: a small plugin, or one beside which another is being compiled.
    fn begin(&self, wasm: &[u8]) -> Option<Compiling<'_>> {
        if wasm.len() < LARGE {
            return None;
        }
        let file = self.folder.join(compilers(wasm));
        let mut current = self.current();
        if current.is_some() {
            return None;
        }
        *current = Some(Current {
            file,
            kept: None,
            used: Known::new(),
            news: false,
        });
        Some(Compiling(self))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        // What a compiler that panicked leaves is a map of whole functions.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheStore for Functions {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key: [u8; 32] = key.try_into().ok()?;
        let function = {
            let mut current = self.current();
            let Current {
                file, kept, used, ..
            } = current.as_mut()?;
            let kept = kept.get_or_insert_with(|| read(file).unwrap_or_default());
            let function = used.get(&key).or_else(|| kept.get(&key))?.clone();
            used.insert(key, function.clone());
            function
        };
        self.reused.fetch_add(1, Ordering::Relaxed);
        Some(Cow::Owned(function.to_vec()))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let Ok(key) = key.try_into() else {
            return false;
        };
        let mut current = self.current();
        let Some(Current { used, news, .. }) = current.as_mut() else {
            return false;
        };
        used.insert(key, value.into());
        *news = true;
        true
    }
}

/// A large plugin that is being compiled.
struct Compiling<'a>(&'a Functions);

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        let current = self.0.current().take();
        if let Some(current) = current
            && current.news
            && !thread::panicking()
        {
            // Functions that cannot be kept are compiled again.
            let _ = current.keep();
        }
    }
}

impl Current {
    /// Writes the file anew, whole: other processes may be reading it, or writing their own.
    fn keep(self) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut functions = self.kept.unwrap_or_default();
        functions.extend(self.used.iter().map(|(key, code)| (*key, code.clone())));
        let size: usize = functions.values().map(Bytes::len).sum();
        if size > LARGE_FILE {
            functions = self.used;
        }
        let functions = postcard::to_allocvec(&functions).map_err(io::Error::other)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&crc32c::crc32c(&functions).to_le_bytes())?;
        file.write_all(&functions)?;
        make_room(folder, &self.file, functions.len() as u64)?;
        file.persist(&self.file)?;
        Ok(())
    }
}

/// The functions of a file; `None` if there is none, or what it has is damaged.
fn read(file: &Path) -> Option<Known> {
    let bytes = fs::read(file).ok()?;
    let (sum, functions) = bytes.split_first_chunk()?;
    if crc32c::crc32c(functions) != u32::from_le_bytes(*sum) {
        return None;
    }
    postcard::from_bytes(functions).ok()
}

/// Removes the oldest files of `folder`, until `size` bytes more in the place of `file` are not too many.
fn make_room(folder: &Path, file: &Path, size: u64) -> io::Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        // What another process is about to write has a name that begins with a dot.
        if entry.path() != file && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            others.push((about.modified()?, about.len(), entry.path()));
        }
    }
    others.sort();
    let mut all: u64 = size + others.iter().map(|(_, size, _)| size).sum::<u64>();
    for (_, size, path) in others {
        if all <= ALL_FILES {
            break;
        }
        fs::remove_file(path)?;
        all -= size;
    }
    Ok(())
}

/// A name for what made `wasm`: a digest of what all `producers` sections in it say. Plugins of one language's compiler share its
/// interpreter.
fn compilers(wasm: &[u8]) -> String {
    let mut producers = BTreeSet::new();
    // One that cannot be read is not compiled either.
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        if let Payload::CustomSection(section) = payload
            && let KnownCustom::Producers(fields) = section.as_known()
        {
            for field in fields.into_iter().map_while(Result::ok) {
                for value in field.values.into_iter().map_while(Result::ok) {
                    producers.insert((field.name, value.name, value.version));
                }
            }
        }
    }
    let mut digest = Sha256::new();
    for (field, name, version) in producers {
        digest.update(format!("{field}\0{name}\0{version}\n"));
    }
    hex::encode(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use wasmtime::{Config, Engine, Module};

    use super::*;

    /// A large module of 300 functions; the first multiplies by `factor`.
    fn module(factor: u32) -> Vec<u8> {
        let mut functions = String::new();
        for number in 0..300 {
            let factor = if number == 0 { factor } else { number };
            write!(
                functions,
                "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {factor})))"
            )
            .unwrap();
        }
        let data = "x".repeat(LARGE);
        let text = format!("(module (memory 17) (data (i32.const 0) \"{data}\") {functions})");
        wat::parse_str(text).unwrap()
    }

    fn compiled(wasm: &[u8], functions: Option<&Arc<Functions>>) -> Vec<u8> {
        let mut config = Config::new();
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
        Arc::new(Functions::new(folder.path().join("functions")))
    }

    fn files(folder: &tempfile::TempDir) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder.path().join("functions")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_changed_module_is_compiled_to_the_same_bytes_from_kept_functions() {
        let folder = tempfile::tempdir().unwrap();
        let first = in_folder(&folder);
        assert_eq!(
            compiled(&module(7), Some(&first)),
            compiled(&module(7), None)
        );
        assert!(first.reused() < 10, "{}", first.reused());
        assert!(first.current().is_none(), "what was kept stays in memory");
        // As another process finds them.
        let second = in_folder(&folder);
        let changed = module(100_003);
        assert_eq!(compiled(&changed, Some(&second)), compiled(&changed, None));
        assert!(second.reused() > 290, "{}", second.reused());
        assert_eq!(files(&folder).len(), 1);
    }

    #[test]
    fn a_damaged_file_is_none_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        compiled(&module(7), Some(&in_folder(&folder)));
        let [file] = files(&folder).try_into().unwrap();
        let whole = fs::read(&file).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        for damaged in [&changed[..], &whole[..whole.len() / 2], b"", b"123"] {
            fs::write(&file, damaged).unwrap();
            let functions = in_folder(&folder);
            assert_eq!(
                compiled(&module(7), Some(&functions)),
                compiled(&module(7), None)
            );
            assert_eq!(read(&file).unwrap(), read_whole(&whole));
        }
    }

    fn read_whole(bytes: &[u8]) -> Known {
        postcard::from_bytes(&bytes[4..]).unwrap()
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
    fn the_oldest_files_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let third = ALL_FILES / 3;
        for (seconds, name) in [(3, "newer"), (1, "oldest"), (2, "older")] {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(third).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        }
        let left = |written: &str, size| {
            make_room(folder.path(), &folder.path().join(written), size).unwrap();
            ["oldest", "older", "newer"].map(|name| folder.path().join(name).exists())
        };
        // In the place of one of its size.
        assert_eq!(left("oldest", third), [true, true, true]);
        assert_eq!(left("new", third), [false, true, true]);
        assert_eq!(left("newer", third * 3), [false, false, true]);
    }
}
