//! Schedules made of schedules in runs: stopped in the middle, replayed, swapped, and changed in one of their files.

use super::*;

/// The schedule that `name` has, the bytes of a composition and all of its parts beside it, as `pixelrate swap` posts it.
fn post(run: &Path, schedule: &ScheduleSpec, at_step: u64) {
    let what = What::Swap(Offer {
        schedule: schedule.clone(),
        at_step: Some(at_step),
        carry_state: true,
    });
    let bytes = schedule.read().unwrap();
    let id = Mailbox::of(run).post(what, bytes.as_deref()).unwrap();
    assert_eq!(answer(run, &id), Reply::Planned { step: at_step });
}

/// Twenty steps of a fixed rate, warmed up over ten of its own, and then a count of the steps since, begun anew every
/// fifteen.
fn composed(place: &Place) -> ScheduleSpec {
    place.plugin("count.wat", &counting(1e-6));
    place.plugin(
        "whole.toml",
        "[[chain]]\nplugin = 'fixed'\nparams = { learning_rate = 1e-5 }\nwarmup = { steps = 10 }\nsteps = 20\n\
         [[chain]]\nplugin = 'count.wat'\nrepeat = { steps = 15 }\n",
    )
}

fn expected(step: u64) -> f64 {
    match step {
        0..10 => 1e-5 * (step as f64 / 10.0),
        10..20 => 1e-5,
        _ => 1e-6 * ((step - 20) % 15 + 1) as f64,
    }
}

#[test]
fn a_composition_goes_on_in_the_middle_of_a_part_with_state_to_the_same_bits() {
    let place = Place::new();
    let schedule = composed(&place);
    let (straight, stopped) = (place.run("straight"), place.run("stopped"));
    assert_eq!(
        begin_with(&straight, &schedule, &[], None),
        Ending::Finished
    );
    for row in read_steps(&straight).unwrap() {
        let wanted = expected(row.step);
        assert!(
            (row.learning_rate - wanted).abs() <= 1e-15 * wanted,
            "{row:?}"
        );
    }
    assert_eq!(
        begin_with(&stopped, &schedule, &[], Some(5)),
        Ending::Stopped
    );
    // What was begun goes on, whatever has become of its files.
    fs::remove_file(place.run("count.wat")).unwrap();
    for until in [27, 35, 48] {
        resume_until(&stopped, until);
    }
    let outcome = resume(&stopped, &mut (), &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    same(&stopped, &straight);
    replays(&straight);
}

#[test]
fn a_composition_gives_way_to_a_plugin_and_comes_back() {
    let place = Place::new();
    let run = place.run("run");
    let mut schedule = composed(&place);
    let low = Value::Number(2e-6);
    schedule
        .params
        .insert("fixed.learning_rate".to_owned(), low);
    let table = format!(
        "{{ plugin = '{}', scale = 2 }}",
        place.run("whole.toml").display()
    );
    let inline = super::schedule(&table);
    let mut observer = Watching(|seen| {
        if matches!(seen, Seen::Started) {
            post(&run, &fixed(3e-6), 15);
            post(&run, &inline, 30);
        }
    });
    let outcome = begin(&spec(schedule), &run, &mut observer, &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    whole(&run, &[15, 30]);
    for row in read_steps(&run).unwrap() {
        let wanted = match row.step {
            0..10 => 2e-6 * (row.step as f64 / 10.0),
            10..15 => 2e-6,
            15..30 => 3e-6,
            // Its own count began when it took over; the second restart, at step 35, is the first that it sees.
            30..35 => 2.0 * 1e-6 * (row.step - 29) as f64,
            step => 2.0 * expected(step),
        };
        assert!(
            (row.learning_rate - wanted).abs() <= 1e-15 * wanted,
            "{row:?}"
        );
    }
    replays(&run);
}

#[test]
fn a_part_that_is_saved_takes_over_with_the_state_of_all_and_a_broken_composition_changes_nothing()
{
    let place = Place::new();
    let run = place.run("run");
    let schedule = composed(&place);
    let (mut swapped, mut broken, mut rejected) = (false, false, false);
    let mut observer = Watching(|seen| match seen {
        Seen::Steps(step) => {
            if step == 22 {
                place.plugin("count.wat", &counting(3e-6));
            }
            if swapped && !broken {
                place.plugin("whole.toml", "[[chain]]\nplugin = 'fixed'\nstep = 3\n");
                broken = true;
            }
            // Time for a file's change to be seen, and what it makes to be prepared.
            if step >= 22 && !rejected {
                std::thread::sleep(Duration::from_millis(250));
            }
        }
        Seen::Event(row) if row.kind == EventKind::Swapped => swapped = true,
        Seen::Event(row) if row.kind == EventKind::Rejected => rejected = true,
        _ => {}
    });
    let outcome = begin(&spec(schedule), &run, &mut observer, &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    let takeovers = Takeovers::read(&run).unwrap();
    assert_eq!(takeovers.len(), 1);
    let (takeover, first) = (&takeovers[0], takeovers[0].step);
    assert_eq!((takeover.cause, first > 20), (Cause::Reload, true));
    assert!(takeover.state.is_some());
    for row in read_steps(&run).unwrap() {
        let factor = if row.step < first { 1.0 } else { 3.0 };
        let wanted = factor * expected(row.step);
        assert!(
            (row.learning_rate - wanted).abs() <= 1e-15 * wanted,
            "{first} {row:?}"
        );
    }
    let rejected = events(&run, EventKind::Rejected);
    assert!(
        rejected[0]
            .message
            .contains("whole.toml:3: a part of a chain has no key `step`"),
        "{rejected:?}"
    );
    replays(&run);
}
