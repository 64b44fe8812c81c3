//! What a run is: everything that is needed to run it again, as `run.toml` holds it.

mod choices;

use std::path::{Path, PathBuf};

pub use choices::{EvalSplit, Flip, Normalization, OptimizerKind, PaddingMode};
pub use pixelrate_control::ScheduleSpec;
use pixelrate_sandbox::Limits;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::model::{Architecture, NONE};
use crate::precision::{Precision, PrecisionChoice};

/// One run, resolved: no defaults are left to fill in, and paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The study that the run belongs to, a folder name.
    pub study: String,
    /// The run's own name, a folder name, unique in its study.
    pub run: String,
    /// How people call its schedule; runs of one label are averaged over their seeds.
    pub label: String,
    /// The label's place in the study file, from 0: reports keep that order.
    pub label_index: u32,
    /// Seeds the weights, the order of the pictures, their augmentation, dropout and the sandbox.
    pub seed: u64,
    /// What is trained on what.
    pub training: Training,
    /// The schedule in force from the first step.
    pub schedule: ScheduleSpec,
    /// The sandbox's limits.
    #[serde(default)]
    pub limits: Limits,
    /// Whether the file of the schedule in force is watched, and taken over when it changes.
    #[serde(default = "RunSpec::default_watch")]
    pub watch: bool,
    /// The folder of the search that its schedule's parameters are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<PathBuf>,
    /// The run that this one was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// Where a forked run comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The run's study.
    pub study: String,
    /// The run.
    pub run: String,
    /// The first step under another schedule: up to it both are the same.
    pub step: u64,
}

/// Pixels around a picture of 32: more would show less of the picture than of what is around it.
const MOST_PADDING: u32 = 16;

/// What is trained, on what, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// `cifar10`, `cifar100`, `mnist`, `fashion-mnist` or `synthetic`.
    pub dataset: String,
    /// Where the data sets' files lie.
    pub data_folder: PathBuf,
    /// `resnet-20` (any 6n + 2), `mnist-convnet`, `convnet` or `airbench`; `none` is a dry run of the schedule.
    pub model: String,
    /// Pictures a step.
    pub batch_size: u32,
    /// Passes over the training set. Steps are this times the pictures over the batch size, rounded down.
    pub epochs: f64,
    /// Trains on the first so many training pictures only; 0 takes all.
    #[serde(default)]
    pub train_examples: u64,
    /// Holds back so many training pictures, or below 1 this share of them, the last: no run is trained on them, and they are
    /// what it is evaluated on, instead of the test set. 0 holds none back.
    #[serde(default)]
    pub validation_examples: f64,
    /// How parameters are changed.
    pub optimizer: OptimizerKind,
    /// Momentum, or Adam's beta1, where the schedule does not export it.
    pub momentum: f64,
    /// Adam's beta2. `momentum` does not read it.
    pub beta2: f64,
    /// Adam's epsilon. `momentum` does not read it.
    pub epsilon: f64,
    /// Weight decay of every trainable parameter, where the schedule does not export it: an L2 penalty, or AdamW's decay.
    pub weight_decay: f64,
    /// Test the model every so many epochs, and at the end.
    pub eval_every_epochs: f64,
    /// Keep a checkpoint every so many seconds, and at the end.
    pub checkpoint_seconds: f64,
    /// Log the gradient's norm even if the schedule does not read it.
    #[serde(default)]
    pub log_grad_norm: bool,
    /// `cpu`, `cuda` or `cuda:N`; `auto` takes CUDA where there is one.
    pub device: String,
    /// Threads of the run on the CPU.
    pub threads: u32,
    /// In which numbers the model computes.
    #[serde(default)]
    pub precision: PrecisionChoice,
    /// How much of each label is spread evenly over all classes in training (Szegedy et al., 2016). The loss in testing is of
    /// the labels as they are.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Pixels around a training picture, before it is cropped to its size anew each time that it is shown. Of data sets whose
    /// pictures are cropped and flipped: the CIFARs and `synthetic`.
    #[serde(default = "Training::default_crop_padding")]
    pub crop_padding: u32,
    /// What these pixels show.
    #[serde(default)]
    pub crop_padding_mode: PaddingMode,
    /// When a training picture is shown as its mirror image.
    #[serde(default)]
    pub flip: Flip,
    /// How pictures are normalised, of the same data sets.
    #[serde(default)]
    pub normalization: Normalization,
    /// Test-time augmentation: of how many views of a picture the mean logits are evaluated. 1 is the picture itself; 2, its
    /// mirror image, too; 6, both also moved by a pixel to the lower right and to the upper left, each half as much as the
    /// picture (Jordan, 2024, section 3.5).
    #[serde(default = "Training::default_test_views")]
    pub test_views: u32,
    /// Whether CUDA, too, has to give the same bits each time, or else an error where libtorch has no way to do so. It is
    /// slower. On the CPU a run gives the same bits in any case.
    #[serde(default)]
    pub deterministic: bool,
}

