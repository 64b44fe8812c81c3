//! Searches through the program: to their end, killed and gone on with, confirmed, used by a study, and wrong.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{logged, pixelrate, said, study};
use pixelrate_runlog::{EventKind, RunStatus, held, read_events, read_summary};
use serde_json::Value;

/// Six candidates with two seeds, for 20, 40 and 80 steps.
fn search(candidates: u32) -> String {
    let schedule = format!(
        "[search]\ncandidates = {candidates}\neta = 2\nmin_epochs = 1.0\n\n[[schedule]]\nplugin = \"cyclic\"\n\
         params = {{ max_lr = {{ min = 1e-4, max = 0.5, scale = \"log\" }}, step_size = {{ min = 5, max = 40 }} }}\n"
    );
    study(80, "[0, 1]", &schedule).replace("eval_every_epochs = 1000.0\n", "")
}

fn choices(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("choices.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether a process has any run in the folder: those of a search that was killed end by themselves.
fn any_held(folder: &Path) -> bool {
    let runs = fs::read_dir(folder).into_iter().flatten().flatten();
    runs.filter(|run| run.path().join(".lock").exists())
        .any(|run| held(&run.path()).unwrap() != pixelrate_runlog::Held::No)
}

#[test]
fn a_search_killed_again_and_again_chooses_as_one_that_was_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    for folder in [&whole, &killed] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("tiny.toml"), search(6)).unwrap();
    }
    let (good, out, err) = said(pixelrate(&whole).args(["search", "tiny.toml", "--jobs", "2"]));
    assert!(good, "{err}");
    assert!(
        out.contains("score was selected") && out.contains("[[schedule]]"),
        "{out}"
    );
    let place = whole.join("runs/tiny");
    check_whole(&place);

    let folder = killed.join("runs/tiny");
    let (mut kills, mut finished) = (0, false);
    while !finished {
        // By its file, until it has a folder to go on in.
        let begun = folder.join("search.json").exists();
        let what = if begun { "runs/tiny" } else { "tiny.toml" };
        let mut child = pixelrate(&killed)
            .args(["search", what, "--jobs", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Each is given twice the time of the one before it, so that there is an end on the slowest machine.
        let until = Instant::now() + Duration::from_millis(1000 << kills);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
            if let Some(end) = child.try_wait().unwrap() {
                // A run's process that the last call left behind, still starting, may be in its way: the next call tries
                // again, and must not decide anything by it.
                finished = end.success();
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        while any_held(&folder) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    println!("{kills} calls");
    assert!(kills > 1, "no kill hit a search that ran");
    assert_eq!(choices(&folder), choices(&place));
    for run in fs::read_dir(&place).unwrap().flatten() {
        if run.path().join("run.toml").exists() {
            let other = folder.join(run.file_name());
            assert_eq!(logged(&run.path()), logged(&other), "{:?}", run.file_name());
        }
    }
    let cost = |folder: &Path| {
        let tuning = json(&folder.join("tuning.json"));
        (
            tuning["cost"]["runs"].clone(),
            tuning["cost"]["steps"].clone(),
            tuning["best"].clone(),
        )
    };
    assert_eq!(cost(&folder), cost(&place));
}

/// What a search leaves behind: rungs of 6, 3 and 1 candidates.
fn check_whole(place: &Path) {
    let choices = choices(place);
    let of = |rung: u64| -> Vec<&Value> { choices.iter().filter(|c| c["rung"] == rung).collect() };
    assert_eq!([of(1).len(), of(2).len(), of(3).len()], [6, 3, 1]);
    let mut best = BTreeMap::new();
    for rung in 1..=3 {
        let means: Vec<f64> = of(rung)
            .iter()
            .map(|c| c["mean"].as_f64().unwrap())
            .collect();
        assert!(means.is_sorted_by(|a, b| a >= b), "{means:?}");
        best.insert(rung, of(rung)[0]["candidate"].clone());
        for choice in of(rung) {
            let label = choice["candidate"].as_str().unwrap();
            let (step, on) = (20 << (rung - 1), choice["goes_on"].as_bool().unwrap());
            for seed in 0..2 {
                let run = place.join(format!("{label}-seed{seed}"));
                let summary = read_summary(&run).unwrap().unwrap();
                let (steps, evals) = logged(&run);
                // The score is that of the test at the rung's end, and the schedule is of full length all the while.
                assert!(
                    evals.iter().any(|row| row.step == step
                        && Some(row.accuracy) == choice["scores"][seed].as_f64())
                );
                assert_eq!(summary.total_steps, 80);
                assert_eq!(steps.len() as u64, summary.steps_done);
                if !on || rung == 3 {
                    let status = if rung == 3 {
                        RunStatus::Finished
                    } else {
                        RunStatus::Stopped
                    };
                    assert_eq!((summary.status, summary.steps_done), (status, step));
                }
                if rung < 3 {
                    let events = read_events(&run).unwrap();
                    let judged = events.iter().filter(|row| row.kind == EventKind::Judged);
                    let judged: Vec<_> = judged.filter(|row| row.step == step).collect();
                    assert_eq!(judged.len(), 1, "{label}");
                    assert_eq!(judged[0].message, choice["why"].as_str().unwrap());
                    assert_eq!(judged[0].message.starts_with("dropped"), !on);
                }
            }
        }
    }
    let tuning = json(&place.join("tuning.json"));
    assert_eq!(tuning["best"]["candidate"], best[&3]);
    // Nothing is trained twice: 2 (3 * 20 + 2 * 40 + 1 * 80) steps.
    assert_eq!(
        (&tuning["cost"]["runs"], &tuning["cost"]["steps"]),
        (&12.into(), &440.into())
    );
    let picture = fs::read_to_string(place.join("search.svg")).unwrap();
    assert!(picture.contains("<svg") && picture.contains("epochs by the rung"));
}

#[test]
fn the_winner_is_confirmed_and_a_study_takes_it_with_its_cost() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    fs::write(here.join("tiny.toml"), search(2)).unwrap();
    let call = [
        "search",
        "tiny.toml",
        "--confirm",
        "2",
        "--top",
        "1",
        "--json",
    ];
    let (good, out, err) = said(pixelrate(here).args(call));
    assert!(good, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let best = told["best"]["candidate"].as_str().unwrap();
    let confirmed = &told["confirmed"][0];
    assert_eq!(
        (&confirmed["candidate"], &confirmed["seeds"]),
        (&best.into(), &serde_json::json!([2, 3]))
    );
    // It was chosen by pictures that nothing was trained on, and is measured by others.
    let evaluated = |run: &str| {
        let (_, evals) = logged(&here.join("runs").join(run));
        let last = evals.last().unwrap();
        (last.split.clone(), last.examples)
    };
    let searched = evaluated(&format!("tiny/{best}-seed0"));
    assert_eq!(searched, ("validation".to_owned(), 600));
    let again = evaluated(&format!("tiny-confirm/{best}-seed2"));
    assert_eq!(again, ("test".to_owned(), 2000));
    let report = fs::read_to_string(here.join("runs/tiny/search.md")).unwrap();
    assert!(
        report.contains("| validation accuracy, % |") && report.contains("| test accuracy, % |"),
        "{report}"
    );
    let mut accuracies = Vec::new();
    for seed in [2, 3] {
        let run = here.join(format!("runs/tiny-confirm/{best}-seed{seed}"));
        accuracies.push(
            read_summary(&run)
                .unwrap()
                .unwrap()
                .final_eval_accuracy
                .unwrap(),
        );
    }
    let mean = accuracies.iter().sum::<f64>() / 2.0;
    assert!((confirmed["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    let (_, out, _) = said(pixelrate(here).args(["search", "runs/tiny"]));
    assert!(
        out.contains("With 2 fresh seeds") && !out.contains("score was selected"),
        "{out}"
    );

    // The snippet is a study's, as it is.
    let winner = fs::read_to_string(here.join("runs/tiny/winner.toml")).unwrap();
    let tuned = study(20, "[0]", &winner).replace("\"tiny\"", "\"tuned\"");
    fs::write(here.join("tuned.toml"), &tuned).unwrap();
    let (good, _, err) = said(pixelrate(here).args(["study", "tuned.toml"]));
    assert!(good, "{err}");
    let run = fs::read_to_string(here.join("runs/tuned/cyclic-tuned-seed0/run.toml")).unwrap();
    let run: toml::Table = run.parse().unwrap();
    let spec = &run["spec"];
    let folder = Path::new(spec["tuned"].as_str().unwrap());
    assert_eq!(json(&folder.join("tuning.json"))["search"], "tiny");
    let params = serde_json::to_value(&spec["schedule"]["params"]).unwrap();
    assert_eq!(params["max_lr"], told["best"]["params"]["max_lr"]);
    assert_eq!(
        spec["training"]["validation_examples"].as_float(),
        Some(0.0)
    );

    // A folder that is no search's is told, with its line.
    let nowhere = tuned.replace("runs/tiny", "runs/nowhere");
    fs::write(here.join("nowhere.toml"), &nowhere).unwrap();
    let (good, _, err) = said(pixelrate(here).args(["study", "nowhere.toml"]));
    let line = nowhere
        .lines()
        .position(|line| line.starts_with("tuned"))
        .unwrap()
        + 1;
    assert!(
        !good && err.contains(&format!("nowhere.toml:{line}: `tuned`")),
        "{err}"
    );
}

#[test]
fn pictures_of_a_folder_are_the_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images");
    fs::create_dir(here.join("mine")).unwrap();
    for (from, to) in [("puppy", "my dog"), ("hinton", "b"), ("alexnet", "a")] {
        fs::copy(
            images.join(format!("{from}.png")),
            here.join(format!("mine/{to}.png")),
        )
        .unwrap();
    }
    fs::write(here.join("mine/notes.txt"), "no picture").unwrap();
    let call = [
        "search",
        "--schedule",
        "image",
        "--pictures",
        "mine",
        "--param",
        "order=raster,hilbert",
        "--list",
    ];
    let (good, out, err) = said(pixelrate(here).args(call));
    assert!(good, "{err}");
    assert!(out.starts_with("rung 1: 6 candidates to 3 epochs"), "{out}");
    let names: Vec<_> = out
        .lines()
        .filter(|line| line.starts_with("image-"))
        .collect();
    assert_eq!(names.len(), 6);
    assert!(names.contains(&"image-image=my_dog-order=hilbert"), "{out}");
    // Without a folder they are those that pixelrate carries, and a picture alone names its run.
    let (_, out, _) = said(pixelrate(here).args(["search", "--schedule", "image", "--list"]));
    assert!(
        out.contains("image-mona_lisa\n") && out.contains("image-puppy\n"),
        "{out}"
    );
    assert!(!here.join("runs").exists());
}

#[test]
fn what_cannot_be_searched_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    let told = |call: &[&str], words: &str| {
        let (good, out, err) = said(pixelrate(here).arg("search").args(call));
        assert!(!good && err.contains(words), "{call:?}: {out}{err}");
    };
    told(&["--schedule", "cyclic"], "nothing of it varies");
    told(
        &["--schedule", "cyclic", "--param", "max_lr=1..0.1"],
        "below the greatest",
    );
    told(
        &["--schedule", "cyclic", "--param", "max_rl=0.1,0.2"],
        "did you mean `max_lr`",
    );
    told(
        &[
            "--schedule",
            "cyclic",
            "--param",
            "max_lr=0.1,0.2",
            "--param",
            "max_lr=0.3,0.4",
        ],
        "max_lr is given twice",
    );
    told(
        &["--schedule", "cyclic", "--param", "max_lr=0.1,0.1"],
        "each once",
    );
    told(
        &["--schedule", "image", "--pictures", "nowhere"],
        "cannot list",
    );
    told(
        &["--schedule", "fixed", "--param", "learning_rate=20,30"],
        "`max_learning_rate` is 10",
    );
    fs::create_dir(here.join("empty")).unwrap();
    told(&["empty"], "no search");
    told(&["nowhere.toml"], "cannot read");
    told(&["runs", "--epochs", "2"], "cannot be used with");
    told(&["runs", "--model", "convnet"], "cannot be used with");
    told(&[], "required");
    let file = |from: &str, to: &str, words: &str| {
        let text = search(3).replace(from, to);
        assert_ne!(text, search(3));
        fs::write(here.join("wrong.toml"), &text).unwrap();
        told(&["wrong.toml"], words);
    };
    file("eta = 2", "eta = 1", "wrong.toml:16: `eta` is 1");
    file(
        "min_epochs = 1.0",
        "min_epochs = 5.0",
        "at most the 4 `epochs`",
    );
    file(
        "candidates = 3",
        "candidates = 0",
        "`candidates` must be at least 1",
    );
    file(
        "device = \"cpu\"",
        "device = \"cpu\"\neval_every_epochs = 3.0",
        "the first rung ends at 2 epochs",
    );
    file("scale = \"log\"", "scale = \"lgo\"", "wrong.toml:");

    // A candidate that cannot run is left out, and said so; another search does not go on in its folder.
    let one = [
        "--schedule",
        "fixed",
        "--param",
        "learning_rate=0.1,20",
        "--epochs",
        "0.1",
        "--seeds",
        "1",
    ];
    let (good, out, err) = said(pixelrate(here).arg("search").args(one));
    assert!(
        good && err.contains("not run: fixed-learning_rate=20"),
        "{out}{err}"
    );
    assert_eq!(
        json(&here.join("runs/search-fixed/tuning.json"))["refused"],
        1
    );
    let mut other = one;
    other[3] = "learning_rate=0.1,0.2";
    told(&other, "was started with a different");
}

#[test]
fn every_study_and_search_that_the_project_brings_can_be_planned() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let place = tempfile::tempdir().unwrap();
    let mut planned = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let command = match text.contains("[search]") {
            true => "search",
            false => "study",
        };
        let file = path.to_string_lossy();
        let (good, _, err) = said(pixelrate(place.path()).args([command, &file, "--list"]));
        // Photographs are not brought along, and the file says so.
        assert!(good || err.contains("`pictures`"), "{file}: {err}");
        planned += u32::from(good);
    }
    assert!(planned >= 12, "{planned}");
}
