//! Runs that wait, keep checkpoints and pictures, and are left alone by a second process.

use super::*;

#[test]
fn a_run_waits_goes_on_and_stops_when_it_is_told_to() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 0.01"));
    let waited = Duration::from_millis(700);
    let began = Instant::now();
    let outcome = std::thread::scope(|scope| {
        let (folder, mailbox) = (run.clone(), Mailbox::of(&run));
        let mut once = false;
        let mut observer = Watching(move |seen| {
            if let Seen::Steps(step) = seen
                && step >= 20
                && !once
            {
                once = true;
                let paused = Mailbox::of(&folder).post(What::Pause, None).unwrap();
                let (folder, mailbox) = (folder.clone(), mailbox.clone());
                scope.spawn(move || {
                    let Reply::Done { step } = answer(&folder, &paused) else {
                        panic!("it does not wait");
                    };
                    // It may not go on by itself, and what it has done by then is safe.
                    let names = checkpoint::list(&folder).unwrap();
                    assert_eq!(
                        names.last().and_then(|path| checkpoint::step_of(path)),
                        Some(step)
                    );
                    std::thread::sleep(waited);
                    assert_eq!(read_steps(&folder).unwrap().len() as u64, step);
                    let status = Status::read(&folder).unwrap().unwrap();
                    assert_eq!(status.activity, pixelrate_control::Activity::Paused);
                    let id = mailbox.post(What::Continue, None).unwrap();
                    assert_eq!(answer(&folder, &id), Reply::Done { step });
                    let id = mailbox.post(What::Stop, None).unwrap();
                    assert!(matches!(answer(&folder, &id), Reply::Done { .. }));
                });
                // The answer to the pause comes between two steps, and the stop needs some to be left.
                std::thread::sleep(Duration::from_millis(100));
            }
            if once {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap()
    });
    let took = began.elapsed();
    assert_eq!(outcome.ending, Ending::Stopped);
    assert!(took > waited);
    let continued = events(&run, EventKind::Continued);
    assert!(continued[0].duration_ns.unwrap() >= waited.as_nanos() as u64 * 9 / 10);
    assert_eq!(events(&run, EventKind::Paused).len(), 1);
    resume(&run, &mut (), &Stop::default()).unwrap();
    whole(&run, &[]);
    let summary = read_summary(&run).unwrap().unwrap();
    let all = began.elapsed();
    assert!(
        summary.wall_seconds <= (all - waited).as_secs_f64(),
        "{} s were counted of {all:?}",
        summary.wall_seconds
    );
}

#[test]
fn time_that_a_run_waits_before_it_stops_does_not_count() {
    let place = Place::new();
    let run = place.run("run");
    let waited = Duration::from_millis(1500);
    let began = Instant::now();
    let stop = Stop::default();
    let mut observer = Watching(|seen| match seen {
        Seen::Started => {
            Mailbox::of(&run).post(What::Pause, None).unwrap();
            std::thread::sleep(Duration::from_secs(1));
        }
        Seen::Event(row) if row.kind == EventKind::Paused => {
            let stop = stop.clone();
            std::thread::spawn(move || {
                std::thread::sleep(waited);
                stop.ask();
            });
        }
        _ => {}
    });
    begin(&spec(fixed(0.01)), &run, &mut observer, &stop).unwrap();
    resume(&run, &mut (), &Stop::default()).unwrap();
    let counted = read_summary(&run).unwrap().unwrap().wall_seconds;
    assert!(counted < (began.elapsed() - waited).as_secs_f64() + 0.1);
}

#[test]
fn a_named_checkpoint_stays_and_a_damaged_one_is_put_aside() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    let unstopped = place.run("unstopped");
    begin_with(&unstopped, &first, &[], None);
    let mailbox = Mailbox::of(&run);
    let stop = Stop::default();
    let mut named = None;
    let mut observer = Watching(|seen| {
        if let Seen::Steps(5) = seen {
            let name = "before".to_owned();
            named = Some(mailbox.post(What::Checkpoint { name }, None).unwrap());
            mailbox.post(What::Stop, None).unwrap();
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    begin(&spec(first), &run, &mut observer, &stop).unwrap();
    let Reply::Done { step: early } = answer(&run, &named.unwrap()) else {
        panic!("it was not kept");
    };
    for until in [10, 20, 30, 40] {
        resume_until(&run, until);
    }
    let all = checkpoint::list(&run).unwrap();
    let steps: Vec<_> = all
        .iter()
        .map(|path| checkpoint::step_of(path).unwrap())
        .collect();
    assert_eq!(steps, [early, 20, 30, 40]);
    assert!(all[0].ends_with(checkpoint::file_name(early, Some("before"))));
    let newest = &all[3];
    let mut bytes = fs::read(newest).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 4;
    fs::write(newest, bytes).unwrap();
    resume(&run, &mut (), &Stop::default()).unwrap();
    let resumed: Vec<_> = events(&run, EventKind::Resumed)
        .into_iter()
        .map(|row| (row.step, row.message))
        .collect();
    let back = "at step 30; went back from step 40, and these events are no longer in the log: checkpoint at 40, stopped at 40";
    assert_eq!(resumed.last().unwrap(), &(30, back.to_owned()));
    // Each of the others went on where it had stopped.
    for (step, message) in &resumed[..resumed.len() - 1] {
        assert_eq!(message, &format!("at step {step}"));
    }
    let faults = events(&run, EventKind::Fault);
    assert!(faults[0].message.contains("checksum"), "{faults:?}");
    let aside = fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".damaged")
        });
    assert_eq!(aside.count(), 1);
    assert!(all[0].exists());
    same(&run, &unstopped);
}

#[test]
fn a_picture_is_kept_with_the_run_and_its_name_means_no_other() {
    let place = Place::new();
    let run = place.run("run");
    let pictures = place.run("pictures");
    fs::create_dir(&pictures).unwrap();
    let save = |drawn: &str| {
        let drawn = pixelrate_images::get(drawn).unwrap();
        fs::write(pictures.join("mine.png"), drawn).unwrap();
    };
    save("hinton");
    let picture = |name: &str| ScheduleSpec {
        params: [
            ("image".to_owned(), Value::Text(name.to_owned())),
            ("max_lr".to_owned(), Value::Number(1e-4)),
        ]
        .into(),
        picture_folder: Some(pictures.clone()),
        ..schedule("image")
    };
    assert_eq!(
        begin_with(
            &run,
            &picture("mine"),
            &[(20, picture("puppy"), false)],
            Some(30)
        ),
        Ending::Stopped
    );
    // Its name stands for the old one in this run.
    save("mona_lisa");
    let (_, _, stage) = pixelrate_trainer::train::stage(&run).unwrap();
    let problem = stage.admit(&run, &picture("mine"), None, 30).unwrap_err();
    assert!(
        problem.contains("has changed since the run kept it"),
        "{problem}"
    );
    // Neither the study's folder nor a built-in picture of another version is needed any more.
    fs::remove_dir_all(&pictures).unwrap();
    let mut kept: Vec<_> = fs::read_dir(run.join("pictures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    kept.sort();
    assert_eq!(kept, ["mine.png", "puppy.png"]);
    resume(&run, &mut (), &Stop::default()).unwrap();
    whole(&run, &[20]);
    replays(&run);
}

#[test]
fn a_run_that_another_process_trains_is_left_alone() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 0.01"));
    let mut problem = None;
    let mut observer = Watching(|seen| {
        if let Seen::Steps(30) = seen {
            let other = resume(&run, &mut (), &Stop::default());
            problem = Some(other.unwrap_err().to_string());
        }
    });
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    let problem = problem.unwrap();
    assert!(
        problem.contains("another process is writing this run"),
        "{problem}"
    );
    whole(&run, &[]);
}

#[test]
fn a_file_that_changes_while_the_run_sets_up_is_not_missed() {
    let place = Place::new();
    let run = place.run("run");
    let path = place.run("edited.wat");
    let first = place.plugin("edited.wat", &reading("f64.const 0.01"));
    // The run keeps its plugin before it watches the file; from there on a change counts.
    let kept = run.join("plugins");
    let editor = std::thread::spawn(move || {
        while !kept.exists() {
            std::hint::spin_loop();
        }
        fs::write(path, reading("f64.const 0.02")).unwrap();
    });
    let mut swapped = false;
    let mut observer = Watching(|seen| match seen {
        Seen::Steps(_) if !swapped => std::thread::sleep(Duration::from_millis(250)),
        Seen::Event(row) if row.kind == EventKind::Swapped => swapped = true,
        _ => {}
    });
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    editor.join().unwrap();
    assert!(swapped);
    assert_eq!(
        read_steps(&run).unwrap().last().unwrap().learning_rate,
        0.02
    );
}
