//! The log as a trainer uses it: write, crash, go on, finish, read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_runlog::{
    Error, EventRow, Held, Identity, Options, RunLog, RunStatus, held, read_evals, read_events,
    read_step, read_steps, read_summaries, read_summary, steps, summaries, write_summaries,
};

/// Parts of 100 rows and batches of 7, so that borders fall everywhere.
fn small() -> Options {
    Options {
        batch_rows: 7,
        part_rows: 100,
        part_time: Duration::from_secs(3600),
        ..Options::default()
    }
}

/// Logs steps `from..to`, with an evaluation and an event after every tenth.
fn append(log: &mut RunLog, from: u64, to: u64) {
    for step in from..to {
        log.step(step_row(step)).unwrap();
        if (step + 1) % 10 == 0 {
            log.eval(eval_row(step + 1)).unwrap();
            log.event(event_row(step + 1)).unwrap();
        }
    }
}

/// The log holds the steps below `end` and what belongs to them, and nothing else.
#[track_caller]
fn holds(folder: &Path, end: u64) {
    let want: Vec<_> = (0..end).map(step_row).collect();
    assert_eq!(read_steps(folder).unwrap(), want);
    let tens: Vec<_> = (1..=end / 10).map(|n| n * 10).collect();
    let want: Vec<_> = tens.iter().map(|n| eval_row(*n)).collect();
    assert_eq!(read_evals(folder).unwrap(), want);
    let want: Vec<_> = tens.iter().map(|n| event_row(*n)).collect();
    assert_eq!(read_events(folder).unwrap(), want);
}

fn names(folder: &Path) -> Vec<String> {
    let list = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = list
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_finished_run_has_one_part_a_table_and_a_summary() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/seed/cyclic-1");
    let mut log = RunLog::create_with(&run, identity(), small()).unwrap();
    append(&mut log, 0, 1234);
    assert_eq!(read_summary(&run).unwrap(), None);
    log.finish(&summary_row("cyclic-1", 1234)).unwrap();
    holds(&run, 1234);
    assert_eq!(
        read_summary(&run).unwrap(),
        Some(summary_row("cyclic-1", 1234))
    );
    assert_eq!(
        names(&run),
        [".lock", "evals", "events", "steps", "summary.parquet"]
    );
    assert_eq!(
        names(&run.join("steps")),
        ["part-000000000000-000000001234.parquet"]
    );
    assert_eq!(
        names(&run.join("evals")),
        ["part-000000000000-000000000123.parquet"]
    );
    assert_eq!(
        names(&run.join("events")),
        ["part-000000000000-000000000123.parquet"]
    );
}

#[test]
fn tables_without_rows_keep_their_columns() {
    let dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(dir.path(), identity()).unwrap();
    log.finish(&summary_row("cyclic-1", 0)).unwrap();
    holds(dir.path(), 0);
    assert_eq!(
        names(&dir.path().join("evals")),
        ["part-000000000000-000000000000.parquet"]
    );
    // And the run can still go on.
    let mut log = RunLog::resume_with(dir.path(), identity(), 0, small()).unwrap();
    assert_eq!(read_summary(dir.path()).unwrap(), None);
    append(&mut log, 0, 250);
    log.finish(&summary_row("cyclic-1", 250)).unwrap();
    holds(dir.path(), 250);
    assert_eq!(
        names(&dir.path().join("evals")),
        ["part-000000000000-000000000025.parquet"]
    );
}

