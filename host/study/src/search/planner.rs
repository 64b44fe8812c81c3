//! From a search's file to its candidates, all of them checked before the first trains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pixelrate_compose::Places;
use pixelrate_sandbox::{
    Engine, EngineOptions, ParameterKind, Pictures, Plugin, RunFacts, Schedule, TrainingValues,
    Value,
};
use pixelrate_trainer::data;
use pixelrate_trainer::spec::RunSpec;

use super::candidates::{Candidate, Refused, Search};
use super::file::{SearchFile, SearchedSchedule};
use super::rungs::{Rung, rungs};
use super::space::{Domain, Space, shown};
use crate::Error;
use crate::names;
use crate::plan::{self, facts};
use crate::report::Options;
use crate::spec::{ScheduleEntry, StudyFile, TrainingKeys};

/// The share of the training pictures that is held back, where a search does not say otherwise.
const HELD_BACK: f64 = 0.1;
/// What stands for all pictures that there are.
const ALL: &str = "*";

/// Draws the candidates of the search in the file `path`, and checks all of them.
///
/// # Errors
/// What cannot be, with file, line and key. A candidate that cannot run is no error, unless none can.
pub fn read(path: &Path) -> Result<Search, Error> {
    let (file, text) = SearchFile::read(path)?;
    plan(&file, path, &text)
}

/// As [`read`], of a search that was read from `text`, in the file `path`, where its relative paths begin.
///
/// # Errors
/// As [`read`].
pub fn plan(file: &SearchFile, path: &Path, text: &str) -> Result<Search, Error> {
    let planner = Planner {
        file,
        path,
        text,
        places: Places::of(text),
        place: plan::place(path),
    };
    planner.plan()
}

struct Planner<'a> {
    file: &'a SearchFile,
    path: &'a Path,
    text: &'a str,
    places: Places<'a>,
    place: &'a Path,
}

