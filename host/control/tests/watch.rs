//! Files that change in every way that editors, compilers and copies know, and what is told of them.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pixelrate_control::watch::{Change, Options, Target, Watch};
use tempfile::TempDir;

/// What must come comes within this, however loaded the machine is.
const DEADLINE: Duration = Duration::from_secs(20);
/// What must not come would have come within this: a poll and a slow wait, with room to spare.
const SILENCE: Duration = Duration::from_millis(700);

/// What is told is told because of events: nothing is polled while a test runs.
fn by_events() -> Options {
    Options {
        poll: Duration::from_secs(3_600),
        ..Options::default()
    }
}

fn by_polling() -> Options {
    Options {
        events: false,
        ..by_both()
    }
}

/// Faster than by default, so that the tests are.
fn by_both() -> Options {
    Options {
        poll: Duration::from_millis(50),
        ..Options::default()
    }
}

/// A folder with a file that is watched.
struct Bench {
    folder: TempDir,
    file: PathBuf,
    watch: Watch,
    told: Receiver<Change>,
}

impl Bench {
    fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schedule.wasm");
        fs::write(&file, "first").unwrap();
        let (watch, told) = watching(options);
        watch.set(vec![Target::File(file.clone())]);
        Self {
            folder,
            file,
            watch,
            told,
        }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next change must be of the file, to this content.
    fn expect(&self, content: &str) {
        let change = next(&self.told);
        assert_eq!(change.path, self.file);
        assert_eq!(text(&change), content);
    }

    /// What is told in the end must be this; half of it may be told before.
    fn expect_at_last(&self, content: &str) {
        while text(&next(&self.told)) != content {}
        self.expect_silence();
    }

    fn expect_silence(&self) {
        silence(&self.told);
    }
}

fn watching(options: Options) -> (Watch, Receiver<Change>) {
    let (sender, told) = channel();
    let tell = move |change| {
        let _ = sender.send(change);
    };
    (Watch::start(options, tell).unwrap(), told)
}

fn next(told: &Receiver<Change>) -> Change {
    told.recv_timeout(DEADLINE).unwrap()
}

