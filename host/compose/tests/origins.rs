//! Compositions, held against PyTorch's and optax's own over whole runs: by what PyTorch 2.11.0 and optax 0.2.8 gave,
//! and, where `PIXELRATE_PARITY_PYTHON` has them (`cargo xtask test` with `PIXELRATE_PARITY=1`), by what those give.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::Place;

/// What `origins.py` printed.
const GOLDEN: &str = include_str!("golden/origins.txt");
const STEPS: u64 = 120;

/// The composition of each case of `origins.py`; some say it in two ways.
const CASES: [(&str, &str); 12] = [
    (
        "warmup-cosine",
        "{ plugin = 'cosine.wasm', params = { max_lr = 0.4 }, warmup = { steps = 20, from = 0.1 } }",
    ),
    (
        "warmup-exponential",
        "{ plugin = 'decay.wat', params = { from = 0.3, factor = 0.95 },
           warmup = { steps = 7, from = 0.3333333333333333 } }",
    ),
    (
        "warmup-cyclic",
        "{ chain = [
             { plugin = 'fixed', params = { learning_rate = 0.0005 }, steps = 15 },
             { plugin = 'cyclic', params = { base_lr = 0.001, max_lr = 0.1, step_size = 10 } } ] }",
    ),
    (
        "three",
        "{ chain = [
             { plugin = 'fixed', params = { learning_rate = 0.05 }, fraction = 0.25 },
             { plugin = 'decay.wat', params = { from = 0.2, factor = 0.9 }, steps = 30 },
             { plugin = 'line.wat', params = { from = 0.2, to = 0.1 } } ] }",
    ),
    (
        "chained",
        "{ multiply = [
             { plugin = 'decay.wat', params = { from = 0.5, factor = 0.97 } },
             { plugin = 'fixed', params = { learning_rate = 1 }, warmup = { steps = 25, from = 0.2, clock = 'run' } },
             { plugin = 'fixed', params = { learning_rate = 0.5 } } ] }",
    ),
    (
        "chained",
        "{ plugin = 'decay.wat', params = { from = 0.5, factor = 0.97 }, scale = 0.5,
           warmup = { steps = 25, from = 0.2, clock = 'run' } }",
    ),
    (
        "restarts",
        "{ plugin = 'cosine.wasm', params = { max_lr = 0.1 }, repeat = { steps = 30 } }",
    ),
    ("restarts", "{ plugin = 'cosine.wasm', params = { max_lr = 0.1 }, repeat = 4 }"),
    (
        "joined",
        "{ chain = [
             { plugin = 'cosine.wasm', params = { max_lr = 0.4 }, warmup = { steps = 10 }, steps = 60 },
             { plugin = 'fixed', params = { learning_rate = 0.01 } } ] }",
    ),
    (
        "joined-exponential",
        "{ chain = [
             { plugin = 'fixed', params = { learning_rate = 0.2 }, steps = 25 },
             { plugin = 'decay.wat', params = { from = 0.1, factor = 0.9 }, steps = 45 },
             { plugin = 'line.wat', params = { from = 0.3, to = 0.1 } } ] }",
    ),
    (
        // PyTorch's nested SequentialLR means to give the like, and does not (its issue 196243).
        "joined-in-joined",
        "{ chain = [
             { chain = [
                 { plugin = 'line.wat', params = { from = 0, to = 0.1 }, steps = 10 },
                 { plugin = 'decay.wat', params = { from = 0.1, factor = 0.9 } } ], steps = 50 },
             { chain = [
                 { plugin = 'fixed', params = { learning_rate = 0.02 }, fraction = 0.5 },
                 { plugin = 'line.wat', params = { from = 0.02, to = 0 } } ] } ] }",
    ),
    (
        "sgdr",
        "{ chain = [
             { plugin = 'cosine', params = { max_lr = 0.4, min_lr = 0.1 }, warmup = { steps = 5 }, steps = 25 },
             { plugin = 'cosine', params = { max_lr = 0.2 }, warmup = { steps = 10, from = 0.5 } } ] }",
    ),
];

fn cases(printed: &str) -> BTreeMap<&str, Vec<f64>> {
    printed
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            (name, words.map(|word| word.parse().unwrap()).collect())
        })
        .collect()
}

fn agree(name: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (step, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let off = (found - wanted).abs();
        assert!(
            off <= 1e-12 * wanted.abs(),
            "{name}, step {step}: {found:?} is not {wanted:?}"
        );
    }
}

fn hold(printed: &str) {
    let wanted = cases(printed);
    assert_eq!(wanted.len(), 10);
    let place = Place::new();
    for (name, text) in CASES {
        agree(name, &place.rates(text, STEPS), &wanted[name]);
    }
}

#[test]
fn whole_runs_agree_with_what_the_origins_gave() {
    hold(GOLDEN);
}

#[test]
fn whole_runs_agree_with_the_origins_that_are_here() {
    let Some(python) = std::env::var_os("PIXELRATE_PARITY_PYTHON") else {
        println!("skipped: no PIXELRATE_PARITY_PYTHON; the golden file was held");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/origins.py");
    let output = Command::new(python).arg(script).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    hold(std::str::from_utf8(&output.stdout).unwrap());
}
