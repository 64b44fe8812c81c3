//! A study's TOML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pixelrate_sandbox::{GuardOptions, Limits, Value};
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{
    Flip, Normalization, OptimizerKind, PaddingMode, RunSpec, ScheduleSpec, Training,
};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::report::Options;
use crate::split::Jobs;

/// A study, as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyFile {
    /// Name, seeds, pictures.
    pub study: Study,
    /// What is trained on what.
    pub training: TrainingKeys,
    /// What schedules are held to.
    #[serde(default)]
    pub guard: GuardOptions,
    /// What schedules may use.
    #[serde(default)]
    pub limits: Limits,
    /// The schedules, in the order of the report.
    #[serde(default)]
    pub schedule: Vec<ScheduleEntry>,
    /// Training keys with several values: every schedule and seed runs with each combination.
    #[serde(default)]
    pub grid: BTreeMap<String, Vec<toml::Value>>,
    /// What its report compares with.
    #[serde(default)]
    pub report: Options,
}

/// The study as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Study {
    /// Its name, and its folder's.
    pub name: String,
    /// One run of each schedule a seed.
    pub seeds: Vec<u64>,
    /// Folder of the study's own pictures, from the file's place.
    pub pictures: Option<PathBuf>,
    /// Runs side by side; by default as many as are quickest ([`crate::split`]).
    pub jobs: Option<Jobs>,
    /// Whether a run takes a schedule's file over when it changes; by default it does.
    #[serde(default = "RunSpec::default_watch")]
    pub watch: bool,
    /// A schedule that faults within so many steps after it took over is replaced by the one before it; 100 by default,
    /// 0: never.
    #[serde(default = "ScheduleSpec::default_rollback_steps")]
    pub rollback_steps: u64,
}

/// Keys of training. Those that are left out have the defaults that [`TrainingKeys::resolve`] tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
#[allow(
    missing_docs,
    reason = "each is the key of the same name of `pixelrate_trainer::spec::Training`"
)]
pub struct TrainingKeys {
    pub dataset: Option<String>,
    pub data_folder: Option<PathBuf>,
    pub model: Option<String>,
    pub batch_size: Option<u32>,
    pub epochs: Option<f64>,
    pub train_examples: Option<u64>,
    pub validation_examples: Option<f64>,
    pub optimizer: Option<OptimizerKind>,
    pub momentum: Option<f64>,
    pub beta2: Option<f64>,
    pub epsilon: Option<f64>,
    pub weight_decay: Option<f64>,
    pub eval_every_epochs: Option<f64>,
    pub checkpoint_seconds: Option<f64>,
    pub log_grad_norm: Option<bool>,
    pub device: Option<String>,
    pub threads: Option<u32>,
    pub precision: Option<PrecisionChoice>,
    pub label_smoothing: Option<f64>,
    pub crop_padding: Option<u32>,
    pub crop_padding_mode: Option<PaddingMode>,
    pub flip: Option<Flip>,
    pub normalization: Option<Normalization>,
    pub test_views: Option<u32>,
    pub deterministic: Option<bool>,
}

/// One schedule of a study.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ScheduleEntry {
    /// How the report calls it; by default the plugin's name.
    pub label: Option<String>,
    /// Its parameters; those of a composition's parts are called `part.name`.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// A command of the shell that builds the plugin, called in the study's folder: before the study is planned if the
    /// plugin's file is not there, and whenever a file of `sources` changes while the study runs.
    pub build: Option<String>,
    /// The folder of the sources, from the study's place; by default the plugin's.
    pub sources: Option<PathBuf>,
    /// Keys of training that differ for it, such as `optimizer`.
    #[serde(default)]
    pub training: TrainingKeys,
    /// The folder of the search that its parameters are from, from the study's place: a report tells what they cost.
    pub tuned: Option<PathBuf>,
    /// What gives the rate: a built-in schedule, a file, from the study's place, or a composition, as a file or a table.
    pub plugin: Option<toml::Value>,
    /// Schedules one after another, instead of `plugin`. This and what follows is as in a composition's own file
    /// ([`pixelrate_compose`]).
    pub chain: Option<toml::Value>,
    /// Schedules whose rates are multiplied, instead of `plugin`.
    pub multiply: Option<toml::Value>,
    /// How often it begins anew.
    pub repeat: Option<toml::Value>,
    /// A factor of its rate.
    pub scale: Option<toml::Value>,
    /// What is added to its rate.
    pub offset: Option<toml::Value>,
    /// Bounds of its rate.
    pub clamp: Option<toml::Value>,
    /// How long its rate rises at first.
    pub warmup: Option<toml::Value>,
}

impl ScheduleEntry {
    /// The schedule as it is named from anywhere, the study lying in `place`.
    pub fn schedule(&self, place: &Path) -> String {
        let keys = [
            ("plugin", &self.plugin),
            ("chain", &self.chain),
            ("multiply", &self.multiply),
            ("repeat", &self.repeat),
            ("scale", &self.scale),
            ("offset", &self.offset),
            ("clamp", &self.clamp),
            ("warmup", &self.warmup),
        ];
        let given =
            |(key, value): (&str, &Option<toml::Value>)| Some((key.to_owned(), value.clone()?));
        let table: toml::Table = keys.into_iter().filter_map(given).collect();
        match &self.plugin {
            Some(toml::Value::String(plugin)) if table.len() == 1 => {
                pixelrate_compose::located(plugin, place)
            }
            _ => pixelrate_compose::written(table, place),
        }
    }
}

