//! Rows that can be told from their number alone, so that a test knows what each must be.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses some of it, and stops at what is wrong"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use pixelrate_runlog::{EvalRow, EventKind, EventRow, Identity, RunStatus, StepRow, SummaryRow};

pub(crate) fn identity() -> Identity {
    Identity {
        study: "seed".into(),
        run: "cyclic-1".into(),
        facts: BTreeMap::from([("device".into(), "cpu".into())]),
    }
}

/// A number that looks random, the same for the same input.
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number of [0, 1).
pub(crate) fn unit(n: u64) -> f64 {
    (mix(n) >> 11) as f64 / (1_u64 << 53) as f64
}

pub(crate) fn sha(n: u64) -> String {
    format!("{:016x}", mix(n)).repeat(4)
}

pub(crate) fn step_row(step: u64) -> StepRow {
    StepRow {
        step,
        epoch: step as f64 * 128.0 / 50_000.0,
        learning_rate: 1e-5 + 3e-4 * unit(step),
        momentum: (!step.is_multiple_of(3)).then(|| 0.9 + 0.09 * unit(step + 1)),
        weight_decay: None,
        train_loss: (step % 5 != 1).then(|| f64::from((2.3 * unit(step + 2)) as f32)),
        grad_norm: Some(unit(step + 3)),
        step_ns: 5_000_000 + mix(step) % 1_000_000,
        schedule_ns: 150 + mix(step + 4) % 50,
        schedule: Arc::from(sha(step / 1000)),
        swaps: step / 1000,
    }
}

/// The evaluation after `step` steps.
pub(crate) fn eval_row(step: u64) -> EvalRow {
    EvalRow {
        step,
        epoch: step as f64 / 390.625,
        split: if step.is_multiple_of(2) {
            "test"
        } else {
            "train"
        }
        .into(),
        loss: unit(step + 5),
        accuracy: unit(step + 6),
        examples: 10_000,
    }
}

/// The event after `step` steps.
pub(crate) fn event_row(step: u64) -> EventRow {
    EventRow {
        step,
        time_unix_ms: 1_525_132_800_000 + i64::try_from(step).unwrap(),
        kind: EventKind::ALL[(mix(step) % EventKind::ALL.len() as u64) as usize],
        schedule: step.is_multiple_of(2).then(|| sha(step)),
        message: format!("what happened after {step} steps: \u{201c}ünïcode\u{201d}"),
        duration_ns: step.is_multiple_of(3).then_some(step * 7),
    }
}

pub(crate) fn summary_row(run: &str, steps_done: u64) -> SummaryRow {
    SummaryRow {
        study: "seed".into(),
        run: run.into(),
        schedule: "cyclic".into(),
        schedule_sha256: sha(0),
        seed: u64::MAX - 1,
        dataset: "cifar10".into(),
        model: "resnet-32".into(),
        optimizer: "momentum".into(),
        batch_size: 128,
        epochs: 250.0,
        total_steps: 97_656,
        steps_done,
        status: RunStatus::Finished,
        final_train_loss: Some(0.01),
        final_eval_loss: Some(0.4),
        final_eval_accuracy: Some(0.9),
        best_eval_accuracy: Some(0.91),
        wall_seconds: 12.5,
        started_unix_ms: 1_525_132_800_000,
        finished_unix_ms: 1_525_132_812_500,
        error: None,
        device: "cpu".into(),
        threads: 2,
        pixelrate_version: "0.1.0".into(),
        git_commit: Some("0123abc".into()),
    }
}