impl Training {
    /// As the official CIFAR code has it.
    pub const fn default_crop_padding() -> u32 {
        4
    }

    /// The picture itself.
    pub const fn default_test_views() -> u32 {
        1
    }

    /// Whether nothing is trained, and no data set is read: its model is [`NONE`].
    pub fn is_dry(&self) -> bool {
        self.model == NONE
    }

    /// The keys that change nothing of its data set, whose pictures are shown as they are.
    pub fn keys_without_effect(&self) -> &'static [&'static str] {
        if crate::data::is_augmented(&self.dataset) {
            &[]
        } else {
            &["crop_padding", "crop_padding_mode", "flip", "normalization"]
        }
    }

    /// Whether a run on `device`, as [`Found::device`] names it, gives the same bits each time.
    pub fn repeats(&self, device: &str) -> bool {
        self.deterministic || !device.starts_with("cuda")
    }

    /// How many pictures it holds back, of a training set of `whole`.
    pub fn held_back_of(&self, whole: u64) -> u64 {
        match self.validation_examples {
            share if share < 1.0 => (share * whole as f64) as u64,
            some => some as u64,
        }
    }

    /// How many pictures it trains on, of a training set of `whole`.
    pub fn examples_of(&self, whole: u64) -> u64 {
        let left = whole.saturating_sub(self.held_back_of(whole));
        match self.train_examples {
            0 => left,
            some => some.min(left),
        }
    }

    /// Says so if a training set of `whole` pictures has fewer than are wanted.
    ///
    /// # Errors
    /// [`Error::Spec`] with the key.
    pub fn check_examples(&self, whole: u64) -> Result<(), Error> {
        let (name, held_back) = (&self.dataset, self.held_back_of(whole));
        let wrong = |key: &str, problem: String| Error::Spec {
            key: key.to_owned(),
            problem,
        };
        if held_back >= whole {
            let problem = format!(
                "is {held_back}, and {name} has {whole} training pictures: hold back fewer, or 0 for none"
            );
            return Err(wrong("validation_examples", problem));
        }
        if held_back == 0 && self.validation_examples > 0.0 {
            let share = self.validation_examples;
            let problem = format!("is {share}, which of {whole} training pictures is none");
            return Err(wrong("validation_examples", problem));
        }
        let (wanted, left) = (self.train_examples, whole - held_back);
        if wanted > left {
            let besides = match held_back {
                0 => String::new(),
                some => format!(" besides {some} that are held back"),
            };
            let problem = format!(
                "is {wanted}, and {name} has {left} training pictures{besides}: use at most that, or 0 for all"
            );
            return Err(wrong("train_examples", problem));
        }
        Ok(())
    }

    /// What it is evaluated on.
    pub fn evaluated_on(&self) -> EvalSplit {
        if self.validation_examples > 0.0 {
            EvalSplit::Validation
        } else {
            EvalSplit::Test
        }
    }

    /// Steps of a run over `examples` training pictures: passes times pictures over the batch size, rounded down.
    pub fn total_steps(&self, examples: u64) -> u64 {
        let steps = examples as f64 * self.epochs / f64::from(self.batch_size);
        // A float's last bit must not cost a step.
        (steps + (steps * 1e-12).min(1e-3)) as u64
    }

    /// Steps of one pass over `examples` training pictures, the last of which may reach into the next.
    pub fn steps_per_epoch(&self, examples: u64) -> u64 {
        examples.div_ceil(u64::from(self.batch_size))
    }
}

impl RunSpec {
    /// Whether files are watched, where a study says nothing.
    pub const fn default_watch() -> bool {
        true
    }

