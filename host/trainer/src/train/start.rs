//! How a run begins, and how it is taken up again.

use std::path::{Path, PathBuf};

use pixelrate_control::{Cause, Takeover, Takeovers, in_force, keep_pictures, keep_plugin};
use pixelrate_runlog::{
    EventKind, EventRow, Held, Identity, RunLog, StepRow, held, read_events, read_step, steps,
};
use pixelrate_sandbox::{OnFault, Opened, Schedule, StepValues, conformance};

use super::Observer;
use super::attempt::{Attempt, Start};
use super::probation::Probation;
use super::redo::Redo;
use super::setup::{Setup, engine, found, identity};
use super::takeover::{InForce, Previous};
use crate::checkpoint::{self, Position};
use crate::spec::{Found, Parent, RunFile, RunSpec, Training};
use crate::{Error, device};

impl Attempt {
    /// Sets a new run up in `folder`, and keeps in it what is needed to run it again.
    pub(super) fn begin(
        spec: &RunSpec,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let engine = engine(spec)?;
        let plugin = pixelrate_compose::load(&engine, &spec.schedule.plugin)?;
        let setup = Setup::new(spec, folder, &engine, plugin.sha256(), None)?;
        let (mut facts, guard) = ((setup.stage.facts)(&spec.schedule), spec.schedule.guard());
        let opened = Opened::default();
        facts.pictures = facts.pictures.noting(&opened);
        conformance::admit(&plugin, &facts, &spec.limits, &guard)?;
        let schedule = Schedule::start(&plugin, &facts, &spec.limits, &guard)?;
        // Everything that can be wrong with the spec has been found by now: the folder is made last.
        keep_plugin(folder, plugin.sha256(), plugin.bytes())?;
        keep_pictures(folder, opened.take())?;
        let log = RunLog::create(folder, identity(spec, &setup.found))?;
        let file = RunFile {
            spec: spec.clone(),
            found: Some(setup.found.clone()),
        };
        file.write(folder)?;
        let start = Start {
            log,
            in_force: InForce::new(schedule, spec.schedule.clone()),
            probation: Probation::default(),
            redo: Redo::default(),
            branches: false,
            swaps: 0,
            position: None,
            watch: spec.watch,
            resumed: false,
            started_unix_ms: None,
            last: None,
        };
        let mut attempt = Self::new(setup, spec, folder, start, observer)?;
        let message = spec.schedule.told();
        attempt.event(observer, EventKind::Loaded, message, None)?;
        Ok(attempt)
    }

    /// Takes a run up again, from its newest checkpoint that can be read. `watch`: whether the files of its schedules are
    /// watched, where its spec says so.
    pub(super) fn resume(
        folder: &Path,
        watch: bool,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let spec = RunSpec::read(&folder.join("run.toml"))?;
        let began = found(folder)?;
        let mut setup = Setup::new(
            &spec,
            folder,
            &engine(&spec)?,
            &began.schedule_sha256,
            Some(&began),
        )?;
        same_data(&spec.training, &setup.found.dataset_sha256, &began)?;
        same_kernels(&spec.training, setup.found.own_kernels, &began)?;
        // Nothing of a run that another process trains may be judged, or put aside, by what was true a moment ago.
        if let Held::By(pid) = held(folder)? {
            return Err(pixelrate_runlog::Error::Locked {
                folder: folder.to_owned(),
                pid,
            }
            .into());
        }
        let takeovers = Takeovers::read(folder)?;
        let (position, damaged) = newest_checkpoint(folder, &spec, &began, &takeovers, &mut setup)?;
        let step = position.as_ref().map_or(0, |(_, at)| at.step);
        let done = in_force(&takeovers, step);
        let OpenedLog {
            log,
            fresh,
            began: started,
            lost,
        } = open_log(folder, identity(&spec, &setup.found), position.as_ref())?;
        let back = went_back(step, log.recovery().steps_dropped, &lost);
        let parent = spec.parent.as_ref().filter(|_| fresh);
        let (held, probation) = held_at(folder, &spec, &began, &takeovers[..done], &setup, step)?;
        // Its loss is the run's last where no step is left, and its values are those that `hold` falls back on.
        let last = row_before(folder, step)?;
        let mut start = Start {
            log,
            in_force: held,
            probation,
            redo: Redo::new(&takeovers[done..]),
            branches: parent.is_some(),
            swaps: done as u64,
            position: position.map(|(_, at)| at),
            watch: watch && spec.watch,
            resumed: true,
            started_unix_ms: started,
            last,
        };
        if let Some(state) = start
            .position
            .as_ref()
            .and_then(|at| at.schedule_state.as_ref())
        {
            let restored = start.in_force.schedule.restore(state);
            restored.map_err(Error::Unrestored)?;
        }
        if start.in_force.spec.on_fault == OnFault::Hold
            && let Some(row) = &start.last
        {
            start.in_force.hold(row);
        }
        // A replay goes by the record, whatever became of the files.
        let changed = watch
            .then(|| changed_file(&start.in_force, start.watch))
            .flatten();
        let mut attempt = Self::new(setup, &spec, folder, start, observer)?;
        for problem in damaged {
            attempt.event(observer, EventKind::Fault, problem, None)?;
        }
        if let Some(Parent { study, run, step }) = parent {
            let told = attempt.in_force.spec.told();
            let message = format!("{told}; forked from {study}/{run} at step {step}");
            attempt.event(observer, EventKind::Loaded, message, None)?;
            return Ok(attempt);
        }
        let more: String = back.into_iter().chain(changed).collect();
        let message = format!("at step {step}{more}");
        attempt.event(observer, EventKind::Resumed, message, None)?;
        Ok(attempt)
    }
}

