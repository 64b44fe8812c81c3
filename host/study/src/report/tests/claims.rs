//! What is claimed, and of how many runs.

use super::*;
use crate::queue::Queued;

#[test]
fn claims_are_those_of_paired_and_corrected_tests() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let found = report(&study, &out, &Options::default()).unwrap();
    let verdicts: Vec<_> = found
        .comparisons
        .rows
        .iter()
        .map(|row| row.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Better, Verdict::Unclear]);
    let better = &found.comparisons.rows[0];
    // scipy.stats.ttest_1samp([0.099, 0.1, 0.101], 0).pvalue = 3.333167e-05, times two comparisons.
    assert!(
        (better.p_holm.unwrap() - 6.666_333e-5).abs() < 1e-9,
        "{better:?}"
    );
    assert_eq!(better.seeds_corrected, Some(2));
    let all = found.claims.join("\n");
    for words in [
        "9 runs of 3 schedules, with 3 seeds",
        "1 run diverged (1 of so-so): not left out",
        "better has the highest mean test accuracy, 91.00 %",
        "Shown to be better than base (paired over seeds, corrected for 2 comparisons by Holm's method): better (+10.00 \
         points, p < 0.001).",
        "No schedule is shown to be worse than base",
        "Not told apart from base: so-so. That does not show that they are equal.",
        "The study shows no tuning",
    ] {
        assert!(all.contains(words), "{words}\n{all}");
    }
    // The diverged run is in the mean with what it ended with.
    let row = &found.rows[2];
    assert_eq!((row.diverged, row.accuracy.unwrap().count), (1, 3));
    assert!((row.accuracy.unwrap().min - 0.31).abs() < 1e-12);
    // All seeds of the baseline came to the least of them, and the diverged run never did.
    assert_eq!(found.target, Some(0.8));
    let reached = found.rows.iter().map(|row| row.reached.unwrap());
    let reached: Vec<_> = reached
        .map(|r| (r.runs, r.of, r.steps, r.seconds))
        .collect();
    assert_eq!(reached[0], (3, 3, Some(1_000.0), Some(1.0)));
    assert_eq!(reached[2], (2, 3, Some(1_000.0), Some(1.0)));
    for file in [
        "report.html",
        "report.md",
        "report.json",
        "bars.svg",
        "bars.png",
        "differences.svg",
    ] {
        assert!(out.join(file).metadata().unwrap().len() > 1_000, "{file}");
    }
}

#[test]
fn another_baseline_and_target_are_taken_and_a_wrong_one_is_named() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let options = |baseline: &str, target| Options {
        baseline: Some(baseline.to_owned()),
        target: Some(target),
    };
    let found = report(&study, &out, &options("better", 0.5)).unwrap();
    assert_eq!(found.comparisons.baselines, ["better"]);
    assert_eq!(found.comparisons.rows[0].verdict, Verdict::Worse);
    assert_eq!(found.rows[0].reached.unwrap().steps, Some(800.0));
    let problem = report(&study, &out, &options("bettr", 0.5))
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("bettr") && problem.contains("base, better, so-so"),
        "{problem}"
    );
    let problem = report(&study, &out, &options("better", 90.0))
        .unwrap_err()
        .to_string();
    assert!(problem.contains("such as 0.9"), "{problem}");
    // A study's choice stays with it, and a word on the command line comes before it.
    options("better", 0.5).keep(&study).unwrap();
    let asked = Options {
        target: Some(0.6),
        ..Options::default()
    };
    assert_eq!(asked.over_study(&study).unwrap(), options("better", 0.6));
}

#[test]
fn runs_of_one_label_with_other_settings_are_not_averaged_and_repetitions_not_counted() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("run");
    // As `pixelrate run` leaves them: one schedule's name, and a folder each.
    for (name, rate, seed, accuracy) in [
        ("a", 0.1, 0, 0.5),
        ("b", 0.1, 1, 0.6),
        ("c", 0.3, 0, 0.9),
        ("d", 0.1, 0, 0.5),
        // Alike, but for what came of it: its file or picture was edited in between.
        ("e", 0.1, 1, 0.8),
    ] {
        let mut spec = labelled("fixed", 0, seed);
        spec.run = name.to_owned();
        let rate = ("learning_rate".to_owned(), Value::Number(rate));
        spec.schedule.params.extend([rate]);
        run(&study, &spec, accuracy, RunStatus::Finished);
    }
    let found = report(&study, &place.path().join("out"), &Options::default()).unwrap();
    let rows: Vec<_> = found
        .rows
        .iter()
        .map(|row| (row.schedule.as_str(), row.accuracies.clone()))
        .collect();
    assert_eq!(
        rows,
        [
            ("fixed", BTreeMap::from([(0, 0.5), (1, 0.7)])),
            ("fixed (2)", BTreeMap::from([(0, 0.9)])),
        ]
    );
    assert_eq!(found.copies, ["d (of a)"]);
    // Two runs of a seed are one observation.
    let row = &found.rows[0];
    assert_eq!((row.repeats, row.accuracy.unwrap().count), (1, 2));
    assert!(
        found.claims[0].contains("the mean of a seed's runs is what counts (1 of fixed)"),
        "{:?}",
        found.claims
    );
    // Nobody is first of two that came to the same.
    let other = labelled("other", 1, 0);
    run(&study, &other, 0.9, RunStatus::Finished);
    let found = report(&study, &place.path().join("out"), &Options::default()).unwrap();
    assert!(
        found.claims[1].starts_with("fixed (2) and other share the highest test accuracy, 90.00 %"),
        "{:?}",
        found.claims
    );
}

