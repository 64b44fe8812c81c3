//! What a study of ten thousand runs costs whoever plans it, goes on with it, looks at it and reports on it, by the
//! program itself, and whether that grows faster than the runs.
//!
//! `cargo bench --profile dev --package pixelrate --bench many`; `PIXELRATE_RUNS` sets how many runs (10,000), and `TMPDIR`
//! where they are written: a file system in memory writes them soonest. Run as a test (no `--bench`), it makes a few.
//!
//! Runs are written by the log's own writer, in every file that a run leaves, with as many steps and tests as those of a
//! small study have; nothing was trained.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pixelrate_runlog::{
    EvalRow, EventKind, EventRow, Identity, RunLog, RunStatus, StepRow, SummaryRow,
};
use pixelrate_study::plan::{Plan, plan};
use pixelrate_trainer::precision::Precision;
use pixelrate_trainer::spec::{Found, RunFile, RunSpec};

/// Steps of a run, and tests.
const STEPS: u64 = 750;
const TESTS: u64 = 16;
/// Training pictures and the batch that make these steps in four epochs.
const EXAMPLES: u64 = 6_000;
const BATCH: u64 = 32;

/// Schedules of the study that has many seeds.
const SCHEDULES: usize = 20;

/// How often each command is timed.
const TIMES: usize = 3;

/// How often the memory of a process is looked at.
const LOOK: Duration = Duration::from_millis(2);

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let most: usize = std::env::var("PIXELRATE_RUNS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(if full { 10_000 } else { 40 });
    let less = (most / 10).max(SCHEDULES);
    println!(
        "runs of {STEPS} steps and {TESTS} tests; seconds, and the peak of memory in MB, of each command"
    );
    let short = study(SCHEDULES, less / SCHEDULES);
    let long = study(SCHEDULES, most / SCHEDULES);
    let wide = study(most, 1);
    for ((name, one), ten) in NAMES.iter().zip(&short).zip(&long) {
        let times = most as f64 / less as f64;
        // What is read for the first time takes as long as the disk does.
        if !name.ends_with("-first") {
            println!("ratio many-{name}-time-a-run {:.3}", one.0 * times / ten.0);
        }
        println!("ratio many-{name}-memory {:.3}", one.1 / ten.1);
    }
    for ((name, seeds), schedules) in NAMES.iter().zip(&long).zip(&wide) {
        if !name.ends_with("-first") {
            println!(
                "ratio many-{name}-schedules-over-seeds {:.3}",
                seeds.0 / schedules.0
            );
        }
    }
}

const NAMES: [&str; 6] = [
    "plan",
    "ps",
    "ps-all-first",
    "ps-all",
    "report-first",
    "report",
];

/// Takes away what was kept of the runs when they were looked at before.
fn forget(study: &Path) {
    match std::fs::remove_dir_all(study.join(".index")) {
        Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => panic!("{problem}"),
        _ => {}
    }
}

/// Makes a study, and takes the time and the memory of each command: the median of [`TIMES`].
fn study(schedules: usize, seeds: usize) -> Vec<(f64, f64)> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("many.toml");
    std::fs::write(&file, text(schedules, seeds)).unwrap();
    let plan = plan(&file).unwrap();
    let folder = place.path().join("runs/many");
    let began = Instant::now();
    fill(&plan, &folder);
    println!(
        "{schedules} schedules of {seeds} seeds (written in {:.0} s):",
        began.elapsed().as_secs_f64()
    );
    let runs = place.path().join("runs");
    let [file, runs, folder] = [&file, &runs, &folder].map(|path| path.to_str().unwrap());
    let commands: [&[&str]; 6] = [
        &["study", file, "--list", "--runs", runs],
        &["ps", runs],
        &["ps", runs, "--all"],
        &["ps", runs, "--all"],
        &["report", folder],
        &["report", folder],
    ];
    let mut found = Vec::new();
    for (name, command) in NAMES.iter().zip(commands) {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            if name.ends_with("-first") {
                forget(Path::new(folder));
            }
            times.push(measure(command));
        }
        times.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (seconds, megabytes) = times[TIMES / 2];
        println!("  {name:14} {seconds:7.3} s {megabytes:7.0} MB");
        found.push((seconds, megabytes));
    }
    let (seconds, megabytes) = measure(&["study", file, "--runs", runs]);
    println!("  going on with what has ended, and its report: {seconds:.3} s {megabytes:.0} MB");
    for name in ["report.html", "report.md", "report.json", "bars.svg"] {
        let size = Path::new(folder).join("report").join(name).metadata();
        print!("  {name} {:.2} MB", size.unwrap().len() as f64 / 1e6);
    }
    println!();
    found
}

/// Seconds of the program with these arguments, and the peak of its memory in MB.
fn measure(arguments: &[&str]) -> (f64, f64) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pixelrate"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = f64::NAN;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        peak = peak.max(size.map_or(f64::NAN, |size: f64| size / 1e3));
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(LOOK);
    };
    assert!(code.success(), "{arguments:?}");
    (began.elapsed().as_secs_f64(), peak)
}

