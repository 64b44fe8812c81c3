//! Runs, whole: what a stop and a resume keep, and what two runs of one seed share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

use std::path::Path;

use pixelrate_runlog::{
    EvalRow, EventKind, RunStatus, StepRow, read_evals, read_steps, read_summary,
};
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::precision::{Precision, PrecisionChoice};
use pixelrate_trainer::spec::{
    Flip, Normalization, OptimizerKind, PaddingMode, RunFile, RunSpec, ScheduleSpec, Training,
};
use pixelrate_trainer::train::{Ending, Observer, Progress, Stop, begin, resume};
use tempfile::tempdir;

fn spec(model: &str, optimizer: OptimizerKind) -> RunSpec {
    RunSpec {
        study: "test".into(),
        run: "one".into(),
        label: "cyclic".into(),
        label_index: 0,
        seed: 3,
        training: Training {
            dataset: "synthetic".into(),
            data_folder: "data".into(),
            model: model.into(),
            batch_size: 16,
            epochs: 3.0,
            train_examples: 320,
            validation_examples: 0.0,
            optimizer,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 2e-4,
            eval_every_epochs: 1.0,
            checkpoint_seconds: 1e6,
            log_grad_norm: true,
            label_smoothing: 0.0,
            crop_padding: 4,
            crop_padding_mode: Default::default(),
            flip: Default::default(),
            normalization: Default::default(),
            test_views: 1,
            deterministic: false,
            device: "cpu".into(),
            threads: 1,
            precision: PrecisionChoice::Float32,
        },
        schedule: ScheduleSpec {
            plugin: "cyclic".into(),
            params: [("step_size".to_owned(), Value::Number(10.0))].into(),
            picture_folder: None,
            max_learning_rate: 1.0,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch: true,
        tuned: None,
        parent: None,
    }
}

/// Asks for a stop when the first evaluation comes.
struct StopAtFirstEvaluation(Stop);

impl Observer for StopAtFirstEvaluation {
    fn evaluated(&mut self, _: &EvalRow) {
        self.0.ask();
    }
}

/// All that must agree between a run that was stopped and one that was not.
fn logged(folder: &Path) -> (Vec<StepRow>, Vec<EvalRow>, Vec<u8>) {
    let mut steps = read_steps(folder).unwrap();
    for row in &mut steps {
        (row.step_ns, row.schedule_ns) = (0, 0);
    }
    let checkpoints = pixelrate_trainer::checkpoint::list(folder).unwrap();
    let newest = std::fs::read(checkpoints.last().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&newest).unwrap();
    let mut names: Vec<_> = tensors.names().into_iter().map(str::to_owned).collect();
    names.sort();
    let weights = names
        .iter()
        .flat_map(|name| tensors.tensor(name).unwrap().data().to_vec())
        .collect();
    (steps, read_evals(folder).unwrap(), weights)
}

#[test]
fn a_resumed_run_gives_the_bits_of_one_that_was_never_stopped() {
    for (model, optimizer, precision) in [
        ("convnet", OptimizerKind::Momentum, PrecisionChoice::Float32),
        ("resnet-8", OptimizerKind::Adam, PrecisionChoice::Float32),
        ("convnet", OptimizerKind::Adam, PrecisionChoice::Bfloat16),
        // A processor without such numbers takes minutes to imitate them in a ResNet.
        ("resnet-8", OptimizerKind::Momentum, PrecisionChoice::Auto),
    ] {
        let folder = tempdir().unwrap();
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        let mut spec = spec(model, optimizer);
        spec.training.precision = precision;
        assert_eq!(
            begin(&spec, &whole, &mut (), &Stop::default())
                .unwrap()
                .ending,
            Ending::Finished
        );
        let stop = Stop::default();
        let mut observer = StopAtFirstEvaluation(stop.clone());
        assert_eq!(
            begin(&spec, &stopped, &mut observer, &stop).unwrap().ending,
            Ending::Stopped
        );
        assert_eq!(read_steps(&stopped).unwrap().len(), 20);
        assert!(read_summary(&stopped).unwrap().is_none());
        assert!(
            begin(&spec, &stopped, &mut (), &Stop::default())
                .unwrap_err()
                .to_string()
                .contains("resume")
        );
        assert_eq!(
            resume(&stopped, &mut (), &Stop::default()).unwrap().ending,
            Ending::Finished
        );
        let (steps, evals, weights) = logged(&whole);
        assert_eq!((steps.len(), evals.len()), (60, 3));
        assert_eq!(logged(&stopped), (steps, evals, weights));
        assert_eq!(
            read_summary(&stopped).unwrap().unwrap().status,
            RunStatus::Finished
        );
    }
}

#[test]
fn a_run_keeps_the_precision_that_was_chosen_when_it_began() {
    let folder = tempdir().unwrap();
    let losses = |run: &Path| -> Vec<_> {
        let rows = read_steps(run).unwrap().into_iter();
        rows.map(|row| row.train_loss.unwrap().to_bits()).collect()
    };
    let mut spec = spec("convnet", OptimizerKind::Momentum);
    let mut found = Vec::new();
    for (choice, precision) in [
        (PrecisionChoice::Float32, Precision::Float32),
        (PrecisionChoice::Bfloat16, Precision::Bfloat16),
    ] {
        let named = folder.path().join(precision.to_string());
        spec.training.precision = choice;
        begin(&spec, &named, &mut (), &Stop::default()).unwrap();
        // As if it had begun on a machine where `auto` comes to this.
        let auto = folder.path().join(format!("auto-{precision}"));
        spec.training.precision = PrecisionChoice::Auto;
        begin(&spec, &auto, &mut (), &Stop::default().before(0)).unwrap();
        let text = std::fs::read_to_string(auto.join("run.toml")).unwrap();
        let mut file: RunFile = toml::from_str(&text).unwrap();
        file.found.as_mut().unwrap().precision = precision;
        file.write(&auto).unwrap();
        resume(&auto, &mut (), &Stop::default()).unwrap();
        assert_eq!(losses(&auto), losses(&named), "{precision}");
        found.push(losses(&named));
    }
    assert_ne!(found[0], found[1]);
}

#[test]
fn a_run_folder_of_an_older_version_goes_on_by_what_was_so_then() {
    let folder = tempdir().unwrap();
    let (new, old) = (folder.path().join("new"), folder.path().join("old"));
    let spec = spec("convnet", OptimizerKind::Momentum);
    begin(&spec, &new, &mut (), &Stop::default()).unwrap();
    begin(&spec, &old, &mut (), &Stop::default().before(0)).unwrap();
    let text = std::fs::read_to_string(old.join("run.toml")).unwrap();
    // `precision` was 32-bit floats, and is also what the run found.
    let new_keys = [
        "precision = ",
        "crop_padding = ",
        "crop_padding_mode = ",
        "flip = ",
        "normalization = ",
        "test_views = ",
    ];
    let older = text
        .lines()
        .filter(|line| !new_keys.iter().any(|key| line.starts_with(key)));
    let older = older.collect::<Vec<_>>().join("\n");
    let left_out = text.lines().count() - older.lines().count();
    assert_eq!(left_out, new_keys.len() + 1, "{text}");
    std::fs::write(old.join("run.toml"), older).unwrap();
    resume(&old, &mut (), &Stop::default()).unwrap();
    assert_eq!(logged(&old), logged(&new));
}

#[test]
fn the_log_holds_what_the_schedule_said() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    begin(
        &spec("convnet", OptimizerKind::Momentum),
        &run,
        &mut (),
        &Stop::default(),
    )
    .unwrap();
    for row in read_steps(&run).unwrap() {
        let step = row.step as f64;
        let cycle = (1.0 + step / 20.0).floor();
        let x = (step / 10.0 - 2.0 * cycle + 1.0).abs();
        let expected = 1e-5 + (1e-2 - 1e-5) * (1.0 - x).max(0.0);
        assert_eq!(
            row.learning_rate.to_bits(),
            expected.to_bits(),
            "step {}",
            row.step
        );
        assert_eq!((row.momentum, row.weight_decay), (Some(0.9), Some(2e-4)));
        assert!(row.train_loss.unwrap().is_finite() && row.grad_norm.unwrap() > 0.0);
    }
}

