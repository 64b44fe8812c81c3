//! The range test through the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{pixelrate, said};
use pixelrate_runlog::{RunStatus, read_steps, read_summary};
use serde_json::Value;

const SMALL: [&str; 3] = ["find-lr", "--batch-size", "16"];

fn told(here: &Path, more: &[&str]) -> Value {
    let (good, out, err) = said(pixelrate(here).args(SMALL).args(more).arg("--json"));
    assert!(good, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn a_range_test_is_a_run_that_suggests_rates() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let call = ["--steps", "60", "--seeds", "2"];
    let found = told(here, &call);
    let curve = found["curve"].as_array().unwrap();
    assert_eq!(curve[0]["learning_rate"], 1e-7);
    for run in found["runs"].as_array().unwrap() {
        // Every rate is in the log, from the least to the greatest by one factor.
        let steps = read_steps(&here.join(run["folder"].as_str().unwrap())).unwrap();
        assert!(curve.len() <= steps.len() && steps.len() <= 60);
        let factor = 1e8_f64.powf(1.0 / 59.0);
        for pair in steps.windows(2) {
            let rise = pair[1].learning_rate / pair[0].learning_rate;
            assert!((rise / factor - 1.0).abs() < 1e-9);
        }
    }
    for name in ["valley", "steepest", "minimum_tenth"] {
        let rate = found["suggestions"][name]["learning_rate"]
            .as_f64()
            .unwrap();
        assert!((1e-8..=10.0).contains(&rate), "{name}: {rate}");
    }
    let picture = fs::read_to_string(here.join(found["picture"].as_str().unwrap())).unwrap();
    assert!(picture.contains("<svg") && picture.contains("minimum / 10: "));
    // Done is done.
    assert_eq!(told(here, &call), found);
}

#[test]
fn a_range_test_ends_when_the_loss_explodes() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    // No guard holds it back; what it trains there is soon nothing.
    let found = told(
        here,
        &[
            "--min", "1e-3", "--max", "1e6", "--steps", "300", "--seeds", "1",
        ],
    );
    let run = &found["runs"][0];
    let ending = run["ending"].as_str().unwrap();
    assert!(["exploded", "diverged"].contains(&ending), "{ending}");
    let folder = here.join(run["folder"].as_str().unwrap());
    let trained = read_steps(&folder).unwrap().len() as u64;
    assert!(trained < 300, "{trained}");
    assert!(run["steps"].as_u64().unwrap() <= trained);
    // Its log is whole, and says how it ended.
    let status = read_summary(&folder).unwrap().unwrap().status;
    let expected = match ending {
        "exploded" => RunStatus::Stopped,
        _ => RunStatus::Diverged,
    };
    assert_eq!(status, expected);
}

#[test]
fn what_cannot_be_tested_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for (call, words) in [
        (&["--min", "0"][..], "the least must be above 0"),
        (&["--min", "1", "--max", "0.1"], "below the greatest"),
        (&["--steps", "5"], "at least 20"),
        (&["--out", "a.gif"], ".svg or .png"),
        (&["--model", "lenet"], "model"),
        (&["--model", "none"], "`--model none` trains nothing"),
    ] {
        let (good, _, err) = said(pixelrate(dir.path()).arg("find-lr").args(call));
        assert!(!good && err.contains(words), "{call:?}: {err}");
    }
}
