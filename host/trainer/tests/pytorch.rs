//! The optimizers, held against PyTorch's own over 100 steps: by what PyTorch 2.11.0 gave, and, where
//! `PIXELRATE_PYTHON` has a PyTorch, by what that one gives.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use std::process::Command;

use pixelrate_trainer::optimizer::{Optimizer, StepSizes};
use pixelrate_trainer::spec::OptimizerKind;
use tch::Tensor;

/// What `pytorch.py` printed.
const GOLDEN: &str = include_str!("golden/pytorch.txt");

/// An optimizer of `pytorch.py`.
struct Case {
    name: &'static str,
    kind: OptimizerKind,
    /// None: it moves.
    momentum: Option<f64>,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
}

const fn sgd(name: &'static str, momentum: Option<f64>, weight_decay: f64) -> Case {
    Case {
        name,
        kind: OptimizerKind::Momentum,
        momentum,
        beta2: 0.0,
        epsilon: 1.0,
        weight_decay,
    }
}

const OPTIMIZERS: [Case; 8] = [
    sgd("sgd", Some(0.9), 0.0),
    sgd("sgd-decay", Some(0.9), 0.02),
    sgd("sgd-moving-momentum", None, 0.02),
    sgd("sgd-plain", Some(0.0), 0.0),
    Case {
        kind: OptimizerKind::Nesterov,
        ..sgd("sgd-nesterov", Some(0.9), 0.02)
    },
    Case {
        name: "adam",
        kind: OptimizerKind::Adam,
        momentum: Some(0.9),
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
    },
    Case {
        name: "adam-decay",
        kind: OptimizerKind::Adam,
        momentum: Some(0.8),
        beta2: 0.99,
        epsilon: 1e-6,
        weight_decay: 0.02,
    },
    Case {
        name: "adamw",
        kind: OptimizerKind::AdamW,
        momentum: Some(0.8),
        beta2: 0.99,
        epsilon: 1e-6,
        weight_decay: 0.5,
    },
];

/// The parameters after each of 100 steps, of an optimizer on the host or on a device.
fn trained(name: &str, on_device: bool) -> Vec<Vec<f64>> {
    let case = OPTIMIZERS
        .into_iter()
        .find(|case| case.name == name)
        .unwrap();
    let start: Vec<f32> = (0..12_u8)
        .map(|i| (f64::from(i) + 1.0).sin() as f32)
        .collect();
    let slopes: Vec<f32> = (1..13_u8).map(|i| f32::from(i) / 4.0).collect();
    let shaped = |values: &[f32]| Tensor::from_slice(values).view([3, 4]);
    let (mut parameters, slopes) = (vec![shaped(&start)], shaped(&slopes));
    let (kind, beta2, epsilon) = (case.kind, case.beta2, case.epsilon);
    let mut optimizer = if on_device {
        Optimizer::on_device(kind, beta2, epsilon, &mut parameters)
    } else {
        Optimizer::new(kind, beta2, epsilon, &parameters)
    };
    let steps = (0..100_u8).map(|step| {
        let sizes = StepSizes {
            learning_rate: 0.01 + 0.0001 * f64::from(step),
            momentum: case.momentum.unwrap_or(0.85 + 0.001 * f64::from(step)),
            weight_decay: case.weight_decay,
        };
        let at = &parameters[0];
        let gradients = [(at - 0.3) * &slopes + (at * 3.0).cos() * 0.1];
        optimizer.step(&mut parameters, &gradients, sizes);
        Vec::try_from(parameters[0].to_kind(tch::Kind::Double).flatten(0, 1)).unwrap()
    });
    steps.collect()
}

fn assert_agrees(printed: &str) {
    assert_eq!(printed.lines().count(), 5 * OPTIMIZERS.len());
    for line in printed.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let steps: usize = words[1].parse().unwrap();
        for on_device in [false, true] {
            let found = &trained(words[0], on_device)[steps - 1];
            assert_eq!(found.len(), words.len() - 2);
            for (found, word) in found.iter().zip(&words[2..]) {
                let expected: f64 = word.parse().unwrap();
                assert!((found - expected).abs() < 1e-6, "{line}: {found}");
            }
        }
    }
}

#[test]
fn optimizers_agree_with_what_pytorch_gave() {
    assert_agrees(GOLDEN);
}

#[test]
fn optimizers_agree_with_the_pytorch_that_is_here() {
    let python = std::env::var_os("PIXELRATE_PYTHON");
    let has_torch = |python: &std::ffi::OsString| {
        let import = Command::new(python).args(["-c", "import torch"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    let Some(python) = python.filter(has_torch) else {
        println!(
            "skipped: PIXELRATE_PYTHON names no Python with PyTorch; the golden file was held"
        );
        return;
    };
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pytorch.py");
    let output = Command::new(python)
        .args(["-W", "ignore", program])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_agrees(&String::from_utf8(output.stdout).unwrap());
}
