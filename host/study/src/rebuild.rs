//! Builds a schedule's plugin anew when its sources change, while the study runs.
//!
//! The runs watch the plugin's file themselves: what a build changes there reaches them as any other change does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use pixelrate_control::watch::{Change, Options, Target, Watch};
use pixelrate_control::write_whole;

use crate::Error;

/// How often a builder without work looks whether the study is over.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a failed build's output that are told: its end.
const MOST: usize = 4_000;

/// How a schedule's plugin is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// How messages call it.
    pub label: String,
    /// A command of the shell.
    pub command: String,
    /// Where the command is called: the study's folder.
    pub place: PathBuf,
    /// The folder of the sources, which is watched.
    pub sources: PathBuf,
    /// The plugin, or the files of a composition, whose changes are none of the sources'.
    pub plugins: Vec<PathBuf>,
}

impl Build {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command said, if it failed.
    pub fn run(&self) -> Result<(), String> {
        let mut shell = if cfg!(windows) {
            let mut shell = Command::new("cmd");
            shell.arg("/C");
            shell
        } else {
            let mut shell = Command::new("sh");
            shell.arg("-c");
            shell
        };
        let output = shell
            .arg(&self.command)
            .current_dir(&self.place)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("cannot call `{}`: {e}", self.command))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let from = text.floor_char_boundary(text.len().saturating_sub(MOST));
        Err(format!(
            "`{}` ended with {}:\n{}",
            self.command,
            output.status,
            text[from..].trim_end()
        ))
    }
}

/// Keeps builds and the beginnings of runs apart: while a plugin is built, its file is missing or half there.
#[derive(Debug, Default)]
pub(crate) struct Turns(RwLock<()>);