#[test]
fn every_bit_of_a_number_survives() {
    let dir = tempfile::tempdir().unwrap();
    let odd = [
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        0.1 + 0.2,
    ];
    let mut log = RunLog::create(dir.path(), identity()).unwrap();
    for (step, value) in odd.iter().enumerate() {
        let mut row = step_row(step as u64);
        row.learning_rate = *value;
        row.train_loss = Some(*value);
        log.step(row).unwrap();
    }
    log.flush().unwrap();
    let bits = |rows: Vec<pixelrate_runlog::StepRow>| -> Vec<[u64; 2]> {
        rows.iter()
            .map(|r| [r.learning_rate.to_bits(), r.train_loss.unwrap().to_bits()])
            .collect()
    };
    let want: Vec<_> = odd.iter().map(|v| [v.to_bits(); 2]).collect();
    assert_eq!(
        bits(read_steps(dir.path()).unwrap()),
        want,
        "from the write-ahead log"
    );
    log.finish(&summary_row("cyclic-1", 9)).unwrap();
    assert_eq!(
        bits(read_steps(dir.path()).unwrap()),
        want,
        "from the parts"
    );
}

#[test]
fn flushed_rows_are_read_while_the_writer_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    for end in [3, 99, 100, 101, 350] {
        let from = read_steps(dir.path()).unwrap().len() as u64;
        append(&mut log, from, end);
        log.flush().unwrap();
        holds(dir.path(), end);
    }
    log.sync().unwrap();
    // What an iterator saw at its making is what it gives, whatever happens to the files.
    let mut seen = steps(dir.path()).unwrap();
    assert_eq!(seen.next().unwrap().unwrap(), step_row(0));
    append(&mut log, 350, 800);
    log.finish(&summary_row("cyclic-1", 800)).unwrap();
    let rest: Vec<_> = seen.map(Result::unwrap).collect();
    assert_eq!(rest, (1..350).map(step_row).collect::<Vec<_>>());
}

#[test]
fn one_step_is_found_wherever_it_lies() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 250);
    log.flush().unwrap();
    let found = |step| read_step(dir.path(), step).unwrap();
    let all = |end| (0..end).all(|step| found(step) == Some(step_row(step)));
    assert!(all(250) && found(250).is_none());
    log.finish(&summary_row("cyclic-1", 250)).unwrap();
    assert!(all(250) && found(250).is_none());
}

#[test]
fn messages_that_are_long_become_a_part_before_they_are_many() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    let row = |step| EventRow {
        message: "x".repeat(1 << 20),
        ..event_row(step)
    };
    (0..70).for_each(|step| log.event(row(step)).unwrap());
    log.flush().unwrap();
    assert_eq!(names(&dir.path().join("events")).len(), 1);
    let rows = read_events(dir.path()).unwrap();
    assert!(rows.len() == 70 && rows[69] == row(69));
}

#[test]
fn parts_appear_with_time_too() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        batch_rows: 1,
        part_time: Duration::ZERO,
        ..Options::default()
    };
    let mut log = RunLog::create_with(dir.path(), identity(), options).unwrap();
    // Rows that wait for the writer's thread go on together, and become a part at a sixteenth of the run's age.
    let began = Instant::now();
    let mut done = 0;
    while done < 25 || names(&dir.path().join("steps")).len() < 2 {
        append(&mut log, done, done + 1);
        log.flush().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        done += 1;
        assert!(began.elapsed() < Duration::from_secs(60), "one part alone");
    }
    // Whether its two rows share a part depends on how long the writes took.
    assert!(!names(&dir.path().join("evals")).is_empty());
    holds(dir.path(), done);
}

#[test]
fn resume_goes_on_from_every_border() {
    for keep in [0, 1, 50, 99, 100, 101, 110, 299, 300, 349, 350] {
        let dir = tempfile::tempdir().unwrap();
        let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
        append(&mut log, 0, 350);
        drop(log);
        let mut log = RunLog::resume_with(dir.path(), identity(), keep, small()).unwrap();
        holds(dir.path(), keep);
        let found = log.recovery();
        assert_eq!((found.steps_kept, found.steps_dropped), (keep, 350 - keep));
        assert_eq!(found.evals_dropped, 35 - keep / 10);
        assert_eq!(found.events_dropped, 35 - keep / 10);
        append(&mut log, keep, 420);
        log.finish(&summary_row("cyclic-1", 420)).unwrap();
        holds(dir.path(), 420);
        assert_eq!(names(&dir.path().join("steps")).len(), 1);
    }
}

