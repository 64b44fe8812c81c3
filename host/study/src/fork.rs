//! New runs from one point of another: schedules compared from the same state of training.

use std::path::{Path, PathBuf};

use pixelrate_control::{Cause, ScheduleSpec, Takeover, Takeovers, in_force};
use pixelrate_runlog::{Held, held, logged_steps};
use pixelrate_sandbox::Schedule;
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::spec::{Found, Parent, RunSpec};
use pixelrate_trainer::train::{self, Ending, Observer, Stop};

use crate::copy::{self, Copy};
use crate::names;
use crate::steer::{self, Wish};
use crate::{Error, steer::At};

/// A run that was forked, ready to be taken up.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Its folder, beside the run that it was forked from.
    pub folder: PathBuf,
    /// What it is.
    pub spec: RunSpec,
}

/// Forks the run in `folder`: one new run for each wish, all from one checkpoint. Where the run has kept none at that
/// step, the way there is trained once more from the newest before it, which gives the same bits on the CPU; `observer`
/// sees that.
///
/// Nothing is left behind if a schedule is refused: the others are not forked either.
///
/// # Errors
/// The run has not come so far; a schedule is refused; a branch of that name is there; the disk's.
pub fn fork(
    folder: &Path,
    at: At,
    wishes: &[Wish],
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Vec<Branch>>, Error> {
    // Branches lie beside it, wherever it is named from.
    let folder = &std::path::absolute(folder).map_err(|e| Error::io("find", folder, e))?;
    let (spec, found, stage) = train::stage(folder)?;
    let done = logged_steps(folder)?;
    let newest = checkpoint::list(folder)?
        .last()
        .and_then(|path| checkpoint::step_of(path))
        .unwrap_or(0);
    let step = at.step(&spec, &found).unwrap_or(newest);
    let refuse = |problem: String| Error::Fork {
        folder: folder.to_owned(),
        problem,
    };
    if step > done {
        return Err(refuse(format!(
            "it has done {done} steps, and cannot be forked at step {step}"
        )));
    }
    if step >= found.total_steps {
        return Err(refuse(format!(
            "it has {} steps: nothing would be left to train from step {step} on",
            found.total_steps
        )));
    }
    let mut branches: Vec<Wanted> = Vec::new();
    for wish in wishes {
        let (schedule, bytes) = steer::offered(folder, &spec, &found, wish, Some(step))?;
        let schedule_run = stage
            .admit(folder, &schedule, bytes.as_deref(), step)
            .map_err(|problem| refuse(format!("{}: {problem}", schedule.told())))?;
        let label = label(&spec, wish, &schedule.name(), step);
        let branch = RunSpec {
            run: format!("{label}-seed{}", spec.seed),
            label,
            parent: Some(Parent {
                study: spec.study.clone(),
                run: spec.run.clone(),
                step,
            }),
            ..spec.clone()
        };
        let to = folder.with_file_name(&branch.run);
        if to.exists() || branches.iter().any(|(branch, ..)| branch.folder == to) {
            return Err(refuse(format!(
                "{} is there already: `pixelrate resume` continues it; to begin anew, fork at another step or move it away",
                to.display()
            )));
        }
        let branch = Branch {
            folder: to,
            spec: branch,
        };
        branches.push((branch, schedule, schedule_run, wish.carry_state));
    }
    let Some(base) = base(folder, &spec, &found, step, observer, stop)? else {
        return Ok(None);
    };
    let made = base.branch(folder, &found, step, branches);
    if let Some(scratch) = base.scratch {
        // What is left of it is removed by the next fork there, and says nothing about these.
        let _ = copy::remove(&scratch);
    }
    made.map(Some)
}

/// A branch that is to be made: its schedule, an instance of that, and whether that is given the trunk's state.
type Wanted = (Branch, ScheduleSpec, Schedule, bool);

/// Where branches begin: a checkpoint at exactly the step, or nothing for the first.
struct Base {
    checkpoint: Option<PathBuf>,
    scratch: Option<PathBuf>,
}

impl Base {
    /// Makes the branches of the run in `folder`, once all their schedules have taken its schedule's state.
    fn branch(
        &self,
        folder: &Path,
        found: &Found,
        step: u64,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Branch>, Error> {
        let left = match &self.checkpoint {
            Some(path) => checkpoint::schedule_state(path)?,
            None => None,
        };
        let trunk = Takeovers::read(folder)?;
        let mut ready = Vec::new();
        for (branch, schedule, mut live, carries) in wanted {
            let state = left
                .clone()
                .filter(|_| carries && live.plugin().exports().restore);
            takes(&mut live, state.as_deref(), &branch)?;
            let sha256 = live.plugin().sha256().to_owned();
            let mut takeovers = trunk[..in_force(&trunk, step)].to_vec();
            takeovers.push(fork_takeover(step, schedule, sha256, state, left.clone()));
            ready.push((branch, takeovers));
        }
        let mut made: Vec<Branch> = Vec::new();
        for (branch, takeovers) in ready {
            let copy = Copy {
                from: folder,
                to: &branch.folder,
                spec: branch.spec.clone(),
                found: found.clone(),
                checkpoint: self.checkpoint.clone(),
                takeovers,
            };
            let copied = copy.make();
            made.push(branch);
            copied.inspect_err(|_| {
                for branch in &made {
                    // The problem is what the user must read.
                    let _ = copy::remove(&branch.folder);
                }
            })?;
        }
        Ok(made)
    }
}

/// `None` if it was stopped on the way.
fn base(
    folder: &Path,
    spec: &RunSpec,
    found: &Found,
    step: u64,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Option<Base>, Error> {
    if step == 0 {
        return Ok(Some(Base {
            checkpoint: None,
            scratch: None,
        }));
    }
    let nearest = copy::checkpoint_before(folder, step)?;
    if let Some(path) = nearest
        .as_ref()
        .filter(|path| checkpoint::step_of(path) == Some(step))
    {
        return Ok(Some(Base {
            checkpoint: Some(path.clone()),
            scratch: None,
        }));
    }
    let scratch = folder.join(format!(".fork-{step}"));
    if let Held::By(process) = held(&scratch)? {
        let process = process.map_or_else(String::new, |id| format!(" {id}"));
        return Err(Error::Fork {
            folder: folder.to_owned(),
            problem: format!(
                "process{process} trains the way to step {step} for another fork: wait for that"
            ),
        });
    }
    copy::remove(&scratch)?;
    Copy {
        from: folder,
        to: &scratch,
        spec: spec.clone(),
        found: found.clone(),
        checkpoint: nearest,
        takeovers: Takeovers::read(folder)?,
    }
    .make()?;
    let outcome = train::replay(&scratch, Some(step), observer, stop).inspect_err(|_| {
        // The problem is what the user must read.
        let _ = copy::remove(&scratch);
    })?;
    let reached = copy::checkpoint_before(&scratch, step)?
        .filter(|path| checkpoint::step_of(path) == Some(step));
    match (outcome.ending, reached) {
        (Ending::Stopped, Some(path)) => Ok(Some(Base {
            checkpoint: Some(path),
            scratch: Some(scratch),
        })),
        (ending, _) => {
            copy::remove(&scratch)?;
            if ending == Ending::Stopped {
                return Ok(None);
            }
            Err(Error::Fork {
                folder: folder.to_owned(),
                problem: format!(
                    "its way to step {step}, trained once more, ended before that step"
                ),
            })
        }
    }
}

fn label(spec: &RunSpec, wish: &Wish, name: &str, step: u64) -> String {
    let params: String = wish
        .params
        .iter()
        .map(|(key, value)| format!("-{key}={value}"))
        .collect();
    let (told, at) = (
        format!("{}-{name}{params}", spec.label),
        format!("-at{step}"),
    );
    names::within(&names::plain(&told), names::MOST - at.len()) + &at
}

/// Whether a schedule takes the state of the trunk's.
fn takes(live: &mut Schedule, state: Option<&[u8]>, branch: &Branch) -> Result<(), Error> {
    let Some(state) = state else {
        return Ok(());
    };
    live.restore(state).map_err(|fault| Error::Fork {
        folder: branch.folder.clone(),
        problem: format!(
            "the schedule does not take the state of the run's own ({}): use `--fresh` to start it without that state",
            fault.message
        ),
    })
}

/// The takeover that makes a fork of a run.
fn fork_takeover(
    step: u64,
    schedule: ScheduleSpec,
    sha256: String,
    state: Option<Vec<u8>>,
    left: Option<Vec<u8>>,
) -> Takeover {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Takeover {
        step,
        cause: Cause::Fork,
        schedule,
        sha256,
        state,
        left,
        request: None,
        time_unix_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
    }
}
