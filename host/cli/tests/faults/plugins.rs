//! Schedules that a run may be offered: good ones, those that fault later on, and bad ones.

use super::*;

pub(super) fn rate(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.random_range(1..200)) * 1e-4
}

/// A schedule that passes admission; one of those that fault later on only if `faulty`.
pub(super) fn good(random: &mut ChaCha8Rng, faulty: bool) -> String {
    let rate = rate(random);
    match random.random_range(0..if faulty { 4 } else { 3 }) {
        0 => module("", &format!("f64.const {rate}")),
        1 => module(TRAINING, &format!("f64.const {rate}")),
        // Counts what it was asked for, and takes the count over.
        2 => format!(
            r#"(module
                (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\08\00\00\00")
                (func (export "learning-rate") (param i64) (result f64)
                    (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1)))
                    (f64.div (f64.const {rate})
                        (f64.add (f64.const 1) (f64.convert_i64_u (i64.rem_u (i64.load (i32.const 16)) (i64.const 100))))))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                (func (export "save") (result i32) (i32.const 0))
                (func (export "restore") (param $at i32) (param $length i32)
                    (i64.store (i32.const 16) (i64.load (local.get $at)))))"#
        ),
        // No rehearsal shows a norm of the gradient that is not near 1: this one faults while it trains.
        _ => module(
            TRAINING,
            &format!(
                "(if (i32.and (f64.gt (f64.abs (f64.sub (call $norm) (f64.const 1))) (f64.const 0.06))
                    (i64.eq (i64.rem_u (local.get 0) (i64.const 16)) (i64.const 7))) (then unreachable))
                 f64.const {rate}"
            ),
        ),
    }
}

pub(super) const TRAINING: &str =
    r#"(import "pixelrate:schedule/training@1.0.0" "grad-norm" (func $norm (result f64)))"#;

pub(super) fn module(fields: &str, body: &str) -> String {
    format!(r#"(module {fields} (func (export "learning-rate") (param i64) (result f64) {body}))"#)
}

/// What no run may take over.
pub(super) fn bad(random: &mut ChaCha8Rng) -> Vec<u8> {
    let text = match random.random_range(0..7) {
        0 => module("", "f64.const 5"),
        1 => module("", "f64.const nan"),
        2 => module("", "unreachable"),
        3 => module("", "(loop $again (br $again)) f64.const 0.1"),
        4 => module(r#"(import "env" "clock" (func))"#, "f64.const 0.1"),
        5 => "(module (func (export \"learning".to_owned(),
        _ => {
            let mut bytes = vec![0; random.random_range(1..2000)];
            random.fill_bytes(&mut bytes);
            return bytes;
        }
    };
    text.into_bytes()
}
