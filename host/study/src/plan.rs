//! The runs that a study asks for, all of them checked before the first trains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pixelrate_sandbox::{Engine, EngineOptions, RunFacts, Schedule};
use pixelrate_trainer::spec::{RunSpec, ScheduleSpec};
use toml::Spanned;

use crate::Error;
use crate::spec::{ScheduleEntry, StudyFile, TrainingKeys};

/// A study, ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The study's name.
    pub name: String,
    /// Runs side by side, if the study says.
    pub jobs: Option<usize>,
    /// Seed by seed, so that a study that is stopped early has every schedule.
    pub runs: Vec<RunSpec>,
}

/// Reads `path` and plans its runs.
///
/// # Errors
/// Whatever cannot be, with file, line and key: a data set, model or number, a plugin that does not load, a
/// parameter that it does not have.
pub fn plan(path: &Path) -> Result<Plan, Error> {
    let (study, text) = StudyFile::read(path)?;
    let planner = Planner {
        path,
        text: &text,
        place: path.parent().unwrap_or(Path::new("")),
    };
    planner.plan(&study)
}

struct Planner<'a> {
    path: &'a Path,
    text: &'a str,
    place: &'a Path,
}

impl Planner<'_> {
    fn wrong(&self, at: usize, problem: String) -> Error {
        let line = self
            .text
            .get(..at)
            .map_or(1, |before| before.matches('\n').count() + 1);
        Error::Value {
            path: self.path.to_owned(),
            line,
            problem,
        }
    }

    /// Where `key` stands in the part of the file that begins at `from`, or else the part's beginning.
    fn find(&self, from: usize, key: &str) -> usize {
        let part = self.text.get(from..).unwrap_or_default();
        let mut place = from;
        for line in part.split_inclusive('\n') {
            if line
                .trim_start()
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
            {
                return place;
            }
            // A key of an inline table, such as `params = { … }`.
            if let Some((before, _)) = line.split_once(key)
                && before.contains('{')
            {
                return place;
            }
            place += line.len();
        }
        from
    }

    fn plan(&self, study: &StudyFile) -> Result<Plan, Error> {
        let seeds = &study.study.seeds;
        if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
            return Err(self.wrong(
                self.find(0, "seeds"),
                "`seeds` must name at least one seed, and each once".to_owned(),
            ));
        }
        let combinations = self.combinations(&study.grid)?;
        let engine = Engine::new(&EngineOptions::from(&study.limits))
            .map_err(pixelrate_trainer::Error::from)?;
        let mut runs = Vec::new();
        for &seed in seeds {
            for (index, entry) in study.schedule.iter().enumerate() {
                for (suffix, keys) in &combinations {
                    let spec = self.run(study, entry, index, seed, suffix, keys)?;
                    if seed == seeds[0] {
                        self.check(&engine, &spec, entry)?;
                    }
                    runs.push(spec);
                }
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = runs.iter().find(|run| !names.insert(&run.run)) {
            let entry = &study.schedule[twice.label_index as usize];
            return Err(self.wrong(
                entry.span().start,
                format!("the label \"{}\" is given twice", twice.label),
            ));
        }
        if runs.is_empty() {
            return Err(self.wrong(0, "there is no [[schedule]]".to_owned()));
        }
        Ok(Plan {
            name: study.study.name.clone(),
            jobs: study.study.jobs,
            runs,
        })
    }

    /// Every combination of the grid's values: what a run's name says of it, and its keys.
    fn combinations(
        &self,
        grid: &BTreeMap<String, Spanned<Vec<toml::Value>>>,
    ) -> Result<Vec<(String, TrainingKeys)>, Error> {
        let mut combinations = vec![(String::new(), toml::Table::new())];
        for (key, values) in grid {
            let mut next = Vec::new();
            for (suffix, table) in &combinations {
                for value in values.get_ref() {
                    let mut table = table.clone();
                    table.insert(key.clone(), value.clone());
                    let word = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    next.push((format!("{suffix}-{key}={word}"), table));
                }
            }
            combinations = next;
        }
        let start = grid
            .values()
            .map(|values| values.span().start)
            .min()
            .unwrap_or(0);
        let typed = combinations.into_iter().map(|(suffix, table)| {
            let keys = table.try_into().map_err(|e: toml::de::Error| {
                self.wrong(start, format!("[grid]: {}", e.message()))
            })?;
            Ok((suffix, keys))
        });
        typed.collect()
    }

    fn run(
        &self,
        study: &StudyFile,
        entry: &Spanned<ScheduleEntry>,
        index: usize,
        seed: u64,
        suffix: &str,
        grid: &TrainingKeys,
    ) -> Result<RunSpec, Error> {
        let (schedule, start) = (entry.get_ref(), entry.span().start);
        let keys = schedule.training.over(grid).over(study.training.get_ref());
        let training = keys.resolve(self.place).map_err(|key| {
            self.wrong(
                study.training.span().start,
                format!("[training] lacks `{key}`"),
            )
        })?;
        let file = self.place.join(&schedule.plugin);
        let plugin = if file.is_file() {
            absolute(&file)
        } else {
            schedule.plugin.clone()
        };
        let stem = Path::new(&schedule.plugin)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let label = schedule.label.clone().unwrap_or(stem);
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
                picture_folder: study
                    .study
                    .pictures
                    .as_ref()
                    .map(|folder| PathBuf::from(absolute(&self.place.join(folder)))),
                max_learning_rate: study.guard.max_learning_rate,
                on_fault: study.guard.on_fault,
            },
            limits: study.limits.clone(),
        };
        spec.check().map_err(|error| match error {
            pixelrate_trainer::Error::Spec { key, problem } => {
                let at = self.find(start, &key);
                let at = if at == start { self.find(0, &key) } else { at };
                self.wrong(at, format!("`{key}`: {problem}"))
            }
            other => other.into(),
        })?;
        Ok(spec)
    }

    /// Starts the schedule once, so that what is wrong with it is known now.
    fn check(
        &self,
        engine: &Engine,
        spec: &RunSpec,
        entry: &Spanned<ScheduleEntry>,
    ) -> Result<(), Error> {
        let start = entry.span().start;
        let schedule = &spec.schedule;
        let plugin = engine
            .load(&schedule.plugin)
            .map_err(|e| self.wrong(self.find(start, "plugin"), e.to_string()))?;
        let facts = RunFacts {
            // Sizes of a run that any picture can be cut down to; the true ones are the trainer's to find.
            total_steps: 10_000,
            steps_per_epoch: 100,
            train_examples: 100 * u64::from(spec.training.batch_size),
            batch_size: spec.training.batch_size,
            seed: spec.seed,
            params: schedule.params.clone(),
            pictures: pixelrate_trainer::pictures::of(spec),
        };
        let started = Schedule::start(&plugin, &facts, &spec.limits, &schedule.guard());
        started.map(drop).map_err(|e| {
            let key = match &e {
                pixelrate_sandbox::Error::Parameter { given, .. } => given,
                pixelrate_sandbox::Error::ParameterValue { name, .. } => name,
                _ => "plugin",
            };
            self.wrong(self.find(start, key), e.to_string())
        })
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .to_string_lossy()
        .into_owned()
}