#[test]
fn a_fault_ends_the_run_and_stays_in_its_log() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    // It is told the loss, so that nobody can know before.
    let file = folder.path().join("breaks.wat");
    let text = r#"(module
        (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
        (func (export "learning-rate") (param i64) (result f64)
          (if (i64.ge_u (local.get 0) (i64.const 5)) (then (return (f64.sub (f64.const -1) (call $loss)))))
          f64.const 0.01))"#;
    std::fs::write(&file, text).unwrap();
    let mut spec = spec("convnet", OptimizerKind::Momentum);
    spec.schedule.plugin = file.to_str().unwrap().into();
    spec.schedule.params.clear();
    let error = begin(&spec, &run, &mut (), &Stop::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("must not be negative") && error.contains("at step 5"),
        "{error}"
    );
    assert_eq!(read_steps(&run).unwrap().len(), 5);
    let summary = read_summary(&run).unwrap().unwrap();
    assert_eq!((summary.status, summary.steps_done), (RunStatus::Failed, 5));
    assert!(summary.error.unwrap().contains("at step 5"));
}

#[test]
fn a_fault_that_is_sure_to_come_is_told_before_anything_is_trained() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let mut spec = spec("convnet", OptimizerKind::Momentum);
    spec.schedule.max_learning_rate = 5e-3;
    let error = begin(&spec, &run, &mut (), &Stop::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("max_learning_rate") && error.contains("at step 5"),
        "{error}"
    );
    assert!(!run.exists());
    // A study that holds wants it trained.
    spec.schedule.on_fault = OnFault::Hold;
    begin(&spec, &run, &mut (), &Stop::default()).unwrap();
    let held = read_steps(&run).unwrap()[5].learning_rate;
    assert!(held < 5e-3, "{held}");
}

