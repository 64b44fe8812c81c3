//! `pixelrate search`: the best parameters, or picture, of a schedule.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pixelrate_sandbox::GuardOptions;
use pixelrate_study::counted::count;
use pixelrate_study::lock::StudyLock;
use pixelrate_study::runs::{self, RunFolder};
use pixelrate_study::search::file::{SearchKeys, SearchedSchedule};
use pixelrate_study::search::{self, End, Metric, Search, SearchFile};
use pixelrate_study::spec::Study;
use pixelrate_study::split::{self, Decision, Jobs, Question};
use pixelrate_trainer::spec::ScheduleSpec;

use crate::{signals, training, trial};

/// Search for the best parameters of a schedule, or the best picture, by successive halving: all candidates train for a short
/// while, the best of them for longer, and so on, each with several seeds. After a stop, the same command continues.
#[derive(clap::Args)]
#[command(
    after_help = "Examples: pixelrate search experiments/search-cyclic.toml\n          pixelrate search --schedule cyclic --param max_lr=1e-4..1.0:log --param step_size=20..400\n          pixelrate search --schedule image --pictures my-pictures --epochs 9\n          pixelrate search runs/search-image --confirm 5"
)]
pub(crate) struct Args {
    /// The search's TOML, or the folder of a search that was begun.
    #[arg(required_unless_present = "schedule", conflicts_with_all = FLAGS)]
    search: Option<PathBuf>,
    #[command(flatten)]
    quick: Quick,
    /// Runs in parallel: a number, or auto, which measures how many are quickest [default: the search's `jobs`; else auto,
    /// which skips measuring where the search is short].
    #[arg(long)]
    jobs: Option<Jobs>,
    /// Where the search's folder is made: `RUNS/<search>`.
    #[arg(long, default_value = "runs")]
    runs: PathBuf,
    /// List rungs and candidates, and train nothing.
    #[arg(long)]
    list: bool,
    /// Train the best candidates again with this many seeds that the search did not use, and report those results.
    #[arg(long, value_name = "SEEDS", value_parser = clap::value_parser!(u32).range(1..))]
    confirm: Option<u32>,
    /// How many of the best candidates `--confirm` trains again.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

/// What a search's file says itself.
const FLAGS: [&str; 17] = [
    "schedule",
    "epochs",
    "seeds",
    "search_seed",
    "metric",
    "max_learning_rate",
    "dataset",
    "data_folder",
    "model",
    "batch_size",
    "validation_examples",
    "optimizer",
    "weight_decay",
    "device",
    "threads",
    "precision",
    "deterministic",
];

/// A search of one schedule, without a file.
#[derive(clap::Args)]
#[group(skip)]
struct Quick {
    /// A built-in schedule, a .wasm or .wat file, or a composition (.toml).
    #[arg(long)]
    schedule: Option<String>,
    /// A parameter: a value, choices (A,B,C), or a range (MIN..MAX, MIN..MAX:log; whole numbers where both ends are). If
    /// no picture is given, all of them are candidates.
    #[arg(long = "param", value_name = "NAME=VALUES", requires = "schedule")]
    params: Vec<String>,
    /// Folder of pictures [default: the built-in ones].
    #[arg(long, requires = "schedule")]
    pictures: Option<PathBuf>,
    /// The search's name [default: search-SCHEDULE].
    #[arg(long, requires = "schedule")]
    name: Option<String>,
    /// Number of candidates [default: all combinations of the choices; with a range, at least 27].
    #[arg(long, requires = "schedule")]
    candidates: Option<usize>,
    /// From rung to rung, candidates are divided by this and epochs multiplied by it [default: 3].
    #[arg(long, requires = "schedule")]
    eta: Option<u32>,
    /// Minimum epochs of the first rung [default: epochs over the square of eta].
    #[arg(long, requires = "schedule")]
    min_epochs: Option<f64>,
    /// Passes over the training set: the full budget.
    #[arg(long, default_value_t = 9.0)]
    epochs: f64,
    /// Number of seeds for each candidate, counted from 0.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Seed for drawing the candidates.
    #[arg(long, default_value_t = 0)]
    search_seed: u64,
    /// What candidates are ranked by: accuracy or loss.
    #[arg(long, default_value = "accuracy", value_parser = metric)]
    metric: Metric,
    /// The highest learning rate that the trainer accepts; a higher one is a fault.
    #[arg(long, default_value_t = 10.0)]
    max_learning_rate: f64,
    #[command(flatten)]
    training: training::Args,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let (search, folder) = begun(args)?;
    if args.list {
        list(&search);
        return Ok(ExitCode::SUCCESS);
    }
    if !folder.join(search::FILE).exists()
        && let Err(runs::Error::Many { first, .. }) = RunFolder::open(&folder)
    {
        bail!(
            "{} holds runs of a study, such as {}: name the search otherwise",
            folder.display(),
            first.display()
        );
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = StudyLock::take(&folder)?;
    let stop = signals::stop()?;
    lock.heed(&stop);
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let runs = search.all_runs();
    let question = Question {
        runs: &runs,
        threads_open: false,
        jobs: args.jobs.or(search.jobs),
        folder: &folder,
        program: &program,
    };
    let Some(decision) = trial::busy(trial::MEASURING, || split::decide(&question, &stop))? else {
        eprintln!("stopped before anything was trained");
        return Ok(ExitCode::from(130));
    };
    let Decision { split, why } = decision;
    let jobs = split.runs;
    eprintln!(
        "{}: {} with {} in {}, {split}{}",
        search.name,
        count(search.candidates.len(), "candidate"),
        count(search.seeds.len(), "seed"),
        folder.display(),
        why.map_or_else(String::new, |why| format!(" ({why})"))
    );
    for refused in &search.refused {
        eprintln!("not run: {}: {}", refused.label, refused.problem);
    }
    let told = |line: &str| eprintln!("{line}");
    let mut end = search::run(&search, &folder, &program, jobs, &stop, &told)?;
    if let (End::Found(_), Some(seeds)) = (&end, args.confirm) {
        let wanted = (args.top as usize, seeds as usize);
        end = search::confirm(&search, &folder, wanted, &program, jobs, &stop)?;
    }
    match end {
        End::Stopped => {
            eprintln!("stopped: the same command continues");
            Ok(ExitCode::from(130))
        }
        End::Failed(runs) => {
            for (run, problem) in runs {
                eprintln!("error: {run} failed: {problem}");
            }
            bail!("nothing was ranked, since runs failed: the same command retries them");
        }
        End::Found(_) => {
            let report = search::report(&search, &folder)?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                println!("{}", report.markdown);
                let files = report.files.iter();
                files.for_each(|file| println!("{}", file.display()));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The search, and its folder.
fn begun(args: &Args) -> Result<(Search, PathBuf)> {
    let search = match &args.search {
        Some(folder) if folder.is_dir() => {
            return Ok((Search::of(folder)?, std::path::absolute(folder)?));
        }
        Some(file) => trial::busy(trial::PLANNING, || search::read(file))?,
        None => {
            let file = args.quick.file()?;
            let planned = trial::busy(trial::PLANNING, || search::plan(&file, Path::new(""), ""));
            match planned {
                // There is no file whose line could be told.
                Err(pixelrate_study::Error::Value { problem, .. }) => bail!("{problem}"),
                planned => planned?,
            }
        }
    };
    let folder = std::path::absolute(args.runs.join(&search.name))?;
    Ok((search, folder))
}

fn list(search: &Search) {
    for (number, rung) in search.rungs.iter().enumerate() {
        println!(
            "rung {}: {} candidates to {} epochs (step {})",
            number + 1,
            rung.candidates,
            rung.epochs,
            rung.step
        );
    }
    search
        .candidates
        .iter()
        .for_each(|one| println!("{}", one.label));
    for refused in &search.refused {
        println!("{}: cannot run: {}", refused.label, refused.problem);
    }
}

fn metric(word: &str) -> Result<Metric, String> {
    match word {
        "accuracy" => Ok(Metric::Accuracy),
        "loss" => Ok(Metric::Loss),
        _ => Err("use accuracy or loss".to_owned()),
    }
}

impl Quick {
    /// The file that says the same.
    fn file(&self) -> Result<SearchFile> {
        let plugin = self.schedule.clone().unwrap_or_default();
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| format!("search-{}", pixelrate_compose::name(&plugin)));
        let mut params = std::collections::BTreeMap::new();
        for text in &self.params {
            let Some((name, values)) = text.split_once('=') else {
                bail!("--param {text}: write it as NAME=VALUE, NAME=A,B,C or NAME=MIN..MAX");
            };
            let domain = values
                .parse()
                .map_err(|problem| anyhow::anyhow!("--param {text}: {problem}"))?;
            if params.insert(name.to_owned(), domain).is_some() {
                bail!(
                    "--param {name} is given twice: write its values as one, NAME=A,B,C or NAME=MIN..MAX"
                );
            }
        }
        Ok(SearchFile {
            study: Study {
                name,
                seeds: (0..self.seeds).collect(),
                pictures: self.pictures.clone(),
                jobs: None,
                watch: false,
                rollback_steps: ScheduleSpec::default_rollback_steps(),
            },
            training: self.training.keys(self.epochs),
            guard: GuardOptions {
                max_learning_rate: self.max_learning_rate,
                ..GuardOptions::default()
            },
            limits: Default::default(),
            search: SearchKeys {
                candidates: self.candidates,
                eta: self.eta,
                min_epochs: self.min_epochs,
                seed: self.search_seed,
                metric: self.metric,
            },
            schedule: vec![SearchedSchedule {
                label: None,
                plugin,
                params,
                training: Default::default(),
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, training};

    #[test]
    fn a_file_takes_no_flag_that_says_what_is_trained() {
        let command = <training::Args as clap::Args>::augment_args(clap::Command::new("search"));
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str();
            assert!(FLAGS.contains(&name), "{name} would be passed over");
        }
    }
}
