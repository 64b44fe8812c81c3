//! The host's side of the contract: what a schedule's imports reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::limits::{Budget, Meter};
use crate::lines::{Lines, clipped};
use crate::pictures::{DecodedPicture, FILTER};
use crate::wasi::{self, Console};
use crate::{Limits, Parameter, RunFacts, TrainingValues, parameters};

wasmtime::component::bindgen!({
    path: "../../sdk/wit",
    world: "imports",
    imports: { default: trappable },
    with: { "pixelrate:schedule/images.image": crate::pictures::DecodedPicture },
});

use pixelrate::schedule::{images, run, training, weights};

/// Names beside the study's own that are remembered of those that a guest asks for.
const ASKED: usize = 1_000;
/// Characters of such a name.
const NAME: usize = 200;
/// Pictures and WASI handles that a guest may hold at once.
const HANDLES: usize = 10_000;

/// The state behind one instance.
pub(crate) struct Host {
    facts: Arc<RunFacts>,
    declared: Arc<[Parameter]>,
    limits: Limits,
    pub(crate) training: TrainingValues,
    pub(crate) meter: Meter,
    budget: Budget,
    /// Names that the guest asked for through `param`, each with its default, and through `open`.
    pub(crate) asked: BTreeMap<String, Option<f64>>,
    /// Lines that the guest logged or printed and nobody took yet.
    pub(crate) lines: Lines,
    console: Console,
    /// Values of the pictures that the guest holds open.
    values_open: u64,
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

impl Host {
    pub(crate) fn new(
        facts: Arc<RunFacts>,
        declared: Arc<[Parameter]>,
        limits: &Limits,
        budget: &Budget,
        prints: bool,
    ) -> Self {
        let console = Console::default();
        let wasi = wasi::context(facts.seed, &console);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            facts,
            declared,
            limits: limits.clone(),
            training: TrainingValues::NONE,
            meter: Meter::new(budget),
            budget: budget.clone(),
            asked: BTreeMap::new(),
            lines: Lines::default(),
            console,
            values_open: 0,
            prints,
            wasi,
            table,
        }
    }

    /// The lines of the newest call, what the guest printed included. Cheap where there are none: asked for at
    /// every step.
    pub(crate) fn lines(&mut self) -> &mut Lines {
        if self.prints && !self.console.is_empty() {
            let (text, dropped) = self.console.take();
            text.lines().for_each(|line| self.lines.push(line));
            if dropped > 0 {
                self.lines
                    .push(&format!("… and {dropped} bytes more, which were not kept"));
            }
        }
        &mut self.lines
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// Remembers that the guest asked for the parameter `name`.
    fn note(&mut self, name: &str, default: Option<f64>) {
        let worth_it =
            self.facts.params.contains_key(name) || self.asked.len() < ASKED && name.len() <= NAME;
        if worth_it && !self.asked.contains_key(name) {
            self.asked.insert(name.to_owned(), default);
        }
    }

    /// What the guest gave may be in the message.
    fn refuse(message: String) -> wasmtime::Error {
        wasmtime::Error::new(Refusal(clipped(&message)))
    }
}

/// A linker that holds the contract and the empty WASI.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
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
        self.note(&name, Some(default));
        Ok(given.unwrap_or(default))
    }

    fn log(&mut self, message: String) -> wasmtime::Result<()> {
        self.lines.push(&message);
        Ok(())
    }

    fn fail(&mut self, message: String) -> wasmtime::Result<()> {
        Err(Self::refuse(message))
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

impl weights::Host for Host {
    fn norm(&mut self) -> wasmtime::Result<f64> {
        Ok(self.training.weight_norm)
    }
}

impl images::Host for Host {}

impl images::HostImage for Host {
    fn open(&mut self, param: String, samples: u64) -> wasmtime::Result<Resource<DecodedPicture>> {
        self.note(&param, None);
        self.note(FILTER, None);
        let picture = self.facts.picture(&param, samples, &self.limits);
        let picture = picture.map_err(Self::refuse)?;
        let values = picture.values.len() as u64;
        if let Err(left) = self.budget.open(values) {
            let allowed = self.limits.picture_pixels.saturating_mul(3);
            let values = allowed - left + values;
            return Err(Self::refuse(format!(
                "it holds pictures of {values} values open, over the {allowed} that `picture_pixels` allows"
            )));
        }
        self.values_open += values;
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
        let picture = self.table.get(&picture)?;
        picture.value(index).ok_or_else(|| {
            Self::refuse(format!(
                "the picture has {} values, and it asked for number {index}, counted from 0",
                picture.values.len()
            ))
        })
    }

    fn drop(&mut self, picture: Resource<DecodedPicture>) -> wasmtime::Result<()> {
        let picture = self.table.delete(picture)?;
        let values = picture.values.len() as u64;
        self.values_open -= values;
        self.budget.close(values);
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.budget.close(self.values_open);
    }
}
