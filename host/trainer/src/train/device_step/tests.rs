//! Steps on a device beside those on the host: on the CPU, one operation after another, and on CUDA, where there is one.

mod kernels;

use std::cell::Cell;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pixelrate_runlog::{EvalRow, EventKind, StepRow, read_evals, read_events, read_steps};
use pixelrate_sandbox::{Limits, OnFault, Value};

use tch::{Device, Kind, Tensor};

use super::{Batch, WARM_UP, gradients};
use crate::device::tests::AS_A_DEVICE;
use crate::model::Model;
use crate::precision::{Precision, PrecisionChoice};
use crate::spec::{OptimizerKind, RunSpec, ScheduleSpec, Training};
use crate::train::caught::caught;
use crate::train::{Ending, Observer, Stop, begin, resume, setup};

thread_local! {
    /// Whether this thread's steps are not recorded.
    pub(super) static BY_OPERATIONS: Cell<bool> = const { Cell::new(false) };
    /// Recorded steps that this thread has repeated.
    pub(super) static REPEATED: Cell<u64> = const { Cell::new(0) };
}

fn spec(model: &str, optimizer: OptimizerKind, max_lr: f64) -> RunSpec {
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
            batch_size: 8,
            epochs: 3.0,
            // Two blocks of losses that are read back together in an epoch, and more; batches cross its border.
            train_examples: 1204,
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
            params: [
                ("step_size".to_owned(), Value::Number(10.0)),
                ("max_lr".to_owned(), Value::Number(max_lr)),
            ]
            .into(),
            picture_folder: None,
            max_learning_rate: 1e9,
            on_fault: OnFault::Abort,
            rollback_steps: 100,
        },
        limits: Limits::default(),
        watch: false,
        tuned: None,
        parent: None,
    }
}

/// A run as on a device, whatever this one is.
fn as_a_device<T>(train: impl FnOnce() -> T) -> T {
    AS_A_DEVICE.set(true);
    let given = train();
    AS_A_DEVICE.set(false);
    given
}

/// All that both must agree on, the gradients' norms apart.
fn logged(folder: &Path) -> (Vec<StepRow>, Vec<f64>, Vec<EvalRow>) {
    let mut steps = read_steps(folder).unwrap();
    let mut norms = Vec::new();
    for row in &mut steps {
        (row.step_ns, row.schedule_ns) = (0, 0);
        norms.extend(row.grad_norm.take());
    }
    (steps, norms, read_evals(folder).unwrap())
}

#[test]
fn a_devices_steps_are_the_hosts() {
    for (optimizer, label_smoothing, precision) in [
        (OptimizerKind::Momentum, 0.0, PrecisionChoice::Float32),
        (OptimizerKind::Momentum, 0.0, PrecisionChoice::Bfloat16),
        (OptimizerKind::Nesterov, 0.2, PrecisionChoice::Float32),
        (OptimizerKind::Adam, 0.0, PrecisionChoice::Float32),
        (OptimizerKind::AdamW, 0.0, PrecisionChoice::Float32),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (host, device) = (folder.path().join("host"), folder.path().join("device"));
        let mut spec = spec("convnet", optimizer, 1e-2);
        spec.training.label_smoothing = label_smoothing;
        spec.training.precision = precision;
        begin(&spec, &host, &mut (), &Stop::default()).unwrap();
        as_a_device(|| begin(&spec, &device, &mut (), &Stop::default())).unwrap();
        let (steps, norms, evals) = logged(&host);
        let (other_steps, other_norms, other_evals) = logged(&device);
        assert_eq!(steps.len(), 451);
        if ![OptimizerKind::Adam, OptimizerKind::AdamW].contains(&optimizer) {
            assert_eq!((&steps, &evals), (&other_steps, &other_evals));
        }
        // Adam's roots are not the same to the bit, and what comes of that grows.
        for (one, other) in steps.iter().zip(&other_steps).take(20) {
            let (a, b) = (one.train_loss.unwrap(), other.train_loss.unwrap());
            assert!((a - b).abs() < 1e-3 * a.abs(), "step {}: {a} {b}", one.step);
        }
        // Of all numbers at once, and of each tensor's norm.
        for (a, b) in norms.iter().zip(&other_norms).take(20) {
            assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
        }
    }
}

