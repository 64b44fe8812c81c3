//! `pixelrate query`: SQL over the logs of any number of runs.

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use pixelrate_query::{DuckDb, Error, Format, View, Views};
use pixelrate_study::runs::{self, Filter};

use crate::{say, signals};

/// Query the logs of any number of runs in SQL, with DuckDB.
///
/// The tables are steps, evals, events, runs (a row per run that has ended) and params (each run's settings). Rows that a
/// run under way has not written into Parquet yet are there, too. Without SQL, DuckDB's own shell opens with the tables in
/// it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  pixelrate query \"select schedule, avg(final_eval_accuracy) from runs group by all order by 2 desc\"
  pixelrate query \"describe steps\"
  pixelrate query --file experiments/questions/01-best-schedule.sql --runs runs/demo
  pixelrate query --format csv \"from steps where run = 'cyclic-seed0'\" > steps.csv
  pixelrate query --runs runs/demo      # a shell")]
pub(crate) struct Args {
    /// The query; - reads it from standard input.
    #[arg(conflicts_with = "file")]
    sql: Option<String>,
    /// Read the query from this file.
    #[arg(long, value_name = "FILE.sql")]
    file: Option<PathBuf>,
    /// The folder of a run, of a study, or of all studies (repeatable).
    #[arg(long, value_name = "PATH", default_value = "runs")]
    runs: Vec<PathBuf>,
    /// Only runs that match (repeatable); KEY is run, study, schedule (its label), seed, dataset, model or state.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// table, csv, json, jsonlines or markdown; by default a table in a terminal, and CSV, which leaves no row out,
    /// elsewhere.
    #[arg(long)]
    format: Option<Format>,
    /// Memory that the query may use; beyond it, DuckDB spills to disk.
    #[arg(long, value_name = "SIZE", default_value = "2GB")]
    memory: String,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let duckdb = DuckDb::find()?;
    let sql = args.sql()?;
    let mut folders = Vec::new();
    for path in &args.runs {
        for run in runs::pick(path, &args.filters)? {
            // However its folder is spelt.
            let path = run.path();
            let path = path.canonicalize();
            folders.push(path.with_context(|| format!("cannot find {}", run.path().display()))?);
        }
    }
    // Named twice, by its own path and by its study's, a run's rows are still there once.
    folders.sort();
    folders.dedup();
    let Some(sql) = sql else {
        let views = Views::new(&folders, &View::ALL)?;
        // The shell hears of Ctrl-C itself: it ends a query, and not the shell.
        signals::on_interrupt(|| {})?;
        duckdb.shell(&views, &args.memory)?;
        return Ok(ExitCode::SUCCESS);
    };
    let terminal = std::io::stdout().is_terminal();
    let format = args
        .format
        .unwrap_or(if terminal { Format::Table } else { Format::Csv });
    let views = Views::new(&folders, &View::named_in(&sql))?;
    let answer = duckdb.ask(&views, &sql, format, &args.memory)?;
    signals::on_interrupt(answer.stopper())?;
    match answer.finish() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Error::Stopped) => Ok(ExitCode::from(130)),
        Err(Error::Unread) => Ok(ExitCode::from(say::UNREAD)),
        Err(problem) => Err(problem.into()),
    }
}

impl Args {
    /// The query; `None` for a shell.
    fn sql(&self) -> Result<Option<String>> {
        if let Some(path) = &self.file {
            let text = fs::read_to_string(path);
            return text
                .map(Some)
                .with_context(|| format!("cannot read {}", path.display()));
        }
        match self.sql.as_deref() {
            Some("-") => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .context("cannot read the query from standard input")?;
                Ok(Some(text))
            }
            Some(sql) => Ok(Some(sql.to_owned())),
            None if std::io::stdin().is_terminal() => Ok(None),
            None => bail!(
                "there is no query: give it as an argument, by --file FILE.sql, or as - by standard input; in a terminal, \
                 `pixelrate query` alone opens a shell"
            ),
        }
    }
}
