//! SIGKILL at twenty random moments: what was flushed is there, once, and every part can be read.
//!
//! The child is this same test binary, asked for the test [`child`]. It logs steps as fast as it can with parts of 400
//! rows, so that seals, recoveries, cuts and compactions make up most of its life and are hit by most of the kills.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{eval_row, event_row, identity, mix, step_row, summary_row};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pixelrate_runlog::{Error, Options, RunLog, read_evals, read_events, read_steps, read_summary};

const FOLDER: &str = "PIXELRATE_RUNLOG_TEST_FOLDER";
const KEEP: &str = "PIXELRATE_RUNLOG_TEST_KEEP";
const KILLS: u64 = 20;

fn options() -> Options {
    Options {
        batch_rows: 16,
        batch_time: Duration::from_millis(5),
        part_rows: 400,
        part_time: Duration::from_millis(100),
    }
}

/// Nanoseconds since 1970: a seed that no other run had.
fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as u64
}

/// What the killed process does; without its environment, nothing.
#[test]
#[ignore = "run by the test above it, in a process of its own"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut step: u64 = std::env::var(KEEP).unwrap().parse().unwrap();
    let mut out = std::io::stdout();
    let mut say = |step: u64| writeln!(out, "\nflushed {step}").and_then(|()| out.flush());
    let mut log = match RunLog::resume_with(&folder, identity(), step, options()) {
        Err(Error::Missing { .. }) => RunLog::create_with(&folder, identity(), options()).unwrap(),
        other => other.unwrap(),
    };
    say(step).unwrap();
    // Not the step's number decides what comes next: it would go back to the same place for ever.
    for turn in clock().. {
        log.step(step_row(step)).unwrap();
        step += 1;
        if step.is_multiple_of(10) {
            log.eval(eval_row(step)).unwrap();
            log.event(event_row(step)).unwrap();
        }
        match mix(turn) % 1000 {
            0..20 => {
                log.flush().unwrap();
                say(step).unwrap();
            }
            20..25 => {
                log.sync().unwrap();
                say(step).unwrap();
            }
            25 => {
                // The end of a run, and its going on a little before, which is told first: the kill may come at once.
                log.finish(&summary_row("cyclic-1", step)).unwrap();
                step -= mix(turn + 1) % 30.min(step);
                say(step).unwrap();
                log = RunLog::resume_with(&folder, identity(), step, options()).unwrap();
            }
            _ => {}
        }
    }
}

/// The steps that are logged; fails unless they are complete, in order and as they were written.
fn check(folder: &Path) -> u64 {
    let steps = read_steps(folder).unwrap();
    for (number, row) in steps.iter().enumerate() {
        assert_eq!(*row, step_row(number as u64));
    }
    let end = steps.len() as u64;
    // The other tables have a write-ahead log of their own: they may be a few rows ahead or behind.
    for (number, row) in read_evals(folder).unwrap().iter().enumerate() {
        assert_eq!(*row, eval_row((number as u64 + 1) * 10));
    }
    for (number, row) in read_events(folder).unwrap().iter().enumerate() {
        assert_eq!(*row, event_row((number as u64 + 1) * 10));
    }
    end
}

/// The parts as any other program sees them: a glob. All readable, no row twice.
fn check_parts(folder: &Path) {
    for table in ["steps", "evals", "events"] {
        let mut rows = 0;
        let mut end = 0;
        let mut names: Vec<_> = fs::read_dir(folder.join(table))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        for path in names {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap());
            let reader = reader
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
                .build();
            let found: usize = reader.unwrap().map(|batch| batch.unwrap().num_rows()).sum();
            rows += found as u64;
            let name = path.file_stem().unwrap().to_str().unwrap();
            end = end.max(name.rsplit('-').next().unwrap().parse().unwrap());
        }
        assert_eq!(rows, end, "{table} has a row twice, or lacks one");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_flushed() {
    let seed = clock();
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let mut keep = 0;
    let mut logged = 0;
    let mut summaries = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .env(FOLDER, &folder)
            .env(KEEP, keep.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listener = std::thread::spawn(move || {
            let told = lines.map_while(Result::ok);
            let told: Vec<u64> = told
                .filter_map(|line| line.strip_prefix("flushed ")?.parse().ok())
                .collect();
            told.last().copied()
        });
        // While it writes, readers see whole logs only. The first kills come early, in create and resume.
        let wait = Duration::from_micros(mix(seed + kill) % [20_000, 400_000][kill as usize % 2]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match read_steps(&folder) {
                        Ok(rows) => {
                            assert!(rows.iter().enumerate().all(|(n, r)| r.step == n as u64))
                        }
                        Err(Error::Missing { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            std::thread::sleep(wait);
            child.kill().unwrap();
            let ended = child.wait_with_output().unwrap();
            done.store(true, Ordering::Relaxed);
            let error = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.code().is_none(), "it ended by itself: {error}");
        });
        let flushed = listener.join().unwrap();
        if !folder.join("steps").exists() {
            continue; // Killed before it made anything.
        }
        let partial = ["evals", "events"].iter().any(|t| !folder.join(t).exists());
        if partial {
            continue; // Killed while it made the folders; the next one makes the rest.
        }
        check_parts(&folder);
        let end = check(&folder);
        // Until it had told that it cut its log, the rows that were there before may still be.
        let safe = flushed.unwrap_or_else(|| keep.min(logged));
        assert!(
            end >= safe,
            "{end} steps where {safe} were flushed (kill {kill}, seed {seed})"
        );
        logged = end;
        summaries += u32::from(read_summary(&folder).unwrap().is_some());
        // Not past what was flushed, as the trainer resumes from a checkpoint that it wrote after a flush: the tables are
        // written one after another, and of rows that were not flushed some may have come without the others.
        keep = safe - mix(seed ^ kill) % 50.min(safe + 1);
    }
    println!(
        "{logged} steps after {KILLS} kills, {summaries} of them between an end and its taking back"
    );
    // And the run still goes on, and ends.
    let log = RunLog::resume_with(&folder, identity(), keep, options()).unwrap();
    log.finish(&summary_row("cyclic-1", keep)).unwrap();
    assert_eq!(check(&folder), keep);
    check_parts(&folder);
}
