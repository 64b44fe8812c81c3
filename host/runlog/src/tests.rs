//! States that a crash can leave, made by hand: each must give every row once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::folder::RunFolder;
use crate::record::Record;
use crate::*;

fn identity() -> Identity {
    Identity {
        study: "s".into(),
        run: "r".into(),
        facts: BTreeMap::new(),
    }
}

fn row(step: u64) -> StepRow {
    StepRow {
        step,
        epoch: step as f64 / 8.0,
        learning_rate: 1.0 / (step + 1) as f64,
        momentum: None,
        weight_decay: Some(1e-4),
        train_loss: (step.is_multiple_of(2)).then_some(step as f64),
        grad_norm: None,
        step_ns: step * 3,
        schedule_ns: 100,
        schedule: Arc::from(if step < 40 { "aaaa" } else { "bbbb" }),
        swaps: u64::from(step >= 40),
    }
}

fn rows(from: u64, to: u64) -> Vec<StepRow> {
    (from..to).map(row).collect()
}

fn options() -> Options {
    Options {
        batch_rows: 5,
        batch_time: Duration::from_secs(3600),
        part_rows: 50,
        part_time: Duration::from_secs(3600),
    }
}

/// A log of 130 steps: two parts of 50, and 30 rows in the write-ahead log, in batches of five.
fn crashed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = RunLog::create_with(dir.path(), identity(), options()).unwrap();
    for row in rows(0, 130) {
        let whole = (row.step + 1).is_multiple_of(5);
        log.step(row).unwrap();
        if whole {
            // Batches that wait for the writer's thread would become one.
            log.flush().unwrap();
        }
    }
    drop(log);
    dir
}

fn summary(steps_done: u64) -> SummaryRow {
    SummaryRow {
        study: "s".into(),
        run: "r".into(),
        schedule: "cyclic".into(),
        schedule_sha256: "aaaa".into(),
        seed: 1,
        dataset: "cifar10".into(),
        model: "none".into(),
        optimizer: "momentum".into(),
        batch_size: 1,
        epochs: 1.0,
        total_steps: steps_done,
        steps_done,
        status: RunStatus::Finished,
        final_train_loss: None,
        final_eval_loss: None,
        final_eval_accuracy: None,
        best_eval_accuracy: None,
        wall_seconds: 1.0,
        started_unix_ms: 0,
        finished_unix_ms: 1_000,
        error: None,
        device: "cpu".into(),
        threads: 1,
        pixelrate_version: "0.1.0".into(),
        git_commit: None,
    }
}

/// The rows of each row group of a finished log's steps.
fn groups(folder: &Path) -> Vec<i64> {
    let names = fs::read_dir(folder.join("steps")).unwrap();
    let paths: Vec<PathBuf> = names.map(|name| name.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    let file = fs::File::open(&paths[0]).unwrap();
    let read = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let all = parquet::file::reader::FileReader::metadata(&read).row_groups();
    all.iter().map(|group| group.num_rows()).collect()
}

#[test]
fn large_parts_are_joined_as_they_are_and_small_ones_are_put_together() {
    const LARGE: u64 = 32_768;
    let dir = tempfile::tempdir().unwrap();
    let large = Options {
        part_rows: LARGE as usize,
        batch_rows: 64,
        ..options()
    };
    let mut log = RunLog::create_with(dir.path(), identity(), large).unwrap();
    let mut end = 0;
    // Each going on makes a part of what the write-ahead log has.
    for count in [300, 200, 2 * LARGE, 100, 50, LARGE, 7] {
        for row in rows(end, end + count) {
            log.step(row).unwrap();
        }
        end += count;
        drop(log);
        log = RunLog::resume_with(dir.path(), identity(), end, large).unwrap();
    }
    log.finish(&summary(end)).unwrap();
    let large = LARGE as i64;
    assert_eq!(groups(dir.path()), [500, large, large, 150, large, 7]);
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, end));
    // Statistics came along: a cut of the table goes by them.
    RunLog::resume(dir.path(), identity(), LARGE + 1_000).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, LARGE + 1_000));
}

