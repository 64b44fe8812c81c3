//! What is exported, read back: by TensorBoard's own reader, and by the eye of whoever wrote the formats.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "../../runlog/tests/common/mod.rs"]
mod common;
#[path = "../../../tests/python.rs"]
mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_export::{Error, Format, Progress, Written, export};
use pixelrate_runlog::{RunLog, StepRow};

const STEPS: u64 = 250;

/// The steps of the run: one has a loss that is not a number.
fn row(step: u64) -> StepRow {
    let mut row = step_row(step);
    if step == 7 {
        row.train_loss = Some(f64::NAN);
    }
    row
}

fn run(place: &Path) -> PathBuf {
    let folder = place.join("runs/seed/cyclic-1");
    let mut log = RunLog::create(&folder, identity()).unwrap();
    for step in 0..STEPS {
        log.step(row(step)).unwrap();
        if (step + 1) % 50 == 0 {
            log.eval(eval_row(step + 1)).unwrap();
            log.event(event_row(step + 1)).unwrap();
        }
    }
    log.finish(&summary_row("cyclic-1", STEPS)).unwrap();
    let spec = "[spec]\nstudy = \"seed\"\nrun = \"cyclic-1\"\nseed = 7\n[spec.training]\nmodel = \"resnet-32\"\n\
                [spec.schedule.params]\nmax_lr = 0.1\n[found]\nparameters = 24346\n";
    fs::write(folder.join("run.toml"), spec).unwrap();
    folder
}

/// The files under a folder, by their paths within it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn exported(format: Format) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (run, out) = (run(place.path()), place.path().join("out"));
    let mut last = 0;
    let mut heard = |progress: Progress<'_>| last = progress.steps;
    let written = export(std::slice::from_ref(&run), format, &out, &mut heard).unwrap();
    assert_eq!(
        written,
        Written {
            runs: 1,
            steps: STEPS
        }
    );
    assert_eq!(last, STEPS);
    // Again: the same files, and no drafts.
    let before = files(&out);
    export(&[run], format, &out, &mut |_| {}).unwrap();
    assert_eq!(files(&out), before);
    assert!(before.iter().all(|name| !name.ends_with(".tmp")));
    (place, out)
}

#[test]
fn tensorboard_reads_every_scalar() {
    let Some(python) = python::python() else {
        return;
    };
    let (_place, out) = exported(Format::TensorBoard);
    let program = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps({tag: [(e.step, e.wall_time, repr(e.value)) for e in events.Scalars(tag)]
                  for tag in events.Tags()["scalars"]}))