#[test]
fn a_copy_of_a_run_is_no_seed_more() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let before = report(&study, &out, &Options::default()).unwrap();
    // Its name comes before that of the run itself.
    let copy = study.join("a copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(study.join("better-seed1")).unwrap() {
        let file = entry.unwrap();
        if file.path().is_file() {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.copies, ["a copy (of better-seed1)"]);
    assert_eq!(found.rows[1].runs, 3);
    let told = " Not counted, since they are copies of other runs: a copy (of better-seed1).";
    assert_eq!(found.claims[0], format!("{}{told}", before.claims[0]));
    assert_eq!(found.claims[1..], before.claims[1..]);
}

#[test]
fn labels_of_a_grid_are_compared_with_the_baseline_of_their_own_values() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    for (index, label) in ["base", "other"].iter().enumerate() {
        for smoothing in [0.0, 0.1] {
            for seed in 0..2 {
                let name = format!("{label}-label_smoothing={smoothing}");
                let mut spec = labelled(&name, index as u32, seed);
                spec.training.label_smoothing = smoothing;
                // The optimizer is the second schedule's own.
                spec.training.momentum -= 0.1 * index as f64;
                run(&study, &spec, 0.8, RunStatus::Finished);
            }
        }
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    let pairs: Vec<_> = (found.comparisons.rows.iter())
        .map(|row| (row.schedule.as_str(), row.baseline.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("other-label_smoothing=0", "base-label_smoothing=0"),
            ("other-label_smoothing=0.1", "base-label_smoothing=0.1")
        ]
    );
}

#[test]
fn labels_that_are_tested_otherwise_are_not_compared() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    for (index, (label, views)) in [("base", 1), ("other", 1), ("viewed", 6)]
        .iter()
        .enumerate()
    {
        for seed in 0..2 {
            let mut spec = labelled(label, index as u32, seed);
            spec.training.test_views = *views;
            run(&study, &spec, 0.8, RunStatus::Finished);
        }
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    let compared: Vec<_> = (found.comparisons.rows.iter())
        .map(|row| row.schedule.as_str())
        .collect();
    assert_eq!(compared, ["other"]);
}

#[test]
fn runs_that_the_studys_file_no_longer_asks_for_are_told() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    for (index, label) in ["kept", "dropped"].iter().enumerate() {
        for seed in 0..2 {
            run(
                &study,
                &labelled(label, index as u32, seed),
                0.8,
                RunStatus::Finished,
            );
        }
    }
    let told = |found: &Report| found.claims[0].contains("no longer asks for");
    let found = report(&study, &out, &Options::default()).unwrap();
    assert!(
        found.unplanned.is_empty() && !told(&found),
        "it is no study's folder"
    );
    let planned = [0, 1].map(|seed| Queued::from(&labelled("kept", 0, seed)));
    fs::write(
        study.join(".queue.json"),
        serde_json::to_vec(&planned).unwrap(),
    )
    .unwrap();
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.unplanned, ["dropped", "dropped"]);
    let expected = "The study's file no longer asks for 2 runs of these (dropped): until";
    assert!(found.claims[0].contains(expected), "{}", found.claims[0]);
}

#[test]
fn single_runs_of_one_training_are_compared_with_one_another() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("run"), place.path().join("report"));
    for label in ["cosine", "fixed"] {
        for seed in 0..2 {
            run(&study, &labelled(label, 0, seed), 0.8, RunStatus::Finished);
        }
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.comparisons.baselines, ["cosine"]);
    assert_eq!(found.comparisons.rows[0].schedule, "fixed");
    let options = Options {
        baseline: Some("fixed".to_owned()),
        ..Options::default()
    };
    let found = report(&study, &out, &options).unwrap();
    assert_eq!(found.comparisons.baselines, ["fixed"]);
}
