use std::path::Path;
use std::sync::Arc;

use pixelrate_control::{Cause, Takeover, Takeovers};
use pixelrate_runlog::{EvalRow, RunStatus, StepRow};
use pixelrate_trainer::spec::RunSpec;

use super::markdown;
use super::picture::between;
use crate::report::{Options, report};
use crate::runs::tests::{begin, spec, summary};

/// Steps of a run in these tests, tested every 50.
const STEPS: u64 = 1_000;

/// A run from step `from` on whose accuracy heads for `goal`, the faster the closer it is to its end.
fn trained(
    study: &Path,
    spec: &RunSpec,
    from: u64,
    rate: impl Fn(f64) -> f64,
    accuracy: impl Fn(f64) -> f64,
) -> std::path::PathBuf {
    let (folder, mut log) = begin(study, spec);
    let wobble = |step: u64| ((step * 7_919 + spec.seed * 31) % 100) as f64 / 100.0 - 0.5;
    for step in from..STEPS {
        let share = step as f64 / STEPS as f64;
        log.step(StepRow {
            step,
            epoch: share * 4.0,
            learning_rate: rate(share),
            momentum: None,
            weight_decay: None,
            train_loss: Some(2.3 * (1.0 - accuracy(share)) + 0.3 * wobble(step)),
            grad_norm: None,
            step_ns: 5_000_000,
            schedule_ns: 200,
            schedule: Arc::from("ab".repeat(32)),
            swaps: 0,
        })
        .unwrap();
        if (step + 1).is_multiple_of(50) {
            let share = (step + 1) as f64 / STEPS as f64;
            log.eval(EvalRow {
                step: step + 1,
                epoch: share * 4.0,
                split: "test".to_owned(),
                loss: 1.0 - accuracy(share),
                accuracy: accuracy(share) + 0.012 * wobble(step),
                examples: 1_000,
            })
            .unwrap();
        }
    }
    log.sync().unwrap();
    drop(log);
    let row = summary(spec, RunStatus::Finished, accuracy(1.0));
    pixelrate_runlog::write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
    folder
}

/// One trunk with a step down at 0.8, and two branches at 0.5 and one at 0.25 of it.
fn family(study: &Path, seed: u64) {
    let trunk = |share: f64| 0.1 + 0.72 * (1.0 - (-3.5 * share).exp());
    let run = format!("cyclic-seed{seed}");
    let stairs = |share: f64| if share < 0.8 { 0.1 } else { 0.01 };
    let stepped = move |share: f64| trunk(share) + if share < 0.8 { 0.0 } else { 0.03 };
    trained(study, &spec("cyclic", seed, None), 0, stairs, stepped);
    let branches = [
        ("cyclic-cosine-at500", 500, 0.09),
        ("cyclic-fixed-learning_rate=0.5-at500", 500, -0.06),
        ("cyclic-piecewise-at250", 250, 0.04),
    ];
    for (label, step, gain) in branches {
        let spec = spec(label, seed, Some((&run, step)));
        let from = step as f64 / STEPS as f64;
        let since = move |share: f64| ((share - from) / (1.0 - from)).max(0.0);
        let rate = move |share: f64| match label {
            "cyclic-cosine-at500" => 0.05 + 0.05 * (std::f64::consts::PI * since(share)).cos(),
            "cyclic-piecewise-at250" if since(share) > 0.5 => 0.003,
            "cyclic-piecewise-at250" => 0.03,
            _ => 0.5,
        };
        let accuracy = move |share: f64| trunk(share) + gain * since(share).sqrt();
        // The log begins with the steps from the checkpoint on, which are the trunk's.
        let folder = trained(study, &spec, step - 40, rate, accuracy);
        let mut takeovers = Takeovers::open(&folder).unwrap();
        for (cause, step) in [(Cause::Swap, step - 60), (Cause::Fork, step)] {
            takeovers.add(&takeover(&spec, cause, step)).unwrap();
        }
    }
}

fn takeover(spec: &RunSpec, cause: Cause, step: u64) -> Takeover {
    Takeover {
        step,
        cause,
        schedule: spec.schedule.clone(),
        sha256: "ab".repeat(32),
        state: None,
        left: None,
        request: None,
        time_unix_ms: 0,
    }
}

#[test]
fn of_many_families_all_are_told_and_the_first_are_drawn() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    (10..23).for_each(|seed| family(&study, seed));
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.branches.len(), 39);
    let told = "The picture has 12 of 13 families";
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(found.markdown.contains(told) && page.contains(told));
    let picture = std::fs::read_to_string(out.join("lineage.svg")).unwrap();
    assert!(picture.contains("cyclic-seed21") && !picture.contains("cyclic-seed22"));
}

