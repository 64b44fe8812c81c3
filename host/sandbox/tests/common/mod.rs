//! What the sandbox's tests share: an engine, facts of a run, and modules as text.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses some of it, and a test stops at the first thing that is wrong"
)]

use pixelrate_sandbox::{
    CompileCache, Engine, EngineOptions, Error, GuardOptions, Limits, OnFault, Pictures, RunFacts,
    Schedule, TrainingValues, Value,
};

pub(crate) fn engine() -> Engine {
    engine_of(Limits::default()).unwrap()
}

/// An engine of a study with these limits.
pub(crate) fn engine_of(limits: Limits) -> Result<Engine, Error> {
    Engine::new(&EngineOptions {
        limits,
        cache: CompileCache::Off,
        parallel_compilation: false,
    })
}

pub(crate) fn limits() -> Limits {
    Limits {
        step_fuel: 1_000_000,
        ..Limits::default()
    }
}

pub(crate) fn facts(params: &[(&str, Value)]) -> RunFacts {
    RunFacts {
        total_steps: 1000,
        steps_per_epoch: 391,
        train_examples: 50_000,
        batch_size: 128,
        seed: 7,
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        pictures: Pictures::default(),
    }
}

pub(crate) fn start_with(
    wat: &str,
    facts: &RunFacts,
    on_fault: OnFault,
) -> Result<Schedule, Error> {
    let plugin = engine().load_bytes("test", wat.as_bytes())?;
    let guard = GuardOptions {
        max_learning_rate: 1.0,
        on_fault,
    };
    Schedule::start(&plugin, facts, &limits(), &guard)
}

pub(crate) fn start(wat: &str) -> Result<Schedule, Error> {
    start_with(wat, &facts(&[]), OnFault::Abort)
}

pub(crate) fn rate(schedule: &mut Schedule, step: u64) -> f64 {
    schedule
        .step(step, TrainingValues::NONE)
        .unwrap()
        .learning_rate
}

/// A module whose `learning-rate` has this body (local 0 is the step).
pub(crate) fn body(body: &str) -> String {
    format!(r#"(module (func (export "learning_rate") (param i64) (result f64) {body}))"#)
}
