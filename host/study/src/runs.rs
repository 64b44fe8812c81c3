//! The run folders below a path, and what each tells of itself from outside: who trains it, where it is, how it ended.
//!
//! To find runs, and to tell which are under way, costs a few small files a run: no Parquet is read, and `run.toml` only
//! where somebody asks for it. What runs that have ended tell comes from their study's index. So a folder of ten thousand
//! runs is looked through in a moment.

use std::cell::OnceCell;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use pixelrate_control::{Activity, Mailbox, Request, Status, Takeovers, What};
use pixelrate_runlog::{Held, RunStatus, SummaryRow, held, read_summary};
use pixelrate_trainer::spec::RunFile;
use serde::Serialize;

use crate::ended::{Ended, EndedRuns, run_file};
use crate::queue::Queued;
use crate::steer;

/// Folders between the path that is searched and a run's: the study's.
const DEPTH: usize = 2;

/// Why there are no runs to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path leads nowhere.
    #[error(
        "there is no {}: name the folder of a run, of a study, or of all studies (as `runs`)", .0.display()
    )]
    NotThere(PathBuf),
    /// The path leads to a folder without runs.
    #[error(
        "{} holds no run: name the folder of a run, of a study, or of all studies (as `runs`)", .0.display()
    )]
    NoRuns(PathBuf),
    /// One run was asked for, and the path leads to many.
    #[error("{} is no run but holds some: name one of them, such as {}", path.display(), first.display())]
    Many {
        /// What was named.
        path: PathBuf,
        /// A run in it.
        first: PathBuf,
    },
    /// No run is as the filters want it.
    #[error("none of the {count} runs in {} has {filters}: `pixelrate ps {} --all` lists them", path.display(), path.display())]
    NoneMatches {
        /// Where was searched.
        path: PathBuf,
        /// Runs that are there.
        count: usize,
        /// What was wanted.
        filters: String,
    },
    /// A run's file or folder.
    #[error(transparent)]
    Run(#[from] crate::Error),
}

/// What a run does, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process has it and has not come to its first step yet.
    Preparing,
    /// It trains.
    Training,
    /// A process has it, and was told to wait.
    Paused,
    /// No process has it, and it has not ended: it was stopped or killed, and can be resumed.
    Stopped,
    /// It did all its steps.
    Finished,
    /// An error ended it.
    Failed,
    /// Its loss left the finite numbers.
    Diverged,
}

impl State {
    /// All of them, in the order of a run's life.
    pub const ALL: [Self; 7] = [
        Self::Preparing,
        Self::Training,
        Self::Paused,
        Self::Stopped,
        Self::Finished,
        Self::Failed,
        Self::Diverged,
    ];

    /// The state in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
        }
    }

    /// Whether no step is left to do.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Diverged)
    }

    /// Whether a process has the run now.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Preparing | Self::Training | Self::Paused)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run's folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    file: OnceCell<RunFile>,
    /// The runs beside it that have ended, where it was found among many.
    study: Option<Arc<EndedRuns>>,
}

/// What a run was like at the moment of looking.
#[derive(Debug, Clone)]
pub struct Look {
    /// What it does, or how it ended.
    pub state: State,
    /// The process that has it.
    pub process: Option<u32>,
    /// Where it is; of a run that no process has, where its last one left it. `None` before the first step of a process.
    pub status: Option<Status>,
    /// How it ended, where it has.
    pub summary: Option<SummaryRow>,
    /// The step that a run which was stopped, was killed or failed goes on at: that of its newest checkpoint.
    pub resumes_at: Option<u64>,
}

impl Look {
    /// Steps done, as far as that is known.
    pub fn step(&self) -> Option<u64> {
        let ended = self.summary.as_ref().map(|row| row.steps_done);
        // The status is up to half a second old where the process was killed, and its last checkpoint may be newer.
        let told = self.status.as_ref().map(|status| status.step);
        ended.or_else(|| told.map(|step| step.max(self.resumes_at.unwrap_or(0))))
    }