/// Says so if the data set is not the one that the run began with.
pub(super) fn same_data(training: &Training, sha256: &str, began: &Found) -> Result<(), Error> {
    if sha256 == began.dataset_sha256 {
        return Ok(());
    }
    Err(Error::Spec {
        key: "dataset".to_owned(),
        problem: format!(
            "{} in {} differs from the data that the run started with (its hash was {}, and is {sha256}): restore the original files",
            training.dataset,
            training.data_folder.display(),
            began.dataset_sha256,
        ),
    })
}

/// Says so if a run that is to give the same bits would go on with other kernels than it began with.
fn same_kernels(training: &Training, own: bool, began: &Found) -> Result<(), Error> {
    if !training.deterministic || own == began.own_kernels {
        return Ok(());
    }
    let (began, now) = match own {
        true => ("without", "with"),
        false => ("with", "without"),
    };
    Err(Error::Spec {
        key: device::KERNELS.to_owned(),
        problem: format!(
            "the run began {began} kernels of our own and would go on {now} them, which gives other bits: 1 in the environment asks for them, on a GPU"
        ),
    })
}

/// A checkpoint's file, and what it holds.
type Checkpoint = (PathBuf, Position);

/// The newest checkpoint that can be used, read into `setup`, and what is wrong with those that cannot: they are put
/// aside.
fn newest_checkpoint(
    folder: &Path,
    spec: &RunSpec,
    began: &Found,
    takeovers: &[Takeover],
    setup: &mut Setup,
) -> Result<(Option<Checkpoint>, Vec<String>), Error> {
    let mut damaged = Vec::new();
    for path in checkpoint::list(folder)?.into_iter().rev() {
        let read = checkpoint::read(&path, &setup.model, &mut setup.optimizer).and_then(|at| {
            let done = in_force(takeovers, at.step);
            let known = takeovers[..done]
                .last()
                .map_or(&began.schedule_sha256, |last| &last.sha256);
            if at.schedule == *known {
                return Ok(at);
            }
            Err(Error::Checkpoint {
                path: path.clone(),
                problem: format!(
                    "it stands under the schedule {}, and by swaps.jsonl {known} was in force",
                    at.schedule
                ),
            })
        });
        match read {
            Ok(at) => return Ok((Some((path, at)), damaged)),
            Err(problem @ Error::Checkpoint { .. }) => {
                damaged.push(problem.to_string());
                checkpoint::put_aside(&path)?;
                // What was read of it must not stay.
                setup.rebuild(spec)?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok((None, damaged))
}

/// A run's log, open to go on from a checkpoint.
struct OpenedLog {
    log: RunLog,
    /// Whether no step was ever logged in it.
    fresh: bool,
    /// When its first event was, in milliseconds since 1970.
    began: Option<i64>,
    /// The events after the checkpoint, which are no longer in it.
    lost: Vec<EventRow>,
}

/// The log, to go on from `position`. That of a run which began from another's checkpoint has no rows before it.
fn open_log(
    folder: &Path,
    identity: Identity,
    position: Option<&Checkpoint>,
) -> Result<OpenedLog, Error> {
    let resume = |keep_below, fresh| {
        let mut lost = match read_events(folder) {
            // The crash may have come while the log was made.
            Err(pixelrate_runlog::Error::Missing { .. }) => Vec::new(),
            read => read?,
        };
        let began = lost.first().map(|event| event.time_unix_ms);
        lost.retain(|event| event.step > keep_below);
        let log = RunLog::resume(folder, identity.clone(), keep_below)?;
        Ok(OpenedLog {
            log,
            fresh,
            began,
            lost,
        })
    };
    let step = position.map_or(0, |(_, at)| at.step);
    // One that was stopped before its first step has kept another checkpoint at the same.
    let forked = position.is_some_and(|(path, at)| {
        path.with_file_name(checkpoint::file_name(at.step, Some(checkpoint::FORK)))
            .exists()
    });
    if step > 0 && !forked {
        return resume(step, false);
    }
    match steps(folder) {
        Err(pixelrate_runlog::Error::Missing { .. }) => Ok(OpenedLog {
            log: RunLog::create(folder, identity.clone())?,
            fresh: true,
            began: None,
            lost: Vec::new(),
        }),
        Err(problem) => Err(problem.into()),
        Ok(mut rows) => {
            let fresh = rows.next().transpose()?.is_none();
            resume(if fresh { 0 } else { step }, fresh)
        }
    }
}

/// Events that are told one by one where a run goes back.
const TOLD: usize = 8;

/// What is to be said of a run that had come further than `step`, where it goes on: so many of its steps are trained again,
/// and these events are no longer in its log.
fn went_back(step: u64, steps: u64, lost: &[EventRow]) -> Option<String> {
    let newest = lost.iter().map(|event| event.step).max();
    let from = newest.unwrap_or(0).max(step + steps);
    if from == step {
        return None;
    }
    let mut text = format!("; went back from step {from}");
    let told = lost.iter().take(TOLD);
    let told: Vec<_> = told
        .map(|event| format!("{} at {}", event.kind, event.step))
        .collect();
    if !told.is_empty() {
        text += &format!(
            ", and these events are no longer in the log: {}",
            told.join(", ")
        );
    }
    if lost.len() > TOLD {
        text += &format!(", and {} events more", lost.len() - TOLD);
    }
    Some(text)
}

/// The schedule in force at `step`, after all of `done` took over, and those before it that may come back yet.
fn held_at(
    folder: &Path,
    spec: &RunSpec,
    began: &Found,
    done: &[Takeover],
    setup: &Setup,
    step: u64,
) -> Result<(InForce, Probation<Previous>), Error> {
    let first = (&spec.schedule, &began.schedule_sha256);
    let of = |count: usize| match count.checked_sub(1).map(|index| &done[index]) {
        Some(takeover) => (&takeover.schedule, &takeover.sha256),
        None => first,
    };
    let kept = |count: usize| {
        let (schedule, sha256) = of(count);
        let started = setup.stage.kept(folder, schedule, sha256);
        started
            .map(|live| InForce::new(live, schedule.clone()))
            .map_err(|problem| Error::Spec {
                key: "plugins".to_owned(),
                problem: format!("{} cannot be started again: {problem}", schedule.told()),
            })
    };
    let mut held = kept(done.len())?;
    let mut waiting = Probation::default();
    for (before, takeover) in done.iter().enumerate() {
        if takeover.cause != Cause::Rollback || waiting.roll_back(takeover.step).is_none() {
            waiting.took_over((before, takeover), takeover);
        }
    }
    waiting.settle(step);
    if !waiting.is_on() {
        held.schedule.set_on_fault(held.spec.on_fault);
    }
    let probation = waiting.try_map(|(before, takeover)| {
        let mut held = kept(before)?;
        if let Some(left) = &takeover.left {
            held.schedule.restore(left).map_err(Error::Unrestored)?;
        }
        if let Some(row) = row_before(folder, takeover.step)? {
            held.hold(&row);
        }
        Ok::<_, Error>(Previous {
            held,
            left: takeover.left.clone(),
        })
    })?;
    Ok((held, probation))
}

/// The step before `step`, as it was logged.
fn row_before(folder: &Path, step: u64) -> Result<Option<StepRow>, Error> {
    let before = step.checked_sub(1);
    let row = before.map(|before| read_step(folder, before)).transpose()?;
    Ok(row.flatten())
}

impl InForce {
    /// Lets it fall back on what was in force at `row`, where its study says `hold`.
    fn hold(&mut self, row: &StepRow) {
        let exports = self.schedule.plugin().exports();
        self.schedule.set_last_good(StepValues {
            learning_rate: row.learning_rate,
            momentum: row.momentum.filter(|_| exports.momentum),
            weight_decay: row.weight_decay.filter(|_| exports.weight_decay),
        });
    }
}

/// Says so if the file of the schedule in force is no longer what the run goes on with. `watched`: whether it is taken over
/// when it is saved.
fn changed_file(held: &InForce, watched: bool) -> Option<String> {
    let bytes = held.spec.read().ok()??;
    let kept = held.schedule.plugin().bytes();
    (bytes != kept).then(|| {
        let file = held.spec.file().map_or_else(
            || "a file of the composition".to_owned(),
            |file| file.display().to_string(),
        );
        let how = if watched {
            "save it again, or `pixelrate swap`, to take it over"
        } else {
            "`pixelrate swap` takes it over"
        };
        format!("; {file} was changed since, and the run goes on with what it had: {how}")
    })
}
