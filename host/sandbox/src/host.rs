//! The host's side of the contract: what a schedule's imports reach.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::limits::Meter;
use crate::pictures::{DecodedPicture, FILTER, Filter};
use crate::{Limits, Parameter, RunFacts, TrainingValues, Value, parameters};

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    world: "imports",
    imports: { default: trappable },
    with: { "pixelrate:schedule/images.image": crate::pictures::DecodedPicture },
});

use pixelrate::schedule::{images, run, training};

/// Lines that one instance may log in one call; more are counted, not kept.
const LOG_LINES: usize = 1_000;
/// Characters of a line.
const LOG_LENGTH: usize = 4_000;
/// Bytes that a guest may print in its life.
const OUTPUT: usize = 1 << 20;

/// The state behind one instance.
pub(crate) struct Host {
    facts: Arc<RunFacts>,
    declared: Arc<[Parameter]>,
    limits: Limits,
    pub(crate) training: TrainingValues,
    pub(crate) meter: Meter,
    /// Names that the guest asked for through `param` and `open`.
    pub(crate) asked: BTreeSet<String>,
    /// Lines that the guest logged and nobody took yet.
    pub(crate) logged: Vec<String>,
    output: MemoryOutputPipe,
    output_taken: usize,
    /// Whether the plugin imports WASI, without which it cannot print.
    prints: bool,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// The guest called `fail`, or asked for what cannot be.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// A clock that stands still.
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

impl Host {
    pub(crate) fn new(
        facts: Arc<RunFacts>,
        declared: Arc<[Parameter]>,
        limits: &Limits,
        prints: bool,
    ) -> Self {
        let output = MemoryOutputPipe::new(OUTPUT);
        // No files, no environment, no network, no time: only random numbers, and those from the run's seed.
        let generator = || ChaCha8Rng::seed_from_u64(facts.seed);
        let wasi = WasiCtx::builder()
            .stdout(output.clone())
            .stderr(output.clone())
            .secure_random(generator())
            .insecure_random(generator())
            .insecure_random_seed(u128::from(facts.seed))
            .wall_clock(Still)
            .monotonic_clock(Still)
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        Self {
            facts,
            declared,
            limits: limits.clone(),
            training: TrainingValues::NONE,
            meter: Meter::new(limits),
            asked: BTreeSet::new(),
            logged: Vec::new(),
            output,
            output_taken: 0,
            prints,
            wasi,
            table: ResourceTable::new(),
        }
    }

    /// Whether there is anything to take. Cheap: asked at every step.
    pub(crate) fn has_lines(&self) -> bool {
        !self.logged.is_empty() || self.prints && self.output.contents().len() > self.output_taken
    }

    /// Lines logged since the last call, what the guest printed included.
    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.logged);
        if let Some(over) = lines.len().checked_sub(LOG_LINES + 1) {
            lines.truncate(LOG_LINES);
            lines.push(format!(
                "… and {} lines more in this call, which were not kept",
                over + 1
            ));
        }
        let printed = self.output.contents();
        if printed.len() > self.output_taken {
            let text = String::from_utf8_lossy(&printed[self.output_taken..]).into_owned();
            lines.extend(text.lines().map(clipped));
            self.output_taken = printed.len();
        }
        lines
    }

    fn refuse(message: String) -> wasmtime::Error {
        wasmtime::Error::new(Refusal(message))
    }
}

fn clipped(line: &str) -> String {
    line.chars().take(LOG_LENGTH).collect()
}

/// A linker that holds the contract and the empty WASI.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    Imports::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    Ok(linker)
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl run::Host for Host {
    fn total_steps(&mut self) -> wasmtime::Result<u64> {
        Ok(self.facts.total_steps)
    }

    fn steps_per_epoch(&mut self) -> wasmtime::Result<u64> {
        Ok(self.facts.steps_per_epoch)
    }

    fn train_examples(&mut self) -> wasmtime::Result<u64> {
        Ok(self.facts.train_examples)
    }

    fn batch_size(&mut self) -> wasmtime::Result<u32> {
        Ok(self.facts.batch_size)
    }

    fn seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.facts.seed)
    }

    fn param(&mut self, name: String, default: f64) -> wasmtime::Result<f64> {
        let given = parameters::number(&self.declared, &self.facts, &name)
            .map_err(|problem| Self::refuse(format!("parameter `{name}` {problem}")))?;
        self.asked.insert(name);
        Ok(given.unwrap_or(default))
    }

    fn log(&mut self, message: String) -> wasmtime::Result<()> {
        // A line over the limit is only counted, so that a guest cannot fill the host's memory.
        self.logged.push(if self.logged.len() < LOG_LINES {
            clipped(&message)
        } else {
            String::new()
        });
        Ok(())
    }

    fn fail(&mut self, message: String) -> wasmtime::Result<()> {
        Err(Self::refuse(clipped(&message)))
    }
}

impl training::Host for Host {
    fn train_loss(&mut self) -> wasmtime::Result<f64> {
        Ok(self.training.train_loss)
    }

    fn grad_norm(&mut self) -> wasmtime::Result<f64> {
        Ok(self.training.grad_norm)
    }

    fn eval_loss(&mut self) -> wasmtime::Result<f64> {
        Ok(self.training.eval_loss)
    }

    fn eval_accuracy(&mut self) -> wasmtime::Result<f64> {
        Ok(self.training.eval_accuracy)
    }

    fn eval_step(&mut self) -> wasmtime::Result<u64> {
        Ok(self.training.eval_step)
    }
}

impl images::Host for Host {}

impl images::HostImage for Host {
    fn open(&mut self, param: String, samples: u64) -> wasmtime::Result<Resource<DecodedPicture>> {
        self.asked.insert(param.clone());
        self.asked.insert(FILTER.to_owned());
        let name = match self.facts.params.get(&param) {
            Some(Value::Text(name)) => name,
            Some(Value::Number(number)) => {
                return Err(Self::refuse(format!(
                    "parameter `{param}` is {number}, and must be the name of a picture"
                )));
            }
            None => {
                return Err(Self::refuse(format!(
                    "parameter `{param}` is missing: it must be the name of a picture"
                )));
            }
        };
        let filter = match self.facts.params.get(FILTER) {
            None => Filter::Nearest,
            Some(Value::Text(word)) => word.parse().map_err(Self::refuse)?,
            Some(Value::Number(number)) => {
                return Err(Self::refuse(format!(
                    "parameter `{FILTER}` is {number}, and must be a word"
                )));
            }
        };
        let picture = self
            .facts
            .pictures
            .open(name, &self.limits)
            .and_then(|picture| picture.resized(samples, filter, &self.limits))
            .map_err(|problem| Self::refuse(format!("parameter `{param}`: {problem}")))?;
        Ok(self.table.push(picture)?)
    }

    fn width(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&picture)?.width)
    }

    fn height(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&picture)?.height)
    }

    fn channels(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&picture)?.channels)
    }

    fn len(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&picture)?.values.len() as u64)
    }

    fn value(&mut self, picture: Resource<DecodedPicture>, index: u64) -> wasmtime::Result<f64> {
        let values = &self.table.get(&picture)?.values;
        match usize::try_from(index)
            .ok()
            .and_then(|index| values.get(index))
        {
            // The post divided in 32-bit floats.
            Some(&byte) => Ok(f64::from(f32::from(byte) / 255.0)),
            None => Err(Self::refuse(format!(
                "the picture has {} values, and it asked for number {index}, counted from 0",
                values.len()
            ))),
        }
    }

    fn drop(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<()> {
        self.table.delete(picture)?;
        Ok(())
    }
}