    /// The step that it goes on at, where that is another than the last that it came to.
    pub fn goes_back_to(&self) -> Option<u64> {
        self.resumes_at.filter(|step| Some(*step) != self.step())
    }

    /// Steps of the whole run, as far as that is known.
    pub fn total_steps(&self) -> Option<u64> {
        let ended = self.summary.as_ref().map(|row| row.total_steps);
        ended.or_else(|| self.status.as_ref().map(|status| status.total_steps))
    }

    /// The newest loss of a batch, where it is known and finite.
    pub fn train_loss(&self) -> Option<f64> {
        let ended = self.summary.as_ref().and_then(|row| row.final_train_loss);
        ended
            .or_else(|| self.status.as_ref()?.train_loss)
            .filter(|loss| loss.is_finite())
    }
}

impl RunFolder {
    /// The run in this folder.
    ///
    /// # Errors
    /// It is no run's folder; the error names one if it holds some.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::NotThere(path.to_owned()));
        }
        if is_run(path) {
            return Ok(Self::new(path));
        }
        match find(path)?.into_iter().next() {
            Some(first) => Err(Error::Many {
                path: path.to_owned(),
                first: first.path,
            }),
            None => Err(Error::NoRuns(path.to_owned())),
        }
    }

    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: OnceCell::new(),
            study: None,
        }
    }

    /// What the run tells if it has ended, out of its study's index; `None` also for a run that was not found with one.
    fn ended(&self) -> Result<Option<Ended>, crate::Error> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        match (&self.study, name) {
            (Some(study), Some(name)) => study.get(name),
            _ => Ok(None),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `run.toml`, read once; `None` if it has none yet, as in its first moment.
    ///
    /// # Errors
    /// It cannot be read, or is not what pixelrate wrote.
    pub fn file(&self) -> Result<Option<&RunFile>, crate::Error> {
        if let Some(file) = self.file.get() {
            return Ok(Some(file));
        }
        let kept = self.ended()?.and_then(|ended| ended.file);
        let file = match kept {
            None => run_file(&self.path)?,
            kept => kept,
        };
        Ok(file.map(|file| self.file.get_or_init(|| file)))
    }

    /// Whether a process has the run now: the quickest question of all.
    ///
    /// # Errors
    /// Its lock cannot be tried.
    pub fn held(&self) -> Result<Held, crate::Error> {
        Ok(held(&self.path)?)
    }

    /// Looks at the run now.
    ///
    /// # Errors
    /// A file of it cannot be read.
    pub fn look(&self) -> Result<Look, crate::Error> {
        if let Some(Ended {
            summary, status, ..
        }) = self.ended()?
        {
            return self.at_rest(status, Some(summary));
        }
        let status = Status::read(&self.path).map_err(pixelrate_trainer::Error::from)?;
        let Held::By(process) = self.held()? else {
            let summary = read_summary(&self.path)?;
            return self.at_rest(status, summary);
        };
        // A run that is taken up again has its last process' status until the new one comes to tell its own.
        let status = status.filter(|status| process.is_none_or(|held| held == status.process));
        let state = match status.as_ref().map(|status| status.activity) {
            None => State::Preparing,
            Some(Activity::Training) => State::Training,
            Some(Activity::Paused) => State::Paused,
        };
        Ok(Look {
            state,
            process,
            status,
            summary: None,
            resumes_at: None,
        })
    }

    /// What a run is like that no process has.
    fn at_rest(
        &self,
        status: Option<Status>,
        summary: Option<SummaryRow>,
    ) -> Result<Look, crate::Error> {
        let state = ended(summary.as_ref());
        let resumes_at = if state.is_over() {
            None
        } else {
            Some(steer::newest_step(&self.path)?)
        };
        Ok(Look {
            state,
            process: None,
            status,
            summary,
            resumes_at,
        })
    }

    /// The schedules that are to take over in the run, in words and in their order: `cosine (max_lr = 0.3) at 5000`. One that
    /// was asked for without a step comes `next`.
    ///
    /// # Errors
    /// Its requests or its record cannot be read.
    pub fn planned(&self) -> Result<Vec<String>, crate::Error> {
        let waiting = Mailbox::of(&self.path).waiting()?.into_iter();
        let mut offers: Vec<_> = waiting
            .filter_map(|Request { id, what }| match what {
                What::Swap(offer) => Some((id, offer)),
                _ => None,
            })
            .collect();
        if offers.is_empty() {
            return Ok(Vec::new());
        }
        // A crash may have come between a takeover and the answer to who asked for it.
        let done = Takeovers::read(&self.path)?;
        offers.retain(|(id, _)| done.iter().all(|it| it.request.as_ref() != Some(id)));
        offers.sort_by_key(|(_, offer)| offer.at_step);
        let told = offers.iter().map(|(_, offer)| {
            let told = offer.schedule.told();
            match offer.at_step {
                Some(step) => format!("{told} at {step}"),
                None => format!("{told} next"),
            }
        });
        Ok(told.collect())
    }
}

