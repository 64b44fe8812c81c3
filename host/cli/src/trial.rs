//! A plugin outside any study: loaded while the user is told what takes so long, and told of a run that is not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use pixelrate_sandbox::{Engine, EngineOptions, Limits, ParameterKind, Plugin, RunFacts, Value};

use crate::run;

/// Pictures that a batch has here, as in the post.
const BATCH: u32 = 128;
/// The picture that a plugin is given which wants one and was given none.
const PICTURE: &str = "mona_lisa";

/// What takes so long before a study begins.
pub(crate) const PLANNING: &str = "planning: compiling and rehearsing the schedules";

/// What is found out then.
pub(crate) const MEASURING: &str = "measuring how many runs side by side are quickest";

/// A run that is not there: how long it is, and where its pictures are. A study has its own.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Run {
    /// Steps of the run [default: 10000].
    #[arg(long)]
    steps: Option<u64>,
    /// Steps of an epoch [default: 391].
    #[arg(long)]
    steps_per_epoch: Option<u64>,
    /// Folder of your own pictures; they go before built-in ones of the same name.
    #[arg(long)]
    pictures: Option<PathBuf>,
}

impl Run {
    /// What a plugin is told of it.
    pub(crate) fn facts(&self, params: BTreeMap<String, Value>) -> Result<RunFacts> {
        facts(
            self.steps.unwrap_or(10_000),
            self.steps_per_epoch.unwrap_or(391),
            params,
            self.pictures.clone(),
        )
    }

    /// The first option that says something of it.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--steps", self.steps.is_some()),
            ("--steps-per-epoch", self.steps_per_epoch.is_some()),
            ("--pictures", self.pictures.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(option, given)| given.then_some(option))
    }
}

/// The run that one plugin is told of.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// A parameter of the schedule (repeatable).
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    #[command(flatten)]
    run: Run,
}

impl Args {
    /// What `plugin` is told. A picture that it declares and was not given is a built-in one.
    pub(crate) fn facts(&self, plugin: &Plugin) -> Result<RunFacts> {
        let mut facts = self.run.facts(run::params(&self.params)?)?;
        fill_pictures(plugin, &mut facts);
        Ok(facts)
    }
}

/// Gives `plugin` a built-in picture for each that it declares and was not given.
pub(crate) fn fill_pictures(plugin: &Plugin, facts: &mut RunFacts) {
    let pictures = plugin
        .parameters()
        .iter()
        .filter(|parameter| parameter.kind == ParameterKind::Picture)
        // A family's members are the user's to count.
        .filter(|parameter| !parameter.name.ends_with('*'))
        // A composition may give it.
        .filter(|parameter| parameter.picture.is_none());
    for parameter in pictures {
        facts
            .params
            .entry(parameter.name.clone())
            .or_insert_with(|| Value::Text(PICTURE.to_owned()));
    }
}

/// A run of so many steps, without a data set.
pub(crate) fn facts(
    steps: u64,
    steps_per_epoch: u64,
    params: BTreeMap<String, Value>,
    pictures: Option<PathBuf>,
) -> Result<RunFacts> {
    if steps == 0 || steps_per_epoch == 0 {
        anyhow::bail!("--steps and --steps-per-epoch must be at least 1");
    }
    pictures.as_deref().map(is_picture_folder).transpose()?;
    let data = std::env::var_os("PIXELRATE_DATA").map_or_else(|| "data".into(), PathBuf::from);
    Ok(RunFacts {
        total_steps: steps,
        steps_per_epoch,
        train_examples: steps_per_epoch.saturating_mul(u64::from(BATCH)),
        batch_size: BATCH,
        seed: 0,
        params,
        pictures: pixelrate_trainer::pictures::from(pictures, &data, &Limits::default()),
    })
}

/// Refuses what is no folder, for one of pictures.
pub(crate) fn is_picture_folder(named: &Path) -> Result<()> {
    if !named.is_dir() {
        anyhow::bail!("--pictures: {} is not a folder", named.display());
    }
    Ok(())
}

/// An engine as a trainer has it, for someone who waits for it.
pub(crate) fn engine() -> Result<Engine> {
    Ok(Engine::new(&EngineOptions {
        parallel_compilation: true,
        ..EngineOptions::default()
    })?)
}

/// Loads a plugin. Large ones take seconds to compile the first time: a terminal says so meanwhile.
pub(crate) fn load(engine: &Engine, name: &str) -> Result<Plugin> {
    let message = format!("compiling {name} (cached for next time)");
    Ok(busy(&message, || pixelrate_compose::load(engine, name))?)
}

/// Tells a terminal what takes so long, while it does.
pub(crate) fn busy<T>(message: &str, work: impl FnOnce() -> T) -> T {
    let spinner = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
    spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.set_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(150));
    let done = work();
    spinner.finish_and_clear();
    done
}
