//! The runs that a study asks for, all of them checked before the first trains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pixelrate_compose::Places;
use pixelrate_sandbox::{Engine, EngineOptions, Plugin, RunFacts, Schedule, conformance};
use pixelrate_trainer::spec::{RunSpec, ScheduleSpec, Training};
use pixelrate_trainer::{Error as TrainerError, data};

use crate::Error;
use crate::rebuild::Build;
use crate::report::{self, Options};
use crate::search;
use crate::spec::{StudyFile, TrainingKeys};
use crate::split::Jobs;

/// A study, ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The study's name.
    pub name: String,
    /// Runs side by side, if the study says.
    pub jobs: Option<Jobs>,
    /// Whether the study says nothing of the runs' threads, so that they are found ([`crate::split`]).
    pub threads_open: bool,
    /// Seed by seed, so that a study that is stopped early has every schedule.
    pub runs: Vec<RunSpec>,
    /// Plugins that are built anew when their sources change.
    pub builds: Vec<Build>,
    /// What its report compares with.
    pub report: Options,
}

/// Reads `path` and plans its runs.
///
/// # Errors
/// Whatever cannot be, with file, line and key: a data set, model or number, a plugin that does not load, a
/// parameter that it does not have.
pub fn plan(path: &Path) -> Result<Plan, Error> {
    let (study, text) = StudyFile::read(path)?;
    of(&study, path, &text)
}

/// As [`plan`], of a study that was read from `text`, in the file `path`.
pub(crate) fn of(study: &StudyFile, path: &Path, text: &str) -> Result<Plan, Error> {
    let planner = Planner {
        path,
        places: Places::of(text),
        place: place(path),
    };
    planner.plan(study)
}

/// Where the relative paths of the file `path` begin. A file that is named alone lies in the working folder.
pub(crate) fn place(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

struct Planner<'a> {
    path: &'a Path,
    places: Places<'a>,
    place: &'a Path,
}