#[test]
fn a_devices_weights_are_rounded_at_once_and_no_other_parameter_is() {
    let spec = spec("resnet-8", OptimizerKind::Momentum, 1e-2);
    let (dataset, _) = setup::dataset(&spec.training).unwrap();
    let built = |precision| {
        let of = || setup::build(&spec, &dataset, Device::Cpu, precision).unwrap();
        as_a_device(of).0
    };
    let model = built(Precision::Bfloat16);
    assert!(model.parameters().iter().any(|it| it.dim() > 1));
    for (leaf, parameter) in model.leaves().iter().zip(model.parameters()) {
        let kind = match parameter.dim() {
            1 => Kind::Float,
            _ => Kind::BFloat16,
        };
        assert_eq!((leaf.kind(), parameter.kind()), (kind, Kind::Float));
        assert_eq!(*leaf, parameter.to_kind(kind));
        assert!(leaf.requires_grad());
    }
    let whole = built(Precision::Float32);
    assert!(whole.leaves().iter().all(|leaf| leaf.kind() == Kind::Float));
}

#[test]
fn a_devices_resnet_is_the_hosts_to_the_bit() {
    let spec = spec("resnet-8", OptimizerKind::Momentum, 1e-2);
    let (dataset, _) = setup::dataset(&spec.training).unwrap();
    for precision in [Precision::Float32, Precision::Bfloat16] {
        let architecture = spec.training.model.parse().unwrap();
        let learned = || {
            let model = Model::new(architecture, &dataset, 3, Device::Cpu, precision);
            let _generator = crate::model::seeded(4);
            let batch = Batch {
                pictures: Tensor::randn([4, 3, 32, 32], (Kind::Float, Device::Cpu)),
                labels: Tensor::arange(4, (Kind::Int64, Device::Cpu)),
                label_smoothing: 0.0,
                seed: 0,
            };
            let (loss, gradients) = gradients(&model, &batch).unwrap();
            let buffers = model.tensors().map(|(_, tensor)| tensor.copy());
            (loss, gradients, buffers.collect::<Vec<_>>())
        };
        assert_eq!(learned(), as_a_device(learned), "{precision}");
    }
}

#[test]
fn what_libtorch_has_against_a_devices_operation_is_an_error_as_on_the_host() {
    let spec = spec("resnet-8", OptimizerKind::Momentum, 1e-2);
    let (dataset, _) = setup::dataset(&spec.training).unwrap();
    let architecture = spec.training.model.parse().unwrap();
    let model = Model::new(architecture, &dataset, 3, Device::Cpu, Precision::Float32);
    let of_five = Tensor::zeros([1, 5, 32, 32], (Kind::Float, Device::Cpu));
    let forward = || caught(|| Ok(model.forward(&of_five)));
    for problem in [forward(), as_a_device(forward)] {
        let told = problem.unwrap_err().to_string();
        assert!(told.contains("to have 3 channels"), "{told}");
    }
}

#[test]
fn a_devices_steps_are_made_with_what_the_schedule_says_now() {
    let folder = tempfile::tempdir().unwrap();
    for optimizer in [OptimizerKind::Momentum, OptimizerKind::Nesterov] {
        let [host, device] = ["host", "device"].map(|name| folder.path().join(name));
        let mut spec = spec("convnet", optimizer, 0.0);
        spec.training.epochs = 1.0;
        spec.schedule = changing(folder.path(), 20);
        begin(&spec, &host, &mut (), &Stop::default()).unwrap();
        as_a_device(|| begin(&spec, &device, &mut (), &Stop::default())).unwrap();
        let (host, device) = (logged(&host), logged(&device));
        assert_eq!((&host.0, &host.2), (&device.0, &device.2), "{optimizer}");
        assert_eq!(host.0[19].learning_rate, 0.0);
        assert_ne!(host.0[20].learning_rate, 0.0);
        std::fs::remove_dir_all(folder.path().join("host")).unwrap();
        std::fs::remove_dir_all(folder.path().join("device")).unwrap();
    }
}

struct StopAtFirstEvaluation(Stop);

impl Observer for StopAtFirstEvaluation {
    fn evaluated(&mut self, _: &EvalRow) {
        self.0.ask();
    }
}

