//! `pixelrate ps`: what runs, where it is, and under which schedule.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{CellAlignment, Table};
use pixelrate_runlog::Held;
use pixelrate_study::runs::{self, Filter, Look, RunFolder, State};
use serde::Serialize;

use crate::table;

/// List the runs under way: how far each is, under which schedule, and in which process.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate ps runs/demo --all --where seed=1")]
pub(crate) struct Args {
    /// The folder of a run, of a study, or of all studies.
    #[arg(default_value = "runs")]
    path: PathBuf,
    /// List runs that have ended or were stopped, too.
    #[arg(long)]
    all: bool,
    /// Only runs that match (repeatable); KEY is run, study, schedule (its label), seed, dataset, model or state. With
    /// a state, runs that have ended are listed too.
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A line of the table. What is not known is left out.
#[derive(Serialize)]
struct Row {
    run: PathBuf,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    /// Where one that does not run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumes_at: Option<u64>,
    /// The same, where that is not the step that it came to.
    #[serde(skip)]
    goes_back_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_steps: Option<u64>,
    /// The schedule in force, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// What is to take over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    planned: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swaps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    train_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let all = args.all || args.filters.iter().any(Filter::is_of_state);
    let found = runs::find(&args.path)?;
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for run in &found {
        // A run that cannot be read hides no other.
        match listed(run, all, &args.filters) {
            Ok(row) => rows.extend(row),
            Err(problem) => problems.push(problem),
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if !rows.is_empty() {
        println!("{}", table(&rows));
    } else if problems.is_empty() {
        println!("{}", nothing(args, all, found.len()));
    }
    for problem in &problems {
        eprintln!("error: {problem:#}");
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The line of a run, if it is one that is asked for.
fn listed(run: &RunFolder, all: bool, filters: &[Filter]) -> Result<Option<Row>> {
    // Most runs of a folder have ended: that question is asked first.
    if !(all || run.held()? != Held::No) || !Filter::all_match(filters, run)? {
        return Ok(None);
    }
    let look = run.look()?;
    // It may have ended since.
    (all || look.state.is_running())
        .then(|| row(run, &look))
        .transpose()
}

fn row(run: &RunFolder, look: &Look) -> Result<Row> {
    let status = look.status.as_ref();
    // A run that is only being prepared has told nothing yet; its spec has.
    let file = match (status, look.total_steps()) {
        (Some(_), Some(_)) => None,
        _ => run.file()?,
    };
    let found = file.and_then(|file| file.found.as_ref());
    Ok(Row {
        run: run.path().to_owned(),
        state: look.state,
        step: look.step(),
        resumes_at: look.resumes_at,
        goes_back_to: look.goes_back_to(),
        total_steps: look
            .total_steps()
            .or_else(|| found.map(|found| found.total_steps)),
        schedule: status
            .map(|status| status.schedule.clone())
            .or_else(|| file.map(|file| file.spec.schedule.told())),
        planned: if look.state.is_over() {
            Vec::new()
        } else {
            run.planned()?
        },
        swaps: status.map(|status| status.swaps),
        learning_rate: status.and_then(|status| status.learning_rate),
        train_loss: look.train_loss(),
        process: look.process,
    })
}

/// What is said where no run is listed.
fn nothing(args: &Args, all: bool, count: usize) -> String {
    let place = args.path.display();
    let such = match args.filters.as_slice() {
        [] => String::new(),
        filters => format!(" with {}", runs::told(filters)),
    };
    if all {
        format!("no run{such} in {place}, which holds {count}")
    } else {
        format!("no run{such} is under way in {place}: --all lists those that have ended, too")
    }
}

/// The schedule in force, and what is to follow it.
fn schedules(row: &Row) -> String {
    let in_force = row.schedule.as_deref().unwrap_or("–");
    let then = row.planned.iter().map(|told| format!(", then {told}"));
    in_force.to_owned() + &then.collect::<String>()
}

fn table(rows: &[Row]) -> Table {
    let mut table = table::table();
    table.set_header([
        "run", "state", "step", "", "schedule", "swaps", "rate", "loss", "process",
    ]);
    for row in rows {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let total = row.total_steps.map(|total| total.to_string());
        let step = row.step.map(|step| format!("{step}/{}", or_dash(total)));
        let share = row
            .step
            .zip(row.total_steps.filter(|total| *total > 0))
            .map(|(step, total)| format!("{:.0} %", (100.0 * step as f64 / total as f64).floor()));
        table.add_row([
            row.run.display().to_string(),
            match row.goes_back_to {
                Some(step) => format!("{}, resumes at {step}", row.state),
                None => row.state.to_string(),
            },
            or_dash(step),
            share.unwrap_or_default(),
            schedules(row),
            or_dash(row.swaps.map(|swaps| swaps.to_string())),
            or_dash(row.learning_rate.map(|rate| format!("{rate:.2e}"))),
            or_dash(row.train_loss.map(|loss| format!("{loss:.3}"))),
            or_dash(row.process.map(|process| process.to_string())),
        ]);
    }
    for column in [2, 3, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // The schedules.
    table::wrap(&mut table, &[4]);
    table
}
