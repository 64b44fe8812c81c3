//! Builds a schedule's plugin anew when its sources change, while the study runs.
//!
//! The runs watch the plugin's file themselves: what a build changes there reaches them as any other change does.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use pixelrate_control::watch::{Change, Options, Target, Watch};

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

/// Watches the sources of `builds` until `over`, and builds what changed. `tell` hears of every build.
///
/// # Errors
/// The sources cannot be watched.
pub(crate) fn watch(
    builds: &[Build],
    over: &dyn Fn() -> bool,
    tell: &dyn Fn(&str),
) -> Result<(), Error> {
    if builds.is_empty() {
        return Ok(());
    }
    let (sender, changes) = channel();
    let watch = Watch::start(Options::default(), move |change| {
        // Whoever listened may be gone: the study is over.
        let _ = sender.send(change);
    })
    .map_err(pixelrate_control::Error::from)?;
    let targets = builds.iter().map(|build| Target::Folder {
        path: build.sources.clone(),
        ignore: build.plugins.clone(),
    });
    watch.set(targets.collect());
    serve(builds, &changes, over, tell);
    Ok(())
}

fn serve(
    builds: &[Build],
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
        for build in builds.iter().filter(|build| build.sources == change.path) {
            tell(&format!(
                "{}: its sources changed: `{}`",
                build.label, build.command
            ));
            match build.run() {
                Ok(()) => tell(&format!("{}: built", build.label)),
                Err(problem) => tell(&format!("{}: not built: {problem}", build.label)),
            }
        }
    }
}
