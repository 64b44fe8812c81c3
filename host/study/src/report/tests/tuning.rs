//! What the tuning of schedules cost, and what it flatters.

use super::*;

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
            .contains("At its defaults (fixed-0) it reached 50.00 %")
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
    assert!(claims.contains("optimistic for that reason"), "{claims}");
}

#[test]
fn a_winner_is_flattered_by_the_seeds_that_it_was_chosen_on_alone() {
    let claims = |chosen: &str, seeds: &[u64], more: &str| {
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
            r#"{{"search": "s", "schedules": ["fixed"], "metric": "accuracy",{more} "seeds": {chosen}, "candidates": 9, "refused": 0,
            "cost": {{"runs": 27, "diverged": 0, "failed": 0, "steps": 100, "full_runs": 3.0, "core_seconds": 7200.0}},
            "best": {{"candidate": "c", "schedule": "fixed", "params": {{}}, "mean": 0.5, "half_width": null}}}}"#
        );
        fs::write(search.join("tuning.json"), tuning).unwrap();
        let out = place.path().join("report");
        let found = report(&study, &out, &Options::default()).unwrap();
        found.claims.join("\n")
    };
    let fresh = claims("[0, 1]", &[5, 6, 7], "");
    assert!(
        fresh.contains(
            "They were chosen on seeds 0 and 1, and are reported on seeds 5, 6 and 7, which had no part in the choice; \
             the test pictures, however, are the same."
        ),
        "{fresh}"
    );
    assert!(
        fresh.contains("The best, tuned, reached 60.00 %; a search chose its parameters"),
        "{fresh}"
    );
    assert!(
        !fresh.contains("chosen on the seeds that it is reported on"),
        "{fresh}"
    );
    let unseen = claims("[0, 1]", &[5, 6, 7], "\"evaluated_on\": \"validation\",");
    assert!(
        unseen.contains("no part in the choice; nor had the test pictures."),
        "{unseen}"
    );
    let same = claims("[5, 6]", &[5, 6], "");
    assert!(
        same.contains("chosen on seeds 5 and 6, on which they are also reported"),
        "{same}"
    );
    let partly = claims("[0, 5]", &[5, 6], "");
    assert!(
        partly.contains("of seeds 5 and 6, on which they are reported, seed 5 had a part"),
        "{partly}"
    );
}
