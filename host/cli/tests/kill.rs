//! SIGKILL of the whole trainer at twenty random moments: every part that it left can be read, no row is lost or
//! doubled, and it goes on to the bits of a run that nobody killed.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{logged, pixelrate, said, study};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pixelrate_runlog::{StepRow, read_summary};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KILLS: u32 = 20;
const STEPS: u32 = 4000;

/// Every Parquet file of the run, as any other program would find it, is whole.
fn check_parts(run: &Path) -> usize {
    let mut parts = 0;
    for table in ["steps", "evals", "events"] {
        for entry in fs::read_dir(run.join(table)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap())
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let rows: usize = reader
                .build()
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum();
            assert!(rows > 0, "{} is empty", path.display());
            parts += 1;
        }
    }
    parts
}

/// A prefix of what was to be logged, to the bit.
fn check_rows(run: &Path, whole: &[StepRow]) -> usize {
    let tables = ["steps", "evals", "events"];
    if !tables.iter().all(|table| run.join(table).exists()) {
        return 0; // Killed before it made anything.
    }
    let (steps, _) = logged(run);
    assert_eq!(steps, whole[..steps.len()], "{} steps", steps.len());
    steps.len()
}

#[test]
fn a_trainer_killed_at_any_moment_goes_on_to_the_same_bits() {
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let cyclic = "[[schedule]]\nplugin = \"cyclic\"\nparams = { step_size = 100 }\n";
    let text = study(STEPS, "[0]", cyclic).replace("= 1000.0", "= 20.0");
    fs::write(dir.path().join("tiny.toml"), &text).unwrap();
    let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
    assert!(good, "{err}");
    let place = dir.path().join("runs/tiny");
    let (whole, spec) = (
        place.join("cyclic-seed0"),
        place.join(".specs/cyclic-seed0.json"),
    );
    let (steps, evals) = logged(&whole);
    assert_eq!((steps.len(), evals.len()), (STEPS as usize, 10));

    let killed = dir.path().join("killed");
    let (mut reached, mut parts) = (Vec::new(), 0);
    for kill in 0..KILLS {
        let mut child = start(dir.path(), &killed, &spec);
        if kill % 4 > 0 {
            // Most kills come while it trains; the others as it starts, loads, recovers and cuts.
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            if lines.next().is_none() {
                let ended = child.wait().unwrap().success();
                let summary = read_summary(&killed).unwrap();
                assert!(
                    ended && summary.is_some(),
                    "it ended by itself (kill {kill}, seed {seed})"
                );
                break; // It came to its end between the kills.
            }
            // Somebody must read on, or it would stop at a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..700_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        parts = check_parts(&killed);
        reached.push(check_rows(&killed, &steps));
    }
    println!("steps after each kill: {reached:?}; {parts} parts at last");
    assert!(
        reached.iter().any(|&steps| steps > 0),
        "no kill hit a run that trained"
    );
    // It may have come to its end just before the last kill.
    if read_summary(&killed).unwrap().is_none() {
        let (good, _, err) = said(pixelrate(dir.path()).arg("resume").arg(&killed));
        assert!(good, "{err}");
    }
    check_parts(&killed);
    assert_eq!(logged(&killed), (steps, evals));
    assert_eq!(weights(&killed), weights(&whole));
}

/// The process that a study starts: a new run, or the one that is there gone on with.
fn start(dir: &Path, run: &Path, spec: &Path) -> std::process::Child {
    let mut command: Command = pixelrate(dir);
    command.args(["run", "--beats"]);
    if run.join("run.toml").exists() {
        command.arg("--resume").arg(run);
    } else {
        command.arg("--spec").arg(spec).arg("--folder").arg(run);
    }
    command
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// The last checkpoint's tensors, by name.
fn weights(run: &Path) -> Vec<(String, Vec<u8>)> {
    let newest = fs::read(
        pixelrate_trainer::checkpoint::list(run)
            .unwrap()
            .pop()
            .unwrap(),
    )
    .unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&newest).unwrap();
    let mut named: Vec<_> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.data().to_vec()))
        .collect();
    named.sort();
    named
}
