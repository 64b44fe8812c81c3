//! What the tests share: a folder with plugins, and runs without a model.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test program uses some of it, and a test stops at the first thing that is wrong"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pixelrate_compose::{Error, load, located};
use pixelrate_sandbox::{
    CompileCache, Engine, EngineOptions, GuardOptions, Limits, Plugin, RunFacts, Schedule,
    TrainingValues,
};
use tempfile::TempDir;

/// A module with the parameters `from` and a second one; `body` gives the rate, local 0 is the step.
fn module(second: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "pixelrate:schedule/run@1.0.0" "param" (func $param (param i32 i32 f64) (result f64)))
            (import "pixelrate:schedule/run@1.0.0" "total-steps" (func $total (result i64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "from{second}")
            (global $from (mut f64) (f64.const 0))
            (global $second (mut f64) (f64.const 0))
            (func (export "init")
                (global.set $from (call $param (i32.const 0) (i32.const 4) (f64.const 0)))
                (global.set $second (call $param (i32.const 4) (i32.const {length}) (f64.const 0))))
            (func (export "learning-rate") (param i64) (result f64) (local $rate f64)
                {body}))"#,
        length = second.len()
    )
}

/// A folder with `decay.wat` (`from` times `factor` a step), `line.wat` (from `from` to `to` over its own length) and
/// `cosine.wasm`, which C's SDK has as an example.
pub(crate) struct Place {
    folder: TempDir,
    engine: Engine,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let decay = "(local.set $rate (global.get $from))
            (loop $again (if (i64.gt_u (local.get 0) (i64.const 0)) (then
                (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
                (local.set $rate (f64.mul (local.get $rate) (global.get $second)))
                (br $again))))
            (local.get $rate)";
        let line =
            "(f64.add (global.get $from) (f64.mul (f64.sub (global.get $second) (global.get $from))
            (f64.div (f64.convert_i64_u (local.get 0)) (f64.convert_i64_u (call $total)))))";
        fs::write(folder.path().join("decay.wat"), module("factor", decay)).unwrap();
        fs::write(folder.path().join("line.wat"), module("to", line)).unwrap();
        let cosine = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../sandbox/fuzz/corpus/bytes/c-cosine.wasm"
        );
        fs::copy(cosine, folder.path().join("cosine.wasm")).unwrap();
        let options = EngineOptions {
            cache: CompileCache::Off,
            ..EngineOptions::default()
        };
        let engine = Engine::new(&options).unwrap();
        Self { folder, engine }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and gives its whole path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Loads a schedule that is named from this folder.
    pub(crate) fn load(&self, schedule: &str) -> Result<Plugin, Error> {
        load(&self.engine, &located(schedule, self.path()))
    }

    /// The rates of a run without a model.
    pub(crate) fn rates(&self, schedule: &str, steps: u64) -> Vec<f64> {
        let plugin = self
            .load(schedule)
            .unwrap_or_else(|e| panic!("{schedule}: {e}"));
        rates(&plugin, steps)
    }
}

/// The rates of a run of so many steps, ten an epoch.
pub(crate) fn rates(plugin: &Plugin, steps: u64) -> Vec<f64> {
    let facts = RunFacts {
        total_steps: steps,
        steps_per_epoch: 10,
        train_examples: 1280,
        batch_size: 128,
        ..RunFacts::default()
    };
    let guard = GuardOptions::default();
    let mut schedule = Schedule::start(plugin, &facts, &Limits::default(), &guard).unwrap();
    let rate = |step| {
        schedule
            .step(step, TrainingValues::NONE)
            .unwrap()
            .learning_rate
    };
    (0..steps).map(rate).collect()
}
