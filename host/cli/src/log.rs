//! `pixelrate log`: the story of a run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use chrono::DateTime;
use comfy_table::{CellAlignment, Table};
use pixelrate_runlog::{EventKind, EventRow, read_events};
use pixelrate_study::runs::{Look, RunFolder, State};
use pixelrate_trainer::spec::{RunFile, RunSpec};
use serde::Serialize;

use crate::table;

/// Show what happened in a run, at which step, when (UTC), and how long it took, newest last.
///
/// It works during a run, too: what is not in the Parquet files yet is read from the write-ahead log.
#[derive(clap::Args)]
#[command(
    after_help = "Example: pixelrate log runs/demo/cyclic-seed0 --kind swapped,rejected,reverted"
)]
pub(crate) struct Args {
    /// The run's folder.
    folder: PathBuf,
    /// Only events of these kinds, separated by commas: loaded, swapped, rejected, reverted, fault, log, note, checkpoint,
    /// resumed, paused, continued, finished, failed, stopped, judged.
    #[arg(long = "kind", value_name = "KIND,…", value_delimiter = ',')]
    kinds: Vec<EventKind>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Told<'a> {
    run: &'a Path,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_steps: Option<u64>,
    /// Where one that does not run goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumes_at: Option<u64>,
    /// What is to take over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    planned: Vec<String>,
    /// What the run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a RunSpec>,
    events: Vec<Event<'a>>,
}

/// Something that happened.
#[derive(Serialize)]
struct Event<'a> {
    step: u64,
    /// As RFC 3339 has it, in UTC.
    time: String,
    kind: EventKind,
    message: &'a str,
    /// SHA-256 of the schedule that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ns: Option<u64>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let run = RunFolder::open(&args.folder)?;
    let (file, look) = (run.file()?, run.look()?);
    let planned = if look.state.is_over() {
        Vec::new()
    } else {
        run.planned()?
    };
    let mut events = read_events(&args.folder)?;
    let count = events.len();
    events.retain(|row| args.kinds.is_empty() || args.kinds.contains(&row.kind));
    if args.json {
        let told = Told {
            run: run.path(),
            state: look.state,
            step: look.step(),
            total_steps: total_steps(file, &look),
            resumes_at: look.resumes_at,
            planned,
            spec: file.map(|file| &file.spec),
            events: events.iter().map(event).collect(),
        };
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", title(run.path(), file, &look, &planned));
    if count == 0 {
        println!("nothing was logged yet");
    } else if events.is_empty() {
        println!("nothing of that kind happened; {count} other things did");
    } else {
        println!("{}", table(&events));
    }
    Ok(ExitCode::SUCCESS)
}

fn total_steps(file: Option<&RunFile>, look: &Look) -> Option<u64> {
    let found = file.and_then(|file| file.found.as_ref());
    look.total_steps()
        .or_else(|| found.map(|found| found.total_steps))
}

/// What the run is and does, in a line.
fn title(path: &Path, file: Option<&RunFile>, look: &Look, planned: &[String]) -> String {
    let mut parts = Vec::new();
    if let Some(RunFile { spec, .. }) = file {
        parts.push(spec.schedule.told());
        parts.push(format!(
            "{} on {}",
            spec.training.model, spec.training.dataset
        ));
        parts.push(format!("seed {}", spec.seed));
    }
    let total = total_steps(file, look);
    parts.extend(total.map(|total| format!("{total} steps")));
    let parent = file.and_then(|file| file.spec.parent.as_ref());
    parts.extend(parent.map(|parent| {
        format!(
            "forked from {}/{} at step {}",
            parent.study, parent.run, parent.step
        )
    }));
    parts.push(match look.step() {
        Some(step) if Some(step) != total => format!("{} at step {step}", look.state),
        _ => look.state.to_string(),
    });
    let back = look.goes_back_to();
    parts.extend(back.map(|step| format!("resumes at step {step}")));
    parts.extend(planned.iter().map(|told| format!("then {told}")));
    format!("{}: {}", path.display(), parts.join(", "))
}

fn table(events: &[EventRow]) -> Table {
    let mut table = table::table();
    table.set_header(["time, UTC", "step", "", "", "took"]);
    for row in events {
        let (day, time) = utc(row.time_unix_ms);
        table.add_row([
            format!("{day} {time}"),
            row.step.to_string(),
            row.kind.to_string(),
            row.message.clone(),
            row.duration_ns.map(duration).unwrap_or_default(),
        ]);
    }
    for column in [1, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table::wrap(&mut table, &[3]);
    table
}

fn event(row: &EventRow) -> Event<'_> {
    let (day, time) = utc(row.time_unix_ms);
    Event {
        step: row.step,
        time: format!("{day}T{time}Z"),
        kind: row.kind,
        message: &row.message,
        schedule: row.schedule.as_deref(),
        duration_ns: row.duration_ns,
    }
}

/// The day and the time of milliseconds since 1970, in UTC.
fn utc(unix_ms: i64) -> (String, String) {
    // What lies beyond the calendar was not written by a clock.
    let at = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    (
        at.format("%Y-%m-%d").to_string(),
        at.format("%H:%M:%S%.3f").to_string(),
    )
}

/// A duration in the unit that suits it.
fn duration(nanoseconds: u64) -> String {
    let ns = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.1} s", ns / 1e9),
        60_000_000_000..3_600_000_000_000 => {
            let seconds = nanoseconds / 1_000_000_000;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, utc};

    #[test]
    fn times_are_those_of_the_calendar() {
        let told = |ms: i64| {
            let (day, time) = utc(ms);
            format!("{day} {time}")
        };
        // As `date -u -d @SECONDS` has them.
        assert_eq!(told(0), "1970-01-01 00:00:00.000");
        assert_eq!(told(951_782_399_999), "2000-02-28 23:59:59.999");
        assert_eq!(told(951_782_400_000), "2000-02-29 00:00:00.000");
        assert_eq!(told(1_735_689_599_001), "2024-12-31 23:59:59.001");
        assert_eq!(told(-1), "1969-12-31 23:59:59.999");
        assert_eq!(told(4_107_542_400_000), "2100-03-01 00:00:00.000");
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        for (ns, text) in [
            (999, "999 ns"),
            (1_500, "1.5 µs"),
            (2_340_000, "2.3 ms"),
            (59_940_000_000, "59.9 s"),
            (61_000_000_000, "1 min 1 s"),
            (3_661_000_000_000, "1 h 1 min"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }
}
