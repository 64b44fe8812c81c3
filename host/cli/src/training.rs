//! What is trained on what, for the commands that train without a study's file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pixelrate_study::spec::TrainingKeys;
use pixelrate_trainer::precision::PrecisionChoice;
use pixelrate_trainer::spec::{OptimizerKind, Training};

/// Keys of training, but for `epochs`.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// cifar10, cifar100, mnist, fashion-mnist or synthetic.
    #[arg(long, default_value = "synthetic")]
    dataset: String,
    /// Folder of the data sets [default: PIXELRATE_DATA, or data].
    #[arg(long)]
    data_folder: Option<PathBuf>,
    /// resnet-N (N = 6n + 2), mnist-convnet, convnet or airbench; none trains nothing: a dry run of the schedule.
    #[arg(long, default_value = "convnet")]
    model: String,
    /// Batch size: pictures per step.
    #[arg(long, default_value_t = 128)]
    batch_size: u32,
    /// Hold back the last N training pictures (below 1: this share of them), and evaluate on them instead of the
    /// test set [default: 0; in a search, 0.1].
    #[arg(long, value_name = "N")]
    validation_examples: Option<f64>,
    /// momentum, nesterov, adam or adamw.
    #[arg(long, default_value = "momentum", value_parser = optimizer)]
    optimizer: OptimizerKind,
    /// Weight decay: an L2 penalty; with adamw, decoupled.
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f64,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads of a run on the CPU.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// auto, float32 or bfloat16; auto is bfloat16 on a CPU or GPU with hardware for it, else float32.
    #[arg(long, default_value = "auto")]
    precision: PrecisionChoice,
    /// On a GPU, compute the same bits each time, so that `pixelrate replay` can verify a run. On one CPU that is always so.
    #[arg(long)]
    deterministic: bool,
}

impl Args {
    /// As the keys of a study.
    pub(crate) fn keys(&self, epochs: f64) -> TrainingKeys {
        TrainingKeys {
            dataset: Some(self.dataset.clone()),
            data_folder: self.data_folder.clone(),
            model: Some(self.model.clone()),
            batch_size: Some(self.batch_size),
            epochs: Some(epochs),
            validation_examples: self.validation_examples,
            optimizer: Some(self.optimizer),
            weight_decay: Some(self.weight_decay),
            device: Some(self.device.clone()),
            threads: Some(self.threads),
            precision: Some(self.precision),
            deterministic: Some(self.deterministic),
            ..TrainingKeys::default()
        }
    }

    /// With all defaults filled in.
    ///
    /// # Errors
    /// Never, since all keys that are needed have a default here.
    pub(crate) fn resolve(&self, epochs: f64) -> Result<Training> {
        let Ok(training) = self.keys(epochs).resolve(Path::new("")) else {
            bail!("--dataset, --model and --epochs are needed");
        };
        Ok(training)
    }

    /// Data set and model, in a few words.
    pub(crate) fn told(&self) -> String {
        format!(
            "{} on {}, {}, batch {}",
            self.model, self.dataset, self.optimizer, self.batch_size
        )
    }
}

fn optimizer(word: &str) -> Result<OptimizerKind, String> {
    match word {
        "momentum" => Ok(OptimizerKind::Momentum),
        "nesterov" => Ok(OptimizerKind::Nesterov),
        "adam" => Ok(OptimizerKind::Adam),
        "adamw" => Ok(OptimizerKind::AdamW),
        _ => Err("use momentum, nesterov, adam or adamw".to_owned()),
    }
}
