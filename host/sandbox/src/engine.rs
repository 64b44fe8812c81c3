//! The WASM engine, set up so that a schedule gives the same values everywhere and cannot run on for ever.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, CacheStore, Config};

use crate::functions::Functions;
use crate::host::{self, Host};
use crate::{Error, Limits, Plugin, builtin};

/// How often the epoch advances: the grain of the limits on time.
const TICK: Duration = Duration::from_millis(10);

/// What is fixed for all plugins of an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// What a plugin may use while it is loaded: its file, its compilation, a guest's stack, and the call of its
    /// `parameters`, which has as much as `init`.
    pub limits: Limits,
    /// Where compiled plugins are kept.
    pub cache: CompileCache,
    /// Whether one plugin's functions are compiled by all cores. They are the same, sooner; where something trains beside it,
    /// that would wait.
    pub parallel_compilation: bool,
}

impl From<&Limits> for EngineOptions {
    fn from(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            ..Self::default()
        }
    }
}

/// Where compiled plugins are kept, by content, for the next time that they are loaded; of large ones their functions, too, for
/// their next versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CompileCache {
    /// Nowhere: each load compiles.
    Off,
    /// In the user's cache folder; nowhere, where there is none.
    #[default]
    User,
    /// In this folder, which must be an absolute path.
    Folder(PathBuf),
}

impl CompileCache {
    fn open(&self, limits: &Limits) -> wasmtime::Result<Option<(Cache, Functions)>> {
        let mut config = CacheConfig::new();
        let folder = match self {
            Self::Off => return Ok(None),
            Self::User => dirs::cache_dir().map(|folder| folder.join("pixelrate")),
            Self::Folder(folder) => {
                config.with_directory(folder.join("wasmtime"));
                Some(folder.clone())
            }
        };
        // Who waits for another's compilation may have to do it after all.
        let patience = Duration::from_millis(limits.compile_ms / 2);
        // Wasmtime removes what it does not know from its own folder.
        let functions = folder.map(|folder| Functions::new(&folder, patience));
        match (self, Cache::new(config)) {
            // A machine without a cache folder compiles anew each time.
            (Self::User, Err(_)) => Ok(None),
            (_, cache) => Ok(Some(cache?).zip(functions)),
        }
    }
}