fn silence(told: &Receiver<Change>) {
    assert_eq!(told.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
}

fn text(change: &Change) -> &str {
    std::str::from_utf8(change.content.as_deref().unwrap()).unwrap()
}

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// As soon as the system's events are listened to, if they are.
fn settle_in() {
    pause(100);
}

fn write_in_place(bench: &Bench, content: &str) {
    fs::write(&bench.file, content).unwrap();
}

fn write_and_rename_over(bench: &Bench, content: &str) {
    let fresh = bench.beside("schedule.wasm.tmp");
    fs::write(&fresh, content).unwrap();
    fs::rename(fresh, &bench.file).unwrap();
}

fn remove_then_write(bench: &Bench, content: &str) {
    fs::remove_file(&bench.file).unwrap();
    pause(120);
    fs::write(&bench.file, content).unwrap();
}

/// Vim with `backupcopy=no`: it tries out whether it may, moves the old file away, and writes a new one.
fn write_as_vim_does(bench: &Bench, content: &str) {
    let (trial, backup) = (bench.beside("4913"), bench.beside("schedule.wasm~"));
    fs::write(&trial, "").unwrap();
    fs::remove_file(trial).unwrap();
    fs::rename(&bench.file, &backup).unwrap();
    let mut file = File::create(&bench.file).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.sync_all().unwrap();
    drop(file);
    fs::remove_file(backup).unwrap();
}

/// A compiler that is slow to write: the file is cut to nothing, and then filled by halves.
fn write_by_halves(bench: &Bench, content: &str) {
    let (first, second) = content.split_at(content.len() / 2);
    let mut file = File::create(&bench.file).unwrap();
    pause(80);
    file.write_all(first.as_bytes()).unwrap();
    pause(80);
    file.write_all(second.as_bytes()).unwrap();
}

const STYLES: [fn(&Bench, &str); 5] = [
    write_in_place,
    write_and_rename_over,
    remove_then_write,
    write_as_vim_does,
    write_by_halves,
];

/// Saves once by each style, and once more: the second save follows a change.
fn every_style(options: &Options) {
    for (number, style) in STYLES.iter().enumerate() {
        let bench = Bench::new(options.clone());
        for content in ["second version", "third version!"] {
            style(&bench, content);
            let change = loop {
                let change = next(&bench.told);
                // A pause between halves may be a long one on a loaded machine.
                if !content.starts_with(text(&change)) || text(&change) == content {
                    break change;
                }
            };
            assert_eq!(text(&change), content, "style {number}");
        }
    }
}

#[test]
fn every_editor_is_understood_by_its_events() {
    every_style(&by_events());
}

#[test]
fn every_editor_is_understood_by_polling_alone() {
    every_style(&by_polling());
    assert!(!Bench::new(by_polling()).watch.events_work());
}

#[test]
fn a_lone_save_is_told_with_the_time_at_which_it_was_seen() {
    let bench = Bench::new(by_events());
    settle_in();
    assert!(bench.watch.events_work());
    let before = Instant::now();
    write_in_place(&bench, "second");
    let change = next(&bench.told);
    assert!(before <= change.seen && change.seen + by_events().quick <= Instant::now());
    bench.expect_silence();
}

#[test]
fn half_a_file_is_not_told_while_its_writer_has_it_open() {
    let bench = Bench::new(Options {
        slow: Duration::from_secs(5),
        ..by_events()
    });
    settle_in();
    let mut file = File::create(&bench.file).unwrap();
    file.write_all(b"half ").unwrap();
    pause(600);
    file.write_all(b"and half").unwrap();
    drop(file);
    bench.expect("half and half");
}

#[test]
fn a_file_that_stays_open_is_told_once_it_is_quiet_for_long() {
    let bench = Bench::new(by_events());
    let mut file = File::create(&bench.file).unwrap();
    file.write_all(b"all of it").unwrap();
    bench.expect("all of it");
    drop(file);
    bench.expect_silence();
}

#[test]
fn a_file_that_is_closed_half_written_is_told_whole_in_the_end() {
    let bench = Bench::new(by_events());
    settle_in();
    write_in_place(&bench, "half ");
    pause(150);
    let mut file = OpenOptions::new().append(true).open(&bench.file).unwrap();
    file.write_all(b"and half").unwrap();
    drop(file);
    bench.expect_at_last("half and half");
}

#[test]
fn the_same_bytes_again_are_no_change() {
    for options in [by_events(), by_polling()] {
        let bench = Bench::new(options);
        // Not by halves: between them, other bytes are there.
        for style in &STYLES[..4] {
            style(&bench, "first");
        }
        File::open(&bench.file)
            .unwrap()
            .set_modified(std::time::SystemTime::now())
            .unwrap();
        bench.expect_silence();
        write_in_place(&bench, "other");
        bench.expect("other");
    }
}

#[test]
fn an_empty_file_and_a_missing_one_are_not_told() {
    for options in [by_events(), by_polling()] {
        let bench = Bench::new(options);
        write_in_place(&bench, "");
        bench.expect_silence();
        fs::remove_file(&bench.file).unwrap();
        bench.expect_silence();
        // What it held before is no change either.
        write_in_place(&bench, "first");
        bench.expect_silence();
        write_in_place(&bench, "second");
        bench.expect("second");
    }
}

#[test]
fn what_keeps_its_size_and_its_time_is_found_too() {
    let bench = Bench::new(by_polling());
    let time = fs::metadata(&bench.file).unwrap().modified().unwrap();
    write_in_place(&bench, "FIRST");
    File::options()
        .write(true)
        .open(&bench.file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    bench.expect("FIRST");
}

#[test]
fn a_file_that_changes_five_times_a_second_settles_to_the_last() {
    for options in [by_events(), by_polling()] {
        let bench = Bench::new(options);
        settle_in();
        let start = Instant::now();
        for version in 1..=10_u32 {
            write_in_place(&bench, &format!("version {version}"));
            let next = start + version * Duration::from_millis(200);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        // On a loaded machine a pause may be long enough to count as stillness.
        let mut count = 1;
        while text(&next(&bench.told)) != "version 10" {
            count += 1;
        }
        assert!(count <= 5, "told {count} times");
        bench.expect_silence();
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_turns_elsewhere_is_a_change() {
    use std::os::unix::fs::symlink;
    for options in [by_events(), by_polling()] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("x.wasm"), version).unwrap();
        }
        symlink("v1/x.wasm", path("x.wasm")).unwrap();
        let (watch, told) = watching(options);
        watch.set(vec![Target::File(path("x.wasm"))]);
        symlink("v2/x.wasm", path("fresh")).unwrap();
        fs::rename(path("fresh"), path("x.wasm")).unwrap();
        assert_eq!(text(&next(&told)), "v2");
        // Where the link leads to is watched as well.
        fs::write(path("v2/x.wasm"), "v2.1").unwrap();
        assert_eq!(text(&next(&told)), "v2.1");
        fs::write(path("v1/x.wasm"), "v1.1").unwrap();
        silence(&told);
    }
}

#[cfg(unix)]
#[test]
fn a_file_in_a_linked_folder_is_told_when_the_folder_is_another() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for version in ["v1", "v2"] {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("x.wasm"), version).unwrap();
    }
    symlink("v1", path("now")).unwrap();
    let (watch, told) = watching(by_both());
    watch.set(vec![Target::File(path("now/x.wasm"))]);
    symlink("v2", path("fresh")).unwrap();
    fs::rename(path("fresh"), path("now")).unwrap();
    assert_eq!(text(&next(&told)), "v2");
    fs::write(path("v2/x.wasm"), "v2.1").unwrap();
    let change = next(&told);
    assert_eq!(text(&change), "v2.1");
    assert_eq!(change.path, path("now/x.wasm"));
}