impl Planner<'_> {
    /// `keys` are paths into the file, of which the first that is there tells the line.
    fn wrong(&self, keys: &[&[&str]], problem: String) -> Error {
        Error::Value {
            path: self.path.to_owned(),
            line: self.places.first_line(keys),
            problem,
        }
    }

    fn plan(&self, study: &StudyFile) -> Result<Plan, Error> {
        let seeds = &study.study.seeds;
        if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
            return Err(self.wrong(
                &[&["study", "seeds"]],
                "`seeds` must name at least one seed, and each once".to_owned(),
            ));
        }
        if study.schedule.is_empty() {
            return Err(self.wrong(&[&["schedule"]], "there is no [[schedule]]".to_owned()));
        }
        let builds = self.builds(study)?;
        let combinations = self.combinations(study)?;
        // Nothing trains yet.
        let engine = Engine::new(&EngineOptions {
            parallel_compilation: true,
            ..EngineOptions::from(&study.limits)
        })
        .map_err(pixelrate_trainer::Error::from)?;
        let (mut runs, mut names) = (Vec::new(), BTreeSet::new());
        let mut admitted = Admitted::new(&engine);
        for &seed in seeds {
            for index in 0..study.schedule.len() {
                for (suffix, keys) in &combinations {
                    let spec = self.run(study, index, seed, suffix, keys)?;
                    if !names.insert(spec.run.clone()) {
                        let problem = format!(
                            "the label \"{}\" is given twice: give each schedule a `label` of its own",
                            spec.label
                        );
                        return Err(self.wrong_in(index, &["label"], problem));
                    }
                    if seed == seeds[0] {
                        self.check(&mut admitted, &spec)?;
                    }
                    runs.push(spec);
                }
            }
        }
        self.same_evaluation(&runs)?;
        Ok(Plan {
            name: study.study.name.clone(),
            jobs: study.study.jobs,
            threads_open: threads_open(study),
            report: self.report(study, &runs)?,
            runs,
            builds,
        })
    }

    /// What is evaluated on other pictures, or on other views of them, cannot be compared.
    fn same_evaluation(&self, runs: &[RunSpec]) -> Result<(), Error> {
        let held_back = |run: &RunSpec| run.training.validation_examples;
        let views = |run: &RunSpec| f64::from(run.training.test_views);
        self.same(runs, "validation_examples", held_back, "the same pictures")?;
        self.same(runs, "test_views", views, "the same views of a picture")
    }

    /// Refuses a `key` of training that has not the same value for all, who are to be evaluated on the same of something.
    fn same(
        &self,
        runs: &[RunSpec],
        key: &str,
        value: impl Fn(&RunSpec) -> f64,
        on: &str,
    ) -> Result<(), Error> {
        let Some(other) = runs.iter().find(|run| value(run) != value(&runs[0])) else {
            return Ok(());
        };
        let problem = format!(
            "`{key}` is {} for {} and {} for {}: all schedules must be evaluated on {on}",
            value(&runs[0]),
            runs[0].label,
            value(other),
            other.label
        );
        let [one, other] = [&runs[0], other].map(|run| run.label_index.to_string());
        Err(self.wrong(
            &[
                &["schedule", &other, "training", key],
                &["schedule", &one, "training", key],
                &["grid", key],
                &["training", key],
                &["training"],
            ],
            problem,
        ))
    }

    /// What the report compares with: a baseline that is one of the labels, and a target that can be.
    fn report(&self, study: &StudyFile, runs: &[RunSpec]) -> Result<Options, Error> {
        let report = &study.report;
        let wrong = |key: &str, problem: String| Err(self.wrong(&[&["report", key]], problem));
        if let Some(baseline) = &report.baseline
            && !runs.iter().any(|run| report::names(baseline, &run.label))
        {
            let labels: BTreeSet<&str> = runs.iter().map(|run| run.label.as_str()).collect();
            let labels: Vec<&str> = labels.into_iter().collect();
            let problem = format!(
                "`baseline`: no schedule is labelled \"{baseline}\"; there are {}",
                labels.join(", ")
            );
            return wrong("baseline", problem);
        }
        match report.check() {
            Err(problem) => wrong("target", problem),
            Ok(()) => Ok(report.clone()),
        }
    }

    /// How plugins are built, those built that are not there yet.
    fn builds(&self, study: &StudyFile) -> Result<Vec<Build>, Error> {
        let mut builds = Vec::new();
        for (index, entry) in study.schedule.iter().enumerate() {
            let Some(command) = &entry.build else {
                if entry.sources.is_some() {
                    let problem = "`sources` are those of `build`, which is not given".to_owned();
                    return Err(self.wrong_in(index, &["sources"], problem));
                }
                continue;
            };
            // One that is still to be built is no file yet.
            let plugin = pixelrate_compose::located(&entry.schedule(self.place), self.place);
            let plugins = files(&plugin);
            let sources = match (&entry.sources, &plugins[..]) {
                (Some(folder), _) => self.place.join(folder),
                (None, [plugin]) => plugin.parent().unwrap_or(Path::new("")).to_owned(),
                (None, _) => {
                    let problem = "`build` needs `sources`, the folder whose changes it is called for: \
                                   the schedule is not one file";
                    return Err(self.wrong_in(index, &["build"], problem.to_owned()));
                }
            };
            let sources = PathBuf::from(absolute(&sources));
            if !sources.is_dir() {
                let problem = format!("`sources`: {} is no folder", sources.display());
                return Err(self.wrong_in(index, &["sources"], problem));
            }
            let build = Build {
                label: entry
                    .label
                    .clone()
                    .unwrap_or_else(|| pixelrate_compose::name(&plugin)),
                command: command.clone(),
                place: PathBuf::from(absolute(self.place)),
                sources,
                plugins,
            };
            if !build.plugins.iter().all(|plugin| plugin.is_file()) {
                build
                    .run()
                    .map_err(|problem| self.wrong_in(index, &["build"], problem))?;
            }
            let is_same = |known: &&mut Build| {
                known.command == build.command && known.sources == build.sources
            };
            match builds.iter_mut().find(is_same) {
                // One command for several schedules is called once for all of them.
                Some(known) => {
                    known.label = format!("{}, {}", known.label, build.label);
                    known.plugins.extend(build.plugins);
                }
                None => builds.push(build),
            }
        }
        Ok(builds)
    }

    /// What is wrong with a key of the schedule at `index`; where the key is left out, the schedule is told.
    fn wrong_in(&self, index: usize, key: &[&str], problem: String) -> Error {
        let index = index.to_string();
        let schedule: [&str; 2] = ["schedule", &index];
        let path = [&schedule[..], key].concat();
        self.wrong(&[&path, &schedule], problem)
    }

    /// What is wrong in the schedule at `index`, at the innermost of `keys` that is in the file.
    fn wrong_below(&self, index: usize, keys: &[String], problem: String) -> Error {
        let index = index.to_string();
        let keys = keys.iter().map(String::as_str);
        let all: Vec<&str> = ["schedule", &index].into_iter().chain(keys).collect();
        let paths: Vec<&[&str]> = (2..=all.len()).rev().map(|n| &all[..n]).collect();
        self.wrong(&paths, problem)
    }

    /// Every combination of the grid's values: what a run's name says of it, and its keys.
    fn combinations(&self, study: &StudyFile) -> Result<Vec<(String, TrainingKeys)>, Error> {
        let mut combinations = vec![(String::new(), toml::Table::new())];
        for (key, values) in &study.grid {
            if values.is_empty() {
                let problem = format!("`{key}` must have at least one value");
                return Err(self.wrong(&[&["grid", key]], problem));
            }
            let twice = |place: usize| values[..place].iter().any(|one| alike(one, &values[place]));
            if let Some(place) = (1..values.len()).find(|&place| twice(place)) {
                let problem = format!("`{key}` has {} twice: name each value once", values[place]);
                return Err(self.wrong(&[&["grid", key]], problem));
            }
            for (index, entry) in study.schedule.iter().enumerate() {
                let own = toml::Table::try_from(&entry.training).unwrap_or_default();
                if own.contains_key(key) {
                    let problem =
                        format!("`{key}` is set here and varied by [grid]: remove one of the two");
                    return Err(self.wrong_in(index, &["training", key], problem));
                }
            }
            let mut next = Vec::new();
            for (suffix, table) in &combinations {
                for value in values {
                    let mut one = toml::Table::new();
                    one.insert(key.clone(), value.clone());
                    // Each key by itself first, so that what is wrong is told of the right one.
                    one.clone().try_into::<TrainingKeys>().map_err(|e| {
                        self.wrong(&[&["grid", key]], format!("`{key}`: {}", e.message()))
                    })?;
                    one.extend(table.clone());
                    let word = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    next.push((format!("{suffix}-{key}={word}"), one));
                }
            }
            combinations = next;
        }
        let typed = combinations.into_iter().map(|(suffix, table)| {
            let keys = table
                .try_into()
                .map_err(|e: toml::de::Error| self.wrong(&[&["grid"]], e.message().to_owned()))?;
            Ok((suffix, keys))
        });
        typed.collect()
    }

    fn run(
        &self,
        study: &StudyFile,
        index: usize,
        seed: u64,
        suffix: &str,
        grid: &TrainingKeys,
    ) -> Result<RunSpec, Error> {
        let schedule = &study.schedule[index];
        let keys = schedule.training.over(grid).over(&study.training);
        let training = keys
            .resolve(self.place)
            .map_err(|key| self.wrong(&[&["training"]], format!("[training] lacks `{key}`")))?;
        let plugin = schedule.schedule(self.place);
        let name = pixelrate_compose::name(&plugin);
        let label = schedule.label.clone().unwrap_or(name);
        let spec = RunSpec {
            study: study.study.name.clone(),
            run: format!("{label}{suffix}-seed{seed}"),
            label: label + suffix,
            label_index: index as u32,
            seed,
            training,
            schedule: ScheduleSpec {
                plugin,
                params: schedule.params.clone(),
                picture_folder: self.pictures(study)?,
                max_learning_rate: study.guard.max_learning_rate,
                on_fault: study.guard.on_fault,
                rollback_steps: study.study.rollback_steps,
            },
            limits: study.limits.clone(),
            watch: study.study.watch,
            tuned: self.tuned(index, schedule.tuned.as_deref())?,
            parent: None,
        };
        spec.check().map_err(|error| match error {
            pixelrate_trainer::Error::Spec { key, problem } => {
                let (number, key) = (index.to_string(), key.as_str());
                let keys: [&[&str]; 6] = match key {
                    "study" => [&["study", "name"]; 6],
                    _ => [
                        &["schedule", &number, "training", key],
                        &["grid", key],
                        &["training", key],
                        &["guard", key],
                        // A run is called after its label.
                        &["schedule", &number, "label"],
                        &["schedule", &number],
                    ],
                };
                self.wrong(&keys, format!("`{key}`: {problem}"))
            }
            other => other.into(),
        })?;
        Ok(spec)
    }

    /// The whole path of the study's folder of pictures.
    fn pictures(&self, study: &StudyFile) -> Result<Option<PathBuf>, Error> {
        let Some(folder) = &study.study.pictures else {
            return Ok(None);
        };
        let folder = PathBuf::from(absolute(&self.place.join(folder)));
        if !folder.is_dir() {
            let problem = format!("`pictures`: {} is no folder", folder.display());
            return Err(self.wrong(&[&["study", "pictures"]], problem));
        }
        Ok(Some(folder))
    }

    /// The whole path of the search's folder, which must hold what the search cost.
    fn tuned(&self, index: usize, folder: Option<&Path>) -> Result<Option<PathBuf>, Error> {
        let Some(folder) = folder else {
            return Ok(None);
        };
        let folder = PathBuf::from(absolute(&self.place.join(folder)));
        match search::tuning(&folder) {
            Ok(Some(_)) => Ok(Some(folder)),
            Ok(None) => {
                let problem = format!("`tuned`: {}", Error::NoSearch(folder));
                Err(self.wrong_in(index, &["tuned"], problem))
            }
            Err(problem) => Err(self.wrong_in(index, &["tuned"], format!("`tuned`: {problem}"))),
        }
    }

    /// Admits the schedule as the trainer will, so that what is wrong with it is known now.
    fn check(&self, admitted: &mut Admitted<'_>, spec: &RunSpec) -> Result<(), Error> {
        let (index, schedule) = (spec.label_index as usize, &spec.schedule);
        let loaded = admitted.load(&schedule.plugin);
        let (plugin, rehearsed) = loaded.map_err(|e| match e {
            pixelrate_compose::Error::Inline { keys, problem } => {
                self.wrong_below(index, &keys, problem)
            }
            other => self.wrong_in(index, &["plugin"], other.to_string()),
        })?;
        if let Some(whole) = data::train_examples(&spec.training.dataset)
            && let Err(TrainerError::Spec { key, problem }) = spec.training.check_examples(whole)
        {
            let paths: [&[&str]; 2] = [&["training", &key], &["training"]];
            return Err(self.wrong(&paths, format!("`{key}` {problem}")));
        }
        let facts = facts(spec);
        if facts.total_steps == 0 {
            let problem = format!(
                "`epochs`: {} epochs of {} pictures are fewer than one batch of {}",
                spec.training.epochs, facts.train_examples, facts.batch_size
            );
            return Err(self.wrong(&[&["training", "epochs"], &["training"]], problem));
        }
        let guard = schedule.guard();
        let found = if rehearsed {
            conformance::admit(&plugin, &facts, &spec.limits, &guard)
        } else {
            Schedule::start(&plugin, &facts, &spec.limits, &guard).map(drop)
        };
        found.map_err(|e| match &e {
            pixelrate_sandbox::Error::Parameter { given: name, .. }
            | pixelrate_sandbox::Error::ParameterValue { name, .. } => {
                self.wrong_in(index, &["params", name], e.to_string())
            }
            _ => self.wrong_in(index, &["plugin"], e.to_string()),
        })
    }
}