#[test]
fn a_run_on_a_device_is_taken_up_to_the_same_bits() {
    for (model, optimizer, precision) in [
        (
            "resnet-8",
            OptimizerKind::Momentum,
            PrecisionChoice::Float32,
        ),
        ("convnet", OptimizerKind::Adam, PrecisionChoice::Bfloat16),
        // A processor without such numbers takes minutes to imitate them in larger models.
        ("resnet-8", OptimizerKind::Adam, PrecisionChoice::Auto),
        ("airbench", OptimizerKind::Nesterov, PrecisionChoice::Auto),
        ("mnist-convnet", OptimizerKind::AdamW, PrecisionChoice::Auto),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        let spec = spec(model, optimizer, 1e-2);
        let spec = RunSpec {
            training: Training {
                train_examples: 204,
                validation_examples: 100.0,
                epochs: 2.0,
                precision,
                ..spec.training
            },
            ..spec
        };
        as_a_device(|| {
            begin(&spec, &whole, &mut (), &Stop::default()).unwrap();
            let stop = Stop::default();
            let mut observer = StopAtFirstEvaluation(stop.clone());
            let outcome = begin(&spec, &stopped, &mut observer, &stop).unwrap();
            assert_eq!(outcome.ending, Ending::Stopped);
            let outcome = resume(&stopped, &mut (), &Stop::default()).unwrap();
            assert_eq!(outcome.ending, Ending::Finished);
        });
        assert_eq!(logged(&whole), logged(&stopped), "{model} {optimizer}");
    }
}

#[test]
fn a_run_on_a_device_that_diverges_ends_at_the_step_where_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let (host, device) = (folder.path().join("host"), folder.path().join("device"));
    let spec = spec("convnet", OptimizerKind::Momentum, 1e8);
    for (folder, as_one) in [(&host, false), (&device, true)] {
        AS_A_DEVICE.set(as_one);
        let outcome = begin(&spec, folder, &mut (), &Stop::default()).unwrap();
        AS_A_DEVICE.set(false);
        assert_eq!(outcome.ending, Ending::Diverged);
    }
    let ((steps, _, _), (others, _, _)) = (logged(&host), logged(&device));
    let told = |rows: &[StepRow]| {
        let last = rows.last().unwrap();
        assert!(!last.train_loss.unwrap().is_finite());
        (rows.len(), last.step)
    };
    assert_eq!(told(&steps), told(&others));
}

/// Where this machine has a CUDA device, for one test at a time: some count the kernels that the process has launched.
/// `PIXELRATE_REQUIRE_CUDA` says that it has to have one.
fn cuda() -> Option<MutexGuard<'static, ()>> {
    static DEVICE: Mutex<()> = Mutex::new(());
    let found = crate::device::open("cuda").is_ok();
    let required = std::env::var_os("PIXELRATE_REQUIRE_CUDA").is_some();
    assert!(found || !required, "there is no CUDA device");
    if !found {
        println!("skipped: there is no CUDA device");
        return None;
    }
    Some(DEVICE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn on_cuda(spec: &RunSpec, precision: PrecisionChoice) -> RunSpec {
    let mut spec = spec.clone();
    spec.training.device = "cuda".into();
    spec.training.precision = precision;
    spec
}

/// The rows of a run: as it is, or one operation after another.
fn rows(spec: &RunSpec, by_operations: bool) -> Vec<StepRow> {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    BY_OPERATIONS.set(by_operations);
    REPEATED.set(0);
    let outcome = begin(spec, &run, &mut (), &Stop::default());
    BY_OPERATIONS.set(false);
    assert_eq!(outcome.unwrap().ending, Ending::Finished);
    let refused = read_events(&run).unwrap().into_iter();
    let refused: Vec<_> = refused.filter(|row| row.kind == EventKind::Note).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let rows = read_steps(&run).unwrap();
    let records =
        spec.training.device == "cuda" && spec.training.model != "mnist-convnet" && !by_operations;
    let repeats = rows.len() as u64 - u64::from(WARM_UP);
    assert_eq!(REPEATED.get(), if records { repeats } else { 0 });
    rows
}

/// The losses of a run: as it is, or one operation after another.
fn losses(spec: &RunSpec, by_operations: bool) -> Vec<f64> {
    loss_of(&rows(spec, by_operations))
}

fn loss_of(rows: &[StepRow]) -> Vec<f64> {
    rows.iter().map(|row| row.train_loss.unwrap()).collect()
}

/// A schedule that says all that a step is made with, and changes it from step to step: a rate of 0 up to step `first`, then
/// a large one; momentum; and weight decay.
fn changing(folder: &Path, first: u64) -> ScheduleSpec {
    let text = format!(
        r#"(module
            (func (export "learning-rate") (param i64) (result f64)
                (select (f64.const 0) (f64.const 0.02) (i64.lt_u (local.get 0) (i64.const {first}))))
            (func (export "momentum") (param i64) (result f64)
                (f64.add (f64.const 0.5) (f64.mul (f64.const 0.01)
                    (f64.convert_i64_u (i64.rem_u (local.get 0) (i64.const 40))))))
            (func (export "weight-decay") (param i64) (result f64)
                (f64.mul (f64.const 0.001) (f64.convert_i64_u (i64.rem_u (local.get 0) (i64.const 7))))))"#
    );
    let plugin = folder.join("changing.wat");
    std::fs::write(&plugin, text).unwrap();
    ScheduleSpec {
        plugin: plugin.to_str().unwrap().into(),
        params: Default::default(),
        picture_folder: None,
        max_learning_rate: 1.0,
        on_fault: OnFault::Abort,
        rollback_steps: 100,
    }
}

