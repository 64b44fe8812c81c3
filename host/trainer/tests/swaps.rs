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

use pixelrate_control::{Cause, Mailbox, Offer, Reply, Status, Takeovers, What};
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

const STEPS: u64 = 60;
/// Small enough that nothing is learnt: the loss stays where it began, at ln 10.
const TINY: f64 = 1e-6;

fn spec(schedule: ScheduleSpec) -> RunSpec {
    RunSpec {
        study: "test".into(),
        run: "one".into(),
        label: "swapped".into(),
        label_index: 0,
        seed: 3,
        training: Training {
            dataset: "synthetic".into(),
            data_folder: "data".into(),
            model: "convnet".into(),
            batch_size: 16,
            epochs: 3.0,
            train_examples: 320,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 2e-4,
            eval_every_epochs: 1.5,
            checkpoint_seconds: 1e6,
            log_grad_norm: false,
            label_smoothing: 0.0,
            deterministic: false,
            device: "cpu".into(),
            threads: 1,
            precision: PrecisionChoice::Float32,
        },
        schedule,
        limits: Limits::default(),
        watch: true,
        tuned: None,
        parent: None,
    }
}

fn schedule(plugin: &str) -> ScheduleSpec {
    ScheduleSpec {
        plugin: plugin.into(),
        params: [].into(),
        picture_folder: None,
        max_learning_rate: 1.0,
        on_fault: OnFault::Abort,
        rollback_steps: 100,
    }
}

fn fixed(learning_rate: f64) -> ScheduleSpec {
    let params = [("learning_rate".to_owned(), Value::Number(learning_rate))];
    ScheduleSpec {
        params: params.into(),
        ..schedule("fixed")
    }
}

/// A module that reads the loss, so that the run shows each step as it is done. `body` gives the rate; local 0 is the
/// step, and `$loss` gives the loss.
fn reading(body: &str) -> String {
    format!(
        r#"(module
            (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
            (func (export "learning-rate") (param i64) (result f64) {body}))"#
    )
}

/// A module whose rate is `rate` times the steps that it, or the one before it, has been asked for.
fn counting(rate: f64) -> String {
    stateful(rate, 8, "")
}

/// The same, with a state of so many bytes, and something that `restore` does first.
fn stateful(rate: f64, bytes: u8, first: &str) -> String {
    format!(
        r#"(module
            (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
            (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\{bytes:02x}\00\00\00")
            (func (export "learning-rate") (param i64) (result f64)
                (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1)))
                (f64.mul (f64.const {rate:e}) (f64.convert_i64_u (i64.load (i32.const 16)))))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "save") (result i32) (i32.const 0))
            (func (export "restore") (param $at i32) (param $length i32)
                {first}
                (i64.store (i32.const 16) (i64.load (local.get $at)))))"#
    )
}

/// Faults from step 35 on if the loss has not fallen: no made-up one of a rehearsal of 60 steps is as high by then.
fn hopeful(rate: f64) -> String {
    reading(&format!(
        "(if (i32.and (i64.ge_u (local.get 0) (i64.const 35)) (f64.gt (call $loss) (f64.const 1.5))) (then unreachable))
         f64.const {rate:e}"
    ))
}

/// What an observer is shown.
enum Seen {
    Started,
    /// So many steps are done.
    Steps(u64),
    Event(EventRow),
}

struct Watching<F>(F);

impl<F: FnMut(Seen)> Observer for Watching<F> {
    fn started(&mut self, _: &Found, _: u64) {
        (self.0)(Seen::Started);
    }

    fn progress(&mut self, progress: &Progress) {
        (self.0)(Seen::Steps(progress.step));
    }

    fn event(&mut self, row: &EventRow) {
        (self.0)(Seen::Event(row.clone()));
    }
}

/// Half a file.
const BROKEN: &str = "(module (func (export";

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Looks on, and hears of refusals from the thread that finds them.
struct Hearing<F>(Watching<F>, Sender<(u64, String)>);

impl<F: FnMut(Seen)> Observer for Hearing<F> {
    fn progress(&mut self, progress: &Progress) {
        self.0.progress(progress);
    }

    fn event(&mut self, row: &EventRow) {
        self.0.event(row);
    }

    fn herald(&self) -> Option<Herald> {
        let tell = self.1.clone();
        Some(Box::new(move |step, refusal| {
            tell.send((step, refusal.message.clone())).unwrap();
        }))
    }
}

/// A folder with plugins, and runs beside them.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempdir().unwrap())
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a plugin as text.
    fn plugin(&self, name: &str, text: &str) -> ScheduleSpec {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        schedule(path.to_str().unwrap())
    }
}

/// Asks for a takeover at a step, and waits until it is planned.
fn plan(run: &Path, schedule: &ScheduleSpec, at_step: u64, carry_state: bool) {
    let reply = answer(run, &offer(run, schedule, Some(at_step), carry_state));
    assert_eq!(reply, Reply::Planned { step: at_step });
}

/// Leaves an offer in the mailbox.
fn offer(run: &Path, schedule: &ScheduleSpec, at_step: Option<u64>, carry_state: bool) -> String {
    let bytes = schedule.file().map(|file| fs::read(file).unwrap());
    let what = What::Swap(Offer {
        schedule: schedule.clone(),
        at_step,
        carry_state,
    });
    Mailbox::of(run).post(what, bytes.as_deref()).unwrap()
}

