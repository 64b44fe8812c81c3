//! Schedules that take over while a run trains: at which step, with what state, and what a stop, a crash and a replay
//! make of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use pixelrate_control::{Cause, Mailbox, Offer, Reply, Status, Takeover, Takeovers, What};
use pixelrate_runlog::{
    EvalRow, EventKind, EventRow, StepRow, read_evals, read_events, read_steps, read_summary,
};
use pixelrate_sandbox::{Limits, OnFault, Value};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{Found, OptimizerKind, RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::train::{Ending, Herald, Observer, Progress, Stop, begin, replay, resume};
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

#[path = "swaps/compositions.rs"]
mod compositions;
#[path = "swaps/harness.rs"]
mod harness;
#[path = "swaps/overlaps.rs"]
mod overlaps;
#[path = "swaps/steered.rs"]
mod steered;
#[path = "swaps/stopped.rs"]
mod stopped;

use harness::*;

#[test]
fn a_swap_takes_over_at_its_step() {
    let place = Place::new();
    let run = place.run("run");
    let mut reply = None;
    let mut observer = Watching(|seen| match seen {
        Seen::Started => {
            let id = offer(&run, &fixed(0.02), Some(20), true);
            assert_eq!(answer(&run, &id), Reply::Planned { step: 20 });
            reply = Some(id);
        }
        Seen::Event(row) if row.kind == EventKind::Swapped => assert_eq!(row.step, 20),
        _ => {}
    });
    begin(&spec(fixed(0.01)), &run, &mut observer, &Stop::default()).unwrap();
    whole(&run, &[20]);
    for row in read_steps(&run).unwrap() {
        let rate = if row.step < 20 { 0.01 } else { 0.02 };
        assert_eq!(row.learning_rate.to_bits(), f64::to_bits(rate));
    }
    assert_eq!(answer(&run, &reply.unwrap()), Reply::Done { step: 20 });
    assert_eq!(Mailbox::of(&run).waiting().unwrap(), []);
    let swapped = events(&run, EventKind::Swapped);
    assert_eq!(swapped.len(), 1);
    assert!(
        swapped[0]
            .message
            .starts_with("fixed (learning_rate = 0.02) took over from fixed"),
        "{}",
        swapped[0].message
    );
    let takeover = &Takeovers::read(&run).unwrap()[0];
    assert_eq!((takeover.cause, &takeover.state), (Cause::Swap, &None));
    assert_eq!(takeover.schedule, fixed(0.02));
    let status = Status::read(&run).unwrap().unwrap();
    assert_eq!((status.step, status.swaps), (STEPS, 1));
    replays(&run);
}

#[test]
fn a_step_that_is_over_or_not_there_is_refused() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 0.01"));
    let mut asked = Vec::new();
    let mut observer = Watching(|seen| {
        if let Seen::Steps(30) = seen {
            for at in [3, STEPS] {
                let id = offer(&run, &fixed(0.02), Some(at), true);
                asked.push(answer(&run, &id));
            }
        }
    });
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    let reasons: Vec<String> = asked
        .into_iter()
        .map(|reply| match reply {
            Reply::Rejected { reason } => reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        reasons[0].contains("step 3 is over") && reasons[1].contains("there is no step 60"),
        "{reasons:?}"
    );
    whole(&run, &[]);
    assert_eq!(events(&run, EventKind::Rejected).len(), 2);
}

#[test]
fn a_file_that_is_saved_takes_over_and_a_broken_one_changes_nothing() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("edited.wat", &reading("f64.const 0.01"));
    let second = reading("f64.const 0.02");
    let (mut broken, mut rejected, mut swapped) = (false, 0, 0);
    let mut observer = Watching(|seen| match seen {
        Seen::Steps(step) => {
            if step == 5 {
                place.plugin("edited.wat", BROKEN);
                broken = true;
            }
            if rejected == 1 && broken {
                place.plugin("edited.wat", &second);
                broken = false;
            }
            if step >= 5 && swapped == 0 {
                std::thread::sleep(Duration::from_millis(250));
            }
        }
        Seen::Event(row) => match row.kind {
            EventKind::Rejected => rejected += 1,
            EventKind::Swapped => swapped += 1,
            _ => {}
        },
        Seen::Started => {}
    });
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    assert_eq!((rejected, swapped), (1, 1));
    let refused = &events(&run, EventKind::Rejected)[0];
    assert_eq!(refused.schedule, Some(sha256(BROKEN)));
    let takeovers = Takeovers::read(&run).unwrap();
    assert_eq!(takeovers[0].cause, Cause::Reload);
    whole(&run, &[takeovers[0].step]);
    let (old, new) = (sha256(&reading("f64.const 0.01")), sha256(&second));
    let told = &events(&run, EventKind::Swapped)[0].message;
    let both = format!(
        "edited [{}] took over from edited [{}]",
        &new[..8],
        &old[..8]
    );
    assert!(told.starts_with(&both), "{told}");
    let kept = pixelrate_control::plugin_path(&run, &takeovers[0].sha256);
    assert_eq!(fs::read(kept).unwrap(), second.as_bytes());
    assert_eq!(
        read_steps(&run).unwrap().last().unwrap().learning_rate,
        0.02
    );
    replays(&run);
}

