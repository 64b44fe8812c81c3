//! Reports on runs that were never trained: their logs are written here.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pixelrate_control::{Cause, Takeover, Takeovers};
use pixelrate_runlog::{EvalRow, RunStatus, StepRow, write_summaries};
use pixelrate_sandbox::Value;
use pixelrate_trainer::spec::RunSpec;

use super::*;
use crate::runs::tests::{begin, spec, summary};

/// A run of 1,000 steps, each of a millisecond, tested after every 200 and the last.
fn run(study: &Path, spec: &RunSpec, accuracy: f64, status: RunStatus) {
    let (folder, mut log) = begin(study, spec);
    let done = if status == RunStatus::Diverged {
        // Where no other run is tested.
        550
    } else {
        1_000
    };
    for step in 0..done {
        let row = StepRow {
            step,
            epoch: 0.0,
            learning_rate: 0.1,
            momentum: None,
            weight_decay: None,
            train_loss: Some(1.0),
            grad_norm: None,
            step_ns: 1_000_000,
            schedule_ns: 100,
            schedule: Arc::from("ab".repeat(32)),
            swaps: 0,
        };
        log.step(row).unwrap();
        let after = step + 1;
        if after.is_multiple_of(200) || after == done {
            let row = EvalRow {
                step: after,
                epoch: 0.0,
                split: "test".to_owned(),
                loss: 1.0,
                accuracy: accuracy * after as f64 / done as f64,
                examples: 1_000,
            };
            log.eval(row).unwrap();
        }
    }
    log.sync().unwrap();
    drop(log);
    let mut row = summary(spec, status, accuracy);
    row.steps_done = done;
    write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
}

fn labelled(label: &str, index: u32, seed: u64) -> RunSpec {
    RunSpec {
        label_index: index,
        ..spec(label, seed, None)
    }
}

/// Three seeds of a baseline at 0.8, of a schedule that is better by 0.1, and of one that cannot be told from it, one of
/// whose runs diverged.
fn three(study: &Path) {
    let gains = [
        ("base", [0.0, 0.0, 0.0]),
        ("better", [0.099, 0.1, 0.101]),
        ("so-so", [0.05, -0.5, 0.02]),
    ];
    for (index, (label, gain)) in gains.iter().enumerate() {
        for seed in 0..3_u64 {
            let accuracy = 0.8 + 0.01 * seed as f64 + gain[seed as usize];
            let diverged = *label == "so-so" && seed == 1;
            let status = if diverged {
                RunStatus::Diverged
            } else {
                RunStatus::Finished
            };
            run(
                study,
                &labelled(label, index as u32, seed),
                accuracy,
                status,
            );
        }
    }
}

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
        "9 runs of 3 schedules, in 3 seeds",
        "1 run diverged (1 of so-so): they are not left out",
        "better has the highest mean test accuracy, 91.00 %",
        "Shown to be better than base (paired over seeds, corrected for 2 comparisons by Holm's method): better (+10.00 \
         points, p < 0.001).",
        "No schedule is shown to be worse than base",
        "Not told apart from base: so-so. That is not to say that they are equal.",
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
fn several_sets_of_numbers_are_told_as_tuning_with_what_they_cost() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    for (index, rate) in [None, Some(0.1), Some(0.3)].into_iter().enumerate() {
        for seed in 0..2 {
            let mut spec = labelled(&format!("fixed-{index}"), index as u32, seed);
            let numbers = rate.map(|rate| ("learning_rate".to_owned(), Value::Number(rate)));
            spec.schedule.params.extend(numbers);
            run(&study, &spec, 0.5 + 0.1 * index as f64, RunStatus::Finished);
        }
    }
    let found = report(&study, &place.path().join("report"), &Options::default()).unwrap();
    let [tuning] = found.tunings.as_slice() else {
        panic!("{:?}", found.tunings)
    };
    assert_eq!((tuning.labels.len(), tuning.runs), (3, 6));
    // Six runs of a minute, each of one thread.
    assert!((tuning.core_hours - 0.1).abs() < 1e-12);
    assert_eq!(tuning.best.as_ref().unwrap().0, "fixed-2");
    assert_eq!(tuning.defaults.as_ref().unwrap().0, "fixed-0");
    assert!(
        found
            .claims
            .join(" ")
            .contains("At its defaults (fixed-0) it came to 50.00 %")
    );
}