impl TrainingKeys {
    /// These keys, and `under`'s where these say nothing.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        macro_rules! either {
            ($($key:ident),*) => { Self { $($key: self.$key.clone().or_else(|| under.$key.clone())),* } };
        }
        either!(
            dataset,
            data_folder,
            model,
            batch_size,
            epochs,
            train_examples,
            validation_examples,
            optimizer,
            momentum,
            beta2,
            epsilon,
            weight_decay,
            eval_every_epochs,
            checkpoint_seconds,
            log_grad_norm,
            device,
            threads,
            precision,
            label_smoothing,
            crop_padding,
            crop_padding_mode,
            flip,
            normalization,
            test_views,
            deterministic
        )
    }

    /// All keys, with defaults: batch 128, momentum 0.9, Adam's beta2 0.999 and epsilon 1e-8, no weight decay, labels
    /// as they are, crops of four zeros around a picture, random flips, pictures normalised one by one, one view in testing, a
    /// test each epoch, a checkpoint each minute, any device, one thread, the precision that the processor is good at; data from `PIXELRATE_DATA`, or else from `data` in the working folder.
    ///
    /// # Errors
    /// The name of a key that has no default and is missing.
    pub fn resolve(&self, place: &Path) -> Result<Training, &'static str> {
        let from_environment = || {
            std::env::var_os("PIXELRATE_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from)
        };
        let data = self
            .data_folder
            .as_ref()
            .map_or_else(from_environment, |folder| place.join(folder));
        Ok(Training {
            dataset: self.dataset.clone().ok_or("dataset")?,
            data_folder: std::path::absolute(&data).unwrap_or(data),
            model: self.model.clone().ok_or("model")?,
            batch_size: self.batch_size.unwrap_or(128),
            epochs: self.epochs.ok_or("epochs")?,
            train_examples: self.train_examples.unwrap_or(0),
            validation_examples: self.validation_examples.unwrap_or(0.0),
            optimizer: self.optimizer.unwrap_or(OptimizerKind::Momentum),
            momentum: self.momentum.unwrap_or(0.9),
            beta2: self.beta2.unwrap_or(0.999),
            epsilon: self.epsilon.unwrap_or(1e-8),
            weight_decay: self.weight_decay.unwrap_or(0.0),
            eval_every_epochs: self.eval_every_epochs.unwrap_or(1.0),
            checkpoint_seconds: self.checkpoint_seconds.unwrap_or(60.0),
            log_grad_norm: self.log_grad_norm.unwrap_or(false),
            device: self.device.clone().unwrap_or_else(|| "auto".to_owned()),
            threads: self.threads.unwrap_or(1),
            precision: self.precision.unwrap_or(PrecisionChoice::Auto),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            crop_padding: (self.crop_padding).unwrap_or(Training::default_crop_padding()),
            crop_padding_mode: self.crop_padding_mode.unwrap_or_default(),
            flip: self.flip.unwrap_or_default(),
            normalization: self.normalization.unwrap_or_default(),
            test_views: (self.test_views).unwrap_or(Training::default_test_views()),
            deterministic: self.deterministic.unwrap_or(false),
        })
    }
}

impl StudyFile {
    /// Whether the file is a study's, and not the TOML of a schedule: it says `[study]`.
    pub fn is(path: &Path) -> bool {
        path.extension().is_some_and(|end| end == "toml")
            && std::fs::read_to_string(path).is_ok_and(|text| {
                let table = toml::from_str::<toml::Table>(&text);
                // What is no TOML may be a study that somebody is about to write.
                table.map_or_else(
                    |_| text.contains("[study]"),
                    |table| table.contains_key("study"),
                )
            })
    }

    /// Reads a study's TOML.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Toml`] with line, column and key.
    pub fn read(path: &Path) -> Result<(Self, String), Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let study = toml::from_str(&text).map_err(|source| Error::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok((study, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::file::SearchKeys;

    /// The keys that a table may have, as its parser tells them to who misspells one.
    fn keys_of<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let told = toml::from_str::<T>("no_such_key = 1").map(drop);
        let told = told.unwrap_err().message().to_owned();
        let (_, keys) = told.split_once("expected one of ").unwrap();
        keys.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn every_key_is_on_the_page_that_lists_them() {
        let page = include_str!("../../../experiments/README.md");
        let all = [
            keys_of::<Study>(),
            keys_of::<TrainingKeys>(),
            keys_of::<ScheduleEntry>(),
            keys_of::<Limits>(),
            keys_of::<SearchKeys>(),
        ];
        let all = all.concat();
        assert!(all.len() > 50, "{all:?}");
        for key in all {
            assert!(page.contains(&key), "{key} is not on the page");
        }
    }

    #[test]
    fn a_schedules_own_keys_go_before_the_studys() {
        let keys = |text: &str| toml::from_str::<TrainingKeys>(text).unwrap();
        let study = keys(
            "dataset = 'synthetic'\nmodel = 'convnet'\nepochs = 1\nlabel_smoothing = 0.1\ndeterministic = true",
        );
        let resolved = |keys: &TrainingKeys| keys.resolve(Path::new("")).unwrap();
        let all = resolved(&study);
        assert!(all.deterministic);
        assert_eq!(all.label_smoothing, 0.1);
        let own = keys("deterministic = false\nepochs = 2").over(&study);
        let own = resolved(&own);
        assert!(!own.deterministic);
        assert_eq!((own.label_smoothing, own.epochs), (0.1, 2.0));
        let written = toml::to_string(&study).unwrap();
        assert_eq!(keys(&written), study);
        let little = keys("dataset = 'synthetic'\nmodel = 'convnet'\nepochs = 1");
        assert!(!resolved(&little).deterministic);
    }
}
