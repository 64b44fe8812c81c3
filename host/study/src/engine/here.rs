//! Runs on a GPU are threads of this process: a GPU does the work of several processes in turns, and that of one process's
//! streams at once, so that small nets fill it. One that breaks the GPU's work takes those beside it along, and all of them
//! can be taken up again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::RwLockReadGuard;

use indicatif::ProgressBar;
use pixelrate_runlog::{EventKind, EventRow};
use pixelrate_trainer::spec::RunSpec;
use pixelrate_trainer::train::{self, Ending, Herald, Observer, Progress, Stop};

use super::process::reached;
use super::screen::Screen;
use super::{Beat, News, RunEnd};

/// Whether the run trains on a GPU of this machine.
pub(super) fn is_due(spec: &RunSpec) -> bool {
    pixelrate_trainer::device::has_streams(&spec.training)
}

/// Trains the run in `folder`, from where it stands, in the calling thread: to its end, or to a stop before `until`.
pub(super) fn run(
    spec: &RunSpec,
    until: Option<u64>,
    folder: &Path,
    screen: &Screen,
    turn: Option<RwLockReadGuard<'_, ()>>,
    stop: &Stop,
) -> RunEnd {
    let stop = until.map_or_else(|| stop.clone(), |step| stop.before(step));
    let bar = screen.bar(&spec.run);
    let mut shown = Shown {
        run: &spec.run,
        bar: &bar,
        screen,
        turn,
    };
    // As a process that panics, it takes no other along.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if folder.join("run.toml").exists() {
            train::resume(folder, &mut shown, &stop)
        } else {
            train::begin(spec, folder, &mut shown, &stop)
        }
    }));
    drop(shown);
    bar.finish_and_clear();
    match outcome {
        Err(_) => RunEnd::Failed("it panicked; the reason is above".to_owned()),
        Ok(Err(problem)) => RunEnd::Failed(problem.to_string()),
        Ok(Ok(outcome)) => match outcome.ending {
            Ending::Finished => RunEnd::Finished,
            Ending::Diverged => RunEnd::Diverged,
            Ending::Stopped if reached(folder, until) => RunEnd::Reached,
            Ending::Stopped => RunEnd::Stopped,
        },
    }
}

/// Shows a run as those of other processes are.
struct Shown<'a> {
    run: &'a str,
    bar: &'a ProgressBar,
    screen: &'a Screen,
    /// Until the first thing that the run shows.
    turn: Option<RwLockReadGuard<'a, ()>>,
}

impl Observer for Shown<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.turn.take();
        Beat::from(progress).show(self.bar);
    }

    fn event(&mut self, row: &EventRow) {
        self.turn.take();
        if row.kind != EventKind::Log
            && let Some(news) = News::of(row)
        {
            self.screen.news(&format!("{}: {}", self.run, news.news));
        }
    }

    fn herald(&self) -> Option<Herald> {
        let (run, screen) = (self.run.to_owned(), self.screen.clone());
        Some(News::herald(move |news| {
            screen.news(&format!("{run}: {}", news.news));
        }))
    }
}

#[cfg(test)]
mod tests {
    use pixelrate_runlog::{read_steps, read_summary};

    use super::*;

    fn spec() -> RunSpec {
        let text = r#"
            [study]
            name = "here"
            seeds = [0]
            [training]
            dataset = "synthetic"
            model = "convnet"
            batch_size = 16
            epochs = 1
            train_examples = 320
            device = "cpu"
            [[schedule]]
            label = "one"
            plugin = "fixed"
            params = { learning_rate = 0.01 }
        "#;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("here.toml");
        std::fs::write(&file, text).unwrap();
        crate::plan::plan(&file).unwrap().runs.remove(0)
    }

    #[test]
    fn a_run_in_this_process_stops_where_it_is_to_and_goes_on() {
        let spec = spec();
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join(&spec.run);
        let screen = Screen::new(1);
        let train = |until, stop: &Stop| run(&spec, until, &at, &screen, None, stop);
        assert_eq!(train(Some(5), &Stop::default()), RunEnd::Reached);
        assert_eq!(read_steps(&at).unwrap().len(), 5);
        let stopped = Stop::default();
        stopped.ask();
        assert_eq!(train(None, &stopped), RunEnd::Stopped);
        assert_eq!(train(None, &Stop::default()), RunEnd::Finished);
        assert_eq!(read_steps(&at).unwrap().len(), 20);
        assert!(read_summary(&at).unwrap().is_some());
    }

    #[test]
    fn what_is_wrong_with_a_run_is_its_end() {
        let mut spec = spec();
        spec.training.device = "abacus".into();
        let folder = tempfile::tempdir().unwrap();
        let end = run(
            &spec,
            None,
            &folder.path().join("run"),
            &Screen::new(1),
            None,
            &Stop::default(),
        );
        assert!(
            matches!(&end, RunEnd::Failed(problem) if problem.contains("abacus")),
            "{end:?}"
        );
    }
}