impl Turns {
    /// Waits for a build that is going on. No build begins before what this gives is dropped: when the run has read its
    /// plugin.
    pub(crate) fn begin_run(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds, and puts back the plugins that a failed build took away or changed: they are what later runs begin under.
    fn build(&self, build: &Build) -> Result<(), String> {
        let _turn = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<_> = build.plugins.iter().map(std::fs::read).collect();
        let Err(problem) = build.run() else {
            return Ok(());
        };
        for (path, before) in build.plugins.iter().zip(before) {
            if let Ok(before) = before
                && std::fs::read(path).ok().as_ref() != Some(&before)
            {
                write_whole(path, &before).map_err(|e| format!("{problem}\nand then: {e}"))?;
            }
        }
        Err(problem)
    }
}

/// Watches the sources of `builds` until `over`, and builds what changed. What the study writes below `runs` is no source, nor,
/// where the folder above is named `runs`, what others write there.
/// `tell` hears of every build.
///
/// # Errors
/// The sources cannot be watched.
pub(crate) fn watch(
    builds: &[Build],
    runs: &Path,
    turns: &Turns,
    over: &dyn Fn() -> bool,
    tell: &dyn Fn(&str),
) -> Result<(), Error> {
    if builds.is_empty() {
        return Ok(());
    }
    // Other studies write beside this one.
    let all_runs = runs.parent().filter(|parent| parent.ends_with("runs"));
    // Nor is what any of them builds, where two lie in one folder.
    let mut made = vec![all_runs.unwrap_or(runs).to_owned()];
    made.extend(builds.iter().flat_map(|build| build.plugins.clone()));
    let (sender, changes) = channel();
    let watch = Watch::start(Options::default(), move |change| {
        // Whoever listened may be gone: the study is over.
        let _ = sender.send(change);
    })
    .map_err(pixelrate_control::Error::from)?;
    let sources: BTreeSet<&PathBuf> = builds.iter().map(|build| &build.sources).collect();
    let targets = sources.into_iter().map(|sources| Target::Folder {
        path: sources.clone(),
        ignore: made.clone(),
    });
    watch.set(targets.collect());
    serve(builds, turns, &changes, over, tell);
    Ok(())
}

fn serve(
    builds: &[Build],
    turns: &Turns,
    changes: &Receiver<Change>,
    over: &dyn Fn() -> bool,
    tell: &dyn Fn(&str),
) {
    while !over() {
        let change = match changes.recv_timeout(LOOK) {
            Ok(change) => change,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // What was saved several times while another build went on is built once.
        let mut changed = BTreeSet::from([change.path]);
        changed.extend(changes.try_iter().map(|change| change.path));
        for build in builds
            .iter()
            .filter(|build| changed.contains(&build.sources))
        {
            if over() {
                return;
            }
            tell(&format!(
                "{}: its sources changed: `{}`",
                build.label, build.command
            ));
            match turns.build(build) {
                Ok(()) => tell(&format!("{}: built", build.label)),
                Err(problem) => tell(&format!("{}: not built: {problem}", build.label)),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use super::*;

    fn build(place: &Path, command: &str) -> Build {
        Build {
            label: "mine".into(),
            command: command.into(),
            place: place.to_owned(),
            sources: place.to_owned(),
            plugins: vec![place.join("mine.wat")],
        }
    }

    #[test]
    fn a_build_that_fails_leaves_the_plugin_of_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let plugin = place.path().join("mine.wat");
        fs::write(&plugin, "good").unwrap();
        for command in ["rm mine.wat; exit 1", "echo half > mine.wat; exit 1"] {
            let problem = Turns::default().build(&build(place.path(), command));
            assert!(problem.unwrap_err().contains("exit status: 1"));
            assert_eq!(fs::read_to_string(&plugin).unwrap(), "good", "{command}");
        }
        let made = build(place.path(), "printf better > mine.wat");
        Turns::default().build(&made).unwrap();
        assert_eq!(fs::read_to_string(&plugin).unwrap(), "better");
    }

    #[test]
    fn a_build_waits_for_a_run_that_is_about_to_read_its_plugin() {
        let place = tempfile::tempdir().unwrap();
        let (turns, one) = (Turns::default(), build(place.path(), "touch built"));
        let begins = turns.begin_run();
        std::thread::scope(|scope| {
            let built = scope.spawn(|| turns.build(&one));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!place.path().join("built").exists());
            drop(begins);
            built.join().unwrap().unwrap();
        });
        assert!(place.path().join("built").exists());
    }

    #[test]
    fn what_runs_write_and_what_is_built_are_no_sources() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path().join("runs/study");
        fs::create_dir_all(&runs).unwrap();
        let (over, told) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let others = Build {
            label: "other".into(),
            plugins: vec![place.path().join("other.wat")],
            ..build(place.path(), "cp source.txt other.wat")
        };
        let builds = [build(place.path(), "cp source.txt mine.wat"), others];
        let count = || told.lock().unwrap().len();
        std::thread::scope(|scope| {
            let watched = scope.spawn(|| {
                let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
                let is_over = || over.load(Ordering::Relaxed);
                watch(&builds, &runs, &Turns::default(), &is_over, &tell)
            });
            // Whether it watches by now shows in that a source is built.
            let began = Instant::now();
            let in_time = || began.elapsed() < Duration::from_secs(60);
            while count() == 0 && in_time() {
                fs::write(place.path().join("source.txt"), format!("{began:?}")).unwrap();
                std::thread::sleep(Duration::from_secs(2));
            }
            let still = Duration::from_secs(3);
            let mut before = usize::MAX;
            while (before != count() || !before.is_multiple_of(2)) && in_time() {
                before = count();
                std::thread::sleep(still);
            }
            for number in 0..20 {
                fs::write(runs.join("status.json"), number.to_string()).unwrap();
                std::thread::sleep(Duration::from_millis(60));
            }
            std::thread::sleep(still);
            let after = count();
            over.store(true, Ordering::Relaxed);
            watched.join().unwrap().unwrap();
            assert_eq!(after, before);
        });
        let told = told.into_inner().unwrap();
        for built in ["mine: built", "other: built"] {
            assert!(told.iter().any(|line| line == built), "{told:?}");
        }
    }
}