/// The state of a run that no process has.
fn ended(summary: Option<&SummaryRow>) -> State {
    match summary.map(|row| row.status) {
        None | Some(RunStatus::Stopped) => State::Stopped,
        Some(RunStatus::Finished) => State::Finished,
        Some(RunStatus::Failed) => State::Failed,
        Some(RunStatus::Diverged) => State::Diverged,
    }
}

/// The runs at `path`, ordered by their folders' names: the folder of a run, of a study, or of all studies.
///
/// # Errors
/// [`Error::NotThere`], [`Error::NoRuns`], or a folder that cannot be listed.
pub fn find(path: &Path) -> Result<Vec<RunFolder>, Error> {
    if !path.exists() {
        return Err(Error::NotThere(path.to_owned()));
    }
    let mut found = Vec::new();
    gather(path, None, DEPTH, &mut found)?;
    if found.is_empty() {
        return Err(Error::NoRuns(path.to_owned()));
    }
    Ok(found)
}

/// The runs at `path` that all `filters` let through.
///
/// # Errors
/// As [`find`]; [`Error::NoneMatches`] if they let none through.
pub fn pick(path: &Path, filters: &[Filter]) -> Result<Vec<RunFolder>, Error> {
    let all = find(path)?;
    let count = all.len();
    let mut picked = Vec::new();
    for run in all {
        if Filter::all_match(filters, &run)? {
            picked.push(run);
        }
    }
    if picked.is_empty() {
        return Err(Error::NoneMatches {
            path: path.to_owned(),
            count,
            filters: told(filters),
        });
    }
    Ok(picked)
}

/// The filters in words: `seed=1 and state=training`.
pub fn told(filters: &[Filter]) -> String {
    let all: Vec<String> = filters.iter().map(Filter::to_string).collect();
    all.join(" and ")
}

/// A run's folder has its lock before it has its `run.toml`.
fn is_run(path: &Path) -> bool {
    path.join("run.toml").is_file() || path.join(".lock").is_file()
}

fn gather(
    path: &Path,
    study: Option<&Arc<EndedRuns>>,
    depth: usize,
    found: &mut Vec<RunFolder>,
) -> Result<(), crate::Error> {
    if is_run(path) {
        found.push(RunFolder {
            study: study.cloned(),
            ..RunFolder::new(path)
        });
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        // Somebody moved it away since it was listed, or named a file.
        Err(source)
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(source) => return Err(crate::Error::io("list", path, source)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| crate::Error::io("list", path, source))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !hidden && !is_file {
            folders.push(entry.path());
        }
    }
    folders.sort();
    let study = Arc::new(EndedRuns::of(path));
    folders
        .iter()
        .try_for_each(|folder| gather(folder, Some(&study), depth - 1, found))
}

