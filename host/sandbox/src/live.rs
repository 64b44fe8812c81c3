//! One instance of a plugin, every call of it bounded.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{InstancePre, TypedFunc};
use wasmtime::{Store, Trap};

use crate::engine::ticks;
use crate::host::{Host, Refusal};
use crate::limits::{Allowance, Budget};
use crate::{Engine, Fault, FaultKind, Limits, Plugin, RunFacts, TrainingValues};

type OfStep = TypedFunc<(u64,), (f64,)>;

/// An instance. After a fault that spoils it, it must not be called again.
pub(crate) struct Live {
    store: Store<Host>,
    learning_rate: OfStep,
    momentum: Option<OfStep>,
    weight_decay: Option<OfStep>,
    save: Option<TypedFunc<(), (Vec<u8>,)>>,
    restore: Option<TypedFunc<(Vec<u8>,), ()>>,
    plugin: Plugin,
    step_fuel: u64,
    step_ms: u64,
    /// What the next call may use, where others of its step used some already.
    fuel: u64,
    ticks: u64,
    /// Fuel that the functions before the last burnt in the newest step.
    fuel_before_last: u64,
}

/// What a step's calls answered, as they answered it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Raw {
    pub(crate) learning_rate: f64,
    pub(crate) momentum: Option<f64>,
    pub(crate) weight_decay: Option<f64>,
}

impl Raw {
    /// The same with another rate.
    pub(crate) fn with_rate(self, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            ..self
        }
    }
}

impl Live {
    /// Makes an instance of a plugin that is no composition, and calls its `init`. Takes what that uses off `allowance`.
    pub(crate) fn new(
        plugin: &Plugin,
        facts: &Arc<RunFacts>,
        limits: &Limits,
        budget: &Budget,
        allowance: &mut Allowance,
    ) -> Result<Self, Fault> {
        let prints = plugin
            .imports()
            .iter()
            .any(|name| name.starts_with("wasi:cli/std"));
        let host = Host::new(Arc::clone(facts), plugin.declared(), limits, budget, prints);
        let mut store = Store::new(&plugin.engine().inner().wasm, host);
        store.limiter(|host| &mut host.meter);
        let since = Instant::now();
        let begun = begin(&mut store, plugin, *allowance);
        allowance.spend(since, store.get_fuel().unwrap_or(0));
        let (learning_rate, momentum, weight_decay, save, restore) = match begun {
            Ok(functions) => functions,
            Err(e) => {
                let (fuel, ms) = (limits.init_fuel, limits.init_ms);
                return Err(fault(
                    plugin,
                    None,
                    &e,
                    &mut store,
                    &format!("its {fuel} units of fuel (`init_fuel`)"),
                    &format!("{ms} ms (`init_ms`)"),
                ));
            }
        };
        Ok(Self {
            store,
            learning_rate,
            momentum,
            weight_decay,
            save,
            restore,
            plugin: plugin.clone(),
            step_fuel: limits.step_fuel,
            step_ms: limits.step_ms,
            fuel: limits.step_fuel,
            ticks: ticks(limits.step_ms),
            fuel_before_last: 0,
        })
    }

    /// Lets the calls that follow use `fuel` each, and the time of one call but for `since` of the engine's ticks.
    pub(crate) fn within(&mut self, fuel: u64, since: u64) {
        self.fuel = fuel;
        self.ticks = ticks(self.step_ms).saturating_sub(since);
        self.fuel_before_last = 0;
    }

    /// Asks for the values of `step`.
    pub(crate) fn step(&mut self, step: u64, training: TrainingValues) -> Result<Raw, Fault> {
        self.store.data_mut().training = training;
        self.ask(step).map_err(|e| self.fault(Some(step), &e))
    }

    fn ask(&mut self, step: u64) -> wasmtime::Result<Raw> {
        self.fuel_before_last = 0;
        self.allow()?;
        let (learning_rate,) = self.learning_rate.call(&mut self.store, (step,))?;
        let mut raw = Raw {
            learning_rate,
            momentum: None,
            weight_decay: None,
        };
        // Most schedules export neither: every nanosecond here is one of every step.
        if let Some(momentum) = self.momentum {
            raw.momentum = Some(self.ask_more(momentum, step)?);
        }
        if let Some(weight_decay) = self.weight_decay {
            raw.weight_decay = Some(self.ask_more(weight_decay, step)?);
        }
        Ok(raw)
    }

    fn ask_more(&mut self, function: OfStep, step: u64) -> wasmtime::Result<f64> {
        self.fuel_before_last = self.fuel_used();
        self.allow()?;
        function
            .call(&mut self.store, (step,))
            .map(|(value,)| value)
    }

    /// The state to carry over, if the plugin exports `save`.
    pub(crate) fn save(&mut self, step: Option<u64>) -> Result<Option<Vec<u8>>, Fault> {
        let Some(save) = self.save else {
            return Ok(None);
        };
        let saved = self.allow().and_then(|()| save.call(&mut self.store, ()));
        saved
            .map(|(state,)| Some(state))
            .map_err(|e| self.fault(step, &e))
    }

    pub(crate) fn restore(&mut self, state: &[u8], step: Option<u64>) -> Result<(), Fault> {
        let Some(restore) = self.restore else {
            return Ok(());
        };
        let restored = self
            .allow()
            .and_then(|()| restore.call(&mut self.store, (state.to_vec(),)));
        restored.map_err(|e| self.fault(step, &e))
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Fuel that the newest step burnt, over all its functions.
    pub(crate) fn fuel_used(&self) -> u64 {
        let last = self.store.get_fuel().unwrap_or(0);
        self.fuel_before_last + self.fuel.saturating_sub(last)
    }

    /// Bytes of linear memory that the instance holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().meter.memory_bytes()
    }