#[test]
fn a_finished_run_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 200);
    let mut stopped = summary_row("cyclic-1", 200);
    stopped.status = RunStatus::Stopped;
    stopped.error = Some("told to".into());
    stopped.git_commit = None;
    stopped.final_train_loss = Some(f64::INFINITY);
    log.finish(&stopped).unwrap();
    assert_eq!(read_summary(dir.path()).unwrap(), Some(stopped));
    drop(RunLog::resume_with(dir.path(), identity(), 120, small()).unwrap());
    holds(dir.path(), 120);
    assert_eq!(read_summary(dir.path()).unwrap(), None);
}

#[test]
fn resume_refuses_a_log_that_lacks_rows() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 130);
    drop(log);
    let error = RunLog::resume_with(dir.path(), identity(), 131, small()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingSteps {
                logged: 130,
                wanted: 131,
                ..
            }
        ),
        "{error}"
    );
    holds(dir.path(), 130); // Nothing was touched.
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = RunLog::create(dir.path(), identity()).unwrap();
    for error in [
        RunLog::create(dir.path(), identity()).unwrap_err(),
        RunLog::resume(dir.path(), identity(), 0).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("another process is writing this run"),
            "{text}"
        );
        assert!(text.contains(&std::process::id().to_string()), "{text}");
    }
    drop(log);
    drop(RunLog::resume(dir.path(), identity(), 0).unwrap());
}

#[test]
fn mistakes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let gone = RunLog::resume(&dir.path().join("nowhere"), identity(), 0).unwrap_err();
    assert!(matches!(gone, Error::Missing { .. }), "{gone}");
    assert!(!dir.path().join("nowhere").exists());
    assert!(matches!(
        read_steps(dir.path()).unwrap_err(),
        Error::Missing { .. }
    ));

    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 150);
    let twice = log.step(step_row(149)).unwrap_err();
    assert!(matches!(
        twice,
        Error::OutOfOrder {
            step: 149,
            expected: 150
        }
    ));
    let skipped = log.step(step_row(151)).unwrap_err();
    assert!(matches!(skipped, Error::OutOfOrder { .. }));
    log.step(step_row(150)).unwrap();
    drop(log);

    let used = RunLog::create(dir.path(), identity()).unwrap_err();
    assert!(matches!(used, Error::Exists { .. }), "{used}");
    let other = Identity {
        run: "cyclic-2".into(),
        ..identity()
    };
    let other = RunLog::resume(dir.path(), other, 0).unwrap_err();
    assert!(
        matches!(&other, Error::OtherRun { found, .. } if found == "seed/cyclic-1"),
        "{other}"
    );
}

#[test]
fn a_failure_of_the_writer_reaches_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 20);
    let mut row = step_row(20);
    row.step_ns = u64::MAX;
    log.step(row).unwrap();
    let error = log.flush().unwrap_err();
    assert!(error.to_string().contains("step_ns"), "{error}");
    assert!(matches!(
        log.event(event_row(21)).unwrap_err(),
        Error::Stopped(_)
    ));
    assert!(log.finish(&summary_row("cyclic-1", 20)).is_err());
    // What was flushed before is there, and the run can go on from it.
    let kept = read_steps(dir.path()).unwrap().len() as u64;
    assert_eq!(kept, 20);
    drop(RunLog::resume(dir.path(), identity(), kept).unwrap());
}

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), small()).unwrap();
    append(&mut log, 0, 350);
    drop(log);
    let parts = names(&dir.path().join("steps"));
    let part = dir.path().join("steps").join(&parts[1]);
    let whole = fs::read(&part).unwrap();
    fs::write(&part, &whole[..whole.len() - 1]).unwrap();
    let error = read_steps(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains(&parts[1]) && error.contains("damaged"),
        "{error}"
    );
    fs::remove_file(&part).unwrap();
    let error = read_steps(dir.path()).unwrap_err().to_string();
    assert!(error.contains("a part is gone"), "{error}");
    fs::write(&part, whole).unwrap();
    holds(dir.path(), 350);
}

