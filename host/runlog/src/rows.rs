//! The rows that a run writes, as plain Rust values. Their columns are described in the crate's documentation.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who writes this log. `study` and `run` become columns of every table, `facts` the files' key-value metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The study's name.
    pub study: String,
    /// The run's name, unique within the study.
    pub run: String,
    /// What else a lone file should tell of itself (versions, device, data set), as `pixelrate.fact.<name>`.
    pub facts: BTreeMap<String, String>,
}

/// One training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// Zero-based number of the step.
    pub step: u64,
    /// Passes over the training set before this step: step * batch size / training examples.
    pub epoch: f64,
    /// The learning rate that reached the optimizer, bit for bit.
    pub learning_rate: f64,
    /// The momentum that reached the optimizer (Adam: beta1), the schedule's or the study's; `None` if there is none to tell.
    pub momentum: Option<f64>,
    /// The weight decay that reached the optimizer, the schedule's or the study's; `None` if there is none to tell.
    pub weight_decay: Option<f64>,
    /// Mean loss of the batch, before the step; NaN if it was NaN, `None` if it was not measured.
    pub train_loss: Option<f64>,
    /// L2 norm of the gradient over all parameters; `None` if it was not measured.
    pub grad_norm: Option<f64>,
    /// Wall time of the whole step, in nanoseconds.
    pub step_ns: u64,
    /// Wall time spent on asking the schedule, in nanoseconds. It may have been asked for some steps at once in the first of
    /// them.
    pub schedule_ns: u64,
    /// SHA-256 of the schedule in force, 64 hexadecimal digits.
    pub schedule: Arc<str>,
    /// How many takeovers there were before this step; 0 under the first schedule. It alone tells two schedules apart that
    /// have the same file and other parameters.
    pub swaps: u64,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRow {
    /// Steps done when it was measured.
    pub step: u64,
    /// Passes over the training set at that time.
    pub epoch: f64,
    /// Which examples: "test", or "validation" where training examples are held back.
    pub split: String,
    /// Mean loss.
    pub loss: f64,
    /// Share of the examples classified rightly, 0 to 1.
    pub accuracy: f64,
    /// How many examples were measured.
    pub examples: u64,
}

/// Something that happened in a run besides its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Steps done when it happened.
    pub step: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub time_unix_ms: i64,
    /// What kind of thing.
    pub kind: EventKind,
    /// SHA-256 of the schedule that it is about, if it is about one: where one was rejected, that of the refused file.
    pub schedule: Option<String>,
    /// For people: the guest's log line, the fault's text, the checkpoint's file.
    pub message: String,
    /// How long it took, in nanoseconds, where that means something.
    pub duration_ns: Option<u64>,
}

/// How a run ended, and the facts that a table of results needs: one row a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The study's name.
    pub study: String,
    /// The run's name.
    pub run: String,
    /// The schedule's label in the study, e.g. "cyclic".
    pub schedule: String,
    /// SHA-256 of the schedule that the run began with.
    pub schedule_sha256: String,
    /// The run's seed.
    pub seed: u64,
    /// The data set, e.g. "cifar10".
    pub dataset: String,
    /// The model, e.g. "resnet-32".
    pub model: String,
    /// The optimizer's name, as the trainer has it: "momentum", "nesterov", "adam" or "adamw".
    pub optimizer: String,
    /// Examples in a batch.
    pub batch_size: u32,
    /// Passes over the training set that were planned.
    pub epochs: f64,
    /// Steps that were planned.
    pub total_steps: u64,
    /// Steps that were done.
    pub steps_done: u64,
    /// How it ended.
    pub status: RunStatus,
    /// Loss of the last batch.
    pub final_train_loss: Option<f64>,
    /// Loss of the last evaluation.
    pub final_eval_loss: Option<f64>,
    /// Accuracy of the last evaluation, 0 to 1.
    pub final_eval_accuracy: Option<f64>,
    /// The best accuracy of any evaluation, 0 to 1.
    pub best_eval_accuracy: Option<f64>,
    /// Seconds that the run took, pauses not counted.
    pub wall_seconds: f64,
    /// When it began, in milliseconds since 1970 (UTC).
    pub started_unix_ms: i64,
    /// When it ended, in milliseconds since 1970 (UTC).
    pub finished_unix_ms: i64,
    /// Why it failed or was dropped, if it was.
    pub error: Option<String>,
    /// `cpu`, or `cuda:0` and so on.
    pub device: String,
    /// Threads that computed.
    pub threads: u32,
    /// Version of pixelrate.
    pub pixelrate_version: String,
    /// The commit that it was built from, if known.
    pub git_commit: Option<String>,
}

/// A word that a column spells out.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the column.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{word}` is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

words! {
    /// What an [`EventRow`] tells of.
    EventKind {
        /// A schedule was loaded and started.
        Loaded = "loaded",
        /// Another schedule took over.
        Swapped = "swapped",
        /// A schedule was offered and refused.
        Rejected = "rejected",
        /// A schedule faulted soon after it took over, and the one before it was put back.
        Reverted = "reverted",
        /// A schedule trapped, ran out of its limits, or gave a value that the guard refused.
        Fault = "fault",
        /// A line that the schedule logged.
        Log = "log",
        /// A remark for the user about how training is going.
        Note = "note",
        /// A checkpoint was written.
        Checkpoint = "checkpoint",
        /// The run went on from a checkpoint.
        Resumed = "resumed",
        /// The run was told to wait.
        Paused = "paused",
        /// It went on after that.
        Continued = "continued",
        /// The run did all its steps.
        Finished = "finished",
        /// The run could not go on.
        Failed = "failed",
        /// The run was told to stop.
        Stopped = "stopped",
        /// A search held the run against others: it goes on, or was dropped.
        Judged = "judged",
    }
}

words! {
    /// How a run ended.
    RunStatus {
        /// All steps were done.
        Finished = "finished",
        /// An error ended it.
        Failed = "failed",
        /// Its loss left the finite numbers.
        Diverged = "diverged",
        /// It was told to stop and can be resumed.
        Stopped = "stopped",
    }
}
