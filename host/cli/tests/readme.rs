//! README's queries, run by DuckDB on the log of a study that the program ran.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;
#[path = "../../../tests/python.rs"]
mod python;

use std::fs;
use std::process::Command;

use common::{pixelrate, said, study};
use pixelrate_runlog::read_steps;
use serde_json::{Value, json};

const README: &str = include_str!("../../../README.md");

/// Runs every query of standard input, and prints the rows of each as a line of JSON.
const PROGRAM: &str = r#"
import duckdb, json, sys
for query in json.load(sys.stdin):
    print(json.dumps(duckdb.sql(query).fetchall()))
"#;

#[test]
fn the_queries_of_the_readme_answer() {
    let Some(python) = python::python() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let schedules = "[[schedule]]\nplugin = \"cyclic\"\n\n[[schedule]]\nlabel = \"adam\"\nplugin = \"fixed\"\n\
                     params = { learning_rate = 3e-3 }\ntraining = { optimizer = \"adam\" }\n";
    let text = study(60, "[0, 1]", schedules).replace("\"tiny\"", "\"demo\"");
    fs::write(dir.path().join("demo.toml"), text).unwrap();
    let (good, _, err) = said(pixelrate(dir.path()).args(["study", "demo.toml", "--jobs", "2"]));
    assert!(good, "{err}");

    let blocks = README.split("```sql\n").skip(1);
    let queries: Vec<&str> = blocks
        .flat_map(|block| block.split("```").next().unwrap().split(';'))
        .map(str::trim)
        .filter(|query| !query.is_empty())
        .collect();
    assert_eq!(queries.len(), 3);
    let input = dir.path().join("queries.json");
    fs::write(&input, serde_json::to_vec(&queries).unwrap()).unwrap();
    let output = Command::new(python)
        .current_dir(dir.path())
        .args(["-c", PROGRAM])
        .stdin(fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    // A row a schedule, the best first, two seeds each.
    let best = answers[0].as_array().unwrap();
    assert_eq!(best.len(), 2);
    assert!(best.iter().all(|row| row[1] == 2));
    assert!(best[0][2].as_f64() >= best[1][2].as_f64());
    // The first step below a loss of 1, by our own reading.
    let mut expected = Vec::new();
    for run in ["adam-seed0", "adam-seed1", "cyclic-seed0", "cyclic-seed1"] {
        let steps = read_steps(&dir.path().join("runs/demo").join(run)).unwrap();
        let first = steps.iter().find(|row| row.train_loss < Some(1.0));
        expected.extend(first.map(|row| (row.step, json!([run, row.step, row.learning_rate]))));
    }
    expected.sort_by_key(|(step, _)| *step);
    let mut found = answers[1].as_array().unwrap().clone();
    // Runs that come equally early have no order.
    found.sort_by_key(|row| (row[1].as_u64(), row[0].as_str().map(str::to_owned)));
    let expected: Vec<Value> = expected.into_iter().map(|(_, row)| row).collect();
    assert_eq!(found, expected);
    assert_eq!(answers[2].as_array().unwrap().len(), 4);
}
