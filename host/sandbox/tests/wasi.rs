//! Guests that bring WASI along find nothing in it: these are modules of preview 1, as most toolchains make them.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use common::{engine, facts, limits, rate, start, start_with};
use pixelrate_sandbox::{FaultKind, GuardOptions, OnFault, Schedule, TrainingValues};
use std::time::{Duration, Instant};

/// A module that imports `imports` of preview 1, holds `data` at 64, and whose `learning-rate` is `body`.
fn guest(imports: &str, data: &str, body: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 1) (data (i32.const 64) "{data}")
        (func (export "learning_rate") (param i64) (result f64) {body}))"#
    )
}

const WRITE: &str = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;

/// Prints the `length` bytes at 64 to standard error, and goes on.
fn print(length: usize) -> String {
    format!(
        "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {length}))
         (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))"
    )
}

#[test]
fn what_a_guest_prints_is_an_event() {
    let body = format!("{} f64.const 0.5", print(12));
    let mut schedule = start(&guest(WRITE, "hello\\nworld\\n", &body)).unwrap();
    assert_eq!(rate(&mut schedule, 3), 0.5);
    let lines: Vec<String> = schedule
        .drain_events()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lines, ["hello", "world"]);
    // A line a step, for as long as a run lasts.
    for step in 0..100_000 {
        assert_eq!(rate(&mut schedule, step), 0.5);
        assert_eq!(schedule.drain_events().len(), 2);
    }
}

#[test]
fn a_flood_of_output_is_cut_not_fatal() {
    let body = format!(
        "(local $i i32) (loop $again {} (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 500)))) f64.const 0.5",
        print(1000)
    );
    let mut schedule = start(&guest(WRITE, &"x".repeat(1000), &body)).unwrap();
    assert_eq!(rate(&mut schedule, 0), 0.5);
    let events = schedule.drain_events();
    let last = events.last().unwrap().to_string();
    assert!(last.ends_with("bytes more, which were not kept"), "{last}");
}

#[test]
fn a_panic_that_was_printed_is_part_of_the_fault() {
    let text = "thread 'main' panicked at src/lib.rs:4:5:\\nno peak given\\nnote: run with `RUST_BACKTRACE=1`\\n";
    let body = format!("{} unreachable", print(text.len() - 3));
    let fault = start(&guest(WRITE, text, &body))
        .unwrap()
        .step(4, TrainingValues::NONE)
        .unwrap_err();
    assert_eq!((fault.kind, fault.step), (FaultKind::Trap, Some(4)));
    assert!(
        fault
            .message
            .ends_with("(thread 'main' panicked at src/lib.rs:4:5: no peak given)"),
        "{fault}"
    );
}

#[test]
fn random_numbers_come_from_the_seed() {
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let body = "(drop (call $random (i32.const 8) (i32.const 4)))
        (f64.div (f64.convert_i32_u (i32.load (i32.const 8))) (f64.const 4294967296))";
    let rates = |seed: u64| {
        let mut facts = facts(&[]);
        facts.seed = seed;
        let mut schedule = start_with(&guest(random, "", body), &facts, OnFault::Abort).unwrap();
        [0, 1, 2].map(|step| rate(&mut schedule, step))
    };
    assert_eq!(rates(1), rates(1));
    assert_ne!(rates(1), rates(2));
    assert_ne!(rates(1)[0], rates(1)[1]);
}

#[test]
fn clocks_stand_still() {
    let clock = r#"(import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))"#;
    // Go takes a monotonic clock at 0 for a broken one.
    for (id, time) in [(0, 0.0), (1, 1.0)] {
        let body = format!(
            "(drop (call $now (i32.const {id}) (i64.const 1) (i32.const 8)))
             (f64.convert_i64_u (i64.load (i32.const 8)))"
        );
        let mut schedule = start(&guest(clock, "", &body)).unwrap();
        assert_eq!(
            [rate(&mut schedule, 0), rate(&mut schedule, 1)],
            [time, time]
        );
    }
}

#[test]
fn a_sleep_is_over_at_once() {
    let poll = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    // A subscription to the monotonic clock, one hour from now.
    let body = "(i32.store8 (i32.const 72) (i32.const 0)) (i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (i64.const 3600000000000))
        (f64.convert_i32_u (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 512)))";
    let plugin = engine()
        .load_bytes("sleepy", guest(poll, "", body).as_bytes())
        .unwrap();
    let mut schedule =
        Schedule::start(&plugin, &facts(&[]), &limits(), &GuardOptions::default()).unwrap();
    let began = Instant::now();
    // 0 is success.
    assert_eq!(rate(&mut schedule, 0), 0.0);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn there_are_no_files_and_no_environment() {
    let imports = r#"(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))"#;
    // 8 is `badf`: descriptor 3, the first that could be a folder, is none.
    let body = "(drop (call $environ (i32.const 8) (i32.const 12)))
        (f64.div (f64.add (f64.convert_i32_u (call $prestat (i32.const 3) (i32.const 32)))
                          (f64.convert_i32_u (i32.load (i32.const 8)))) (f64.const 10))";
    assert_eq!(rate(&mut start(&guest(imports, "", body)).unwrap(), 0), 0.8);
}

#[test]
fn an_exit_is_a_fault() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let fault = start(&guest(exit, "", "(call $exit (i32.const 1)) unreachable"))
        .unwrap()
        .step(0, TrainingValues::NONE)
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("exit"), "{fault}");
}

#[test]
fn go_has_its_memory_to_itself() {
    // Go's heap goes on where its memory ends, and takes it that what it did not grow itself is not there.
    let body = format!(
        "{} (if (i32.ne (memory.size) (i32.const 1)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 0)) (i32.const 64)) (then unreachable)) f64.const 0.5",
        print(12)
    );
    let mut schedule = start(&guest(WRITE, "hello\\nworld\\n", &body)).unwrap();
    assert_eq!(rate(&mut schedule, 3), 0.5);
    let lines = schedule
        .drain_events()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(lines, ["hello", "world"]);
}

#[test]
fn an_exception_and_a_panic_of_go_are_part_of_the_fault() {
    let fault = |text: &str| {
        let body = format!("{} unreachable", print(text.replace("\\n", "n").len()));
        let mut schedule = start(&guest(WRITE, text, &body)).unwrap();
        schedule.step(4, TrainingValues::NONE).unwrap_err().message
    };
    let python = fault(
        "Traceback (most recent call last):\\n  File 'x.py', line 3, in learning_rate\\nValueError: no peak\\n\\n\
         thread '<unnamed>' panicked at runtime/src/lib.rs:1280:25:\\nPython function threw an unexpected exception\\n",
    );
    assert!(python.ends_with("(ValueError: no peak)"), "{python}");
    let go = fault("panic: no peak\\n\\ngoroutine 1 [running]:\\nmain.learningRate(0x4)\\n");
    assert!(go.ends_with("(panic: no peak)"), "{go}");
}