/// Whether two values are one: 1 and 1.0 are.
fn alike(one: &toml::Value, other: &toml::Value) -> bool {
    let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64));
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Whether no key of the study says how many threads a run has.
fn threads_open(study: &StudyFile) -> bool {
    let said = study.training.threads.is_some()
        || study.grid.contains_key("threads")
        || (study.schedule.iter()).any(|entry| entry.training.threads.is_some());
    !said
}

/// Schedules of one plugin that are rehearsed over their run. Whether a plugin answers alike in every instance, and takes
/// its state back, is the plugin's own: of more schedules the others are only started with their parameters, and held to
/// the rest when their run begins.
const REHEARSED: usize = 100;

/// Plugins that are held at a time.
const LOADED: usize = 64;

/// The plugins of a study, each loaded once, and how many of its schedules were rehearsed.
struct Admitted<'a> {
    engine: &'a Engine,
    plugins: BTreeMap<String, (Plugin, usize)>,
}

impl<'a> Admitted<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            plugins: BTreeMap::new(),
        }
    }

    /// The plugin, and whether its next schedule is to be rehearsed.
    fn load(&mut self, schedule: &str) -> Result<(Plugin, bool), pixelrate_compose::Error> {
        if let Some((plugin, count)) = self.plugins.get_mut(schedule) {
            *count += 1;
            return Ok((plugin.clone(), *count <= REHEARSED));
        }
        let plugin = pixelrate_compose::load(self.engine, schedule)?;
        // A study of many compositions has as many plugins, and each holds its code.
        if self.plugins.len() >= LOADED {
            self.plugins.clear();
        }
        let name = schedule.to_owned();
        self.plugins.insert(name, (plugin.clone(), 1));
        Ok((plugin, true))
    }
}

/// What a run will tell its schedule, as far as that is known before the data set is read.
pub fn facts(spec: &RunSpec) -> RunFacts {
    let training = &spec.training;
    let examples = expected_examples(training);
    RunFacts {
        total_steps: training.total_steps(examples),
        steps_per_epoch: training.steps_per_epoch(examples),
        train_examples: examples,
        batch_size: training.batch_size,
        seed: spec.seed,
        params: spec.schedule.params.clone(),
        pictures: pixelrate_trainer::pictures::of(spec),
    }
}

/// Training pictures, as far as they are known before the data set is read: a study need not read gigabytes to be
/// planned, and what is really there is for the trainer to find out.
pub(crate) fn expected_examples(training: &Training) -> u64 {
    let whole = data::train_examples(&training.dataset).unwrap_or(50_000);
    training.examples_of(whole)
}

/// The files that a schedule is made of.
fn files(plugin: &str) -> Vec<PathBuf> {
    if pixelrate_compose::is_composition(plugin) {
        return pixelrate_compose::resolve(plugin, u64::MAX).files;
    }
    vec![PathBuf::from(plugin)]
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .to_string_lossy()
        .into_owned()
}
