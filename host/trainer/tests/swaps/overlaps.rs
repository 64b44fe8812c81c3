//! Requests, saved files and ends of runs that come at the same time.

use super::*;

/// Long enough that what was asked for is prepared and waits for its turn, while the run stands in a step.
const MEANWHILE: Duration = Duration::from_millis(300);

/// A module whose rate is its parameter `rate` times `factor`, and that reads the loss.
fn of_param(factor: u32) -> String {
    format!(
        r#"(module
            (import "pixelrate:schedule/run@1.0.0" "param" (func $param (param i32 i32 f64) (result f64)))
            (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
            (memory (export "memory") 1) (data (i32.const 8) "rate")
            (func (export "learning-rate") (param i64) (result f64)
                (drop (call $loss))
                (f64.mul (f64.const {factor}) (call $param (i32.const 8) (i32.const 4) (f64.const {TINY:e})))))"#
    )
}

#[test]
fn a_request_that_is_taken_back_while_it_waits_for_its_turn_is_not_done() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 1e-6"));
    let second = place.plugin("second.wat", &reading("f64.const 2e-6"));
    let mailbox = Mailbox::of(&run);
    let mut observer = Watching(|seen| {
        if let Seen::Steps(10) = seen {
            let asked = [
                mailbox.post(What::Pause, None).unwrap(),
                offer(&run, &second, None, true),
                mailbox.post(What::Stop, None).unwrap(),
            ];
            prepared(&run, &reading("f64.const 2e-6"));
            asked.iter().for_each(|id| mailbox.clear(id).unwrap());
            std::thread::sleep(MEANWHILE);
        }
    });
    let outcome = begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    whole(&run, &[]);
    assert_eq!(events(&run, EventKind::Paused), []);
    let left = fs::read_dir(run.join("control")).unwrap();
    assert_eq!(left.count(), 0, "answers that nobody waits for");
}

/// Waits until the desk has prepared this module for the run, and put it in its place.
fn prepared(run: &Path, module: &str) {
    let kept = run.join("plugins").join(format!("{}.wasm", sha256(module)));
    let began = Instant::now();
    while !kept.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "it is not prepared"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(MEANWHILE);
}

/// Trains until two schedules took over, which must be a swap and then a change of its file. `at_step_10` is what happens
/// meanwhile.
fn swapped_and_reloaded(first: ScheduleSpec, run: &Path, at_step_10: &dyn Fn()) -> [Takeover; 2] {
    let mut spec = spec(first);
    // It ends long before.
    spec.training.epochs = 10_000.0;
    let (stop, mut taken) = (Stop::default(), 0);
    let mut observer = Watching(|seen| match seen {
        Seen::Steps(10) => at_step_10(),
        Seen::Steps(100_000) => stop.ask(),
        Seen::Event(row) if row.kind == EventKind::Swapped => {
            taken += 1;
            if taken == 2 {
                stop.ask();
            }
        }
        _ => {}
    });
    begin(&spec, run, &mut observer, &stop).unwrap();
    let taken: [Takeover; 2] = Takeovers::read(run).unwrap().try_into().unwrap();
    assert_eq!(
        taken.each_ref().map(|it| it.cause),
        [Cause::Swap, Cause::Reload]
    );
    taken
}

#[test]
fn a_file_that_is_saved_while_a_swap_waits_takes_over_after_it_under_its_parameters() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("edited.wat", &of_param(1));
    let mut swapped = first.clone();
    swapped.params = [("rate".to_owned(), Value::Number(3e-6))].into();
    let taken = swapped_and_reloaded(first, &run, &|| {
        offer(&run, &swapped, None, true);
        std::thread::sleep(MEANWHILE);
        place.plugin("edited.wat", &of_param(2));
        prepared(&run, &of_param(2));
    });
    assert_eq!(taken[1].schedule.params, swapped.params);
    assert_eq!(taken[1].sha256, sha256(&of_param(2)));
}

#[test]
fn a_file_that_is_saved_between_its_offer_and_its_takeover_is_not_missed() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 1e-6"));
    let second = place.plugin("second.wat", &reading("f64.const 2e-6"));
    let saved = reading("f64.const 3e-6");
    let taken = swapped_and_reloaded(first, &run, &|| {
        offer(&run, &second, None, true);
        prepared(&run, &reading("f64.const 2e-6"));
        place.plugin("second.wat", &saved);
    });
    assert_eq!(taken[1].sha256, sha256(&saved));
}

#[test]
fn a_file_that_is_saved_while_a_swap_waits_takes_over_if_the_swap_is_taken_back() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("edited.wat", &of_param(1));
    let other = place.plugin("other.wat", &reading("f64.const 2e-6"));
    let mut spec = spec(first);
    spec.training.epochs = 10_000.0;
    let stop = Stop::default();
    let mut observer = Watching(|seen| match seen {
        Seen::Steps(10) => {
            let id = offer(&run, &other, None, true);
            prepared(&run, &reading("f64.const 2e-6"));
            place.plugin("edited.wat", &of_param(2));
            prepared(&run, &of_param(2));
            Mailbox::of(&run).clear(&id).unwrap();
            std::thread::sleep(MEANWHILE);
        }
        Seen::Steps(100_000) => stop.ask(),
        Seen::Event(row) if row.kind == EventKind::Swapped => stop.ask(),
        _ => {}
    });
    begin(&spec, &run, &mut observer, &stop).unwrap();
    let taken = Takeovers::read(&run).unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (taken[0].cause, &*taken[0].sha256),
        (Cause::Reload, &*sha256(&of_param(2)))
    );
}

