//! The runs that a command is about, and what came of asking them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use pixelrate_study::runs::{self, Filter, State};
use pixelrate_study::steer::Answer;
use pixelrate_study::{Error, queue};

/// Which runs.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A run's folder; or a study's, for every run in it that the command can act on.
    run: PathBuf,
    /// Only runs that match (repeatable); KEY is run, study, schedule (its label), seed, dataset, model or state.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,
}

impl Args {
    /// The folders of the runs; one that is over only where it is named itself.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn folders(&self) -> Result<Chosen> {
        self.those(Others::Over, |state| !state.is_over())
    }

    /// The folder that is named, if no runs in it are told apart from others.
    pub(crate) fn whole(&self) -> Option<&Path> {
        self.filters.is_empty().then_some(&self.run)
    }

    /// The folders of all runs that have begun, those that are over, too.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn begun(&self) -> Result<Chosen> {
        self.those(Others::Over, |_| true)
    }

    /// The folders of the runs that run now, or of the one that is named itself.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn running(&self) -> Result<Chosen> {
        self.those(Others::NotRunning, State::is_running)
    }

    fn those(&self, why: Others, wanted: impl Fn(State) -> bool) -> Result<Chosen> {
        let queued = queue::waiting(&self.run, &self.filters)?.len();
        let picked = match runs::pick(&self.run, &self.filters) {
            // Those that match may all be to come.
            Err(runs::Error::NoneMatches { .. } | runs::Error::NoRuns(_)) if queued > 0 => {
                Vec::new()
            }
            picked => picked?,
        };
        let mut chosen = Chosen {
            folders: Vec::new(),
            others: 0,
            why,
            queued,
        };
        for run in picked {
            if run.path() == self.run || wanted(run.look()?.state) {
                chosen.folders.push(run.path().to_owned());
            } else {
                chosen.others += 1;
            }
        }
        if chosen.folders.is_empty() {
            let place = self.run.display();
            match queued {
                0 => bail!("{}", why.of_all(&place.to_string())),
                _ => bail!("{place}: {}", chosen.told()),
            }
        }
        Ok(chosen)
    }
}

/// Why runs that match are not asked.
#[derive(Debug, Clone, Copy)]
enum Others {
    Over,
    NotRunning,
}

impl Others {
    fn of_all(self, place: &str) -> String {
        match self {
            Self::Over => format!(
                "every run in {place} is over: `pixelrate fork` starts new runs from a step of one"
            ),
            Self::NotRunning => {
                format!("no run in {place} is running: `pixelrate resume` continues one")
            }
        }
    }

    fn of_some(self) -> &'static str {
        match self {
            Self::Over => "already over",
            Self::NotRunning => "not running",
        }
    }
}

/// The runs that are asked, and how many of those that match are not.
pub(crate) struct Chosen {
    /// The folders of those that are.
    pub(crate) folders: Vec<PathBuf>,
    others: usize,
    why: Others,
    /// Runs that have not begun: they have no folder, and nobody can ask them.
    queued: usize,
}

impl Chosen {
    /// Prints a line for each run that was asked, as [`tell`] does, and one for those that were not.
    pub(crate) fn tell(
        &self,
        answers: Vec<Result<Answer, Error>>,
        will: &str,
        did: &str,
    ) -> ExitCode {
        let code = tell(&self.folders, answers, will, did);
        if self.others + self.queued > 0 {
            eprintln!("{}", self.told());
        }
        code
    }

    /// How many of those that match were asked, and what is with the others.
    fn told(&self) -> String {
        let asked = self.folders.len();
        let all = asked + self.others + self.queued;
        let mut text = format!("asked {asked} of {all} matching runs");
        if self.others > 0 {
            text += &format!(", {} {}", self.others, self.why.of_some());
        }
        if self.queued > 0 {
            text += &format!(
                ", {} not started: they begin as the study says, so ask again once `pixelrate ps` lists them",
                self.queued
            );
        }
        text
    }
}

/// Runs that are asked at once. Most answers are waited for; those of stopped runs take a rehearsal each.
const AT_ONCE: usize = 64;

/// Asks each run, many side by side.
pub(crate) fn each(
    runs: &[PathBuf],
    ask: impl Fn(&Path) -> Result<Answer, Error> + Sync,
) -> Vec<Result<Answer, Error>> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let serve = || {
        while let Some((place, run)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            runs.get(place).map(|run| (place, run))
        } {
            let answer = ask(run);
            let mut all = answers.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((place, answer));
        }
    };
    std::thread::scope(|scope| {
        // The system may give fewer threads than are wanted: the others' runs are asked by this one.
        for _ in 1..runs.len().min(AT_ONCE) {
            if std::thread::Builder::new()
                .spawn_scoped(scope, serve)
                .is_err()
            {
                break;
            }
        }
        serve();
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Prints a line for each run. `will` and `did` say what was asked for: "takes over", "took over".
pub(crate) fn tell(
    runs: &[PathBuf],
    answers: Vec<Result<Answer, Error>>,
    will: &str,
    did: &str,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (run, answer) in runs.iter().zip(answers) {
        let run = run.display();
        match answer {
            Ok(Answer::Done(step)) => println!("{run}: {did} before step {step}"),
            Ok(Answer::Planned(step)) => println!("{run}: {will} before step {step}"),
            Ok(Answer::Kept(Some(step))) => {
                println!("{run}: {will} before step {step}, after `pixelrate resume` of the run");
            }
            Ok(Answer::Kept(None)) => {
                println!("{run}: {will} at its first step after `pixelrate resume`");
            }
            Ok(Answer::TakenBack) => {
                eprintln!("{run}: withdrawn before it took effect");
                code = ExitCode::from(130);
            }
            Ok(Answer::Rejected(reason)) => {
                eprintln!("error: {run}: {reason}");
                code = ExitCode::FAILURE;
            }
            Err(problem) => {
                eprintln!("error: {problem}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