fn answer(run: &Path, id: &str) -> Reply {
    let began = Instant::now();
    loop {
        if let Some(reply) = Mailbox::of(run).reply(id).unwrap() {
            return reply;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no answer to {id}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Begins a run that takes these over at these steps, and stops after `until` steps, if that is given.
fn begin_with(
    run: &Path,
    first: &ScheduleSpec,
    takeovers: &[(u64, ScheduleSpec, bool)],
    until: Option<u64>,
) -> Ending {
    let stop = Stop::default();
    let mut observer = Watching(|seen| match seen {
        Seen::Started => {
            for (step, schedule, carry) in takeovers {
                plan(run, schedule, *step, *carry);
            }
        }
        Seen::Steps(step) if until == Some(step) => stop.ask(),
        _ => {}
    });
    begin(&spec(first.clone()), run, &mut observer, &stop)
        .unwrap()
        .ending
}

/// Takes a run up again, until so many steps are done.
fn resume_until(run: &Path, until: u64) {
    let stop = Stop::default();
    let mut observer = Watching(|seen| {
        if matches!(seen, Seen::Steps(step) if step == until) {
            stop.ask();
        }
    });
    let outcome = resume(run, &mut observer, &stop).unwrap();
    assert_eq!(outcome.ending, Ending::Stopped);
}

/// All that must agree between two runs of the same: rows without times, evaluations, and the last weights.
fn logged(run: &Path) -> (Vec<StepRow>, Vec<EvalRow>, Vec<u8>) {
    let mut steps = read_steps(run).unwrap();
    for row in &mut steps {
        (row.step_ns, row.schedule_ns) = (0, 0);
    }
    let newest = fs::read(checkpoint::list(run).unwrap().last().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&newest).unwrap();
    let mut named: Vec<_> = tensors.tensors();
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    let weights = named
        .iter()
        .flat_map(|(_, view)| view.data().to_vec())
        .collect();
    (steps, read_evals(run).unwrap(), weights)
}

/// Every step is there once, and `swaps` counts the takeovers.
fn whole(run: &Path, takeovers: &[u64]) {
    let rows = read_steps(run).unwrap();
    let steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    assert_eq!(steps, (0..STEPS).collect::<Vec<_>>());
    let recorded = Takeovers::read(run).unwrap();
    let at: Vec<u64> = recorded.iter().map(|takeover| takeover.step).collect();
    assert_eq!(at, takeovers);
    let first = rows[0].schedule.clone();
    for row in &rows {
        let done = takeovers.iter().filter(|step| **step <= row.step).count();
        assert_eq!(row.swaps, done as u64, "step {}", row.step);
        let in_force = done
            .checked_sub(1)
            .map_or(&*first, |last| &*recorded[last].sha256);
        assert_eq!(&*row.schedule, in_force, "step {}", row.step);
    }
}

fn events(run: &Path, kind: EventKind) -> Vec<EventRow> {
    let mut events = read_events(run).unwrap();
    events.retain(|event| event.kind == kind);
    events
}

/// Runs the run again from nothing but its spec, its plugins and its record, and compares.
fn replays(run: &Path) {
    let again = run.with_extension("again");
    fs::create_dir(&again).unwrap();
    for name in ["run.toml", "swaps.jsonl"] {
        fs::copy(run.join(name), again.join(name)).unwrap();
    }
    for folder in ["plugins", "pictures"] {
        let Ok(entries) = fs::read_dir(run.join(folder)) else {
            continue;
        };
        fs::create_dir(again.join(folder)).unwrap();
        for entry in entries {
            let entry = entry.unwrap();
            fs::copy(entry.path(), again.join(folder).join(entry.file_name())).unwrap();
        }
    }
    let outcome = replay(&again, None, &mut (), &Stop::default()).unwrap();
    assert_eq!(outcome.ending, Ending::Finished);
    same(&again, run);
}

fn same(one: &Path, other: &Path) {
    let ((steps, evals, weights), (steps_2, evals_2, weights_2)) = (logged(one), logged(other));
    for (row, row_2) in steps.iter().zip(&steps_2) {
        assert_eq!(row, row_2);
    }
    assert_eq!(steps.len(), steps_2.len());
    assert_eq!(evals, evals_2);
    assert!(weights == weights_2, "the last weights differ");
}

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
        reasons[0].contains("step 3 is over") && reasons[1].contains("there is no 60"),
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
                std::thread::sleep(Duration::from_millis(60));
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
            std::thread::sleep(Duration::from_millis(200));
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
        (br_if $more (i32.lt_u (local.get $n) (i32.const 200000)))) f64.const 0.001";
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
                std::thread::sleep(Duration::from_millis(10));
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
            std::thread::sleep(Duration::from_millis(200));
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
            std::thread::sleep(Duration::from_millis(200));
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
    let back = "at step 30; went back from step 40, and the log no longer has: checkpoint at 40, stopped at 40";
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
        Seen::Steps(_) if !swapped => std::thread::sleep(Duration::from_millis(60)),
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