#[test]
fn a_file_in_a_folder_that_is_removed_and_made_again_is_told() {
    for options in [by_both(), by_polling()] {
        let folder = tempfile::tempdir().unwrap();
        let (parent, file) = (
            folder.path().join("dist"),
            folder.path().join("dist/x.wasm"),
        );
        let (watch, told) = watching(options);
        // It isn't there yet.
        watch.set(vec![Target::File(file.clone())]);
        for version in ["one", "two", "three"] {
            fs::create_dir(&parent).unwrap();
            fs::write(&file, version).unwrap();
            assert_eq!(text(&next(&told)), version);
            // Saved in the folder as it is now.
            let later = format!("{version}.1");
            fs::write(&file, &later).unwrap();
            assert_eq!(text(&next(&told)), later);
            fs::remove_dir_all(&parent).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_and_a_folder_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.wasm");
    let (watch, told) = watching(by_polling());
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    watch.set(vec![Target::File(file.clone())]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    silence(&told);
    fs::remove_dir(&file).unwrap();
    fs::write(&file, "a file").unwrap();
    assert_eq!(text(&next(&told)), "a file");
}

fn sources(folder: &Path) -> Target {
    Target::Folder {
        path: folder.to_owned(),
        ignore: vec![folder.join("schedule.wasm")],
    }
}

fn expect_folder(told: &Receiver<Change>, folder: &Path) {
    let change = next(told);
    assert_eq!((change.path.as_path(), &change.content), (folder, &None));
}

#[test]
fn a_folder_is_told_when_its_sources_change() {
    for options in [by_events(), by_polling()] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugin");
        for path in ["src/deep", "target/debug", ".git", "node_modules"] {
            fs::create_dir_all(folder.join(path)).unwrap();
        }
        fs::write(folder.join("src/deep/a.rs"), "a").unwrap();
        let (watch, told) = watching(options);
        watch.set(vec![sources(&folder)]);

        for path in [
            "target/debug/x.wasm",
            "target/debug/deps.d",
            ".git/index",
            "node_modules/package.json",
            "schedule.wasm",
            "src/.a.rs.swp",
            "src/a.rs~",
            "src/4913",
            "src/#a.rs#",
        ] {
            fs::write(folder.join(path), "no source").unwrap();
        }
        silence(&told);

        fs::write(folder.join("src/deep/a.rs"), "a longer one").unwrap();
        expect_folder(&told, &folder);
        // Folders that are new are watched, too.
        fs::create_dir_all(folder.join("src/new/deep")).unwrap();
        fs::write(folder.join("src/new/deep/b.rs"), "b").unwrap();
        expect_folder(&told, &folder);
        fs::write(folder.join("src/new/deep/b.rs"), "b, longer").unwrap();
        expect_folder(&told, &folder);
        fs::rename(folder.join("src/new"), folder.join("src/newer")).unwrap();
        expect_folder(&told, &folder);
        fs::write(folder.join("src/newer/deep/b.rs"), "b, longer still").unwrap();
        expect_folder(&told, &folder);
        fs::remove_file(folder.join("src/deep/a.rs")).unwrap();
        expect_folder(&told, &folder);
        silence(&told);
    }
}

#[test]
fn a_folder_that_is_removed_and_made_again_is_told() {
    for options in [by_both(), by_polling()] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugin");
        let (watch, told) = watching(options);
        watch.set(vec![sources(&folder)]);
        silence(&told);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.rs"), "a").unwrap();
        expect_folder(&told, &folder);
        fs::remove_dir_all(&folder).unwrap();
        silence(&told);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.rs"), "another").unwrap();
        expect_folder(&told, &folder);
    }
}

#[test]
fn many_files_that_change_at_once_are_one_change_of_their_folder() {
    let root = tempfile::tempdir().unwrap();
    let (watch, told) = watching(Options {
        quick: Duration::from_millis(500),
        slow: Duration::from_secs(1),
        ..by_events()
    });
    watch.set(vec![sources(root.path())]);
    settle_in();
    for number in 0..50 {
        fs::write(root.path().join(format!("{number}.rs")), "source").unwrap();
    }
    expect_folder(&told, root.path());
    assert_eq!(
        told.recv_timeout(Duration::from_secs(2)),
        Err(RecvTimeoutError::Timeout)
    );
}

#[test]
fn setting_targets_replaces_those_before() {
    let bench = Bench::new(by_events());
    let other = bench.beside("other.wasm");
    fs::write(&other, "other").unwrap();
    bench.watch.set(vec![Target::File(other.clone())]);
    write_in_place(&bench, "nobody cares");
    bench.expect_silence();
    fs::write(&other, "changed").unwrap();
    let change = next(&bench.told);
    assert_eq!(
        (change.path.as_path(), text(&change)),
        (other.as_path(), "changed")
    );

    // The content at the time of setting is what changes are measured from.
    bench.watch.set(vec![Target::File(bench.file.clone())]);
    bench.expect_silence();
    bench.watch.set(Vec::new());
    write_in_place(&bench, "nobody at all");
    bench.expect_silence();
}

#[test]
fn setting_a_target_again_keeps_its_change() {
    let bench = Bench::new(Options {
        quick: Duration::from_secs(1),
        slow: Duration::from_secs(1),
        ..by_events()
    });
    let targets = || {
        vec![
            Target::File(bench.file.clone()),
            Target::File(bench.file.clone()),
        ]
    };
    write_in_place(&bench, "second");
    bench.watch.set(targets());
    bench.expect("second");
    // Neither told twice, nor forgotten.
    bench.watch.set(targets());
    silence(&bench.told);
}

#[test]
fn the_same_size_right_after_setting_is_found() {
    // Neither events nor times need show it: the file is read again.
    for options in [by_events(), by_polling()] {
        let bench = Bench::new(options);
        write_in_place(&bench, "FIRST");
        bench.expect("FIRST");
    }
}

#[test]
fn a_relative_path_is_told_as_it_was_given() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let name = folder.path().file_name().unwrap();
    let file = Path::new(name).join("x.wasm");
    let (watch, told) = watching(by_events());
    watch.set(vec![Target::File(file.clone())]);
    fs::write(&file, "here").unwrap();
    assert_eq!(next(&told).path, file);
}

#[test]
fn dropping_a_watch_ends_its_thread() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let watch = Watch::start(by_events(), move |_| {
        let _ = &held;
    })
    .unwrap();
    watch.set(vec![Target::File("nowhere/x.wasm".into())]);
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(watch);
    // The thread owned it.
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn waits_of_no_length_and_without_an_end_are_no_trouble() {
    for (short, long) in [
        (Duration::ZERO, Duration::MAX),
        (Duration::ZERO, Duration::ZERO),
    ] {
        let bench = Bench::new(Options {
            quick: short,
            slow: long,
            busy: short,
            poll: long,
            events: true,
        });
        settle_in();
        // A change from before it watches is looked at again after `slow`: never, in the first case.
        let began = Instant::now();
        let change = loop {
            write_and_rename_over(&bench, "second");
            if let Ok(change) = bench.told.recv_timeout(Duration::from_secs(1)) {
                break change;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is told");
        };
        assert_eq!(text(&change), "second");
    }
}
