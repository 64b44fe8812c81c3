use super::*;

const STAMPS: [Option<Stamp>; 1] = [None];

/// A study with a folder a run.
fn study(runs: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for run in runs {
        fs::create_dir(place.path().join(run)).unwrap();
    }
    place
}

fn filled(study: &Path, entries: &[(&str, &str)]) {
    let index = Index::open(study, "test", 1);
    for (run, body) in entries {
        index.add(run, &STAMPS, body.as_bytes());
    }
}

fn get(study: &Path, run: &str) -> Option<String> {
    let body = Index::open(study, "test", 1).get(run, &STAMPS)?;
    Some(String::from_utf8(body).unwrap())
}

fn file(study: &Path) -> PathBuf {
    study.join(FOLDER).join("test")
}

#[test]
fn what_is_added_is_found_again_and_the_later_entry_counts() {
    let place = study(&["a", "b"]);
    assert_eq!(get(place.path(), "a"), None);
    filled(place.path(), &[("a", "one"), ("b", "two")]);
    filled(place.path(), &[("a", "three")]);
    assert_eq!(get(place.path(), "a").unwrap(), "three");
    assert_eq!(get(place.path(), "b").unwrap(), "two");
    assert_eq!(get(place.path(), "c"), None);
}

#[test]
fn an_entry_is_found_before_it_is_written_if_its_files_are_the_same() {
    let place = study(&["a"]);
    let index = Index::open(place.path(), "test", 1);
    index.add("a", &STAMPS, b"one");
    assert!(!file(place.path()).exists());
    assert_eq!(index.get("a", &STAMPS).unwrap(), b"one");
    assert_eq!(index.get("a", &[None, None]), None);
    index.save();
    assert_eq!(get(place.path(), "a").unwrap(), "one");
}

#[test]
fn an_entry_of_files_that_changed_counts_for_nothing() {
    let place = study(&["a"]);
    let summary = place.path().join("a/summary");
    fs::write(&summary, "1").unwrap();
    let stamps = || [Stamp::of(&summary), Stamp::of(&place.path().join("a/none"))];
    let before = stamps();
    Index::open(place.path(), "test", 1).add("a", &before, b"one");
    let index = Index::open(place.path(), "test", 1);
    assert_eq!(index.get("a", &stamps()).unwrap(), b"one");
    // Another file of the same name, size and time.
    let times = fs::metadata(&summary).unwrap().modified().unwrap();
    let other = place.path().join("a/other");
    fs::write(&other, "2").unwrap();
    File::options()
        .write(true)
        .open(&other)
        .unwrap()
        .set_modified(times)
        .unwrap();
    fs::rename(&other, &summary).unwrap();
    assert_eq!(index.get("a", &stamps()), None);
    fs::remove_file(&summary).unwrap();
    assert_eq!(index.get("a", &stamps()), None);
}

#[test]
fn a_torn_or_flipped_index_gives_whole_entries_alone_and_is_written_anew() {
    let place = study(&["a", "b", "c"]);
    let path = file(place.path());
    filled(place.path(), &[("a", "one"), ("b", "two")]);
    let whole = fs::read(&path).unwrap();
    let bodies = |run| get(place.path(), run);
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(bodies("a").is_none_or(|body| body == "one"), "{length}");
        assert_eq!(bodies("b"), None, "{length}");
        filled(place.path(), &[("c", "three")]);
        assert_eq!(bodies("c").as_deref(), Some("three"), "{length}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert!(bodies("a").is_none_or(|body| body == "one"), "{at}");
        assert!(bodies("b").is_none_or(|body| body == "two"), "{at}");
        filled(place.path(), &[("a", "new"), ("c", "three")]);
        assert_eq!(bodies("a").as_deref(), Some("new"), "{at}");
    }
}

#[test]
fn another_versions_index_is_as_good_as_none() {
    let place = study(&["a"]);
    Index::open(place.path(), "test", 2).add("a", &STAMPS, b"two");
    assert_eq!(get(place.path(), "a"), None);
    filled(place.path(), &[("a", "one")]);
    assert_eq!(get(place.path(), "a").unwrap(), "one");
    assert_eq!(Index::open(place.path(), "test", 2).get("a", &STAMPS), None);
}

#[test]
fn entries_that_no_longer_count_do_not_pile_up() {
    let place = study(&["a", "b"]);
    filled(
        place.path(),
        &[("b", "kept"), ("gone", "a run that was removed by hand")],
    );
    for number in 0..200 {
        filled(place.path(), &[("a", &number.to_string().repeat(20))]);
    }
    assert_eq!(get(place.path(), "a").unwrap(), "199".repeat(20));
    assert_eq!(get(place.path(), "b").unwrap(), "kept");
    assert_eq!(get(place.path(), "gone"), None);
    assert!(file(place.path()).metadata().unwrap().len() < 1_500);
}

#[test]
fn many_who_add_at_once_do_not_damage_one_another() {
    let names: Vec<String> = (0..8).map(|number| format!("r{number}")).collect();
    let place = study(&names.iter().map(String::as_str).collect::<Vec<_>>());
    filled(place.path(), &[("r0", "first")]);
    std::thread::scope(|scope| {
        for name in &names {
            let study = place.path();
            scope.spawn(move || {
                for number in 0..100 {
                    filled(study, &[(name, &format!("{name} {number}"))]);
                }
            });
        }
    });
    // One may have been lost to another who wrote the file anew: what is there is whole, and its own.
    for name in &names {
        if let Some(body) = get(place.path(), name) {
            assert!(
                body == "first" || body.starts_with(&format!("{name} ")),
                "{body}"
            );
        }
    }
    filled(place.path(), &[("r3", "last")]);
    assert_eq!(get(place.path(), "r3").unwrap(), "last");
}

#[test]
fn a_study_that_may_not_be_written_to_is_no_fault() {
    let place = study(&["a"]);
    fs::write(place.path().join(FOLDER), "a file where the folder belongs").unwrap();
    filled(place.path(), &[("a", "one")]);
    assert_eq!(get(place.path(), "a"), None);
}