/// What is added in another order from time to time, as cuDNN may, is not the same to the bit, and grows from step to step.
fn assert_alike(one: &[f64], other: &[f64]) {
    assert_eq!(one.len(), other.len());
    for (step, (a, b)) in one.iter().zip(other).enumerate().take(40) {
        assert!((a - b).abs() < 0.02 * a.abs(), "step {step}: {a} {b}");
    }
}

#[test]
fn on_cuda_recorded_steps_do_what_their_operations_do() {
    let Some(_device) = cuda() else { return };
    for (model, optimizer, precision) in [
        ("convnet", OptimizerKind::Momentum, PrecisionChoice::Float32),
        ("resnet-8", OptimizerKind::Adam, PrecisionChoice::Float32),
        (
            "resnet-8",
            OptimizerKind::Momentum,
            PrecisionChoice::Bfloat16,
        ),
    ] {
        let spec = on_cuda(&spec(model, optimizer, 1e-3), precision);
        let (recorded, operated) = (rows(&spec, false), rows(&spec, true));
        assert_alike(&loss_of(&recorded), &loss_of(&operated));
        let norms = |rows: &[StepRow]| rows.iter().map(|row| row.grad_norm.unwrap()).collect();
        let (recorded, operated): (Vec<_>, Vec<_>) = (norms(&recorded), norms(&operated));
        assert_alike(&recorded, &operated);
    }
}

#[test]
fn on_cuda_recorded_steps_are_made_with_what_the_schedule_says_now() {
    let Some(_device) = cuda() else { return };
    // Long after the recording, whose rate is 0.
    const FIRST: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    for (model, optimizer, label_smoothing) in [
        ("convnet", OptimizerKind::Momentum, 0.0),
        ("resnet-8", OptimizerKind::Nesterov, 0.2),
        ("convnet", OptimizerKind::Adam, 0.0),
    ] {
        let mut spec = on_cuda(&spec(model, optimizer, 0.0), PrecisionChoice::Float32);
        (spec.training.deterministic, spec.training.epochs) = (true, 1.0);
        spec.training.label_smoothing = label_smoothing;
        spec.schedule = changing(folder.path(), FIRST);
        let (recorded, operated) = (losses(&spec, false), losses(&spec, true));
        // Nothing has changed the weights up to here.
        let still = FIRST as usize + 1;
        assert_eq!(recorded[..still], operated[..still], "{optimizer}");
        assert_alike(&recorded, &operated);
        let mut at_rest = spec.clone();
        at_rest.schedule = changing(folder.path(), 1 << 40);
        let at_rest = losses(&at_rest, false);
        assert_eq!(recorded[..still], at_rest[..still], "{optimizer}");
        assert_ne!(recorded[still..], at_rest[still..], "{optimizer}");
    }
}

#[test]
fn on_cuda_a_model_with_dropout_trains_as_on_the_host_by_operations() {
    let Some(_device) = cuda() else { return };
    let mut spec = spec("mnist-convnet", OptimizerKind::Adam, 1e-3);
    spec.training.train_examples = 404;
    let spec = on_cuda(&spec, PrecisionChoice::Float32);
    // Each step seeds its dropout: two runs side by side draw none of each other's.
    let (alone, together) = std::thread::scope(|scope| {
        let other = scope.spawn(|| losses(&spec, false));
        let one = losses(&spec, false);
        (one, other.join().unwrap())
    });
    assert_alike(&alone, &together);
    assert_alike(&alone, &losses(&spec, false));
}