#[test]
fn a_run_that_diverges_says_so() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let mut spec = spec("convnet", OptimizerKind::Momentum);
    spec.schedule.plugin = "fixed".into();
    spec.schedule.params = [("learning_rate".to_owned(), Value::Number(1e30))].into();
    spec.schedule.max_learning_rate = 1e38;
    let outcome = begin(&spec, &run, &mut (), &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Diverged);
    assert_eq!(
        read_summary(&run).unwrap().unwrap().status,
        RunStatus::Diverged
    );
    let last = read_steps(&run).unwrap().pop().unwrap();
    assert!(!last.train_loss.unwrap().is_finite());
}

/// Counts what it is shown.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Observer for Seen {
    fn progress(&mut self, progress: &Progress) {
        self.0.push(progress.step);
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let spec = spec("convnet", OptimizerKind::Adam);
    let stop = Stop::default();
    begin(&spec, &run, &mut StopAtFirstEvaluation(stop.clone()), &stop).unwrap();
    let newest = pixelrate_trainer::checkpoint::list(&run)
        .unwrap()
        .pop()
        .unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let mut seen = Seen::default();
    resume(&run, &mut seen, &Stop::default()).unwrap();
    // With no other checkpoint it begins anew, and ends with every step once.
    let steps: Vec<u64> = read_steps(&run)
        .unwrap()
        .iter()
        .map(|row| row.step)
        .collect();
    assert_eq!(steps, (0..60).collect::<Vec<_>>());
    assert_eq!(seen.0.last(), Some(&60));
    let events = pixelrate_runlog::read_events(&run).unwrap();
    assert!(
        events
            .iter()
            .any(|event| event.message.contains("it is damaged")),
        "{events:?}"
    );
}

#[test]
fn a_whole_checkpoint_of_another_model_is_an_error_and_stays() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let stop = Stop::default();
    let spec = spec("convnet", OptimizerKind::Adam);
    begin(&spec, &run, &mut StopAtFirstEvaluation(stop.clone()), &stop).unwrap();
    let file = run.join("run.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("optimizer = \"adam\"", "optimizer = \"momentum\"");
    assert_ne!(text, other);
    std::fs::write(&file, other).unwrap();
    let before = pixelrate_trainer::checkpoint::list(&run).unwrap();
    let problem = resume(&run, &mut Seen::default(), &Stop::default()).unwrap_err();
    assert!(
        problem.to_string().contains("is not the one in run.toml"),
        "{problem}"
    );
    assert_eq!(pixelrate_trainer::checkpoint::list(&run).unwrap(), before);
    // Nothing was lost: as it was, it goes on where it stopped.
    std::fs::write(&file, text).unwrap();
    resume(&run, &mut Seen::default(), &Stop::default()).unwrap();
    let resumed = pixelrate_runlog::read_events(&run).unwrap();
    let resumed = resumed
        .iter()
        .find(|event| event.kind == EventKind::Resumed);
    assert_eq!(resumed.unwrap().step, 20);
    assert_eq!(read_steps(&run).unwrap().len(), 60);
}

