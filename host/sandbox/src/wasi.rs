//! The WASI that a guest may bring along, with nothing in it: no files, no environment, no network, clocks that
//! stand still, random numbers from the run's seed, and output that goes to the event log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, async_trait};

use crate::host::Host;

/// Bytes of output that are kept until they are taken; what a guest prints over them is dropped, and counted.
const OUTPUT: usize = 64 << 10;
/// Bytes that a guest may print at once.
const PERMIT: usize = 16 << 10;
/// Random bytes that a guest may ask for at once.
const RANDOM: u64 = 1 << 20;

/// A context that holds nothing but `console` and random numbers of `seed`.
pub(crate) fn context(seed: u64, console: &Console) -> WasiCtx {
    let generator = || ChaCha8Rng::seed_from_u64(seed);
    WasiCtx::builder()
        .stdout(console.clone())
        .stderr(console.clone())
        .secure_random(generator())
        .insecure_random(generator())
        .insecure_random_seed(u128::from(seed))
        .max_random_size(RANDOM)
        .wall_clock(Still)
        .monotonic_clock(Still)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

/// Adds WASI to `linker`, with a monotonic clock on which every sleep is over at once: Wasmtime's own would put
/// the trainer to sleep, where neither fuel nor epochs reach.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Host, Sleepless<'static>>(linker, |host| Sleepless {
        table: host.table(),
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Clocks that stand still.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// `wasi:clocks/monotonic-clock` on which nobody waits.
struct Sleepless<'a> {
    table: &'a mut ResourceTable,
}

impl HasData for Sleepless<'static> {
    type Data<'a> = Sleepless<'a>;
}

struct Over;

#[async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}

impl Sleepless<'_> {
    fn over(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(self.table, over)
    }
}

impl monotonic_clock::Host for Sleepless<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::now(&Still))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(HostMonotonicClock::resolution(&Still))
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.over()
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.over()
    }
}

/// Where standard output and standard error go, until somebody takes what was printed.
#[derive(Clone, Default)]
pub(crate) struct Console(Arc<Mutex<Printed>>);

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    dropped: usize,
}

impl Console {
    /// Whether anything was printed since the last call of `take`.
    pub(crate) fn is_empty(&self) -> bool {
        self.printed().bytes.is_empty()
    }

    /// What was printed since the last call, and how many bytes more were dropped.
    pub(crate) fn take(&self) -> (String, usize) {
        let printed = std::mem::take(&mut *self.printed());
        let text = String::from_utf8_lossy(&printed.bytes).into_owned();
        (text, printed.dropped)
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // WASI 0.2 prints by `p2_stream`; nothing else is in the linker.
        Box::new(MemoryOutputPipe::new(0))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut printed = self.printed();
        let room = OUTPUT - printed.bytes.len();
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        printed.bytes.extend_from_slice(kept);
        printed.dropped += bytes.len() - kept.len();
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}