impl Planner<'_> {
    fn wrong(&self, keys: &[&[&str]], problem: String) -> Error {
        Error::Value {
            path: self.path.to_owned(),
            line: self.places.first_line(keys),
            problem,
        }
    }

    fn plan(&self) -> Result<Search, Error> {
        let file = self.file;
        let seeds = &file.study.seeds;
        if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
            let problem = "`seeds` must name at least one seed, and each once".to_owned();
            return Err(self.wrong(&[&["study", "seeds"]], problem));
        }
        if file.schedule.is_empty() {
            return Err(self.wrong(&[&["schedule"]], "there is no [[schedule]]".to_owned()));
        }
        if file.search.candidates == Some(0) {
            let problem = "`candidates` must be at least 1".to_owned();
            return Err(self.wrong(&[&["search", "candidates"]], problem));
        }
        let (mut candidates, refused) = self.candidates()?;
        let rungs = self.rungs(&mut candidates)?;
        Ok(Search {
            name: file.study.name.clone(),
            seed: file.search.seed,
            seeds: seeds.clone(),
            eta: self.eta(),
            metric: file.search.metric,
            rungs,
            candidates,
            refused,
            jobs: file.study.jobs,
        })
    }

    /// All that are drawn: those that can run, and those that cannot.
    fn candidates(&self) -> Result<(Vec<Candidate>, Vec<Refused>), Error> {
        let file = self.file;
        // Nothing trains yet.
        let engine = Engine::new(&EngineOptions {
            parallel_compilation: true,
            ..EngineOptions::from(&file.limits)
        })
        .map_err(pixelrate_trainer::Error::from)?;
        let (mut candidates, mut refused) = (Vec::new(), Vec::new());
        let (mut names, mut first) = (BTreeSet::new(), None);
        for (index, entry) in file.schedule.iter().enumerate() {
            let (space, fixed) = self.space(&engine, index, entry)?;
            for values in space.draw(file.search.candidates, file.search.seed, index as u32) {
                let label = named(entry, &values, &space, names.len());
                if !names.insert(label.clone()) {
                    let problem = format!(
                        "two candidates are called \"{label}\": give each schedule a `label` of its own"
                    );
                    return Err(self.wrong(&[&["schedule", &index.to_string()]], problem));
                }
                let run = self
                    .run(entry, label.clone(), &fixed, &values)
                    .and_then(|spec| self.rehearsed(&engine, index, spec));
                match run {
                    Ok(spec) => candidates.push(Candidate {
                        label,
                        schedule: stem(entry),
                        params: values,
                        training: entry.training.clone(),
                        spec: RunSpec {
                            label_index: candidates.len() as u32,
                            ..spec
                        },
                    }),
                    Err(error) => {
                        let problem = match &error {
                            Error::Value { problem, .. } => problem.clone(),
                            other => other.to_string(),
                        };
                        refused.push(Refused { label, problem });
                        first.get_or_insert(error);
                    }
                }
            }
        }
        match first {
            Some(error) if candidates.is_empty() => Err(error),
            _ => Ok((candidates, refused)),
        }
    }

    /// Asks a candidate's schedule for every step, so that one that leaves the guard's bounds is known before anything
    /// trains. One that reads what training shows cannot be asked without it.
    fn rehearsed(&self, engine: &Engine, index: usize, spec: RunSpec) -> Result<RunSpec, Error> {
        let rehearse = || -> Result<(), String> {
            let schedule = &spec.schedule;
            let plugin =
                pixelrate_compose::load(engine, &schedule.plugin).map_err(|e| e.to_string())?;
            if plugin.reads_training() || plugin.reads_weights() {
                return Ok(());
            }
            let facts = facts(&spec);
            let mut schedule = Schedule::start(&plugin, &facts, &spec.limits, &schedule.guard())
                .map_err(|e| e.to_string())?;
            for step in 0..facts.total_steps {
                let answer = schedule.step(step, TrainingValues::NONE);
                answer.map_err(|fault| fault.to_string())?;
                // Nobody reads here what it logs, and that must not pile up.
                schedule.drain_events();
            }
            Ok(())
        };
        match rehearse() {
            Ok(()) => Ok(spec),
            Err(problem) => {
                let number = index.to_string();
                let schedule: [&str; 2] = ["schedule", &number];
                let params = [&schedule[..], &["params"]].concat();
                Err(self.wrong(&[&params, &schedule], problem))
            }
        }
    }

    fn eta(&self) -> u32 {
        self.file.search.eta.unwrap_or(3)
    }

    /// What varies of a schedule, and what does not.
    fn space(
        &self,
        engine: &Engine,
        index: usize,
        entry: &SearchedSchedule,
    ) -> Result<(Space, BTreeMap<String, Value>), Error> {
        let number = index.to_string();
        let wrong_in = |key: &[&str], problem: String| {
            let schedule: [&str; 2] = ["schedule", &number];
            self.wrong(&[&[&schedule[..], key].concat(), &schedule], problem)
        };
        let schedule = pixelrate_compose::located(&entry.plugin, self.place);
        let plugin = pixelrate_compose::load(engine, &schedule)
            .map_err(|e| wrong_in(&["plugin"], e.to_string()))?;
        let (mut space, mut fixed) = (Space::default(), BTreeMap::new());
        let mut pictures = pictures(&plugin);
        for (name, domain) in &entry.params {
            if matches!(domain, Domain::Fixed(Value::Text(text)) if text == ALL) {
                continue;
            }
            pictures.retain(|picture| picture != name);
            match domain.clone() {
                Domain::Fixed(value) => {
                    fixed.insert(name.clone(), value);
                }
                Domain::Choices(values) => {
                    space.choices.insert(name.clone(), values);
                }
                Domain::Range(range) => {
                    space.ranges.insert(name.clone(), range);
                }
            }
        }
        for name in pictures {
            let all = self
                .pictures()
                .map_err(|problem| wrong_in(&["params", &name], problem))?;
            space.choices.insert(name, all);
        }
        space
            .check()
            .map_err(|unfit| wrong_in(&["params", &unfit.0], unfit.to_string()))?;
        if space.is_empty() && self.file.schedule.len() == 1 {
            let problem =
                "nothing of it varies: give a parameter a list of choices, or a range such as \
                           { min = 1e-4, max = 1.0, scale = \"log\" }"
                    .to_owned();
            return Err(wrong_in(&["params"], problem));
        }
        Ok((space, fixed))
    }

    /// All pictures of the study's folder, or else the built-in ones.
    fn pictures(&self) -> Result<Vec<Value>, String> {
        let names = match &self.file.study.pictures {
            None => pixelrate_trainer::pictures::builtins()
                .map(str::to_owned)
                .collect(),
            Some(folder) => {
                let folder = self.place.join(folder);
                let found = Pictures::names(&folder)
                    .map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
                if found.is_empty() {
                    return Err(format!("{} holds no picture", folder.display()));
                }
                found
            }
        };
        Ok(names.into_iter().map(Value::Text).collect())
    }

    /// The search's keys of training. Where it does not say otherwise, a tenth of the training pictures is held back for its
    /// candidates to be ranked on, or what it does not train on if that is less: the test set is for those that it chooses.
    fn training(&self, entry: &SearchedSchedule) -> TrainingKeys {
        let mut keys = self.file.training.clone();
        if keys.validation_examples.is_none() {
            let own = entry.training.over(&keys);
            let whole = own.dataset.as_deref().and_then(data::train_examples);
            let left = whole.map(|whole| whole.saturating_sub(own.train_examples.unwrap_or(0)));
            keys.validation_examples = Some(match (left, whole) {
                (Some(left), Some(whole)) if (left as f64) < HELD_BACK * whole as f64 => {
                    left as f64
                }
                _ => HELD_BACK,
            });
        }
        keys
    }

    /// The run of one candidate, checked as a study checks its own.
    fn run(
        &self,
        entry: &SearchedSchedule,
        label: String,
        fixed: &BTreeMap<String, Value>,
        values: &BTreeMap<String, Value>,
    ) -> Result<RunSpec, Error> {
        let mut study = self.file.study.clone();
        study.seeds.truncate(1);
        // A candidate is what it is called after, to its end.
        study.watch = false;
        let params = fixed.iter().chain(values);
        let one = StudyFile {
            study,
            training: self.training(entry),
            guard: self.file.guard,
            limits: self.file.limits.clone(),
            schedule: vec![ScheduleEntry {
                label: Some(label),
                plugin: Some(toml::Value::String(entry.plugin.clone())),
                params: params.map(|(k, v)| (k.clone(), v.clone())).collect(),
                training: entry.training.clone(),
                ..ScheduleEntry::default()
            }],
            grid: BTreeMap::new(),
            report: Options::default(),
        };
        let mut plan = plan::of(&one, self.path, self.text)?;
        plan.runs
            .pop()
            .ok_or_else(|| self.wrong(&[&["study", "seeds"]], "no run was planned".to_owned()))
    }

    /// The rungs; every candidate tests its model at each of them.
    fn rungs(&self, candidates: &mut [Candidate]) -> Result<Vec<Rung>, Error> {
        let all: Vec<RunFacts> = candidates.iter().map(|one| facts(&one.spec)).collect();
        let common = |f: &RunFacts| (f.total_steps, f.train_examples, f.batch_size);
        let evaluated = |one: &Candidate| {
            let training = &one.spec.training;
            (training.validation_examples, training.test_views)
        };
        let apart = candidates
            .windows(2)
            .any(|two| evaluated(&two[0]) != evaluated(&two[1]));
        if apart || all.windows(2).any(|two| common(&two[0]) != common(&two[1])) {
            let problem = "all schedules of a search must have the same `dataset`, `batch_size`, `epochs`, \
                           `train_examples`, `validation_examples` and `test_views`: their rungs are the same";
            return Err(self.wrong(&[&["schedule"]], problem.to_owned()));
        }
        let epochs = candidates[0].spec.training.epochs;
        let eta = self.eta();
        let given = self.file.search.min_epochs;
        let least = given.unwrap_or_else(|| epochs / f64::from(eta).powi(2));
        let rungs =
            rungs(epochs, least, eta, candidates.len(), &all[0]).map_err(|(key, problem)| {
                let problem = format!("`{key}` {problem}");
                self.wrong(
                    &[&["search", key], &["search"], &["training", "epochs"]],
                    problem,
                )
            })?;
        let first = rungs[0].epochs;
        for candidate in candidates {
            let own = candidate.training.eval_every_epochs;
            let asked = own.or(self.file.training.eval_every_epochs);
            let every = asked.unwrap_or(first);
            let count = first / every;
            if (count - count.round()).abs() > 1e-9 * count || count.round() < 1.0 {
                let problem = format!(
                    "`eval_every_epochs` is {every}, and the first rung ends at {first} epochs: leave it out, or let it be \
                     that or a whole part of it"
                );
                return Err(self.wrong(
                    &[&["training", "eval_every_epochs"], &["training"]],
                    problem,
                ));
            }
            candidate.spec.training.eval_every_epochs = every;
        }
        Ok(rungs)
    }
}

/// The parameters of a plugin that are pictures; those of a family are the user's to count.
fn pictures(plugin: &Plugin) -> Vec<String> {
    plugin
        .parameters()
        .iter()
        .filter(|parameter| parameter.kind == ParameterKind::Picture)
        .filter(|parameter| !parameter.name.ends_with('*'))
        .map(|parameter| parameter.name.clone())
        .collect()
}

/// A schedule's name in the search.
fn stem(entry: &SearchedSchedule) -> String {
    let name = || pixelrate_compose::name(&entry.plugin);
    entry.label.clone().unwrap_or_else(name)
}

/// A candidate's name: its schedule's, and what varies. A folder is called after it.
fn named(
    entry: &SearchedSchedule,
    values: &BTreeMap<String, Value>,
    space: &Space,
    number: usize,
) -> String {
    let told: String = values
        .iter()
        .map(|(name, value)| match value {
            // A picture, or a word: it tells what it is.
            Value::Text(word) if space.choices.len() == 1 => format!("-{word}"),
            value => format!("-{name}={}", shown(value)),
        })
        .collect();
    let label = stem(entry) + &told;
    if label.len() > names::MOST {
        return format!("{}-candidate{number}", stem(entry));
    }
    names::plain(&label)
}