#[test]
fn a_refusal_is_told_in_the_middle_of_a_step_and_only_once() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("edited.wat", &reading("f64.const 0.01"));
    let (tell, heard) = channel();
    let (mut told, mut shown) = (None, 0);
    let watching = Watching(|seen| match seen {
        // A step that lasts until somebody has read why the file was refused.
        Seen::Steps(5) => {
            place.plugin("edited.wat", BROKEN);
            told = heard.recv_timeout(Duration::from_secs(60)).ok();
        }
        Seen::Event(row) if row.kind == EventKind::Rejected => shown += 1,
        _ => {}
    });
    let mut observer = Hearing(watching, tell);
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    drop(observer);
    let (step, message) = told.expect("nobody was told before the step was over");
    assert_eq!((step, shown), (5, 0));
    assert!(heard.try_recv().is_err(), "it was told twice");
    let logged = events(&run, EventKind::Rejected);
    let logged: Vec<_> = logged.iter().map(|row| (row.step, &row.message)).collect();
    assert_eq!(logged, [(5, &message)]);
    whole(&run, &[]);
}

#[test]
fn state_goes_from_the_old_to_the_new() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    let second = place.plugin("second.wat", &counting(1e-4));
    let third = place.plugin("third.wat", &counting(1e-3));
    let takeovers = [(20, second, true), (40, third, false)];
    begin_with(&run, &first, &takeovers, None);
    whole(&run, &[20, 40]);
    for row in read_steps(&run).unwrap() {
        let step = row.step as f64;
        let expected = match row.step {
            0..20 => 1e-5 * (step + 1.0),
            20..40 => 1e-4 * (step + 1.0),
            _ => 1e-3 * (step - 39.0),
        };
        assert_eq!(row.learning_rate.to_bits(), expected.to_bits());
    }
    let recorded = Takeovers::read(&run).unwrap();
    assert_eq!(recorded[0].state, Some(20_u64.to_le_bytes().to_vec()));
    assert_eq!(recorded[0].left, recorded[0].state);
    assert_eq!(recorded[1].state, None);
    assert_eq!(recorded[1].left, Some(40_u64.to_le_bytes().to_vec()));
    replays(&run);
}

#[test]
fn a_restore_that_traps_is_a_rejected_swap() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    let picky = "(if (i32.ne (local.get $length) (i32.const 16)) (then unreachable))";
    let picky = place.plugin("picky.wat", &stateful(1e-3, 16, picky));
    let mut reply = None;
    let mut observer = Watching(|seen| {
        if let Seen::Started = seen {
            let id = offer(&run, &picky, Some(20), true);
            assert_eq!(answer(&run, &id), Reply::Planned { step: 20 });
            reply = Some(id);
        }
    });
    begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap();
    whole(&run, &[]);
    for row in read_steps(&run).unwrap() {
        let expected = 1e-5 * (row.step as f64 + 1.0);
        assert_eq!(row.learning_rate.to_bits(), expected.to_bits());
    }
    let Reply::Rejected { reason } = answer(&run, &reply.unwrap()) else {
        panic!("it was not rejected");
    };
    assert!(reason.contains("does not take the state"), "{reason}");
    let refused = &events(&run, EventKind::Rejected)[0];
    let offered = fs::read_to_string(&picky.plugin).unwrap();
    assert_eq!(
        (refused.step, &refused.schedule),
        (20, &Some(sha256(&offered)))
    );
}

