//! Takeovers of runs that are stopped, go back to a checkpoint, or are asked while nothing runs.

use super::*;

/// A schedule with state, one that takes its state over, two that fault at the same step on real losses, the second while
/// the first is still on probation, and one at the end.
fn eventful(place: &Place) -> (ScheduleSpec, Vec<(u64, ScheduleSpec, bool)>) {
    let first = place.plugin("first.wat", &counting(TINY / 100.0));
    let second = place.plugin("second.wat", &counting(TINY / 50.0));
    let hopeful_1 = place.plugin("hopeful-1.wat", &hopeful(2e-6));
    let hopeful_2 = place.plugin("hopeful-2.wat", &hopeful(3e-6));
    let last = place.plugin("last.wat", &counting(TINY));
    let takeovers = vec![
        (10, second, true),
        (25, hopeful_1, true),
        (30, hopeful_2, true),
        (45, last, true),
    ];
    (first, takeovers)
}

const EVENTFUL: [u64; 6] = [10, 25, 30, 35, 35, 45];

#[test]
fn a_run_that_is_stopped_anywhere_takes_over_again_to_the_same_bits() {
    let place = Place::new();
    let (first, takeovers) = eventful(&place);
    let unstopped = place.run("unstopped");
    begin_with(&unstopped, &first, &takeovers, None);
    whole(&unstopped, &EVENTFUL);
    replays(&unstopped);
    // Before, at and after each takeover, and within the probation of each.
    for until in [5, 10, 11, 25, 28, 30, 35, 36, 44, 45, 50] {
        let run = place.run(&format!("stopped-{until}"));
        assert_eq!(
            begin_with(&run, &first, &takeovers, Some(until)),
            Ending::Stopped
        );
        assert_eq!(read_steps(&run).unwrap().len() as u64, until);
        let outcome = resume(&run, &mut (), &Stop::default()).unwrap();
        assert_eq!(outcome.ending, Ending::Finished, "stopped at {until}");
        whole(&run, &EVENTFUL);
        same(&run, &unstopped);
        assert!(events(&run, EventKind::Fault).len() <= 2);
    }
}

#[test]
fn a_run_that_goes_back_takes_over_again_to_the_same_bits() {
    let place = Place::new();
    let (first, takeovers) = eventful(&place);
    let unstopped = place.run("unstopped");
    begin_with(&unstopped, &first, &takeovers, None);
    // Checkpoints at these steps, of which the newest are lost.
    for (at, lost) in [(vec![5, 50], 1), (vec![12, 30, 40], 2), (vec![55], 1)] {
        let run = place.run(&format!("back-{}", at[0]));
        let mut stops = at.iter();
        begin_with(&run, &first, &takeovers, stops.next().copied());
        for until in stops {
            resume_until(&run, *until);
        }
        let kept = checkpoint::list(&run).unwrap();
        assert_eq!(kept.len(), at.len());
        for path in kept.iter().rev().take(lost) {
            fs::remove_file(path).unwrap();
        }
        resume(&run, &mut (), &Stop::default()).unwrap();
        let from = at.len().checked_sub(lost + 1).map_or(0, |last| at[last]);
        assert_eq!(events(&run, EventKind::Resumed).last().unwrap().step, from);
        whole(&run, &EVENTFUL);
        same(&run, &unstopped);
    }
}

#[test]
fn a_checkpoint_right_after_a_takeover_is_a_good_one() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    let second = place.plugin("second.wat", &counting(1e-4));
    let unstopped = place.run("unstopped");
    begin_with(&unstopped, &first, &[(20, second.clone(), true)], None);
    let mailbox = Mailbox::of(&run);
    let stop = Stop::default();
    let mut observer = Watching(|seen| match seen {
        Seen::Started => plan(&run, &second, 20, true),
        // Both are kept between the takeover and the step after it.
        Seen::Event(row) if row.kind == EventKind::Swapped => {
            let name = "kept".to_owned();
            mailbox.post(What::Checkpoint { name }, None).unwrap();
            mailbox.post(What::Stop, None).unwrap();
            std::thread::sleep(Duration::from_secs(1));
        }
        _ => {}
    });
    let outcome = begin(&spec(first), &run, &mut observer, &stop).unwrap();
    assert_eq!(outcome.ending, Ending::Stopped);
    assert_eq!(read_steps(&run).unwrap().len(), 20);
    assert_eq!(checkpoint::list(&run).unwrap().len(), 2);
    resume(&run, &mut (), &Stop::default()).unwrap();
    assert_eq!(events(&run, EventKind::Fault), []);
    whole(&run, &[20]);
    same(&run, &unstopped);
}