/// Loads plugins. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) linker: Linker<Host>,
    pub(crate) limits: Limits,
    cache: Option<Cache>,
    /// Of large plugins that are in no cache.
    pub(crate) functions: Option<Arc<Functions>>,
    /// Epochs that have begun: Wasmtime does not tell its own.
    epochs: Arc<AtomicU64>,
    /// Dropped with the engine, which ends the ticker.
    _ticker: Sender<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets an engine up.
    ///
    /// # Errors
    /// [`Error::Engine`], if Wasmtime does not take the options on this machine.
    pub fn new(options: &EngineOptions) -> Result<Self, Error> {
        let problem = |e: wasmtime::Error| Error::Engine(format!("{e:#}"));
        let (stack, most) = (options.limits.stack_bytes, Limits::MOST_STACK);
        if !(1..=most).contains(&stack) {
            return Err(Error::Engine(format!(
                "`stack_bytes` is {stack}, and must be from 1 to {most}: a guest's stack lies on its thread's"
            )));
        }
        let mut config = config(options);
        let (cache, functions) = options
            .cache
            .open(&options.limits)
            .map_err(problem)?
            .unzip();
        config.cache(cache.clone());
        let functions = functions.map(Arc::new);
        if let Some(functions) = &functions {
            let store: Arc<dyn CacheStore> = Arc::clone(functions) as _;
            config
                .enable_incremental_compilation(store)
                .map_err(problem)?;
        }
        let wasm = wasmtime::Engine::new(&config).map_err(problem)?;
        let linker = host::linker(&wasm).map_err(problem)?;
        let (ticker, stop) = channel::<()>();
        let (ticked, epochs) = (wasm.clone(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&epochs);
        std::thread::Builder::new()
            .name("wasm-epoch".to_owned())
            .spawn(move || {
                while stop.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    ticked.increment_epoch();
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .map_err(|e| Error::Engine(e.to_string()))?;
        Ok(Self(Arc::new(Inner {
            wasm,
            linker,
            limits: options.limits.clone(),
            cache,
            functions,
            epochs,
            _ticker: ticker,
        })))
    }

    /// Loads a plugin: a built-in schedule, or a file (`.wasm` or `.wat`). A built-in schedule's name, without a folder and an
    /// extension, is that of no file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Folder`], [`Error::Read`], and what is wrong with the plugin itself.
    pub fn load(&self, name_or_path: &str) -> Result<Plugin, Error> {
        let path = Path::new(name_or_path);
        let looks_like_file = path.components().count() > 1 || path.extension().is_some();
        if !looks_like_file && let Some(bytes) = builtin::get(name_or_path) {
            return self.compile(name_or_path, bytes.to_vec());
        }
        // A file that is too large is not read; one that grows meanwhile is read no further.
        let read = std::fs::File::open(path).and_then(|file| {
            let (size, most) = (file.metadata()?.len(), self.0.limits.plugin_bytes);
            let mut bytes = Vec::new();
            if size <= most {
                file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
            }
            Ok((bytes, size))
        });
        match read {
            Ok((bytes, size)) => {
                let size = size.max(bytes.len() as u64);
                self.check_size(&path.display().to_string(), size)?;
                let name = path.file_stem().unwrap_or(path.as_os_str());
                self.compile(&name.to_string_lossy(), bytes)
            }
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFound {
                name: name_or_path.to_owned(),
                builtins: builtin::names().collect::<Vec<_>>().join(", "),
            }),
            Err(source) if source.kind() == std::io::ErrorKind::IsADirectory => {
                Err(Error::Folder(name_or_path.to_owned()))
            }
            Err(source) => Err(Error::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Loads a plugin from memory; `name` is what messages call it.
    ///
    /// # Errors
    /// What is wrong with the plugin: not WASM, no `learning-rate`, a forbidden import.
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Plugin, Error> {
        self.check_size(name, bytes.len() as u64)?;
        self.compile(name, bytes.to_vec())
    }

    /// How many plugins came compiled from the cache, of those that this engine loaded.
    pub fn cache_hits(&self) -> usize {
        self.0.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    /// How many functions were found compiled, of the large plugins that were not in the cache whole: those of another version
    /// of a plugin, or of another plugin of the same compiler's.
    pub fn functions_reused(&self) -> usize {
        let functions = self.0.functions.as_deref();
        functions.map_or(0, Functions::reused)
    }

    /// Compiles on a thread of its own, which is left to itself where it takes too long: the compiler cannot be
    /// interrupted. A plugin that makes the compiler panic ends that thread, and not the trainer.
    fn compile(&self, name: &str, bytes: Vec<u8>) -> Result<Plugin, Error> {
        let (compiled, answer) = channel();
        let (engine, plugin) = (self.clone(), name.to_owned());
        std::thread::Builder::new()
            .name("wasm-compile".to_owned())
            .spawn(move || {
                // Nobody listens any more where it took too long.
                let _ = compiled.send(Plugin::compile(&engine, &plugin, bytes));
            })
            .map_err(|e| Error::Engine(e.to_string()))?;
        let milliseconds = self.0.limits.compile_ms;
        match answer.recv_timeout(Duration::from_millis(milliseconds)) {
            Ok(plugin) => plugin,
            Err(RecvTimeoutError::Timeout) => Err(Error::CompileTime {
                plugin: name.to_owned(),
                milliseconds,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(Error::NotAPlugin {
                plugin: name.to_owned(),
                problem: "the compiler crashed (its message is above): please report this file"
                    .to_owned(),
            }),
        }
    }

    fn check_size(&self, plugin: &str, bytes: u64) -> Result<(), Error> {
        let most = self.0.limits.plugin_bytes;
        if bytes <= most {
            return Ok(());
        }
        Err(Error::TooLarge {
            plugin: plugin.to_owned(),
            bytes,
            most,
        })
    }

    /// What plugins may use while they are loaded.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Ticks since the engine was set up.
    pub(crate) fn now(&self) -> u64 {
        self.0.epochs.load(Ordering::Relaxed)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

/// What plugins are compiled for, without the cache.
pub(crate) fn config(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        // Threads are not even compiled in: Wasmtime's feature of that name is off.
        // One NaN, whatever the processor: its bits could be seen and acted upon.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(options.limits.stack_bytes)
        .parallel_compilation(options.parallel_compilation)
        // Calls are synchronous; without this each costs three times as much.
        .concurrency_support(false);
    config
}

/// How many epochs a limit of `milliseconds` is: one more, since the first may end at once.
pub(crate) fn ticks(milliseconds: u64) -> u64 {
    milliseconds / TICK.as_millis() as u64 + 1
}