fn names(path: &Path) -> Vec<String> {
    folder::names_in(path).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[track_caller]
fn resumes(dir: &Path, keep: u64) {
    drop(RunLog::resume_with(dir, identity(), keep, options()).unwrap());
    assert_eq!(read_steps(dir).unwrap(), rows(0, keep));
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("wal/steps-000000000100.arrows")
}

#[test]
fn a_stream_cut_anywhere_gives_its_whole_batches() {
    let dir = crashed();
    let whole = fs::read(segment(dir.path())).unwrap();
    let mut last = 0;
    for length in 0..=whole.len() {
        let found =
            wal::parse::<StepRow>(Path::new("x"), &whole[..length], Some(&identity())).unwrap();
        let count = found.len() as u64;
        assert!(
            count.is_multiple_of(5) && count >= last,
            "{count} rows of {length} bytes"
        );
        assert_eq!(found, rows(100, 100 + count));
        last = count;
    }
    assert_eq!(last, 30);
    // And recovery takes what there is.
    fs::write(segment(dir.path()), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 125));
    resumes(dir.path(), 125);
}

#[test]
fn whatever_follows_the_last_whole_batch_does_no_harm() {
    let dir = crashed();
    let whole = fs::read(segment(dir.path())).unwrap();
    let mut noise = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    let huge = [0xff, 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff, 0x7f];
    for tail in [
        vec![0; 4096],
        vec![0xff; 4096],
        huge.to_vec(),
        whole[..8].to_vec(),
    ] {
        let bytes = [whole.as_slice(), &tail].concat();
        fs::write(segment(dir.path()), bytes).unwrap();
        assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
    }
    // Bytes that went wrong before the end cost rows from there on, never give wrong ones, and bring nothing down.
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next() % 8 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        let found = wal::parse::<StepRow>(Path::new("x"), &bytes, None).unwrap();
        assert_eq!(found, rows(100, 100 + found.len() as u64));
    }
}

#[test]
fn a_part_and_its_segment_are_not_added_up() {
    // The crash came after the part was renamed, before its segment was removed.
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    folder::create_folder(&run.scratch()).unwrap();
    let steps = run.table("steps");
    part::add(&steps, &run.scratch(), &identity(), 100, &rows(100, 130)).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
    // The same with rows that only the segment has.
    fs::remove_file(steps.join("part-000000000100-000000000130.parquet")).unwrap();
    part::add(&steps, &run.scratch(), &identity(), 100, &rows(100, 112)).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
    resumes(dir.path(), 130);
    resumes(dir.path(), 105);
}

#[test]
fn scratch_of_a_crash_is_thrown_away() {
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    // Before the exchange: the folder that would have replaced the table. After it: the replaced one.
    for keep in [120, 60] {
        let prepared = run.prepare_table("steps").unwrap();
        copy_folder(&run.table("steps"), &prepared);
        fs::write(run.scratch().join("steps-x.draft"), "half").unwrap();
        resumes(dir.path(), keep);
        assert!(names(&run.scratch()).is_empty());
    }
}

#[test]
fn a_parked_table_is_read_and_returns() {
    // Where folders cannot be exchanged, the crash may come between the two renames.
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    folder::create_folder(&run.scratch()).unwrap();
    fs::rename(run.table("steps"), run.parked("steps")).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
    let used = RunLog::create(dir.path(), identity()).unwrap_err();
    assert!(matches!(used, Error::Exists { .. }), "{used}");
    resumes(dir.path(), 70);
    // The two renames themselves.
    let prepared = run.prepare_table("steps").unwrap();
    copy_folder(&run.table("steps"), &prepared);
    run.park_and_replace("steps", &prepared).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 70));
    resumes(dir.path(), 70);
}

