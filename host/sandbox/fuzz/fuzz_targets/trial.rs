//! What both fuzzers do with a plugin: load it, start it, ask for some steps, save and restore.

use std::sync::LazyLock;

use pixelrate_sandbox::{
    CompileCache, DecodedPicture, Engine, EngineOptions, GuardOptions, Limits, Pictures, RunFacts,
    Schedule, TrainingValues,
};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let options = EngineOptions {
        cache: CompileCache::Off,
        ..EngineOptions::default()
    };
    Engine::new(&options).expect("an engine")
});

/// Small, so that an input takes milliseconds.
fn limits() -> Limits {
    Limits {
        step_fuel: 100_000,
        init_fuel: 1_000_000,
        memory_bytes: 16 << 20,
        ..Limits::default()
    }
}

pub fn of(bytes: &[u8]) {
    let Ok(plugin) = ENGINE.load_bytes("fuzzed", bytes) else {
        return;
    };
    let picture = DecodedPicture {
        width: 8,
        height: 8,
        channels: 3,
        values: (0..192).collect(),
    };
    let facts = RunFacts {
        total_steps: 100,
        steps_per_epoch: 10,
        train_examples: 1280,
        batch_size: 128,
        pictures: Pictures::default().with_fallback(move |_| Some(Ok(picture.clone()))),
        ..RunFacts::default()
    };
    let limits = limits();
    let Ok(mut schedule) = Schedule::start(&plugin, &facts, &limits, &GuardOptions::default())
    else {
        return;
    };
    for step in [0, 1, 99, u64::MAX] {
        if let Ok(values) = schedule.step(step, TrainingValues::NONE) {
            assert!((0.0..=10.0).contains(&values.learning_rate));
        }
        schedule.drain_events();
    }
    if let Ok(Some(state)) = schedule.save() {
        let _ = schedule.restore(&state);
    }
    assert!(schedule.memory_bytes() <= limits.memory_bytes);
}
