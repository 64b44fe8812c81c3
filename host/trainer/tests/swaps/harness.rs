//! Runs of a few steps, the plugins they train under, and what must be true of their logs.

use super::*;

pub(super) const STEPS: u64 = 60;
/// Small enough that nothing is learnt: the loss stays where it began, at ln 10.
pub(super) const TINY: f64 = 1e-6;

pub(super) fn spec(schedule: ScheduleSpec) -> RunSpec {
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
            validation_examples: 0.0,
            optimizer: OptimizerKind::Momentum,
            momentum: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 2e-4,
            eval_every_epochs: 1.5,
            checkpoint_seconds: 1e6,
            log_grad_norm: false,
            label_smoothing: 0.0,
            crop_padding: 4,
            crop_padding_mode: Default::default(),
            flip: Default::default(),
            normalization: Default::default(),
            test_views: 1,
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

pub(super) fn schedule(plugin: &str) -> ScheduleSpec {
    ScheduleSpec {
        plugin: plugin.into(),
        params: [].into(),
        picture_folder: None,
        max_learning_rate: 1.0,
        on_fault: OnFault::Abort,
        rollback_steps: 100,
    }
}

pub(super) fn fixed(learning_rate: f64) -> ScheduleSpec {
    let params = [("learning_rate".to_owned(), Value::Number(learning_rate))];
    ScheduleSpec {
        params: params.into(),
        ..schedule("fixed")
    }
}

/// A module that reads the loss, so that the run shows each step as it is done. `body` gives the rate; local 0 is the
/// step, and `$loss` gives the loss.
pub(super) fn reading(body: &str) -> String {
    format!(
        r#"(module
            (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
            (func (export "learning-rate") (param i64) (result f64) {body}))"#
    )
}

/// A module whose rate is `rate` times the steps that it, or the one before it, has been asked for.
pub(super) fn counting(rate: f64) -> String {
    stateful(rate, 8, "")
}

/// The same, with a state of so many bytes, and something that `restore` does first.
pub(super) fn stateful(rate: f64, bytes: u8, first: &str) -> String {
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
pub(super) fn hopeful(rate: f64) -> String {
    reading(&format!(
        "(if (i32.and (i64.ge_u (local.get 0) (i64.const 35)) (f64.gt (call $loss) (f64.const 1.5))) (then unreachable))
         f64.const {rate:e}"
    ))
}

/// What an observer is shown.
pub(super) enum Seen {
    Started,
    /// So many steps are done.
    Steps(u64),
    Event(EventRow),
}

pub(super) struct Watching<F>(pub(super) F);

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
pub(super) const BROKEN: &str = "(module (func (export";

pub(super) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Looks on, and hears of refusals from the thread that finds them.
pub(super) struct Hearing<F>(pub(super) Watching<F>, pub(super) Sender<(u64, String)>);

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
pub(super) struct Place(pub(super) TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempdir().unwrap())
    }

    pub(super) fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a plugin as text.
    pub(super) fn plugin(&self, name: &str, text: &str) -> ScheduleSpec {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        schedule(path.to_str().unwrap())
    }
}

/// Asks for a takeover at a step, and waits until it is planned.
pub(super) fn plan(run: &Path, schedule: &ScheduleSpec, at_step: u64, carry_state: bool) {
    let reply = answer(run, &offer(run, schedule, Some(at_step), carry_state));
    assert_eq!(reply, Reply::Planned { step: at_step });
}

/// Leaves an offer in the mailbox.
pub(super) fn offer(
    run: &Path,
    schedule: &ScheduleSpec,
    at_step: Option<u64>,
    carry_state: bool,
) -> String {
    let bytes = schedule.file().map(|file| fs::read(file).unwrap());
    let what = What::Swap(Offer {
        schedule: schedule.clone(),
        at_step,
        carry_state,
    });
    Mailbox::of(run).post(what, bytes.as_deref()).unwrap()
}

pub(super) fn answer(run: &Path, id: &str) -> Reply {
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
pub(super) fn begin_with(
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
pub(super) fn resume_until(run: &Path, until: u64) {
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
pub(super) fn logged(run: &Path) -> (Vec<StepRow>, Vec<EvalRow>, Vec<u8>) {
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
pub(super) fn whole(run: &Path, takeovers: &[u64]) {
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

pub(super) fn events(run: &Path, kind: EventKind) -> Vec<EventRow> {
    let mut events = read_events(run).unwrap();
    events.retain(|event| event.kind == kind);
    events
}

/// Runs the run again from nothing but its spec, its plugins and its record, and compares.
pub(super) fn replays(run: &Path) {
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

pub(super) fn same(one: &Path, other: &Path) {
    let ((steps, evals, weights), (steps_2, evals_2, weights_2)) = (logged(one), logged(other));
    for (row, row_2) in steps.iter().zip(&steps_2) {
        assert_eq!(row, row_2);
    }
    assert_eq!(steps.len(), steps_2.len());
    assert_eq!(evals, evals_2);
    assert!(weights == weights_2, "the last weights differ");
}