#[test]
fn what_a_search_cost_is_told_of_the_schedule_that_it_has_tuned() {
    let place = tempfile::tempdir().unwrap();
    let (study, search) = (place.path().join("demo"), place.path().join("search"));
    for (index, label) in ["plain", "tuned", "lost"].into_iter().enumerate() {
        let mut spec = labelled(label, index as u32, 0);
        spec.tuned = match label {
            "tuned" => Some(search.clone()),
            "lost" => Some(place.path().join("gone")),
            _ => None,
        };
        run(&study, &spec, 0.5, RunStatus::Finished);
    }
    fs::create_dir(&search).unwrap();
    let tuning = r#"{"search": "s", "schedules": ["fixed"], "metric": "accuracy", "seeds": [0], "candidates": 9, "refused": 0,
        "cost": {"runs": 27, "diverged": 0, "failed": 0, "steps": 100, "full_runs": 3.0, "core_seconds": 7200.0},
        "best": {"candidate": "c", "schedule": "fixed", "params": {}, "mean": 0.5, "half_width": null}}"#;
    fs::write(search.join("tuning.json"), tuning).unwrap();
    let found = report(&study, &place.path().join("report"), &Options::default()).unwrap();
    let claims = found.claims.join("\n");
    for words in [
        "The parameters of tuned were searched for: 9 candidates, which took 27 runs and 2.00 core hours",
        "The parameters of lost were searched for in",
    ] {
        assert!(claims.contains(words), "{claims}");
    }
    assert!(!claims.contains("The study shows no tuning"), "{claims}");
    // The search chose on the seed that is reported.
    assert!(claims.contains("flattered by that"), "{claims}");
}

#[test]
fn a_winner_is_flattered_by_the_seeds_that_it_was_chosen_on_alone() {
    let claims = |chosen: &str, seeds: &[u64]| {
        let place = tempfile::tempdir().unwrap();
        let (study, search) = (place.path().join("demo"), place.path().join("search"));
        for (index, label) in ["default", "tuned"].into_iter().enumerate() {
            for &seed in seeds {
                let mut spec = labelled(label, index as u32, seed);
                if label == "tuned" {
                    spec.tuned = Some(search.clone());
                    let rate = ("learning_rate".to_owned(), Value::Number(0.3));
                    spec.schedule.params.extend([rate]);
                }
                run(&study, &spec, 0.5 + 0.1 * index as f64, RunStatus::Finished);
            }
        }
        fs::create_dir(&search).unwrap();
        let tuning = format!(
            r#"{{"search": "s", "schedules": ["fixed"], "metric": "accuracy", "seeds": {chosen}, "candidates": 9, "refused": 0,
            "cost": {{"runs": 27, "diverged": 0, "failed": 0, "steps": 100, "full_runs": 3.0, "core_seconds": 7200.0}},
            "best": {{"candidate": "c", "schedule": "fixed", "params": {{}}, "mean": 0.5, "half_width": null}}}}"#
        );
        fs::write(search.join("tuning.json"), tuning).unwrap();
        let out = place.path().join("report");
        let found = report(&study, &out, &Options::default()).unwrap();
        found.claims.join("\n")
    };
    let fresh = claims("[0, 1]", &[5, 6, 7]);
    assert!(
        fresh.contains(
            "They were chosen on seeds 0 and 1, and are reported on seeds 5, 6 and 7, which had no part in the choice; \
             the test pictures are the same."
        ),
        "{fresh}"
    );
    assert!(
        fresh.contains("The best, tuned, came to 60.00 %; a search chose its numbers"),
        "{fresh}"
    );
    assert!(
        !fresh.contains("chosen on the seeds that it is reported on"),
        "{fresh}"
    );
    let same = claims("[5, 6]", &[5, 6]);
    assert!(
        same.contains("chosen on seeds 5 and 6, which they are reported on, too"),
        "{same}"
    );
    let partly = claims("[0, 5]", &[5, 6]);
    assert!(
        partly.contains("of seeds 5 and 6, on which they are reported, seed 5 had a part"),
        "{partly}"
    );
}

#[test]
fn many_labels_are_all_in_the_table_and_the_best_in_the_pictures() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    let count = SHOWN + 5;
    for index in 0..count {
        let spec = labelled(&format!("label{index:02}"), index as u32, 0);
        run(
            &study,
            &spec,
            0.1 + 0.01 * index as f64,
            RunStatus::Finished,
        );
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.rows.len(), count);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    let data = page.split("id=\"curves-data\">").nth(1).unwrap();
    let data = data.split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let labels = data["labels"].as_array().unwrap();
    // The baseline is the worst of all, and shown with the best of the others.
    assert_eq!(labels.len(), SHOWN);
    assert_eq!(
        (labels[0].as_str(), labels[1].as_str()),
        (Some("label00"), Some("label06"))
    );
    // One seed allows no test, and the report says so.
    assert!(
        found
            .claims
            .join(" ")
            .contains("No difference from label00 could be tested")
    );
}