#[test]
fn recovery_that_stopped_before_the_cut_is_done_again() {
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    folder::create_folder(&run.scratch()).unwrap();
    // A cut that keeps all is stages 1 and 2 alone.
    let found = recover::recover::<StepRow>(&run, &identity(), u64::MAX).unwrap();
    assert_eq!((found.kept, found.last_step), (130, Some(129)));
    assert!(wal::list(&run.wal(), "steps").unwrap().is_empty());
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
    resumes(dir.path(), 77);
    assert_eq!(
        names(&run.table("steps")),
        [
            "part-000000000000-000000000050.parquet",
            "part-000000000050-000000000077.parquet"
        ]
    );
}

#[test]
fn compaction_that_lost_the_race_to_a_crash_is_done_again() {
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    resumes(dir.path(), 130);
    assert_eq!(names(&run.table("steps")).len(), 3);
    recover::compact::<StepRow>(&run, &identity()).unwrap();
    assert_eq!(
        names(&run.table("steps")),
        ["part-000000000000-000000000130.parquet"]
    );
    recover::compact::<StepRow>(&run, &identity()).unwrap();
    assert_eq!(read_steps(dir.path()).unwrap(), rows(0, 130));
}

#[test]
fn events_out_of_order_are_cut_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let event = |step: u64| EventRow {
        step,
        time_unix_ms: -5,
        kind: EventKind::Log,
        schedule: None,
        message: format!("{step}"),
        duration_ns: None,
    };
    let mut log = RunLog::create(dir.path(), identity()).unwrap();
    for step in [1, 9, 2, 8, 3] {
        log.event(event(step)).unwrap();
    }
    log.step(row(0)).unwrap();
    log.step(row(1)).unwrap();
    log.step(row(2)).unwrap();
    log.step(row(3)).unwrap();
    drop(log);
    let mut log = RunLog::resume(dir.path(), identity(), 3).unwrap();
    assert_eq!(log.recovery().events_dropped, 2);
    log.event(event(3)).unwrap();
    log.flush().unwrap();
    let steps: Vec<_> = read_events(dir.path())
        .unwrap()
        .iter()
        .map(|e| e.step)
        .collect();
    assert_eq!(steps, [1, 2, 3, 3]);
}

#[test]
fn a_file_of_a_later_schema_is_refused() {
    let dir = crashed();
    let run = RunFolder::new(dir.path());
    let path = run
        .table("steps")
        .join("part-000000000000-000000000050.parquet");
    let mut bytes = fs::read(&path).unwrap();
    // The footer is Thrift in plain bytes: key, type and length, then the one-letter value.
    let key = b"pixelrate.schema";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let now = crate::SCHEMA_VERSION.to_string().into_bytes()[0];
    let value = bytes[at..at + 4].iter().position(|b| *b == now).unwrap() + at;
    bytes[value] = b'9';
    fs::write(&path, bytes).unwrap();
    let error = read_steps(dir.path()).unwrap_err();
    assert!(matches!(&error, Error::Newer { version: 9, .. }), "{error}");
    assert!(RunLog::resume(dir.path(), identity(), 10).is_err());
}

#[test]
fn columns_and_rows_agree() {
    fn check<R: Record + PartialEq + std::fmt::Debug>(rows: &[R]) {
        let batch = R::to_batch(rows, &identity()).unwrap();
        assert_eq!(batch.schema(), R::schema());
        assert_eq!(R::from_batch(&batch).unwrap(), rows);
    }
    check(&rows(0, 100));
    check::<StepRow>(&[]);
    check(&[EvalRow {
        step: 7,
        epoch: 0.5,
        split: "test".into(),
        loss: 0.25,
        accuracy: 0.75,
        examples: 3,
    }]);
    for kind in EventKind::ALL {
        check(&[EventRow {
            step: 7,
            time_unix_ms: 1,
            kind: *kind,
            schedule: Some("x".into()),
            message: String::new(),
            duration_ns: Some(0),
        }]);
    }
}
