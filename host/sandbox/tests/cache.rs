//! Plugins of languages that bring an interpreter along take seconds to compile: the second load finds them compiled, and that of
//! a changed one most of its functions.
//! How long a load takes is the benchmark's to say.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fmt::Write;

use common::{facts, limits, rate};
use pixelrate_sandbox::{CompileCache, Engine, EngineOptions, GuardOptions, Limits, Schedule};

/// Bytes of data of the plugin, as JavaScript's has them, and functions beside.
const DATA: usize = 12 << 20;
const FUNCTIONS: usize = 1_000;

/// A plugin as large as those that bring an interpreter along; its rate at a step is the letter there, and what its last function says.
fn large() -> String {
    let mut letters = String::with_capacity(DATA);
    let mut random = 1_u64;
    for _ in 0..DATA {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        letters.push(char::from(b'a' + (random >> 33) as u8 % 26));
    }
    let mut functions = String::new();
    for number in 0..FUNCTIONS {
        let sum = format!(
            "(i64.add (i64.mul (local.get 0) (i64.const 3)) (i64.const {number})) (local.set 0)"
        )
        .repeat(20);
        write!(
            functions,
            "(func $f{number} (param i64) (result i64) {sum} (local.get 0))"
        )
        .unwrap();
    }
    format!(
        r#"(module (memory (export "memory") 193) (data (i32.const 0) "{letters}") {functions}
            (func (export "learning-rate") (param i64) (result f64)
                (f64.div
                    (f64.convert_i64_u (i64.add
                        (i64.load8_u (i32.wrap_i64 (local.get 0)))
                        (i64.and (call $f{last} (local.get 0)) (i64.const 63))))
                    (f64.const 1000))))"#,
        last = FUNCTIONS - 1
    )
}

/// An engine that keeps what it compiles in `folder`, as a process of its own would have it.
fn engine(folder: &std::path::Path, parallel_compilation: bool) -> Engine {
    Engine::new(&EngineOptions {
        limits: Limits::default(),
        cache: CompileCache::Folder(folder.to_owned()),
        parallel_compilation,
    })
    .unwrap()
}

#[test]
fn a_large_plugin_is_compiled_once_and_then_comes_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let text = large();
    let load = |engine: &Engine, text: &str| {
        let plugin = engine.load_bytes("large", text.as_bytes()).unwrap();
        let mut schedule =
            Schedule::start(&plugin, &facts(&[]), &limits(), &GuardOptions::default()).unwrap();
        [0, 1, 999].map(|step| rate(&mut schedule, step))
    };
    // What all cores compiled is what a trainer takes, which has one for it.
    let first = engine(folder.path(), true);
    let rates = load(&first, &text);
    assert_eq!((first.cache_hits(), first.functions_reused()), (0, 0));
    let second = engine(folder.path(), false);
    assert_eq!(load(&second, &text), rates);
    assert_eq!((second.cache_hits(), second.functions_reused()), (1, 0));
    // A change of one byte is another plugin, of the same functions but one.
    let changed = text.replacen("(i64.const 3)", "(i64.const 5)", 1);
    assert_eq!(load(&second, &changed), rates);
    assert_eq!(second.cache_hits(), 1);
    assert!(
        (FUNCTIONS - 1..FUNCTIONS + 10).contains(&second.functions_reused()),
        "{}",
        second.functions_reused()
    );
}

#[test]
fn of_processes_that_load_a_large_plugin_at_once_one_compiles_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = large();
    let load = || {
        let engine = engine(folder.path(), false);
        engine.load_bytes("large", text.as_bytes()).unwrap();
        engine.cache_hits()
    };
    let hits: Vec<usize> = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..3).map(|_| scope.spawn(load)).collect();
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    assert_eq!(hits.iter().sum::<usize>(), 2, "{hits:?}");
}

#[test]
fn without_a_cache_there_are_no_hits() {
    let engine = common::engine();
    for _ in 0..2 {
        engine.load("cyclic").unwrap();
    }
    assert_eq!((engine.cache_hits(), engine.functions_reused()), (0, 0));
}