#[test]
fn what_is_held_back_is_evaluated_on_and_not_trained_on() {
    let folder = tempdir().unwrap();
    let run = |name: &str, train_examples: u64, validation_examples: f64| {
        let mut spec = spec("convnet", OptimizerKind::Momentum);
        spec.training.epochs = 0.1;
        spec.training.train_examples = train_examples;
        spec.training.validation_examples = validation_examples;
        let run = folder.path().join(name);
        begin(&spec, &run, &mut (), &Stop::default()).map(|_| logged(&run))
    };
    // A tenth of 5,500 pictures, 16 at a time.
    let (steps, evals, weights) = run("held-back", 0, 500.0).unwrap();
    assert_eq!(steps.len(), 34);
    assert_eq!(
        (evals[0].split.as_str(), evals[0].examples),
        ("validation", 500)
    );
    // The first 5,500 alone train alike.
    let (others, test, same) = run("first", 5500, 0.0).unwrap();
    assert_eq!((test[0].split.as_str(), test[0].examples), ("test", 2000));
    let losses = |rows: &[StepRow]| rows.iter().map(|row| row.train_loss).collect::<Vec<_>>();
    assert_eq!(losses(&steps), losses(&others));
    assert!(weights == same);
    let problem = run("too-many", 5501, 500.0).unwrap_err().to_string();
    assert!(
        problem.contains("5500 training pictures besides"),
        "{problem}"
    );
    let (_, evals, _) = run("share", 0, 0.05).unwrap();
    assert_eq!(evals[0].examples, 300);
    let problem = run("part", 0, 1.5).unwrap_err().to_string();
    assert!(problem.contains("a share of them below 1"), "{problem}");
    let problem = run("all", 0, 6000.0).unwrap_err().to_string();
    assert!(problem.contains("`validation_examples`"), "{problem}");
}

#[test]
fn a_dry_run_asks_and_logs_every_step_and_needs_no_data_set() {
    let place = tempdir().unwrap();
    let mut dry = spec("none", OptimizerKind::Adam);
    dry.training.dataset = "cifar10".into();
    dry.training.data_folder = place.path().join("nowhere");
    dry.training.log_grad_norm = true;
    let (whole, parts) = (place.path().join("whole"), place.path().join("parts"));
    let outcome = begin(&dry, &whole, &mut (), &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    let summary = outcome.summary.unwrap();
    assert_eq!(
        (summary.steps_done, summary.status),
        (60, RunStatus::Finished)
    );
    assert_eq!(
        (summary.final_train_loss, summary.final_eval_accuracy),
        (None, None)
    );
    assert_eq!(read_summary(&whole).unwrap(), Some(summary));
    assert_eq!(read_evals(&whole).unwrap(), []);

    let stopped = begin(&dry, &parts, &mut (), &Stop::default().before(25)).unwrap();
    assert_eq!(stopped.ending, Ending::Stopped);
    assert_eq!(read_steps(&parts).unwrap().len(), 25);
    let resumed = resume(&parts, &mut (), &Stop::default()).unwrap();
    assert_eq!(resumed.ending, Ending::Finished);

    let said = |folder: &Path| -> Vec<(u64, u64, Option<f64>)> {
        let rows = read_steps(folder).unwrap();
        rows.iter()
            .map(|row| (row.step, row.learning_rate.to_bits(), row.train_loss))
            .collect()
    };
    let rows = said(&whole);
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row.2.is_none()));
    assert_eq!(said(&parts), rows);

    // The schedule says what it says in a run that trains.
    let trained = place.path().join("trained");
    begin(
        &spec("convnet", OptimizerKind::Adam),
        &trained,
        &mut (),
        &Stop::default(),
    )
    .unwrap();
    let rates =
        |rows: &[(u64, u64, Option<f64>)]| -> Vec<u64> { rows.iter().map(|row| row.1).collect() };
    assert_eq!(rates(&said(&trained)), rates(&rows));
}

#[test]
fn a_schedule_is_shown_the_norm_of_the_weights_before_its_step() {
    let folder = tempdir().unwrap();
    let plugin = folder.path().join("norm.wat");
    // The rate is a thousandth of the norm.
    let text = r#"(module (import "pixelrate:schedule/weights@1.0.0" "norm" (func $norm (result f64)))
        (func (export "learning-rate") (param i64) (result f64) (f64.mul (call $norm) (f64.const 1e-3))))"#;
    std::fs::write(&plugin, text).unwrap();
    let run = folder.path().join("run");
    let mut spec = spec("convnet", OptimizerKind::Momentum);
    // Whether this learns is not asked.
    spec.training.epochs = 2.0;
    spec.schedule = ScheduleSpec {
        plugin: plugin.to_string_lossy().into_owned(),
        params: [].into(),
        ..spec.schedule
    };
    let stop = Stop::default();
    let mut observer = StopAtFirstEvaluation(stop.clone());
    begin(&spec, &run, &mut observer, &stop).unwrap();
    let checkpoints = pixelrate_trainer::checkpoint::list(&run).unwrap();
    let newest = std::fs::read(checkpoints.last().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&newest).unwrap();
    let parameters = (tensors.iter())
        .filter(|(name, _)| name.starts_with("model.") && !name.contains("running_"));
    let squares = parameters.flat_map(|(_, view)| {
        let (numbers, _) = view.data().as_chunks::<4>();
        let square = |bytes: &[u8; 4]| f64::from(f32::from_le_bytes(*bytes)).powi(2);
        numbers.iter().map(square).collect::<Vec<_>>()
    });
    let norm = squares.sum::<f64>().sqrt();
    resume(&run, &mut (), &Stop::default()).unwrap();
    let rates: Vec<f64> = (read_steps(&run).unwrap().iter())
        .map(|row| row.learning_rate)
        .collect();
    assert_eq!(rates.len(), 40);
    let off = (rates[20] / (norm * 1e-3) - 1.0).abs();
    assert!(off < 1e-6, "{} and {norm}", rates[20]);
    assert_ne!(rates[20], rates[21]);
}