/// What runs may be chosen by, and what each key is compared with.
const KEYS: [(&str, Key); 7] = [
    ("run", Key::Run),
    ("study", Key::Study),
    ("schedule", Key::Schedule),
    ("seed", Key::Seed),
    ("dataset", Key::Dataset),
    ("model", Key::Model),
    ("state", Key::State),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Run,
    Study,
    /// The schedule's label in the study.
    Schedule,
    Seed,
    Dataset,
    Model,
    State,
}

/// One condition that a run must meet, such as `seed=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    name: &'static str,
    key: Key,
    wanted: String,
}

impl Filter {
    /// Reads `KEY=VALUE`: a run's `run`, `study`, `schedule` (its label in the study), `seed`, `dataset`, `model` or
    /// `state`.
    ///
    /// # Errors
    /// What is wrong with it, and which keys there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys = || KEYS.map(|(name, _)| name).join(", ");
        let Some((name, wanted)) = text.split_once('=') else {
            return Err(format!(
                "\"{text}\" is no filter: write it as KEY=VALUE, with one of the keys {}",
                keys()
            ));
        };
        let (name, wanted) = (name.trim(), wanted.trim());
        let Some((name, key)) = KEYS.into_iter().find(|(known, _)| *known == name) else {
            return Err(format!(
                "runs are not known by \"{name}\": use one of the keys {}",
                keys()
            ));
        };
        if key == Key::Seed && wanted.parse::<u64>().is_err() {
            return Err(format!(
                "seed={wanted}: a seed is a whole number, 0 or more"
            ));
        }
        let states = || State::ALL.map(State::as_str);
        if key == Key::State && !states().contains(&wanted) {
            let states = states().join(", ");
            return Err(format!("state={wanted}: a run's state is one of {states}"));
        }
        Ok(Self {
            name,
            key,
            wanted: wanted.to_owned(),
        })
    }

    /// Whether it asks for what a run does or did, and not for what it is.
    pub fn is_of_state(&self) -> bool {
        self.key == Key::State
    }

    /// Whether the run meets the condition. One without a `run.toml` is known by its folder's name alone.
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn matches(&self, run: &RunFolder) -> Result<bool, crate::Error> {
        if self.key == Key::State {
            return Ok(run.look()?.state.as_str() == self.wanted);
        }
        let Some(file) = run.file()? else {
            let name = run.path().file_name().unwrap_or_default();
            return Ok(self.key == Key::Run && name == self.wanted.as_str());
        };
        Ok(self.lets_through(&Queued::from(&file.spec)))
    }

    /// Whether what the run is meets the condition; what it does is not known.
    pub(crate) fn lets_through(&self, run: &Queued) -> bool {
        match self.key {
            Key::Run => run.run == self.wanted,
            Key::Study => run.study == self.wanted,
            Key::Schedule => run.schedule == self.wanted,
            Key::Seed => self.wanted.parse() == Ok(run.seed),
            Key::Dataset => run.dataset == self.wanted,
            Key::Model => run.model == self.wanted,
            Key::State => false,
        }
    }

    /// Whether the run meets all conditions; there may be none.
    ///
    /// # Errors
    /// As [`matches`](Self::matches).
    pub fn all_match(filters: &[Self], run: &RunFolder) -> Result<bool, crate::Error> {
        for filter in filters {
            if !filter.matches(run)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.wanted)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use pixelrate_control::{Activity, Status};
    use pixelrate_runlog::{Identity, RunLog, RunStatus, SummaryRow};
    use pixelrate_sandbox::{Limits, OnFault};
    use pixelrate_trainer::precision::{Precision, PrecisionChoice};
    use pixelrate_trainer::spec::{
        Found, OptimizerKind, Parent, RunFile, RunSpec, ScheduleSpec, Training,
    };

    use super::{Error, Filter, RunFolder, State, find, pick};

    /// A run of a study `demo`, of 1,000 steps.
    pub(crate) fn spec(label: &str, seed: u64, parent: Option<(&str, u64)>) -> RunSpec {
        RunSpec {
            study: "demo".to_owned(),
            run: format!("{label}-seed{seed}"),
            label: label.to_owned(),
            label_index: 0,
            seed,
            training: Training {
                dataset: "synthetic".to_owned(),
                data_folder: PathBuf::from("data"),
                model: "convnet".to_owned(),
                batch_size: 16,
                epochs: 4.0,
                train_examples: 0,
                optimizer: OptimizerKind::Momentum,
                momentum: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                eval_every_epochs: 1.0,
                checkpoint_seconds: 60.0,
                log_grad_norm: false,
                label_smoothing: 0.0,
                deterministic: false,
                device: "cpu".to_owned(),
                threads: 1,
                precision: PrecisionChoice::Float32,
            },
            schedule: ScheduleSpec {
                plugin: "fixed".to_owned(),
                params: Default::default(),
                picture_folder: None,
                max_learning_rate: 10.0,
                on_fault: OnFault::Abort,
                rollback_steps: 100,
            },
            limits: Limits::default(),
            watch: true,
            tuned: None,
            parent: parent.map(|(run, step)| Parent {
                study: "demo".to_owned(),
                run: run.to_owned(),
                step,
            }),
        }
    }

    /// Writes a run's `run.toml` below `study`, begins its log, and gives its folder.
    pub(crate) fn begin(study: &Path, spec: &RunSpec) -> (PathBuf, RunLog) {
        let folder = study.join(&spec.run);
        let identity = Identity {
            study: spec.study.clone(),
            run: spec.run.clone(),
            ..Identity::default()
        };
        let log = RunLog::create(&folder, identity).unwrap();
        let found = Found {
            schedule_sha256: "ab".repeat(32),
            dataset_sha256: "cd".repeat(32),
            dataset_origin: "drawn by code".to_owned(),
            train_examples: 4_000,
            total_steps: 1_000,
            parameters: 10_000,
            device: "cpu".to_owned(),
            precision: Precision::Float32,
            pixelrate_version: "0.1.0".to_owned(),
            libtorch_version: "2".to_owned(),
            git_commit: None,
            machine: "a test".to_owned(),
        };
        let file = RunFile {
            spec: spec.clone(),
            found: Some(found),
        };
        file.write(&folder).unwrap();
        (folder, log)
    }

    pub(crate) fn summary(spec: &RunSpec, status: RunStatus, accuracy: f64) -> SummaryRow {
        SummaryRow {
            study: spec.study.clone(),
            run: spec.run.clone(),
            schedule: spec.label.clone(),
            schedule_sha256: "ab".repeat(32),
            seed: spec.seed,
            dataset: spec.training.dataset.clone(),
            model: spec.training.model.clone(),
            optimizer: "momentum".to_owned(),
            batch_size: 16,
            epochs: 4.0,
            total_steps: 1_000,
            steps_done: 1_000,
            status,
            final_train_loss: Some(0.3),
            final_eval_loss: Some(0.4),
            final_eval_accuracy: Some(accuracy),
            best_eval_accuracy: Some(accuracy),
            wall_seconds: 60.0,
            started_unix_ms: 1_525_132_800_000,
            finished_unix_ms: 1_525_132_860_000,
            error: None,
            device: "cpu".to_owned(),
            threads: 1,
            pixelrate_version: "0.1.0".to_owned(),
            git_commit: None,
        }
    }

    fn tell(folder: &Path, activity: Activity, process: u32) {
        let status = Status {
            process,
            activity,
            step: 250,
            total_steps: 1_000,
            learning_rate: Some(0.1),
            train_loss: Some(1.5),
            schedule: "fixed (learning_rate = 0.1)".to_owned(),
            sha256: "ab".repeat(32),
            swaps: 2,
        };
        let text = serde_json::to_vec(&status).unwrap();
        fs::write(folder.join("status.json"), text).unwrap();
    }

    fn names(runs: &[RunFolder]) -> Vec<String> {
        let name = |run: &RunFolder| {
            run.path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        runs.iter().map(name).collect()
    }

    #[test]
    fn a_run_tells_what_it_does_through_all_of_its_life() {
        let place = tempfile::tempdir().unwrap();
        let spec = spec("fixed", 0, None);
        let (folder, log) = begin(place.path(), &spec);
        let run = RunFolder::open(&folder).unwrap();
        let state = || run.look().unwrap().state;
        assert_eq!(state(), State::Preparing);
        // What another process left: this one has not told anything yet.
        tell(&folder, Activity::Training, std::process::id() + 1);
        assert_eq!(state(), State::Preparing);
        tell(&folder, Activity::Training, std::process::id());
        let look = run.look().unwrap();
        assert_eq!(
            (look.state, look.process),
            (State::Training, Some(std::process::id()))
        );
        assert_eq!((look.step(), look.total_steps()), (Some(250), Some(1_000)));
        assert_eq!(look.train_loss(), Some(1.5));
        tell(&folder, Activity::Paused, std::process::id());
        assert_eq!(state(), State::Paused);
        drop(log);
        let look = run.look().unwrap();
        assert_eq!(
            (look.state, look.process, look.step()),
            (State::Stopped, None, Some(250))
        );
        assert_eq!(look.goes_back_to(), Some(0));
        // Its last status may be older than its newest checkpoint, and newer.
        let kept = folder.join("checkpoints");
        fs::create_dir(&kept).unwrap();
        for (step, told, back) in [(240, 250, Some(240)), (250, 250, None), (252, 252, None)] {
            let name = pixelrate_trainer::checkpoint::file_name(step, None);
            fs::write(kept.join(name), "").unwrap();
            let look = run.look().unwrap();
            assert_eq!((look.step(), look.goes_back_to()), (Some(told), back));
        }
        for (status, expected) in [
            (RunStatus::Finished, State::Finished),
            (RunStatus::Failed, State::Failed),
            (RunStatus::Diverged, State::Diverged),
        ] {
            let row = summary(&spec, status, 0.9);
            pixelrate_runlog::write_summaries(&folder.join("summary.parquet"), &[row]).unwrap();
            let look = run.look().unwrap();
            assert_eq!((look.state, look.step()), (expected, Some(1_000)));
        }
    }

    #[test]
    fn runs_are_found_below_a_run_a_study_and_all_studies() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path().join("runs");
        for study in ["a", "b"] {
            for seed in [0, 1] {
                begin(&runs.join(study), &spec("fixed", seed, None));
            }
            fs::create_dir(runs.join(study).join("report")).unwrap();
        }
        fs::write(runs.join("notes.txt"), "none of these is a run").unwrap();
        // A run's first moment: it has a lock and no spec.
        fs::create_dir_all(runs.join("b/young")).unwrap();
        fs::write(runs.join("b/young/.lock"), "").unwrap();
        let found = |path: &Path| names(&find(path).unwrap());
        assert_eq!(found(&runs.join("a/fixed-seed1")), ["fixed-seed1"]);
        assert_eq!(found(&runs.join("a")), ["fixed-seed0", "fixed-seed1"]);
        assert_eq!(found(&runs).len(), 5);

        let gone = find(&runs.join("c")).unwrap_err().to_string();
        assert!(
            gone.contains("there is no") && gone.contains("runs/c: name the folder"),
            "{gone}"
        );
        let none = find(&runs.join("a/report")).unwrap_err().to_string();
        assert!(none.contains("a/report holds no run: name"), "{none}");
        let many = RunFolder::open(&runs.join("b")).unwrap_err();
        assert!(matches!(many, Error::Many { .. }));
        let many = many.to_string();
        assert!(
            many.contains("is no run but holds some") && many.contains("b/fixed-seed0"),
            "{many}"
        );
    }

    #[test]
    fn runs_that_ended_are_told_as_they_are_whatever_the_index_keeps() {
        let place = tempfile::tempdir().unwrap();
        let study = place.path();
        for seed in [0, 1] {
            let spec = spec("fixed", seed, None);
            let (folder, log) = begin(study, &spec);
            tell(&folder, Activity::Training, std::process::id());
            let mut row = summary(&spec, RunStatus::Diverged, 0.9);
            // What JSON could not keep.
            row.final_train_loss = Some(f64::NAN);
            log.finish(&row).unwrap();
        }
        let told = || -> Vec<(State, Option<u64>, String)> {
            let tell = |run: &RunFolder| {
                let (look, file) = (run.look().unwrap(), run.file().unwrap().unwrap());
                let loss = look.summary.as_ref().and_then(|row| row.final_train_loss);
                assert!(look.summary.is_none() || loss.is_some_and(f64::is_nan));
                (look.state, look.step(), file.spec.run.clone())
            };
            find(study).unwrap().iter().map(tell).collect()
        };
        let ended = |seed: u64| (State::Diverged, Some(1_000), format!("fixed-seed{seed}"));
        for _ in 0..2 {
            assert_eq!(told(), [ended(0), ended(1)]);
            assert!(study.join(".index/runs").is_file());
        }
        // One is taken up again, and stops.
        let (one, other) = (study.join("fixed-seed0"), study.join("fixed-seed1"));
        let identity = Identity {
            study: "demo".to_owned(),
            run: "fixed-seed0".to_owned(),
            ..Identity::default()
        };
        let log = RunLog::resume(&one, identity, 0).unwrap();
        assert_eq!(told()[0].0, State::Training);
        drop(log);
        assert_eq!(told()[0].0, State::Stopped);
        fs::remove_dir_all(&one).unwrap();
        fs::rename(&other, &one).unwrap();
        assert_eq!(told(), [ended(1)]);
    }

    #[test]
    fn filters_pick_runs_and_name_the_keys_there_are() {
        let place = tempfile::tempdir().unwrap();
        for label in ["fixed", "cyclic"] {
            for seed in [0, 1, 10] {
                begin(place.path(), &spec(label, seed, None));
            }
        }
        let picked = |filters: &[&str]| {
            let filters: Vec<_> = filters
                .iter()
                .map(|text| Filter::parse(text).unwrap())
                .collect();
            pick(place.path(), &filters).map(|runs| names(&runs))
        };
        assert_eq!(
            picked(&["seed=1"]).unwrap(),
            ["cyclic-seed1", "fixed-seed1"]
        );
        assert_eq!(
            picked(&["seed=01", "schedule=fixed"]).unwrap(),
            ["fixed-seed1"]
        );
        assert_eq!(picked(&["run=cyclic-seed10"]).unwrap(), ["cyclic-seed10"]);
        let all = [
            "study=demo",
            "dataset=synthetic",
            "model = convnet",
            "state=stopped",
        ];
        assert_eq!(picked(&all).unwrap().len(), 6);
        assert_eq!(picked(&[]).unwrap().len(), 6);
        let none = picked(&["seed=7", "model=convnet"])
            .unwrap_err()
            .to_string();
        assert!(none.contains("none of the 6 runs in "), "{none}");
        assert!(
            none.contains("has seed=7 and model=convnet: `pixelrate ps "),
            "{none}"
        );

        let wrong = |text: &str| Filter::parse(text).unwrap_err();
        let keys = "run, study, schedule, seed, dataset, model, state";
        assert!(wrong("seed").contains(keys) && wrong("seed").contains("KEY=VALUE"));
        assert!(wrong("sed=1").contains(keys) && wrong("sed=1").contains("\"sed\""));
        assert!(wrong("seed=one").contains("a whole number"));
        assert!(wrong("state=dead").contains("training, paused, stopped"));
    }
}