#[test]
fn what_ran_is_told_with_its_parameters_and_its_own_training() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    let rate = || [("learning_rate".to_owned(), Value::Number(3e-4))].into();
    let warm = "{ plugin = \"fixed\", warmup = { epochs = 2 } }";
    for (index, label) in ["fixed", "andrej", "plain", "warm"].into_iter().enumerate() {
        let mut spec = labelled(label, index as u32, 0);
        match label {
            "warm" => spec.schedule.plugin = warm.to_owned(),
            "plain" => {}
            _ => spec.schedule.params = rate(),
        }
        if label == "andrej" {
            spec.training.optimizer = pixelrate_trainer::spec::OptimizerKind::Adam;
        }
        run(&study, &spec, 0.5, RunStatus::Finished);
    }
    // The composition that the run kept is told as what it is; another only by its text.
    let kept = pixelrate_compose::resolve(warm, u64::MAX).bytes.unwrap();
    let folder = study.join("warm-seed0");
    pixelrate_control::keep_plugin(&folder, &"ab".repeat(32), &kept).unwrap();

    let found = report(&study, &out, &Options::default()).unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for (words, text) in [
        (
            "| fixed | fixed | learning_rate = 0.0003 |  |",
            &found.markdown,
        ),
        (
            "| andrej | fixed | learning_rate = 0.0003 | optimizer = adam |",
            &found.markdown,
        ),
        ("| plain | fixed |  |  |", &found.markdown),
        ("over = { epochs = 2.0 }", &found.markdown),
        ("optimizer = momentum", &found.markdown),
        ("fixed (learning_rate = 0.0003)<", &page),
        ("fixed (learning_rate = 0.0003); optimizer = adam<", &page),
        ("over = { epochs = 2.0 }", &page),
    ] {
        assert!(text.contains(words), "{words}\n{}", found.markdown);
    }
    let json = serde_json::to_value(&found).unwrap();
    let andrej = &json["ran"]["schedules"][1];
    assert_eq!(
        andrej["training"],
        serde_json::json!({ "optimizer": "adam" })
    );
    assert_eq!(andrej["params"]["learning_rate"], 3e-4);
    assert_eq!(json["ran"]["training"]["optimizer"], "momentum");
    assert_eq!(json["ran"]["training"]["max_learning_rate"], 10.0);
    assert!(!found.markdown.contains("data_folder"));
}

#[test]
fn the_rates_are_told_to_be_those_of_one_run() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let found = report(&study, &out, &Options::default()).unwrap();
    let drawn = fs::read_to_string(out.join("learning-rates.svg")).unwrap();
    assert!(drawn.contains("Learning rates of seed 0"));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Learning rate of the first seed"));
    assert!(found.markdown.contains("The learning rate is no mean"));
    // Times are told to depend on what else the machine did.
    for text in [&found.markdown, &page] {
        assert!(text.contains("shared the machine with others"));
    }
}

#[test]
fn a_run_s_own_folder_is_no_study() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    three(&study);
    let folder = study.join("base-seed0");
    let problem = report(&folder, &place.path().join("report"), &Options::default());
    let problem = problem.unwrap_err().to_string();
    let advice = format!("`pixelrate report {}`", study.display());
    assert!(
        problem.contains("is one run") && problem.contains(&advice),
        "{problem}"
    );
}

/// What a report says, but for where it lies.
fn said(study: &Path, out: &Path) -> [String; 3] {
    let options = Options {
        target: Some(0.5),
        ..Options::default()
    };
    let found = report(study, out, &options).unwrap();
    let json = serde_json::to_string(&found).unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    [json, found.markdown, page]
}

#[test]
fn a_report_says_the_same_of_what_the_index_keeps() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let first = said(&study, &out);
    assert!(study.join(".index/runs").is_file() && study.join(".index/curves").is_file());
    assert_eq!(said(&study, &out), first);

    // Two runs' folders change their names by hand, and a third run is replaced by another of its name.
    let folder = |name: &str| study.join(name);
    fs::rename(folder("base-seed0"), folder("x")).unwrap();
    fs::rename(folder("better-seed0"), folder("base-seed0")).unwrap();
    fs::rename(folder("x"), folder("better-seed0")).unwrap();
    assert_eq!(said(&study, &out), first);
    fs::remove_dir_all(folder("so-so-seed0")).unwrap();
    let removed = said(&study, &out);
    assert_ne!(removed, first);
    run(&study, &labelled("so-so", 2, 0), 0.11, RunStatus::Finished);
    let replaced = said(&study, &out);
    fs::remove_dir_all(study.join(".index")).unwrap();
    assert_eq!(said(&study, &out), replaced);
    assert_ne!(replaced, removed);

    // A damaged index says nothing wrong.
    for name in ["runs", "curves"] {
        let path = study.join(".index").join(name);
        let mut bytes = fs::read(&path).unwrap();
        (200..bytes.len()).step_by(97).for_each(|at| bytes[at] ^= 1);
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(said(&study, &out), replaced);
}