#[test]
fn how_pictures_are_shown_is_part_of_a_run() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plain = spec("convnet", OptimizerKind::Momentum);
    let mut own = plain.clone();
    own.training = Training {
        crop_padding: 2,
        crop_padding_mode: PaddingMode::Reflect,
        flip: Flip::Alternate,
        normalization: Normalization::Channel,
        test_views: 6,
        ..own.training
    };
    begin(&plain, &at("plain"), &mut (), &Stop::default()).unwrap();
    begin(&own, &at("whole"), &mut (), &Stop::default()).unwrap();
    let stop = Stop::default();
    let mut observer = StopAtFirstEvaluation(stop.clone());
    let outcome = begin(&own, &at("stopped"), &mut observer, &stop).unwrap();
    assert_eq!(outcome.ending, Ending::Stopped);
    resume(&at("stopped"), &mut (), &Stop::default()).unwrap();
    assert_eq!(logged(&at("whole")), logged(&at("stopped")));
    // Each of them changes the first step.
    type Change = fn(&mut Training, &Training);
    let changes: [(&str, Change); 4] = [
        ("crop_padding", |t, own| t.crop_padding = own.crop_padding),
        ("crop_padding_mode", |t, own| {
            t.crop_padding_mode = own.crop_padding_mode;
        }),
        ("flip", |t, own| t.flip = own.flip),
        ("normalization", |t, own| {
            t.normalization = own.normalization
        }),
    ];
    for (key, change) in changes {
        let mut spec = plain.clone();
        change(&mut spec.training, &own.training);
        begin(&spec, &at(key), &mut (), &Stop::default().before(1)).unwrap();
        let first = |name: &str| logged(&at(name)).0[0].train_loss;
        assert_ne!(first(key), first("plain"), "{key}");
    }
    // A run's evaluation alone goes by its views.
    let mut viewed = plain.clone();
    viewed.training.test_views = 2;
    begin(&viewed, &at("viewed"), &mut (), &Stop::default()).unwrap();
    let ((steps, evals, _), (viewed_steps, viewed_evals, _)) =
        (logged(&at("plain")), logged(&at("viewed")));
    assert_eq!(steps, viewed_steps);
    assert_ne!(evals[0].loss, viewed_evals[0].loss);
}

#[test]
fn keys_that_cannot_be_or_change_nothing_are_refused() {
    type Change = fn(&mut Training);
    let refused = |dataset: &str, change: Change| {
        let mut spec = spec("mnist-convnet", OptimizerKind::Momentum);
        spec.training.dataset = dataset.into();
        spec.check().unwrap();
        change(&mut spec.training);
        spec.check().unwrap_err().to_string()
    };
    let of_mnist: [(&str, Change); 4] = [
        ("crop_padding", |t| t.crop_padding = 2),
        ("crop_padding_mode", |t| {
            t.crop_padding_mode = PaddingMode::Reflect;
        }),
        ("flip", |t| t.flip = Flip::Alternate),
        ("normalization", |t| {
            t.normalization = Normalization::Channel
        }),
    ];
    for (key, change) in of_mnist {
        let told = refused("mnist", change);
        assert!(
            told.contains(&format!("`{key}`")) && told.contains("mnist"),
            "{told}"
        );
    }
    let told = refused("cifar10", |t| t.crop_padding = 17);
    assert!(
        told.contains("`crop_padding`") && told.contains("17"),
        "{told}"
    );
    let told = refused("cifar10", |t| t.test_views = 3);
    assert!(
        told.contains("`test_views`") && told.contains("1, 2 or 6"),
        "{told}"
    );
}