#[test]
fn a_swap_that_was_asked_for_while_nothing_ran_comes_when_the_run_does() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    begin_with(&run, &first, &[], Some(10));
    let (now, planned) = (
        offer(&run, &fixed(0.001), None, true),
        offer(&run, &fixed(0.002), Some(40), true),
    );
    resume(&run, &mut (), &Stop::default()).unwrap();
    assert_eq!(answer(&run, &now), Reply::Done { step: 10 });
    assert_eq!(answer(&run, &planned), Reply::Done { step: 40 });
    whole(&run, &[10, 40]);
    replays(&run);
}

#[test]
fn of_two_swaps_that_were_asked_for_while_nothing_ran_the_later_stays() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    begin_with(&run, &first, &[], Some(10));
    // The earlier takes much longer to rehearse.
    let slow = "(local $n i32) (loop $more (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 200000)))) f64.const 0.001";
    let earlier = offer(&run, &place.plugin("slow.wat", &reading(slow)), None, true);
    let later = offer(&run, &fixed(0.002), None, true);
    resume(&run, &mut (), &Stop::default()).unwrap();
    for id in [earlier, later] {
        assert_eq!(answer(&run, &id), Reply::Done { step: 10 });
    }
    let takeovers = Takeovers::read(&run).unwrap();
    assert_eq!(takeovers[1].schedule, fixed(0.002));
    whole(&run, &[10, 10]);
    replays(&run);
}

#[test]
fn a_swap_that_is_taken_back_while_it_is_prepared_does_not_hold_the_run_up() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    begin_with(&run, &first, &[], Some(10));
    let slow = "(local $n i32) (loop $more (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $n) (i32.const 2000000)))) f64.const 0.001";
    let id = offer(&run, &place.plugin("slow.wat", &reading(slow)), None, true);
    let mut observer = Watching(|seen| {
        if let Seen::Started = seen {
            Mailbox::of(&run).clear(&id).unwrap();
        }
    });
    resume(&run, &mut observer, &Stop::default()).unwrap();
    whole(&run, &[]);
}

#[test]
fn what_is_offered_to_a_run_that_went_back_comes_after_what_took_over_before() {
    let place = Place::new();
    let run = place.run("run");
    let first = place.plugin("first.wat", &counting(1e-5));
    let second = place.plugin("second.wat", &counting(2e-5));
    begin_with(&run, &first, &[(20, second, true)], Some(30));
    for path in checkpoint::list(&run).unwrap() {
        fs::remove_file(path).unwrap();
    }
    let (mut late, mut early) = (None, None);
    let mut observer = Watching(|seen| {
        if let Seen::Started = seen {
            late = Some(offer(&run, &fixed(0.001), None, true));
            let id = offer(&run, &fixed(0.002), Some(15), true);
            assert_eq!(answer(&run, &id), Reply::Planned { step: 15 });
            early = Some(id);
        }
    });
    resume(&run, &mut observer, &Stop::default()).unwrap();
    let Reply::Done { step } = answer(&run, &late.unwrap()) else {
        panic!("it was not done");
    };
    assert!(step >= 20);
    let Reply::Rejected { reason } = answer(&run, &early.unwrap()) else {
        panic!("it was not rejected");
    };
    assert!(reason.contains("step 15 was over"), "{reason}");
    whole(&run, &[20, step]);
    replays(&run);
}
