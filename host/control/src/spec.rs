//! A schedule as a study names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pixelrate_sandbox::{GuardOptions, OnFault, Value};
use serde::{Deserialize, Serialize};

/// Which schedule, with which parameters, held to what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// A built-in schedule's name, the path of a `.wasm` or `.wat` file, or a composition: the path of a `.toml` file, or
    /// its text ([`pixelrate_compose`]).
    pub plugin: String,
    /// Numbers, and names of pictures.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// Where the study's own pictures lie.
    #[serde(default)]
    pub picture_folder: Option<PathBuf>,
    /// The highest learning rate that the trainer takes; more is a fault.
    pub max_learning_rate: f64,
    /// What follows a fault.
    pub on_fault: OnFault,
    /// A schedule that faults within so many steps after it took over is replaced by the one before it; 0: never.
    #[serde(default = "ScheduleSpec::default_rollback_steps")]
    pub rollback_steps: u64,
}

impl ScheduleSpec {
    /// Steps in which a schedule that took over is on probation, where a study says nothing.
    pub const fn default_rollback_steps() -> u64 {
        100
    }

    /// The sandbox's guard for this schedule.
    pub fn guard(&self) -> GuardOptions {
        GuardOptions {
            max_learning_rate: self.max_learning_rate,
            on_fault: self.on_fault,
        }
    }

    /// The plugin's name for people: a file's without its folder and extension.
    pub fn name(&self) -> String {
        pixelrate_compose::name(&self.plugin)
    }

    /// The plugin's file; `None` for a built-in one, and for a composition that lies in no file.
    pub fn file(&self) -> Option<&Path> {
        let path = Path::new(&self.plugin);
        let is_path = path.components().count() > 1 || path.extension().is_some();
        (is_path && !pixelrate_compose::is_inline(&self.plugin)).then_some(path)
    }

    /// The files that the schedule is made of, be they there or not: none for a built-in one, many for a composition.
    pub fn files(&self) -> Vec<PathBuf> {
        if pixelrate_compose::is_composition(&self.plugin) {
            // Which files there are is known whatever their size.
            return pixelrate_compose::resolve(&self.plugin, u64::MAX).files;
        }
        self.file().into_iter().map(Path::to_owned).collect()
    }

    /// The bytes of the schedule's file as it is now, a composition with all of its parts in it; `None` for a built-in one.
    ///
    /// # Errors
    /// [`pixelrate_compose::Error`], if it cannot be read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, pixelrate_compose::Error> {
        if pixelrate_compose::is_composition(&self.plugin) {
            return pixelrate_compose::resolve(&self.plugin, u64::MAX)
                .bytes
                .map(Some);
        }
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| pixelrate_compose::Error::Read {
                path: path.to_owned(),
                source,
            })
        };
        self.file().map(read).transpose()
    }

    /// The schedule in a line: `cosine (max_lr = 0.3, warmup = 100)`.
    pub fn told(&self) -> String {
        if self.params.is_empty() {
            return self.name();
        }
        let params: Vec<String> = self
            .params
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        format!("{} ({})", self.name(), params.join(", "))
    }
}
