//! The ten worked questions over many logged steps: the time of each by `pixelrate query`'s engine and views, its memory,
//! and, where `PIXELRATE_PYTHON` has Polars, the same question's Polars program beside it.
//!
//! `cargo bench -p pixelrate-query --bench questions`. A million steps in a hundred runs by default;
//! `PIXELRATE_BENCH_ROWS=100000000` for a hundred million in a thousand, whose logs (some 5 GB) are written once and kept.
//! Run as a test (no `--bench`), it asks the questions of few rows.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use pixelrate_query::{DuckDb, Error, Format, View, Views};
use pixelrate_runlog::{
    EvalRow, EventKind, EventRow, Identity, RunLog, RunStatus, StepRow, SummaryRow,
};

const SCHEDULES: u64 = 20;
const EVALS: u64 = 20;
/// What `pixelrate query` allows by default.
const MEMORY: &str = "2GB";

fn main() {
    let asked = std::env::args().any(|argument| argument == "--bench");
    let rows: u64 = match std::env::var("PIXELRATE_BENCH_ROWS") {
        Ok(text) => text.parse().unwrap(),
        Err(_) if asked => 1_000_000,
        Err(_) => 4_000,
    };
    let duckdb = match DuckDb::find() {
        Ok(duckdb) => duckdb,
        Err(problem) => {
            println!("skipped: {problem}");
            return;
        }
    };
    let runs = (rows / 100_000).max(rows.min(1_000_000) / 10_000).max(4);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("questions-{rows}"));
    write_runs(&place, runs, rows / runs);
    let folders: Vec<PathBuf> = (0..runs).map(|run| folder(&place, run)).collect();

    let mut took = BTreeMap::new();
    for path in questions("sql") {
        let sql = fs::read_to_string(&path).unwrap();
        let began = Instant::now();
        answer(&duckdb, &folders, &sql, &place.join("answer.csv")).unwrap();
        took.insert(stem(&path), began.elapsed());
    }
    let memory = peak_mib();
    println!(
        "{rows} steps in {runs} runs: {} MiB of Parquet; DuckDB took at most {memory} MiB of memory",
        size(&place) >> 20
    );
    let polars = std::env::var_os("PIXELRATE_PYTHON").map(|python| beside(&python, &place));
    println!("{:30} {:>10} {:>10}", "question", "query", "Polars");
    for (name, took) in &took {
        let other = polars.as_ref().map(|polars| polars[name]);
        let other = other.map_or("-".to_owned(), |other| {
            format!("{:.2} s", other.as_secs_f64())
        });
        println!("{name:30} {:>8.2} s {other:>10}", took.as_secs_f64());
    }
    let sum = |took: &BTreeMap<String, Duration>| took.values().sum::<Duration>().as_secs_f64();
    if let Some(polars) = &polars {
        println!("ratio query.beside-polars {:.3}", sum(polars) / sum(&took));
    }
}

/// Answers by the very path that `pixelrate query` takes, but into a file.
fn answer(duckdb: &DuckDb, folders: &[PathBuf], sql: &str, out: &Path) -> Result<(), Error> {
    let views = Views::new(folders, &View::named_in(sql))?;
    let sql = format!(
        "copy ({}) to '{}' (format csv)",
        sql.trim_end(),
        out.display()
    );
    duckdb.ask(&views, &sql, Format::Csv, MEMORY)?.finish()
}

/// The same questions by Polars, a process each, its start included.
fn beside(python: &OsStr, place: &Path) -> BTreeMap<String, Duration> {
    let files = questions("py").into_iter();
    files
        .filter(|path| path.to_string_lossy().ends_with(".polars.py"))
        .map(|path| {
            let began = Instant::now();
            let status = Command::new(python)
                .arg(&path)
                .arg(place)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "{}", path.display());
            (stem(&path), began.elapsed())
        })
        .collect()
}

fn questions(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/questions");
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .collect();
    files.sort();
    files
}

/// The question's name: `01-best-schedule`.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn label(run: u64) -> String {
    match run % SCHEDULES {
        0 => "baseline".to_owned(),
        number => format!("schedule-{number:02}"),
    }
}

fn name(run: u64) -> String {
    format!("{}-seed{}", label(run), run / SCHEDULES)
}

