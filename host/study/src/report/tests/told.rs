//! What tables and pictures tell of what ran.

use super::*;

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
fn the_rates_are_told_to_be_those_of_one_run() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    three(&study);
    let found = report(&study, &out, &Options::default()).unwrap();
    let drawn = fs::read_to_string(out.join("learning-rates.svg")).unwrap();
    assert!(drawn.contains("Learning rates of seed 0"));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Learning rate of the first seed"));
    assert!(found.markdown.contains("The learning rate is not a mean"));
    // Times are told to depend on what else the machine did.
    for text in [&found.markdown, &page] {
        assert!(text.contains("shared the machine with others"));
    }
}

#[test]
fn the_curve_of_a_label_does_not_dip_where_one_of_its_runs_diverged() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path().join("demo");
    three(&study);
    let runs = gather::runs(&study).unwrap().read;
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
fn the_many_baselines_of_a_grid_leave_room_for_the_others() {
    let place = tempfile::tempdir().unwrap();
    let (study, out) = (place.path().join("demo"), place.path().join("report"));
    let of = |label: &str, index, number: usize, accuracy| {
        let mut spec = labelled(&format!("{label}-label_smoothing=0.{number:02}"), index, 0);
        spec.training.label_smoothing = number as f64 / 100.0;
        run(&study, &spec, accuracy, RunStatus::Finished);
    };
    for number in 0..SHOWN + 5 {
        of("base", 0, number, 0.8);
    }
    (0..5).for_each(|number| of("other", 1, number, 0.5));
    let found = report(&study, &out, &Options::default()).unwrap();
    assert_eq!(found.comparisons.baselines.len(), SHOWN + 5);
    let picture = fs::read_to_string(out.join("bars.svg")).unwrap();
    let shown = |label: &str| picture.matches(&format!("{label}-label")).count();
    assert_eq!((shown("base"), shown("other")), (SHOWN - 5, 5));
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