"#;
    let output = Command::new(python)
        .args(["-c", program])
        .arg(out.join("seed/cyclic-1"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    // Its reader stops at a damaged record and says so.
    assert!(!errors.contains("DataLoss"), "{errors}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tag = |name: &str| {
        let points = found[name].as_array().unwrap().iter();
        let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let point = |p: &serde_json::Value| (p[0].as_u64().unwrap(), number(&p[2]).to_string());
        points.map(point).collect::<Vec<_>>()
    };
    let steps = |get: fn(&StepRow) -> Option<f64>| {
        let rows = (0..STEPS).map(row);
        rows.filter_map(|row| Some((row.step, f64::from(get(&row)? as f32).to_string())))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tag("schedule/learning_rate"),
        steps(|row| Some(row.learning_rate))
    );
    assert_eq!(tag("schedule/momentum"), steps(|row| row.momentum));
    assert_eq!(tag("train/loss"), steps(|row| row.train_loss));
    assert_eq!(tag("train/grad_norm"), steps(|row| row.grad_norm));
    assert!(found.get("schedule/weight_decay").is_none());
    let accuracy: Vec<_> = (1..=STEPS / 50)
        .map(|n| eval_row(50 * n))
        .map(|row| (row.step, f64::from(row.accuracy as f32).to_string()))
        .collect();
    assert_eq!(tag("eval/test/accuracy"), accuracy);
    let times = found["train/grad_norm"].as_array().unwrap().iter();
    let times: Vec<f64> = times.map(|point| point[1].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= 1_525_132_800.0 && times[0] < 1_525_132_801.0);
}

#[test]
fn csv_has_a_file_a_table() {
    let (_place, out) = exported(Format::Csv);
    let names = ["evals", "events", "steps", "summary"];
    assert_eq!(
        files(&out),
        names.map(|name| format!("seed/cyclic-1/{name}.csv"))
    );
    let text = fs::read_to_string(out.join("seed/cyclic-1/steps.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len() as u64, STEPS + 1);
    let header: Vec<&str> = lines[0].split(',').collect();
    let column = |name: &str| header.iter().position(|found| *found == name).unwrap();
    for (line, step) in lines[1..].iter().zip(0..) {
        let (cells, row) = (line.split(',').collect::<Vec<_>>(), row(step));
        assert_eq!(cells[column("run")], "cyclic-1");
        assert_eq!(cells[column("step")], step.to_string());
        let rate: f64 = cells[column("learning_rate")].parse().unwrap();
        assert_eq!(rate.to_bits(), row.learning_rate.to_bits());
        let loss = cells[column("train_loss")];
        match row.train_loss {
            None => assert_eq!(loss, ""),
            Some(loss_held) if loss_held.is_nan() => assert_eq!(loss, "NaN"),
            Some(loss_held) => assert_eq!(loss.parse::<f64>().unwrap(), loss_held),
        }
    }
    let events = fs::read_to_string(out.join("seed/cyclic-1/events.csv")).unwrap();
    assert!(events.contains("2018-05-01T00:00:00.050Z"), "{events}");
}

#[test]
fn mlflow_has_metrics_params_and_tags() {
    let (_place, out) = exported(Format::MlFlow);
    let experiment = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let yaml = |folder: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join("meta.yaml")).unwrap()).unwrap()
    };
    let told = yaml(&experiment);
    assert_eq!(told["name"], "seed");
    let id = told["experiment_id"].as_str().unwrap();
    assert_eq!(experiment.file_name().unwrap(), id);
    assert!(id.chars().all(|c| c.is_ascii_digit()));
    let mut entries = fs::read_dir(&experiment)
        .unwrap()
        .map(|e| e.unwrap().path());
    let home = entries.find(|path| path.is_dir()).unwrap();
    let told = yaml(&home);
    assert_eq!(told["run_name"], "cyclic-1");
    assert_eq!(told["status"], 3);
    assert_eq!(told["end_time"], 1_525_132_812_500_u64);
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
    assert_eq!(read("params/training.model"), "resnet-32");
    assert_eq!(read("params/schedule.params.max_lr"), "0.1");
    assert_eq!(read("tags/mlflow.runName"), "cyclic-1");
    let loss = read("metrics/train/loss");
    let mut lines = loss.lines();
    for row in (0..STEPS).map(row) {
        let Some(held) = row.train_loss else { continue };
        let parts: Vec<&str> = lines.next().unwrap().split(' ').collect();
        assert!(parts[0].parse::<i64>().unwrap() >= 1_525_132_800_000);
        assert_eq!(parts[1].parse::<f64>().unwrap().to_bits(), held.to_bits());
        assert_eq!(parts[2], row.step.to_string());
    }
    assert!(lines.next().is_none());
}

#[test]
fn wandb_has_a_line_a_step_and_the_script() {
    let (_place, out) = exported(Format::Wandb);
    assert_eq!(files(&out), ["import.py", "seed/cyclic-1.jsonl"]);
    let text = fs::read_to_string(out.join("seed/cyclic-1.jsonl")).unwrap();
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let head = lines.next().unwrap();
    assert_eq!(head["config"]["training.model"], "resnet-32");
    assert_eq!(head["summary"]["status"], "finished");
    let (steps, evals): (Vec<_>, Vec<_>) =
        lines.partition(|line| line.get("schedule/learning_rate").is_some());
    assert_eq!(evals.len() as u64, STEPS / 50);
    for (line, row) in steps.iter().zip((0..STEPS).map(row)) {
        assert_eq!(line["step"], row.step);
        assert_eq!(line["schedule/learning_rate"], row.learning_rate);
    }
    assert_eq!(steps.len() as u64, STEPS);
    assert_eq!(steps[7]["train/loss"], "NaN");
}

#[test]
fn two_runs_of_one_name_are_not_mixed() {
    let place = tempfile::tempdir().unwrap();
    let (one, out) = (run(place.path()), place.path().join("out"));
    let other = run(&place.path().join("copy"));
    let told = export(&[one, other], Format::Csv, &out, &mut |_| {}).unwrap_err();
    assert!(matches!(told, Error::Twice { .. }));
    assert!(told.to_string().contains("both hold the run seed/cyclic-1"));
}
