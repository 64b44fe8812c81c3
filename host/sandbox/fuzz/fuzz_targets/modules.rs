//! Valid modules that export what a schedule exports and import what it may: they load, and run within limits.
#![no_main]

#[path = "trial.rs"]
mod trial;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use wasm_smith::{Config, Module};

/// What the modules export.
const EXPORTS: &str = r#"(module
    (func (export "init"))
    (func (export "learning-rate") (param i64) (result f64) f64.const 0)
    (func (export "momentum") (param i64) (result f64) f64.const 0)
    (func (export "parameters") (result i32) i32.const 0)
    (func (export "save") (result i32) i32.const 0)
    (func (export "restore") (param i32 i32))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (memory (export "memory") 1))"#;

/// What they may import.
const IMPORTS: &str = r#"(module
    (import "pixelrate:schedule/run@1.0.0" "total-steps" (func (result i64)))
    (import "pixelrate:schedule/run@1.0.0" "param" (func (param i32 i32 f64) (result f64)))
    (import "pixelrate:schedule/run@1.0.0" "log" (func (param i32 i32)))
    (import "pixelrate:schedule/run@1.0.0" "fail" (func (param i32 i32)))
    (import "pixelrate:schedule/training@1.0.0" "train-loss" (func (result f64)))
    (import "pixelrate:schedule/images@1.0.0" "[static]image.open" (func (param i32 i32 i64) (result i32)))
    (import "pixelrate:schedule/images@1.0.0" "[method]image.value" (func (param i32 i64) (result f64)))
    (import "pixelrate:schedule/images@1.0.0" "[resource-drop]image" (func (param i32))))"#;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Unstructured::new(bytes);
    let Ok(mut config) = Config::arbitrary(&mut choices) else {
        return;
    };
    config.exports = wat::parse_str(EXPORTS).ok();
    config.available_imports = wat::parse_str(IMPORTS).ok();
    config.threads_enabled = false;
    config.relaxed_simd_enabled = false;
    if let Ok(module) = Module::new(config, &mut choices) {
        trial::of(&module.to_bytes());
    }
});