    /// Says what is wrong with the numbers and names of this spec.
    ///
    /// # Errors
    /// [`Error::Spec`] names the first key that cannot be and what it may be.
    pub fn check(&self) -> Result<(), Error> {
        let t = &self.training;
        let wrong = |key: &str, problem: String| {
            Err(Error::Spec {
                key: key.to_owned(),
                problem,
            })
        };
        for (key, name) in [("study", &self.study), ("run", &self.run)] {
            let plain = |c: char| c.is_alphanumeric() || "-_.+=,".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                return wrong(
                    key,
                    format!("\"{name}\" cannot name a folder: use letters, digits, - _ . + = ,"),
                );
            }
        }
        if !crate::data::names().any(|name| name == t.dataset) {
            let known = crate::data::names().collect::<Vec<_>>().join(", ");
            return wrong(
                "dataset",
                format!("\"{}\" is not known: use one of {known}", t.dataset),
            );
        }
        if let Err(problem) = t.model.parse::<Architecture>() {
            return wrong("model", problem);
        }
        let held_back = t.validation_examples;
        if !(held_back >= 0.0
            && held_back.is_finite()
            && (held_back < 1.0 || held_back.fract() == 0.0))
        {
            return wrong(
                "validation_examples",
                format!("is {held_back}: must be a number of pictures, or a share of them below 1"),
            );
        }
        if t.batch_size == 0 {
            return wrong("batch_size", "must be at least 1".to_owned());
        }
        if t.threads == 0 {
            return wrong("threads", "must be at least 1".to_owned());
        }
        let positive = [
            ("epochs", t.epochs),
            ("eval_every_epochs", t.eval_every_epochs),
            ("checkpoint_seconds", t.checkpoint_seconds),
            ("epsilon", t.epsilon),
            ("max_learning_rate", self.schedule.max_learning_rate),
        ];
        for (key, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(key, format!("is {value}: must be a finite number above 0"));
            }
        }
        for (key, value) in [("momentum", t.momentum), ("beta2", t.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, format!("is {value}: must be at least 0 and below 1"));
            }
        }
        if !(0.0..1.0).contains(&t.label_smoothing) {
            let found = t.label_smoothing;
            return wrong(
                "label_smoothing",
                format!("is {found}: must be at least 0 and below 1"),
            );
        }
        if t.crop_padding > MOST_PADDING {
            let found = t.crop_padding;
            return wrong(
                "crop_padding",
                format!("is {found}: must be at most {MOST_PADDING} pixels"),
            );
        }
        let defaults = [
            t.crop_padding == Training::default_crop_padding(),
            t.crop_padding_mode == PaddingMode::default(),
            t.flip == Flip::default(),
            t.normalization == Normalization::default(),
        ];
        let mut idle = t.keys_without_effect().iter().zip(defaults);
        if let Some((key, _)) = idle.find(|(_, is_default)| !is_default) {
            let problem = format!(
                "changes nothing of {}, whose pictures are shown as they are: leave it out",
                t.dataset
            );
            return wrong(key, problem);
        }
        if ![1, 2, 6].contains(&t.test_views) {
            let found = t.test_views;
            return wrong("test_views", format!("is {found}: must be 1, 2 or 6"));
        }
        if !(t.weight_decay >= 0.0 && t.weight_decay.is_finite()) {
            return wrong(
                "weight_decay",
                format!("is {}: must be a finite number, 0 or more", t.weight_decay),
            );
        }
        crate::device::parse(&t.device).map(drop)
    }

    /// Reads a `run.toml`.
    ///
    /// # Errors
    /// The file cannot be read, or is not a run: the message names file, line and key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
        let spec: Self = toml::from_str::<RunFile>(&text)
            .map_err(|source| Error::SpecFile {
                path: path.to_owned(),
                source: Box::new(source),
            })?
            .spec;
        spec.check()?;
        Ok(spec)
    }
}

/// `run.toml`: the spec, and what was found out when the run began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    /// What was asked for.
    pub spec: RunSpec,
    /// What it came to. Absent until the run has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

impl RunFile {
    /// Writes the run's `run.toml`, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let text = toml::to_string_pretty(self).map_err(|problem| Error::Spec {
            key: "run.toml".to_owned(),
            problem: problem.to_string(),
        })?;
        Ok(pixelrate_control::write_whole(
            &folder.join("run.toml"),
            text.as_bytes(),
        )?)
    }
}

/// What a run found when it began: enough to tell whether it can be run again alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// SHA-256 of the schedule's file.
    pub schedule_sha256: String,
    /// SHA-256 over the data set's shapes, pixels and labels.
    pub dataset_sha256: String,
    /// Where the data set is from, as [`crate::data::Origin`] says it. Older runs say `official` or `other`.
    #[serde(alias = "dataset_files")]
    pub dataset_origin: String,
    /// Training pictures.
    pub train_examples: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Trainable parameters.
    pub parameters: u64,
    /// The device that trains, such as `cpu` or `cuda:0`.
    pub device: String,
    /// In which numbers the model computes, from the run's first step to its last.
    #[serde(default)]
    pub precision: Precision,
    /// Whether it began with kernels of our own for what has one, where they could be made: they sum in another order than
    /// libtorch's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_kernels: bool,
    /// This program's version.
    pub pixelrate_version: String,
    /// libtorch's version, as far as the build knows it.
    pub libtorch_version: String,
    /// The commit that the program was built from, where it was built in a git checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// Processor, as the system names it.
    pub machine: String,
}

#[cfg(test)]
mod tests {
    use super::OptimizerKind;

    /// What analysts read of the log, in which a run's optimizer is a word.
    const PAGE: &str = include_str!("../../runlog/SCHEMA.md");

    #[test]
    fn the_logs_page_tells_every_optimizer() {
        let rows: Vec<&str> = PAGE
            .lines()
            .filter(|line| line.starts_with("| optimizer |"))
            .collect();
        let words = OptimizerKind::ALL
            .map(|kind| format!("`{kind}`"))
            .join(", ");
        assert_eq!(
            rows,
            [format!("| optimizer | STRING | | no | 1 | {words} |")]
        );
    }
}
