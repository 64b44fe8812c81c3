//! One run in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, RwLockReadGuard};
use std::time::{Duration, Instant};

use pixelrate_runlog::{Held, RunStatus, held, read_summary};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::spec::RunSpec;

use super::screen::Screen;
use super::{Beat, News, RunEnd};
use crate::Error;
use crate::complaints::Complaints;

/// How long a process that has a run is given to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The standard inputs of the runs' processes.
#[derive(Default)]
pub(super) struct Lifelines(Mutex<BTreeMap<u32, ChildStdin>>);

impl Lifelines {
    fn hold(&self, child: &mut Child) {
        if let (Some(stdin), Ok(mut all)) = (child.stdin.take(), self.0.lock()) {
            all.insert(child.id(), stdin);
        }
    }

    fn release(&self, process: u32) {
        if let Ok(mut all) = self.0.lock() {
            all.remove(&process);
        }
    }

    pub(super) fn cut(&self) {
        if let Ok(mut all) = self.0.lock() {
            all.clear();
        }
    }
}

/// Runs it, from where it stands, to its end or to a stop before `until`.
pub(super) fn run(
    spec: &RunSpec,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
    screen: &Screen,
    turn: Option<RwLockReadGuard<'_, ()>>,
    lifelines: &Lifelines,
) -> RunEnd {
    if reached(folder, until) {
        return RunEnd::Reached;
    }
    wait_for_its_last_process(folder);
    let mut child = match start(spec, until, folder, program) {
        Ok(child) => child,
        Err(problem) => return RunEnd::Failed(problem.to_string()),
    };
    let process = child.id();
    lifelines.hold(&mut child);
    let outcome = follow(child, spec, screen, turn);
    lifelines.release(process);
    match (outcome, read_summary(folder)) {
        (Err(problem), _) => RunEnd::Failed(problem),
        (Ok(()), Ok(Some(summary))) if summary.status == RunStatus::Diverged => RunEnd::Diverged,
        (Ok(()), Ok(Some(_))) => RunEnd::Finished,
        (Ok(()), Ok(None)) if reached(folder, until) => RunEnd::Reached,
        (Ok(()), Ok(None)) => RunEnd::Stopped,
        (Ok(()), Err(problem)) => RunEnd::Failed(problem.to_string()),
    }
}

/// A run whose study was killed a moment ago is about to stop: there is no need to fail because of it. Who has the run for
/// longer means to have it.
pub(crate) fn wait_for_its_last_process(folder: &Path) {
    let began = Instant::now();
    while matches!(held(folder), Ok(Held::By(_))) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the run in `folder` has done all steps before `until`, and kept them.
pub(super) fn reached(folder: &Path, until: Option<u64>) -> bool {
    let newest = checkpoint::list(folder).ok().and_then(|mut all| all.pop());
    let done = newest.as_deref().and_then(checkpoint::step_of);
    until.is_some_and(|until| done.is_some_and(|done| done >= until))
}

fn start(
    spec: &RunSpec,
    until: Option<u64>,
    folder: &Path,
    program: &Path,
) -> Result<Child, Error> {
    let mut command = Command::new(program);
    command.arg("run").arg("--beats");
    if let Some(step) = until {
        command.arg("--until").arg(step.to_string());
    }
    if folder.join("run.toml").exists() {
        command.arg("--resume").arg(folder);
    } else if spec.parent.is_some() {
        // A new run would train its trunk's steps under its name.
        return Err(pixelrate_trainer::Error::NoRun(folder.to_owned()).into());
    } else {
        let specs = folder.with_file_name(".specs");
        std::fs::create_dir_all(&specs).map_err(|source| Error::io("make", &specs, source))?;
        let file = specs.join(format!("{}.json", spec.run));
        let text =
            serde_json::to_vec_pretty(spec).map_err(|e| Error::io("write", &file, e.into()))?;
        std::fs::write(&file, text).map_err(|source| Error::io("write", &file, source))?;
        command.arg("--spec").arg(file).arg("--folder").arg(folder);
    }
    #[cfg(unix)]
    leave_ctrl_c_to_this_process(&mut command);
    // One operation's threads are the run's own number, whatever the environment says.
    command.env("OMP_NUM_THREADS", spec.training.threads.to_string());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|source| Error::io("start", program, source))
}

/// Ctrl-C in a terminal is for the study alone, which tells its runs: one that begins would end by it, as failed.
#[cfg(unix)]
fn leave_ctrl_c_to_this_process(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let ignore = || {
        // SAFETY: `SIG_IGN` is no function that could run at a wrong moment.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: Between fork and exec, `signal` may be called.
    unsafe { command.pre_exec(ignore) };
}

/// Reads a run's beats until it ends; from the first on, it needs its `turn` no more. The error is what it wrote to its
/// standard error.
fn follow(
    mut child: Child,
    spec: &RunSpec,
    screen: &Screen,
    mut turn: Option<RwLockReadGuard<'_, ()>>,
) -> Result<(), String> {
    let complaints = Complaints::of(&mut child);
    let bar = screen.bar(&spec.run);
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            turn.take();
            if let Ok(News { news }) = serde_json::from_str(&line) {
                screen.news(&format!("{}: {news}", spec.run));
            } else if let Ok(beat) = serde_json::from_str::<Beat>(&line) {
                beat.show(&bar);
            }
        }
    }
    let status = child.wait();
    bar.finish_and_clear();
    match status {
        Ok(status) if status.success() => Ok(()),
        status => Err(complaints.told(status)),
    }
}