    /// Allows one call its fuel and its time.
    fn allow(&mut self) -> wasmtime::Result<()> {
        let meter = &mut self.store.data_mut().meter;
        if meter.refused.is_some() {
            meter.refused = None;
        }
        self.store.set_epoch_deadline(self.ticks);
        self.store.set_fuel(self.fuel)
    }

    fn fault(&mut self, step: Option<u64>, e: &wasmtime::Error) -> Fault {
        let fuel = format!(
            "the {} units of fuel that one call may use (`step_fuel`)",
            self.step_fuel
        );
        let time = format!("the {} ms that one call may take (`step_ms`)", self.step_ms);
        fault(&self.plugin, step, e, &mut self.store, &fuel, &time)
    }
}

type Functions = (
    OfStep,
    Option<OfStep>,
    Option<OfStep>,
    Option<TypedFunc<(), (Vec<u8>,)>>,
    Option<TypedFunc<(Vec<u8>,), ()>>,
);

fn begin(
    store: &mut Store<Host>,
    plugin: &Plugin,
    allowance: Allowance,
) -> wasmtime::Result<Functions> {
    store.set_fuel(allowance.fuel)?;
    store.set_epoch_deadline(ticks(allowance.ms));
    let pre = plugin.pre().ok_or_else(|| {
        // A composition's plugins are called one by one.
        wasmtime::Error::msg("a composition has no instance of its own")
    })?;
    let instance = pre.instantiate(&mut *store)?;
    let has = plugin.exports();
    let learning_rate = instance.get_typed_func(&mut *store, "learning-rate")?;
    let momentum = has
        .momentum
        .then(|| instance.get_typed_func(&mut *store, "momentum"))
        .transpose()?;
    let weight_decay = has
        .weight_decay
        .then(|| instance.get_typed_func(&mut *store, "weight-decay"))
        .transpose()?;
    let save = has
        .save
        .then(|| instance.get_typed_func(&mut *store, "save"))
        .transpose()?;
    let restore = has
        .restore
        .then(|| instance.get_typed_func(&mut *store, "restore"))
        .transpose()?;
    if has.init {
        instance
            .get_typed_func::<(), ()>(&mut *store, "init")?
            .call(&mut *store, ())?;
    }
    Ok((learning_rate, momentum, weight_decay, save, restore))
}

/// What `parameters` of an instance of its own answers, outside any run, within the engine's limits. The error is the
/// rest of a sentence.
pub(crate) fn parameters(engine: &Engine, pre: &InstancePre<Host>) -> Result<String, String> {
    let limits = &engine.inner().limits;
    let budget = Budget::new(limits);
    let host = Host::new(Arc::default(), Arc::default(), limits, &budget, true);
    let mut store = Store::new(&engine.inner().wasm, host);
    store.limiter(|host| &mut host.meter);
    let mut ask = || {
        store.set_fuel(limits.init_fuel)?;
        store.set_epoch_deadline(ticks(limits.init_ms));
        let instance = pre.instantiate(&mut store)?;
        let function = instance.get_typed_func::<(), (String,)>(&mut store, "parameters")?;
        function.call(&mut store, ())
    };
    match ask() {
        Ok((json,)) => Ok(json),
        Err(e) => {
            let (fuel, ms) = (limits.init_fuel, limits.init_ms);
            let (_, message) = explained(
                &e,
                &mut store,
                &format!("its {fuel} units of fuel (`init_fuel`)"),
                &format!("{ms} ms (`init_ms`)"),
            );
            Err(format!("cannot be asked: {message}"))
        }
    }
}

/// What `e` was, in words.
fn fault(
    plugin: &Plugin,
    step: Option<u64>,
    e: &wasmtime::Error,
    store: &mut Store<Host>,
    fuel: &str,
    time: &str,
) -> Fault {
    let (kind, message) = explained(e, store, fuel, time);
    Fault {
        plugin: plugin.name().to_owned(),
        sha256: plugin.sha256().to_owned(),
        step,
        kind,
        message,
    }
}

fn explained(
    e: &wasmtime::Error,
    store: &mut Store<Host>,
    fuel: &str,
    time: &str,
) -> (FaultKind, String) {
    let refused = store.data_mut().meter.refused.take();
    let (kind, message) = if let Some(refusal) = e.downcast_ref::<Refusal>() {
        (FaultKind::Refused, refusal.0.clone())
    } else {
        match e.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => (
                FaultKind::OutOfFuel,
                format!("it used up {fuel}; is there an endless loop?"),
            ),
            Some(Trap::Interrupt) => (FaultKind::Deadline, format!("it took longer than {time}")),
            Some(Trap::StackOverflow) => (
                FaultKind::Trap,
                "its stack ran over (`stack_bytes`); is there an endless recursion?".to_owned(),
            ),
            Some(trap) => {
                let trap = trap.to_string();
                let what = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
                (FaultKind::Trap, format!("it trapped: {what}"))
            }
            None => (FaultKind::Trap, e.root_cause().to_string()),
        }
    };
    // What the guest printed last is, for many languages, why it gave up.
    let last_words = matches!(kind, FaultKind::Trap)
        .then(|| store.data_mut().lines().last_words())
        .flatten();
    let mut message = message;
    for more in refused.into_iter().chain(last_words) {
        message = format!("{message} ({more})");
    }
    (kind, message)
}