#[test]
fn a_report_tells_of_branches_and_draws_them_beside_their_trunk() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    family(&study, 0);
    let out = place.path().join("report");
    let found = report(&study, &out, &Options::default()).unwrap();
    // A branch is a row of its own.
    assert_eq!(found.rows.len(), 4);
    assert!(
        found
            .rows
            .iter()
            .all(|row| row.runs == 1 && row.changed == 0)
    );
    let steps: Vec<u64> = found.branches.iter().map(|branch| branch.step).collect();
    assert_eq!(steps, [250, 500, 500]);
    let text = &found.markdown;
    assert!(text.contains("## Forks"), "{text}");
    let row = "| cyclic-cosine-at500-seed0 | cyclic-seed0 | 500 | 88.83 | +6.00 |";
    assert!(text.contains(row), "{text}");
    assert!(
        text.contains("| -9.00 |") && text.contains("(lineage.svg)"),
        "{text}"
    );
    assert!(!text.contains("changed schedule"), "{text}");
    let picture = std::fs::read_to_string(out.join("lineage.svg")).unwrap();
    for words in [
        "step 250",
        "from step 500: accuracy 88.83 %",
        "accuracy, %",
        "learning rate",
    ] {
        assert!(picture.contains(words), "{words}");
    }
}

#[test]
fn a_branch_is_not_averaged_with_the_label_of_its_trunk() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    for seed in [0, 1] {
        trained(
            &study,
            &spec("fixed", seed, None),
            0,
            |_| 0.1,
            |share| 0.5 + 0.4 * share,
        );
    }
    let branch = RunSpec {
        run: "other".to_owned(),
        ..spec("fixed", 0, Some(("fixed-seed0", 300)))
    };
    trained(&study, &branch, 300, |_| 0.2, |share| 0.4 + 0.4 * share);
    // A branch of the branch: it is held against the trunk of both.
    let twig = spec("twig", 0, Some(("other", 600)));
    trained(&study, &twig, 600, |_| 0.1, |share| 0.5 + 0.35 * share);
    // Its trunk is gone: it is told of all the same.
    let orphan = spec("orphan", 0, Some(("gone-seed0", 100)));
    trained(&study, &orphan, 100, |_| 0.2, |share| 0.4 + 0.4 * share);
    let mut takeovers = Takeovers::open(&study.join("fixed-seed1")).unwrap();
    let changed = takeover(&branch, Cause::Reload, 700);
    takeovers.add(&changed).unwrap();

    let found = report(&study, &place.path().join("report"), &Options::default()).unwrap();
    let rows: Vec<(&str, usize)> = (found.rows.iter())
        .map(|row| (row.schedule.as_str(), row.runs))
        .collect();
    assert_eq!(
        rows,
        [
            ("fixed", 2),
            ("fixed, from step 300", 1),
            ("orphan", 1),
            ("twig", 1)
        ]
    );
    let text = &found.markdown;
    assert!(
        text.contains("**fixed**: 1 of 2 runs changed schedule while they trained"),
        "{text}"
    );
    assert!(
        text.contains("| other | fixed-seed0 | 300 | 80.00 | -10.00 |"),
        "{text}"
    );
    assert!(
        text.contains("| twig-seed0 | other | 600 | 85.00 | -5.00 |"),
        "{text}"
    );
    assert!(
        text.contains("| orphan-seed0 | gone-seed0 | 100 | 80.00 | – |"),
        "{text}"
    );
}

#[test]
fn without_forks_there_is_no_section_and_no_picture() {
    let place = tempfile::tempdir().unwrap();
    trained(
        place.path(),
        &spec("fixed", 0, None),
        0,
        |_| 0.1,
        |share| 0.5 + 0.4 * share,
    );
    let out = place.path().join("report");
    let found = report(place.path(), &out, &Options::default()).unwrap();
    assert!(!out.join("lineage.svg").exists());
    assert!(!found.markdown.contains("Forks") && markdown(&[], None).is_empty());
}

#[test]
fn a_value_between_two_points_is_on_their_line() {
    let line = [(10.0, 1.0), (20.0, 3.0)];
    assert_eq!(between(&line, 15.0), Some(2.0));
    assert_eq!(between(&line, 10.0), Some(1.0));
    assert_eq!((between(&line, 5.0), between(&line, 21.0)), (None, None));
}