#[test]
fn summaries_of_a_study() {
    let dir = tempfile::tempdir().unwrap();
    for run in ["b", "a", "c"] {
        let identity = Identity {
            run: run.into(),
            ..identity()
        };
        let log = RunLog::create(&dir.path().join(run), identity).unwrap();
        if run != "c" {
            log.finish(&summary_row(run, 0)).unwrap();
        }
    }
    let rows = summaries(dir.path()).unwrap();
    assert_eq!(rows, [summary_row("a", 0), summary_row("b", 0)]);
    let file = dir.path().join("summaries.parquet");
    write_summaries(&file, &rows[..1]).unwrap();
    write_summaries(&file, &rows).unwrap();
    assert_eq!(read_summaries(&file).unwrap(), rows);
    assert_eq!(
        names(dir.path()),
        ["a", "b", "c", "summaries.parquet"],
        "no scratch is left"
    );
    assert_eq!(
        summaries(dir.path()).unwrap().len(),
        2,
        "files beside the runs do not count"
    );
}

#[test]
fn steps_of_schema_version_1_are_read_as_a_run_without_swaps() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("steps");
    std::fs::create_dir_all(&table).unwrap();
    std::fs::write(
        table.join("part-000000000000-000000000004.parquet"),
        include_bytes!("golden/steps-version-1.parquet"),
    )
    .unwrap();
    let rows = read_steps(folder.path()).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.step).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert!(
        rows.iter()
            .all(|row| row.swaps == 0 && row.train_loss.is_some())
    );
}

#[test]
fn a_run_begun_under_schema_version_1_goes_on_and_ends_in_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let golden = include_bytes!("golden/steps-version-1.parquet");
    let table = path.join("steps");
    std::fs::create_dir_all(&table).unwrap();
    std::fs::write(table.join("part-000000000000-000000000004.parquet"), golden).unwrap();
    let identity = Identity {
        study: "run".into(),
        run: "cyclic-seed0".into(),
        ..Identity::default()
    };
    let mut log = RunLog::resume_with(path, identity, 4, small()).unwrap();
    append(&mut log, 4, 10);
    log.finish(&summary_row("cyclic-seed0", 10)).unwrap();
    assert_eq!(names(&table), ["part-000000000000-000000000010.parquet"]);
    let rows = read_steps(path).unwrap();
    assert_eq!(rows.len(), 10);
    assert!(rows[..4].iter().all(|row| row.swaps == 0));
}

#[test]
fn whoever_looks_sees_whether_a_run_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(held(folder.path()).unwrap(), Held::No);
    let log = RunLog::create(folder.path(), Identity::default()).unwrap();
    assert_eq!(
        held(folder.path()).unwrap(),
        Held::By(Some(std::process::id()))
    );
    drop(log);
    assert_eq!(held(folder.path()).unwrap(), Held::No);
}

#[test]
fn a_log_of_more_parts_than_are_open_is_read_whole_though_it_is_compacted_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        part_rows: 10,
        ..small()
    };
    let mut log = RunLog::create_with(dir.path(), identity(), options).unwrap();
    append(&mut log, 0, 2_003);
    log.flush().unwrap();
    let parts = || names(&dir.path().join("steps")).len();
    let begun = Instant::now();
    while parts() < 150 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(parts() >= 150, "{}", parts());
    holds(dir.path(), 2_003);
    let mut rows = steps(dir.path()).unwrap();
    let before: Vec<_> = rows.by_ref().take(15).map(Result::unwrap).collect();
    // Later rows come to the same part, and are none of this reader's.
    append(&mut log, 2_003, 2_100);
    log.finish(&summary_row("cyclic-1", 2_100)).unwrap();
    assert_eq!(parts(), 1);
    let all: Vec<_> = before.into_iter().chain(rows.map(Result::unwrap)).collect();
    assert!(all.iter().map(|row| row.step).eq(0..2_003));
    assert!(all == (0..2_003).map(step_row).collect::<Vec<_>>());
}