#[test]
fn on_cuda_a_deterministic_run_repeats_and_is_taken_up_to_the_same_bits() {
    let Some(_device) = cuda() else { return };
    for (model, optimizer) in [
        ("convnet", OptimizerKind::Momentum),
        ("resnet-8", OptimizerKind::Adam),
        ("mnist-convnet", OptimizerKind::Momentum),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut spec = on_cuda(&spec(model, optimizer, 1e-2), PrecisionChoice::Auto);
        (spec.training.deterministic, spec.training.train_examples) = (true, 404);
        for name in ["one", "other"] {
            begin(&spec, &at(name), &mut (), &Stop::default()).unwrap();
        }
        assert_eq!(logged(&at("one")), logged(&at("other")), "{model}");
        let stop = Stop::default();
        let mut observer = StopAtFirstEvaluation(stop.clone());
        let outcome = begin(&spec, &at("stopped"), &mut observer, &stop).unwrap();
        assert_eq!(outcome.ending, Ending::Stopped);
        resume(&at("stopped"), &mut (), &Stop::default()).unwrap();
        assert_eq!(logged(&at("one")), logged(&at("stopped")), "{model}");
    }
}

#[test]
fn on_the_cpu_what_is_asked_of_cuda_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, asked) = (folder.path().join("plain"), folder.path().join("asked"));
    let mut spec = spec("convnet", OptimizerKind::Momentum, 1e-2);
    spec.training.train_examples = 404;
    begin(&spec, &plain, &mut (), &Stop::default()).unwrap();
    spec.training.deterministic = true;
    begin(&spec, &asked, &mut (), &Stop::default()).unwrap();
    assert_eq!(logged(&plain), logged(&asked));
    let kept = RunSpec::read(&asked.join("run.toml")).unwrap();
    assert!(kept.training.deterministic);
    assert!(kept.training.repeats("cuda:0"));
    let kept = RunSpec::read(&plain.join("run.toml")).unwrap();
    assert!(!kept.training.deterministic);
    assert!(kept.training.repeats("cpu") && !kept.training.repeats("cuda:0"));
}

#[test]
fn on_cuda_runs_side_by_side_do_what_they_do_alone() {
    let Some(_device) = cuda() else { return };
    // In the latter by kernels of our own, which all of them ask for at once where the process is the test's alone.
    for precision in [PrecisionChoice::Float32, PrecisionChoice::Bfloat16] {
        let specs = [0, 1, 2, 3].map(|seed| {
            let spec = spec("resnet-8", OptimizerKind::Momentum, 1e-3);
            RunSpec {
                seed,
                ..on_cuda(&spec, precision)
            }
        });
        let together: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let runs: Vec<_> = specs
                .iter()
                .map(|spec| scope.spawn(|| losses(spec, false)))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (spec, together) in specs.iter().zip(&together) {
            assert_alike(&losses(spec, false), together);
        }
    }
}

#[test]
fn a_deterministic_run_goes_on_by_the_kernels_that_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut spec = spec("resnet-8", OptimizerKind::Momentum, 1e-3);
    (spec.training.deterministic, spec.training.train_examples) = (true, 64);
    spec.training.precision = PrecisionChoice::Bfloat16;
    let stop = Stop::default();
    let mut observer = StopAtFirstEvaluation(stop.clone());
    as_a_device(|| begin(&spec, &run, &mut observer, &stop)).unwrap();
    // In the test's process, only what trains as a device does is asked for kernels.
    let problem = resume(&run, &mut (), &Stop::default()).unwrap_err();
    let told = problem.to_string();
    assert!(
        told.contains("PIXELRATE_CUDA_KERNELS") && told.contains("began with kernels of our own"),
        "{told}"
    );
    as_a_device(|| resume(&run, &mut (), &Stop::default())).unwrap();
}

#[test]
fn on_cuda_the_hosts_losses_come_out() {
    let Some(_device) = cuda() else { return };
    let spec = spec("convnet", OptimizerKind::Momentum, 1e-3);
    assert_alike(
        &losses(&spec, false),
        &losses(&on_cuda(&spec, PrecisionChoice::Float32), false),
    );
}