#[test]
fn a_refusal_that_was_told_is_in_the_log_of_a_run_that_stops_then() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("edited.wat", &reading("f64.const 1e-6"));
    let (tell, heard) = channel();
    let stop = Stop::default();
    let watching = Watching(|seen| {
        if let Seen::Steps(5) = seen {
            place.plugin("edited.wat", BROKEN);
            heard.recv_timeout(Duration::from_secs(60)).unwrap();
            stop.ask();
        }
    });
    let mut observer = Hearing(watching, tell);
    let outcome = begin(&spec(first), &run, &mut observer, &stop).unwrap();
    assert_eq!(outcome.ending, Ending::Stopped);
    assert_eq!(events(&run, EventKind::Rejected).len(), 1);
}

/// Counts, and cannot be saved from step 35 on if the loss has not fallen: no made-up one of a rehearsal is as high by then.
fn unsaved() -> String {
    let unsaved = counting(TINY / 100.0).replace(
        "(i64.store (i32.const 16) (i64.add",
        "(if (i32.and (i64.ge_u (local.get 0) (i64.const 35)) (f64.gt (call $loss) (f64.const 1.5)))
            (then (i32.store8 (i32.const 32) (i32.const 1))))
         (i64.store (i32.const 16) (i64.add",
    );
    unsaved.replace(
        "(result i32) (i32.const 0))",
        "(result i32) (if (i32.load8_u (i32.const 32)) (then unreachable)) (i32.const 0))",
    )
}

#[test]
fn a_schedule_on_probation_that_cannot_be_saved_gives_way_before_a_swap() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(TINY / 200.0));
    let unsaved = place.plugin("unsaved.wat", &unsaved());
    let third = place.plugin("third.wat", &counting(TINY / 50.0));
    begin_with(
        &run,
        &first,
        &[(20, unsaved, true), (45, third, true)],
        None,
    );
    whole(&run, &[20, 45, 45]);
    let recorded = Takeovers::read(&run).unwrap();
    assert_eq!(recorded[1].cause, Cause::Rollback);
    // The third counts on from what the first had.
    assert_eq!(recorded[2].state, Some(20_u64.to_le_bytes().to_vec()));
    replays(&run);
}

#[test]
fn a_fresh_schedule_replaces_one_that_cannot_be_saved() {
    let place = Place::new();
    for on_fault in [OnFault::Abort, OnFault::Hold] {
        let run = place.run(&format!("{on_fault:?}"));
        let mut first = place.plugin("unsaved.wat", &unsaved());
        first.on_fault = on_fault;
        let mut fresh = place.plugin("fresh.wat", &counting(TINY / 50.0));
        fresh.on_fault = on_fault;
        begin_with(&run, &first, &[(45, fresh, false)], None);
        whole(&run, &[45]);
        assert_eq!(Takeovers::read(&run).unwrap()[0].left, None);
        assert_eq!(events(&run, EventKind::Fault).len(), 1);
        replays(&run);
    }
}

#[test]
fn a_state_that_cannot_be_saved_ends_a_run_that_holds_unless_it_is_at_its_end() {
    let place = Place::new();
    let run = place.run("run");
    let mut first = place.plugin("unsaved.wat", &unsaved());
    first.on_fault = OnFault::Hold;
    let mut of_the_run = spec(first);
    of_the_run.training.checkpoint_seconds = 1e20;
    let outcome = begin(&of_the_run, &run, &mut (), &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    let told = &events(&run, EventKind::Fault)[0].message;
    assert!(
        told.contains("its schedule's state could not be saved"),
        "{told}"
    );
    assert_eq!(checkpoint::list(&run).unwrap(), Vec::<PathBuf>::new());
    // One that goes on would do so from its schedule's beginning.
    let run = place.run("stopped");
    let stop = Stop::default().before(50);
    let problem = begin(&of_the_run, &run, &mut (), &stop)
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("its schedule's state could not be saved"),
        "{problem}"
    );
    assert_eq!(read_steps(&run).unwrap().len(), 50);
    assert_eq!(events(&run, EventKind::Failed)[0].message, problem);
}

#[test]
fn a_run_that_is_taken_up_again_began_when_it_did_and_keeps_its_last_loss() {
    let place = Place::new();
    let run = place.run("run");
    begin_with(
        &run,
        &place.plugin("first.wat", &counting(1e-5)),
        &[],
        Some(10),
    );
    let began = read_events(&run).unwrap()[0].time_unix_ms;
    resume(&run, &mut (), &Stop::default()).unwrap();
    let summary = read_summary(&run).unwrap().unwrap();
    assert_eq!(summary.started_unix_ms, began);
    // Its process ended between the last checkpoint and the summary.
    fs::remove_file(run.join("summary.parquet")).unwrap();
    resume(&run, &mut (), &Stop::default()).unwrap();
    let again = read_summary(&run).unwrap().unwrap();
    assert!(summary.final_train_loss.is_some());
    assert_eq!(again.final_train_loss, summary.final_train_loss);
    assert_eq!(again.started_unix_ms, began);
}
