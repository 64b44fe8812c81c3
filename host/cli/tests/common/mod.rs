//! What the tests of the program share: how it is called, and a study that ends in seconds.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use pixelrate_runlog::{EvalRow, StepRow, read_evals, read_steps};

/// The program, in `folder`, where a study's relative paths and `runs` begin.
pub(crate) fn pixelrate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixelrate"));
    command.current_dir(folder).env_remove("PIXELRATE_DATA");
    // A shell has what it starts in the background ignore Ctrl-C, and the program goes by that. Tests send it to the program
    // wherever they run.
    let heed = || {
        // SAFETY: `SIG_DFL` is no function that could run at a wrong moment.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: It does nothing but call `signal`, which may be called between fork and exec.
    unsafe { command.pre_exec(heed) };
    command
}

/// What it says, and whether it ended well.
pub(crate) fn said(command: &mut Command) -> (bool, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// How it ends, and what it says on standard error, where whoever would read its standard output has gone, as `head` does.
pub(crate) fn unread(command: &mut Command) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let Output { status, stderr, .. } = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A study of `synthetic`: batches of 16 for `steps` steps, each schedule as given.
pub(crate) fn study(steps: u32, seeds: &str, schedules: &str) -> String {
    let epochs = f64::from(steps) / 20.0;
    format!(
        "[study]\nname = \"tiny\"\nseeds = {seeds}\n\n\
         [training]\ndataset = \"synthetic\"\nmodel = \"convnet\"\nbatch_size = 16\ntrain_examples = 320\n\
         epochs = {epochs:?}\neval_every_epochs = 1000.0\ncheckpoint_seconds = 0.3\ndevice = \"cpu\"\n\n{schedules}"
    )
}

/// What a run logged, less what no two runs share: how long things took.
pub(crate) fn logged(run: &Path) -> (Vec<StepRow>, Vec<EvalRow>) {
    let mut steps = read_steps(run).unwrap();
    for row in &mut steps {
        (row.step_ns, row.schedule_ns) = (0, 0);
    }
    (steps, read_evals(run).unwrap())
}
