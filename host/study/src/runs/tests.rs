use std::fs;
use std::path::{Path, PathBuf};

use pixelrate_control::{Activity, Status};
use pixelrate_runlog::{Identity, RunLog, RunStatus, SummaryRow};
use pixelrate_sandbox::{Limits, OnFault};
use pixelrate_trainer::precision::{Precision, PrecisionChoice};
use pixelrate_trainer::spec::{
    Found, OptimizerKind, Parent, RunFile, RunSpec, ScheduleSpec, Training,
};

use super::{Error, Filter, RunFolder, State, find, pick};

/// A run of a study `demo`, of 1,000 steps.
pub(crate) fn spec(label: &str, seed: u64, parent: Option<(&str, u64)>) -> RunSpec {
    RunSpec {
        study: "demo".to_owned(),
        run: format!("{label}-seed{seed}"),
        label: label.to_owned(),
        label_index: 0,
        seed,
        training: Training {
            dataset: "synthetic".to_owned(),
            data_folder: PathBuf::from("data"),
            model: "convnet".to_owned(),
            batch_size: 16,
            epochs: 4.0,
            train_examples: 0,
            validation_examples: 0.0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            eval_every_epochs: 1.0,
            checkpoint_seconds: 60.0,
            log_grad_norm: false,
            label_smoothing: 0.0,
            crop_padding: 4,
            crop_padding_mode: Default::default(),
            flip: Default::default(),
            normalization: Default::default(),
            test_views: 1,
            deterministic: false,
            device: "cpu".to_owned(),
            threads: 1,
            precision: PrecisionChoice::Float32,
        },
        schedule: ScheduleSpec {
            plugin: "fixed".to_owned(),
            params: Default::default(),
            picture_folder: None,
            max_learning_rate: 10.0,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch: true,
        tuned: None,
        parent: parent.map(|(run, step)| Parent {
            study: "demo".to_owned(),
            run: run.to_owned(),
            step,
        }),
    }
}

/// Writes a run's `run.toml` below `study`, begins its log, and gives its folder.
pub(crate) fn begin(study: &Path, spec: &RunSpec) -> (PathBuf, RunLog) {
    let folder = study.join(&spec.run);
    let identity = Identity {
        study: spec.study.clone(),
        run: spec.run.clone(),
        ..Identity::default()
    };
    let log = RunLog::create(&folder, identity).unwrap();
    let found = Found {
        schedule_sha256: "ab".repeat(32),
        dataset_sha256: "cd".repeat(32),
        dataset_origin: "drawn by code".to_owned(),
        train_examples: 4_000,
        total_steps: 1_000,
        parameters: 10_000,
        device: "cpu".to_owned(),
        precision: Precision::Float32,
        own_kernels: false,
        pixelrate_version: "0.1.0".to_owned(),
        libtorch_version: "2".to_owned(),
        git_commit: None,
        machine: "a test".to_owned(),
    };
    let file = RunFile {
        spec: spec.clone(),
        found: Some(found),
    };
    file.write(&folder).unwrap();
    (folder, log)
}

pub(crate) fn summary(spec: &RunSpec, status: RunStatus, accuracy: f64) -> SummaryRow {
    SummaryRow {
        study: spec.study.clone(),
        run: spec.run.clone(),
        schedule: spec.label.clone(),
        schedule_sha256: "ab".repeat(32),
        seed: spec.seed,
        dataset: spec.training.dataset.clone(),
        model: spec.training.model.clone(),
        optimizer: "momentum".to_owned(),
        batch_size: 16,
        epochs: 4.0,
        total_steps: 1_000,
        steps_done: 1_000,
        status,
        final_train_loss: Some(0.3),
        final_eval_loss: Some(0.4),
        final_eval_accuracy: Some(accuracy),
        best_eval_accuracy: Some(accuracy),
        wall_seconds: 60.0,
        started_unix_ms: 1_525_132_800_000,
        finished_unix_ms: 1_525_132_860_000,
        error: None,
        device: "cpu".to_owned(),
        threads: 1,
        pixelrate_version: "0.1.0".to_owned(),
        git_commit: None,
    }
}

fn tell(folder: &Path, activity: Activity, process: u32) {
    let status = Status {
        process,
        activity,
        step: 250,
        total_steps: 1_000,
        learning_rate: Some(0.1),
        train_loss: Some(1.5),
        schedule: "fixed (learning_rate = 0.1)".to_owned(),
        sha256: "ab".repeat(32),
        swaps: 2,
    };
    let text = serde_json::to_vec(&status).unwrap();
    fs::write(folder.join("status.json"), text).unwrap();
}

fn names(runs: &[RunFolder]) -> Vec<String> {
    let name = |run: &RunFolder| {
        run.path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    runs.iter().map(name).collect()
}

#[test]
fn a_run_tells_what_it_does_through_all_of_its_life() {
    let place = tempfile::tempdir().unwrap();
    let spec = spec("fixed", 0, None);
    let (folder, log) = begin(place.path(), &spec);
    let run = RunFolder::open(&folder).unwrap();
    let state = || run.look().unwrap().state;
    assert_eq!(state(), State::Preparing);
    // What another process left: this one has not told anything yet.
    tell(&folder, Activity::Training, std::process::id() + 1);
    assert_eq!(state(), State::Preparing);
    tell(&folder, Activity::Training, std::process::id());
    let look = run.look().unwrap();
    assert_eq!(
        (look.state, look.process),
        (State::Training, Some(std::process::id()))
    );
    assert_eq!((look.step(), look.total_steps()), (Some(250), Some(1_000)));
    assert_eq!(look.train_loss(), Some(1.5));
    tell(&folder, Activity::Paused, std::process::id());
    assert_eq!(state(), State::Paused);
    drop(log);
    let look = run.look().unwrap();
    assert_eq!(
        (look.state, look.process, look.step()),
        (State::Stopped, None, Some(250))
    );
    assert_eq!(look.goes_back_to(), Some(0));
    // Its last status may be older than its newest checkpoint, and newer.
    let kept = folder.join("checkpoints");
    fs::create_dir(&kept).unwrap();
    for (step, told, back) in [(240, 250, Some(240)), (250, 250, None), (252, 252, None)] {
        let name = pixelrate_trainer::checkpoint::file_name(step, None);
        fs::write(kept.join(name), "").unwrap();
        let look = run.look().unwrap();
        assert_eq!((look.step(), look.goes_back_to()), (Some(told), back));
    }
    for (status, expected) in [
        (RunStatus::Finished, State::Finished),
        (RunStatus::Failed, State::Failed),
        (RunStatus::Diverged, State::Diverged),
    ] {
        let row = summary(&spec, status, 0.9);
        pixelrate_runlog::write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
        let look = run.look().unwrap();
        assert_eq!((look.state, look.step()), (expected, Some(1_000)));
    }
}

#[test]
fn runs_are_found_below_a_run_a_study_and_all_studies() {
    let place = tempfile::tempdir().unwrap();
    let runs = place.path().join("runs");
    for study in ["a", "b"] {
        for seed in [0, 1] {
            begin(&runs.join(study), &spec("fixed", seed, None));
        }
        fs::create_dir(runs.join(study).join("report")).unwrap();
    }
    fs::write(runs.join("notes.txt"), "none of these is a run").unwrap();
    // A run's first moment: it has a lock and no spec.
    fs::create_dir_all(runs.join("b/young")).unwrap();
    fs::write(runs.join("b/young/.lock"), "").unwrap();
    let found = |path: &Path| names(&find(path).unwrap());
    assert_eq!(found(&runs.join("a/fixed-seed1")), ["fixed-seed1"]);
    assert_eq!(found(&runs.join("a")), ["fixed-seed0", "fixed-seed1"]);
    assert_eq!(found(&runs).len(), 5);

    let gone = find(&runs.join("c")).unwrap_err().to_string();
    assert!(
        gone.contains("there is no") && gone.contains("runs/c: name the folder"),
        "{gone}"
    );
    let none = find(&runs.join("a/report")).unwrap_err().to_string();
    assert!(none.contains("a/report holds no run: name"), "{none}");
    let many = RunFolder::open(&runs.join("b")).unwrap_err();
    assert!(matches!(many, Error::Many { .. }));
    let many = many.to_string();
    assert!(
        many.contains("is not a run but contains several") && many.contains("b/fixed-seed0"),
        "{many}"
    );
}

#[test]
fn runs_that_ended_are_told_as_they_are_whatever_the_index_keeps() {
    let place = tempfile::tempdir().unwrap();
    let study = place.path();
    for seed in [0, 1] {
        let spec = spec("fixed", seed, None);
        let (folder, log) = begin(study, &spec);
        tell(&folder, Activity::Training, std::process::id());
        let mut row = summary(&spec, RunStatus::Diverged, 0.9);
        // What JSON could not keep.
        row.final_train_loss = Some(f64::NAN);
        log.finish(&row).unwrap();
    }
    let told = || -> Vec<(State, Option<u64>, String)> {
        let tell = |run: &RunFolder| {
            let (look, file) = (run.look().unwrap(), run.file().unwrap().unwrap());
            let loss = look.summary.as_ref().and_then(|row| row.final_train_loss);
            assert!(look.summary.is_none() || loss.is_some_and(f64::is_nan));
            (look.state, look.step(), file.spec.run.clone())
        };
        find(study).unwrap().iter().map(tell).collect()
    };
    let ended = |seed: u64| (State::Diverged, Some(1_000), format!("fixed-seed{seed}"));
    for _ in 0..2 {
        assert_eq!(told(), [ended(0), ended(1)]);
        assert!(study.join(".index/runs").is_file());
    }
    // One is taken up again, and stops.
    let (one, other) = (study.join("fixed-seed0"), study.join("fixed-seed1"));
    let identity = Identity {
        study: "demo".to_owned(),
        run: "fixed-seed0".to_owned(),
        ..Identity::default()
    };
    let log = RunLog::resume(&one, identity, 0).unwrap();
    assert_eq!(told()[0].0, State::Training);
    drop(log);
    assert_eq!(told()[0].0, State::Stopped);
    fs::remove_dir_all(&one).unwrap();
    fs::rename(&other, &one).unwrap();
    assert_eq!(told(), [ended(1)]);
}

#[test]
fn filters_pick_runs_and_name_the_keys_there_are() {
    let place = tempfile::tempdir().unwrap();
    for label in ["fixed", "cyclic"] {
        for seed in [0, 1, 10] {
            begin(place.path(), &spec(label, seed, None));
        }
    }
    let picked = |filters: &[&str]| {
        let filters: Vec<_> = filters
            .iter()
            .map(|text| Filter::parse(text).unwrap())
            .collect();
        pick(place.path(), &filters).map(|runs| names(&runs))
    };
    assert_eq!(
        picked(&["seed=1"]).unwrap(),
        ["cyclic-seed1", "fixed-seed1"]
    );
    assert_eq!(
        picked(&["seed=01", "schedule=fixed"]).unwrap(),
        ["fixed-seed1"]
    );
    assert_eq!(picked(&["run=cyclic-seed10"]).unwrap(), ["cyclic-seed10"]);
    let all = [
        "study=demo",
        "dataset=synthetic",
        "model = convnet",
        "state=stopped",
    ];
    assert_eq!(picked(&all).unwrap().len(), 6);
    assert_eq!(picked(&[]).unwrap().len(), 6);
    let none = picked(&["seed=7", "model=convnet"])
        .unwrap_err()
        .to_string();
    assert!(none.contains("none of the 6 runs in "), "{none}");
    assert!(
        none.contains("has seed=7 and model=convnet: `pixelrate ps "),
        "{none}"
    );

    let wrong = |text: &str| Filter::parse(text).unwrap_err();
    let keys = "run, study, schedule, seed, dataset, model, state";
    assert!(wrong("seed").contains(keys) && wrong("seed").contains("KEY=VALUE"));
    assert!(wrong("sed=1").contains(keys) && wrong("sed=1").contains("\"sed\""));
    assert!(wrong("seed=one").contains("a whole number"));
    assert!(wrong("state=dead").contains("training, paused, stopped"));
}
