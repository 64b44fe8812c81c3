//! Weights & Biases: a file of JSON lines a run, and the script that logs them by the `wandb` package.
//!
//! The first line says what the run is; each of the others is a step and its numbers.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::draft::{self, Draft};
use crate::run::Run;

/// Run by the user's Python, online or offline.
const SCRIPT: &str = include_str!("wandb_import.py");

pub(crate) fn write(run: &Run, out: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), Error> {
    draft::write(out.join("import.py"), SCRIPT.as_bytes())?;
    let mut file = Draft::create(out.join(&run.study).join(format!("{}.jsonl", run.run)))?;
    let refused = file.refused();
    let head = json!({
        "study": run.study,
        "run": run.run,
        "config": run.config,
        "summary": run.summary,
        "started_ms": run.started_ms(),
    });
    writeln!(file, "{head}").map_err(&refused)?;
    run.walk(tell, |point| {
        let mut line = Map::new();
        line.insert("step".to_owned(), point.step.into());
        line.insert("time".to_owned(), (point.time_ms as f64 / 1e3).into());
        for (name, value) in point.values {
            // JSON has no NaN; Python's reader takes what `float` takes.
            let value = serde_json::Number::from_f64(*value)
                .map_or_else(|| Value::from(value.to_string()), Value::from);
            line.insert((*name).to_owned(), value);
        }
        writeln!(file, "{}", Value::Object(line)).map_err(&refused)
    })?;
    file.finish()
}