fn folder(place: &Path, run: u64) -> PathBuf {
    place.join("many").join(name(run))
}

/// Writes the runs' logs as a trainer does; those that are there stay.
fn write_runs(place: &Path, runs: u64, steps: u64) {
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let work = || {
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= runs {
                return;
            }
            let folder = folder(place, run);
            if folder.join("summary.parquet").exists() {
                continue;
            }
            if folder.exists() {
                fs::remove_dir_all(&folder).unwrap();
            }
            write_run(&folder, run, steps);
        }
    };
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    println!("written in {:.1} s", began.elapsed().as_secs_f64());
}

fn write_run(folder: &Path, run: u64, steps: u64) {
    let mut noise = Noise(run);
    let identity = Identity {
        study: "many".into(),
        run: name(run),
        ..Identity::default()
    };
    let mut log = RunLog::create(folder, identity).unwrap();
    let hash: [Arc<str>; 2] = [0, 1].map(|n| format!("{:064x}", run * 2 + n).into());
    let each = (steps / EVALS).max(1);
    let mut loss = 2.3;
    for step in 0..steps {
        let swaps = u64::from(run % 10 == 1 && step >= steps / 2);
        loss += 0.001 * (0.2 + noise.next() - loss);
        log.step(StepRow {
            step,
            epoch: step as f64 * 128.0 / 50_000.0,
            learning_rate: 0.1 * (1.0 - step as f64 / steps as f64),
            momentum: Some(0.9),
            weight_decay: None,
            train_loss: Some(if run % SCHEDULES == 7 {
                loss * 9.0
            } else {
                loss
            }),
            grad_norm: Some(loss + noise.next()),
            step_ns: 5_000_000 + (noise.next() * 1e6) as u64,
            schedule_ns: 150 + (noise.next() * 50.0) as u64,
            schedule: Arc::clone(&hash[swaps as usize]),
            swaps,
        })
        .unwrap();
        if (step + 1) % each == 0 {
            log.eval(EvalRow {
                step: step + 1,
                epoch: (step + 1) as f64 * 128.0 / 50_000.0,
                split: "test".into(),
                loss,
                accuracy: step as f64 / steps as f64 * (0.8 + 0.1 * noise.next()),
                examples: 10_000,
            })
            .unwrap();
        }
        if swaps == 1 && step == steps / 2 {
            log.event(EventRow {
                step,
                time_unix_ms: 1_800_000_000_000,
                kind: EventKind::Swapped,
                schedule: Some(hash[1].to_string()),
                message: "another took over".into(),
                duration_ns: Some(1000),
            })
            .unwrap();
        }
    }
    let accuracy = 0.9 + 0.05 * noise.next();
    log.finish(&SummaryRow {
        study: "many".into(),
        run: name(run),
        schedule: label(run),
        schedule_sha256: hash[0].to_string(),
        seed: run / SCHEDULES,
        dataset: "none".into(),
        model: "none".into(),
        optimizer: "momentum".into(),
        batch_size: 128,
        epochs: steps as f64 * 128.0 / 50_000.0,
        total_steps: steps,
        steps_done: steps,
        status: RunStatus::Finished,
        final_train_loss: Some(loss),
        final_eval_loss: Some(loss),
        final_eval_accuracy: Some(accuracy),
        best_eval_accuracy: Some(accuracy),
        wall_seconds: steps as f64 * 0.005,
        started_unix_ms: 1_800_000_000_000,
        finished_unix_ms: 1_800_000_000_000,
        error: None,
        device: "cpu".into(),
        threads: 1,
        pixelrate_version: "bench".into(),
        git_commit: None,
    })
    .unwrap();
}

/// A seeded generator (Marsaglia's 64-bit xorshift): the numbers need only be noise.
struct Noise(u64);

impl Noise {
    /// A number of [0, 1).
    fn next(&mut self) -> f64 {
        let mut state = self.0 ^ 0x9e37_79b9_7f4a_7c15;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0 = state ^ 0x9e37_79b9_7f4a_7c15;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The most memory that any child of this process had so far.
fn peak_mib() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    // Linux counts KiB.
    usage.max_rss() >> 10
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                size(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