#[test]
fn what_would_pass_the_ceiling_later_is_refused_at_once() {
    let place = Place::new();
    let run = place.run("run");
    let late = "(select (f64.const 5) (f64.const 0.1) (i64.ge_u (local.get 0) (i64.const 50)))";
    let late = place.plugin("late.wat", &reading(late));
    let mut reply = None;
    let mut observer = Watching(|seen| {
        if let Seen::Started = seen {
            reply = Some(answer(&run, &offer(&run, &late, None, true)));
        }
    });
    begin(&spec(fixed(0.01)), &run, &mut observer, &Stop::default()).unwrap();
    let Some(Reply::Rejected { reason }) = reply else {
        panic!("{reply:?}");
    };
    assert!(reason.contains("max_learning_rate"), "{reason}");
    let refused = &events(&run, EventKind::Rejected)[0];
    let offered = fs::read_to_string(&late.plugin).unwrap();
    assert_eq!(refused.schedule, Some(sha256(&offered)));
    whole(&run, &[]);
}

#[test]
fn a_schedule_that_faults_soon_gives_way_to_the_one_before() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(TINY / 100.0));
    let hopeful = place.plugin("hopeful.wat", &hopeful(2e-6));
    assert_eq!(
        begin_with(&run, &first, &[(20, hopeful, true)], None),
        Ending::Finished
    );
    whole(&run, &[20, 35]);
    let told: Vec<(EventKind, u64)> = read_events(&run)
        .unwrap()
        .into_iter()
        .filter(|event| matches!(event.kind, EventKind::Fault | EventKind::Reverted))
        .map(|event| (event.kind, event.step))
        .collect();
    assert_eq!(told, [(EventKind::Fault, 35), (EventKind::Reverted, 35)]);
    // It goes on where it left off: it was not asked meanwhile.
    let rows = read_steps(&run).unwrap();
    assert_eq!(rows[35].learning_rate, TINY / 100.0 * 21.0);
    let recorded = Takeovers::read(&run).unwrap();
    assert_eq!(recorded[1].cause, Cause::Rollback);
    assert_eq!(recorded[1].state, recorded[0].left);
    replays(&run);
}

#[test]
fn steps_that_were_asked_ahead_are_asked_anew_of_who_is_in_force() {
    let place = Place::new();
    let run = place.run("run");
    // Functions of the step alone, which are asked for some steps at once.
    let plain = |factor: f64| {
        format!(
            r#"(module (func (export "learning-rate") (param i64) (result f64)
                (f64.mul (f64.const {factor:e}) (f64.convert_i64_u (local.get 0)))))"#
        )
    };
    let first = place.plugin("first.wat", &plain(TINY / 100.0));
    let hopeful = place.plugin("hopeful.wat", &hopeful(2e-6));
    let last = place.plugin("last.wat", &plain(TINY / 50.0));
    let takeovers = [(20, hopeful, true), (45, last, true)];
    assert_eq!(begin_with(&run, &first, &takeovers, None), Ending::Finished);
    // The second faults, and the first comes back.
    whole(&run, &[20, 35, 45]);
    for row in read_steps(&run).unwrap() {
        let step = row.step as f64;
        let expected = match row.step {
            20..35 => 2e-6,
            45.. => TINY / 50.0 * step,
            _ => TINY / 100.0 * step,
        };
        assert_eq!(row.learning_rate, expected, "step {step}");
    }
    replays(&run);
}

#[test]
fn a_fault_after_the_probation_ends_the_run() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &reading("f64.const 1e-6"));
    let mut hopeful = place.plugin("hopeful.wat", &hopeful(2e-6));
    hopeful.rollback_steps = 15;
    let mut observer = Watching(|seen| {
        if let Seen::Started = seen {
            plan(&run, &hopeful, 20, true);
        }
    });
    let problem = begin(&spec(first), &run, &mut observer, &Stop::default()).unwrap_err();
    assert!(problem.to_string().contains("at step 35"), "{problem}");
    assert_eq!(read_steps(&run).unwrap().len(), 35);
}