#[test]
fn tables_of_a_thousand_schedules_list_the_best_and_the_baseline() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    for index in 0..LISTED as u32 + 50 {
        let spec = labelled(&format!("s{index:04}"), index, 0);
        let (folder, log) = begin(&study, &spec);
        drop(log);
        let row = summary(&spec, RunStatus::Finished, 0.1 + 1e-3 * f64::from(index));
        write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
    }
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.rows.len(), LISTED + 50);
    let listed = |label: &str| found.markdown.contains(&format!("\n| {label} |"));
    assert!(listed("s0000") && listed("s0449") && listed("s0051"));
    assert!(!listed("s0001") && !listed("s0050"));
    assert!(found.markdown.contains("Tables have 400 of 450 schedules"));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Tables have 400 of 450 schedules") && !page.contains(">s0050<"));
    let json = fs::read_to_string(out.join("report.json")).unwrap();
    assert!(json.contains("\"s0050\""));
}

#[test]
fn a_label_whose_file_was_edited_between_two_runs_says_so() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    for seed in 0..2 {
        let spec = labelled("mine", 0, seed);
        run(&study, &spec, 0.5, RunStatus::Finished);
    }
    let told = || report(&study, &out, &Options::default()).unwrap().markdown;
    assert!(!told().contains("began under"), "{}", told());
    let folder = study.join(labelled("mine", 0, 1).run);
    let mut file = crate::ended::run_file(&folder).unwrap().unwrap();
    file.found.as_mut().unwrap().schedule_sha256 = "ef".repeat(32);
    file.write(&folder).unwrap();
    assert!(
        told().contains("**mine**: its 2 runs began under 2 plugins"),
        "{}",
        told()
    );
}

#[test]
fn the_curve_of_a_label_does_not_dip_where_one_of_its_runs_diverged() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    three(&study);
    let runs = gather::runs(&study).unwrap();
    let group = gather::by_label(&runs).remove(2);
    let trace = Trace::of(&group, None, true, &KeptCurves::of(&study)).unwrap();
    let steps: Vec<f64> = trace.accuracies.iter().map(|point| point.step).collect();
    assert_eq!(steps, [200.0, 400.0, 600.0, 800.0, 1_000.0]);
    let mean = |ends: [f64; 3]| 100.0 * ends.iter().sum::<f64>() / 3.0;
    let last = trace.accuracies.last().unwrap().value;
    assert!((last - mean([0.85, 0.31, 0.84])).abs() < 1e-9, "{last}");
    // At 600 the diverged run counts with what it ended with at 550.
    let third = trace.accuracies[2].value;
    let expected = mean([0.6 * 0.85, 0.31, 0.6 * 0.84]);
    assert!((third - expected).abs() < 1e-9, "{third}");
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
fn a_branch_is_told_under_the_schedule_that_it_was_forked_to() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    let trunk = labelled("base", 0, 0);
    run(&study, &trunk, 0.8, RunStatus::Finished);
    let mut branch = spec("base-cosine-at400", 0, Some((&trunk.run, 400)));
    branch.tuned = Some(place.path().join("search"));
    run(&study, &branch, 0.9, RunStatus::Finished);
    let mut schedule = branch.schedule.clone();
    schedule.plugin = "cosine".to_owned();
    let fork = Takeover {
        step: 400,
        cause: Cause::Fork,
        schedule,
        sha256: "ef".repeat(32),
        state: None,
        left: None,
        request: None,
        time_unix_ms: 0,
    };
    let mut takeovers = Takeovers::open(&study.join(&branch.run)).unwrap();
    takeovers.add(&fork).unwrap();
    run(&study, &labelled("other", 1, 0), 0.7, RunStatus::Finished);
    let found = report(&study, &out, &Options::default()).unwrap();
    let told: Vec<&str> = found.rows.iter().map(|row| row.told.as_str()).collect();
    assert_eq!(told, ["fixed", "cosine", "fixed"]);
    let ran = &found.ran.schedules[1];
    assert_eq!(ran.plugin, "cosine");
    assert_eq!(ran.sha256.as_deref(), Some(&*"ef".repeat(32)));
    // Its trunk's steps and tests are not its own, and what its trunk was tuned by did not choose its schedule.
    assert!(found.rows[1].reached.is_none() && found.rows[1].area.is_none());
    assert!(found.searched.is_empty());
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(
        page.matches("<td class=\"word\">baseline</td>").count(),
        1,
        "{page}"
    );
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