fn text(schedules: usize, seeds: usize) -> String {
    let seeds: Vec<String> = (0..seeds).map(|seed| seed.to_string()).collect();
    let mut text = format!(
        "[study]\nname = \"many\"\nseeds = [{}]\n\n[training]\ndataset = \"synthetic\"\nmodel = \"none\"\nepochs = {}\n\
         batch_size = {BATCH}\ndevice = \"cpu\"\nthreads = 1\n",
        seeds.join(", "),
        (STEPS * BATCH) as f64 / EXAMPLES as f64
    );
    for schedule in 0..schedules {
        let _ = write!(
            text,
            "\n[[schedule]]\nlabel = \"s{schedule:05}\"\nplugin = \"cyclic\"\nparams = {{ max_lr = {} }}\n",
            0.01 + schedule as f64 * 1e-5
        );
    }
    text
}

/// Writes all runs of the plan as they would have ended.
fn fill(plan: &Plan, folder: &Path) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(spec) = plan.runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(spec, &folder.join(&spec.run));
                }
            });
        }
    });
}

fn run(spec: &RunSpec, folder: &Path) {
    let identity = Identity {
        study: spec.study.clone(),
        run: spec.run.clone(),
        ..Identity::default()
    };
    let mut log = RunLog::create(folder, identity).unwrap();
    let sha256: Arc<str> = "ab".repeat(32).into();
    // Noise that depends on the run, and an accuracy that depends on the schedule a little.
    let mut state = spec.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(spec.label_index);
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let goal = 0.8 + 1e-3 * f64::from(spec.label_index % 20) + 0.02 * noise();
    let mut accuracy = 0.1;
    log.event(event(&sha256, 0, EventKind::Loaded)).unwrap();
    for step in 0..STEPS {
        let share = step as f64 / STEPS as f64;
        log.step(StepRow {
            step,
            epoch: 4.0 * share,
            learning_rate: (0.01 + 1e-5 * f64::from(spec.label_index)) * (1.0 - share),
            momentum: Some(0.9),
            weight_decay: Some(0.0),
            train_loss: Some(2.3 * (1.0 - share) + 0.3 * noise()),
            grad_norm: None,
            step_ns: 5_000_000,
            schedule_ns: 200,
            schedule: Arc::clone(&sha256),
            swaps: 0,
        })
        .unwrap();
        let tested = |step: u64| step * TESTS / STEPS;
        if tested(step + 1) > tested(step) {
            accuracy = goal * (1.0 - (-5.0 * (share + 0.01)).exp()) + 0.01 * noise();
            log.eval(EvalRow {
                step: step + 1,
                epoch: 4.0 * share,
                split: "test".to_owned(),
                loss: 1.0 - accuracy,
                accuracy,
                examples: 2_000,
            })
            .unwrap();
        }
    }
    log.event(event(&sha256, STEPS, EventKind::Finished))
        .unwrap();
    let found = Found {
        schedule_sha256: sha256.to_string(),
        dataset_sha256: "cd".repeat(32),
        dataset_origin: "drawn by code".to_owned(),
        train_examples: EXAMPLES,
        total_steps: STEPS,
        parameters: 0,
        device: "cpu".to_owned(),
        precision: Precision::Float32,
        own_kernels: false,
        pixelrate_version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch_version: "none".to_owned(),
        git_commit: None,
        machine: "a benchmark".to_owned(),
    };
    let file = RunFile {
        spec: spec.clone(),
        found: Some(found),
    };
    file.write(folder).unwrap();
    std::fs::write(folder.join("status.json"), status(spec, &sha256)).unwrap();
    log.finish(&summary(spec, &sha256, accuracy)).unwrap();
}

/// As a run's process leaves it.
fn status(spec: &RunSpec, sha256: &str) -> String {
    let schedule = spec.schedule.told();
    format!(
        "{{\"process\":1,\"activity\":\"training\",\"step\":{STEPS},\"total_steps\":{STEPS},\"learning_rate\":0.1,\
         \"train_loss\":0.3,\"schedule\":\"{schedule}\",\"sha256\":\"{sha256}\",\"swaps\":0}}"
    )
}

fn event(sha256: &str, step: u64, kind: EventKind) -> EventRow {
    EventRow {
        step,
        time_unix_ms: 1_525_132_800_000,
        kind,
        schedule: Some(sha256.to_owned()),
        message: "cyclic".to_owned(),
        duration_ns: None,
    }
}

fn summary(spec: &RunSpec, sha256: &str, accuracy: f64) -> SummaryRow {
    SummaryRow {
        study: spec.study.clone(),
        run: spec.run.clone(),
        schedule: spec.label.clone(),
        schedule_sha256: sha256.to_owned(),
        seed: spec.seed,
        dataset: spec.training.dataset.clone(),
        model: spec.training.model.clone(),
        optimizer: spec.training.optimizer.to_string(),
        batch_size: spec.training.batch_size,
        epochs: spec.training.epochs,
        total_steps: STEPS,
        steps_done: STEPS,
        status: RunStatus::Finished,
        final_train_loss: Some(0.3),
        final_eval_loss: Some(1.0 - accuracy),
        final_eval_accuracy: Some(accuracy),
        best_eval_accuracy: Some(accuracy),
        wall_seconds: 4.0,
        started_unix_ms: 1_525_132_800_000,
        finished_unix_ms: 1_525_132_804_000,
        error: None,
        device: "cpu".to_owned(),
        threads: 1,
        pixelrate_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: None,
    }
}
