//! What is exported, read back: by TensorBoard's own reader, MLflow's own client and W&B's own package, and by the eye of
//! whoever wrote the formats.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "../../runlog/tests/common/mod.rs"]
mod common;
#[path = "../../../tests/python.rs"]
mod python;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{eval_row, event_row, identity, step_row, summary_row};
use pixelrate_export::{Error, Format, Progress, Written, export};
use pixelrate_runlog::{RunLog, StepRow};
use serde_json::Value;

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

/// What a Python program that is given a path answers, in JSON.
fn answer(python: &OsStr, program: &str, path: &Path, set: &[(&str, &Path)]) -> Value {
    let output = Command::new(python)
        .args(["-c", program])
        .arg(path)
        .envs(set.iter().copied())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    // TensorBoard's reader stops at a damaged record and says so.
    assert!(!errors.contains("DataLoss"), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The steps and values of a metric, as a program tells them: values as Python writes them, which has a word for NaN.
fn points(told: &Value) -> Vec<(u64, String)> {
    let points = told.as_array().unwrap().iter();
    points
        .map(|point| {
            let value: f64 = point[1].as_str().unwrap().parse().unwrap();
            (point[0].as_u64().unwrap(), value.to_string())
        })
        .collect()
}

/// What a metric of the run must be, of all steps that have it.
fn held(get: impl Fn(&StepRow) -> Option<f64>) -> Vec<(u64, String)> {
    let rows = (0..STEPS).map(row);
    rows.filter_map(|row| Some((row.step, get(&row)?.to_string())))
        .collect()
}

fn held_accuracy(as_kept: impl Fn(f64) -> f64) -> Vec<(u64, String)> {
    let rows = (1..=STEPS / 50).map(|n| eval_row(50 * n));
    rows.map(|row| (row.step, as_kept(row.accuracy).to_string()))
        .collect()
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
print(json.dumps({tag: [(e.step, repr(e.value), e.wall_time) for e in events.Scalars(tag)]
                  for tag in events.Tags()["scalars"]}))
"#;
    let found = answer(&python, program, &out.join("seed/cyclic-1"), &[]);
    let tag = |name: &str| points(&found[name]);
    // Its scalars are of single precision.
    let single = |value: f64| f64::from(value as f32);
    let steps = |get: fn(&StepRow) -> Option<f64>| held(|row| get(row).map(single));
    assert_eq!(
        tag("schedule/learning_rate"),
        steps(|row| Some(row.learning_rate))
    );
    assert_eq!(tag("schedule/momentum"), steps(|row| row.momentum));
    assert_eq!(tag("train/loss"), steps(|row| row.train_loss));
    assert_eq!(tag("train/grad_norm"), steps(|row| row.grad_norm));
    assert!(found.get("schedule/weight_decay").is_none());
    assert_eq!(tag("eval/test/accuracy"), held_accuracy(single));
    let times = found["train/grad_norm"].as_array().unwrap().iter();
    let times: Vec<f64> = times.map(|point| point[2].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= 1_525_132_800.0 && times[0] < 1_525_132_801.0);
}

#[test]
fn a_run_is_exported_once_however_its_times_were_told_before() {
    let (place, out) = exported(Format::TensorBoard);
    let older = out.join("seed/cyclic-1/events.out.tfevents.1525132799.pixelrate");
    let another = out.join("seed/cyclic-1/events.out.tfevents.1525132799.mine");
    for path in [&older, &another] {
        fs::write(path, "").unwrap();
    }
    let run = place.path().join("runs/seed/cyclic-1");
    export(&[run], Format::TensorBoard, &out, &mut |_| {}).unwrap();
    assert!(!older.exists() && another.exists());
    assert_eq!(files(&out).len(), 2);
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
fn mlflow_s_own_client_reads_every_metric() {
    let Some(python) = python::python() else {
        return;
    };
    let (_place, out) = exported(Format::MlFlow);
    let program = r#"
import json, pathlib, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(pathlib.Path(sys.argv[1]).as_uri())
[experiment] = client.search_experiments()
[run] = client.search_runs([experiment.experiment_id])
def history(name):
    return [(point.step, repr(point.value)) for point in client.get_metric_history(run.info.run_id, name)]
print(json.dumps({"experiment": experiment.name, "run": run.info.run_name, "status": run.info.status,
                  "params": run.data.params, "metrics": {name: history(name) for name in run.data.metrics}}))
"#;
    // Its file store is in maintenance, which it wants to hear acknowledged.
    let allowed = [("MLFLOW_ALLOW_FILE_STORE", Path::new("true"))];
    let told = answer(&python, program, &out, &allowed);
    assert_eq!(told["experiment"], "seed");
    assert_eq!(
        (&told["run"], &told["status"]),
        (&"cyclic-1".into(), &"FINISHED".into())
    );
    assert_eq!(told["params"]["training.model"], "resnet-32");
    let metric = |name: &str| points(&told["metrics"][name]);
    assert_eq!(
        metric("schedule/learning_rate"),
        held(|row| Some(row.learning_rate))
    );
    assert_eq!(metric("train/loss"), held(|row| row.train_loss));
    assert_eq!(metric("train/grad_norm"), held(|row| row.grad_norm));
    assert_eq!(metric("eval/test/accuracy"), held_accuracy(|value| value));
}

#[test]
fn wandb_s_own_package_logs_every_number() {
    let Some(python) = python::python() else {
        return;
    };
    let (place, out) = exported(Format::Wandb);
    // What is logged offline is what `wandb sync` uploads: records of the file format of LevelDB's log, each a message.
    let program = r#"
import contextlib, json, os, pathlib, runpy, struct, sys, time
import wandb
from wandb.proto.wandb_internal_pb2 import Record

sys.argv = sys.argv[1:]
with contextlib.redirect_stdout(sys.stderr):
    runpy.run_path(sys.argv[0], run_name="__main__")
    wandb.teardown()

def records(data):
    at, message = 7, b""
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        message += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield Record.FromString(message)
            message = b""

[file] = pathlib.Path(os.environ["WANDB_DIR"]).glob("wandb/offline-run-*/*.wandb")
# A process of W&B's own writes it, and its last record says that the run has ended.
for _ in range(300):
    found = list(records(file.read_bytes()))
    if any(record.WhichOneof("record_type") == "exit" for record in found):
        break
    time.sleep(0.1)
told = {"metrics": {}, "summary": {}}
for record in found:
    match record.WhichOneof("record_type"):
        case "run":
            told |= {"group": record.run.run_group, "run": record.run.display_name}
            told["config"] = {item.key: item.value_json for item in record.run.config.update}
        case "summary":
            told["summary"] |= {item.key: item.value_json for item in record.summary.update}
        case "history":
            line = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            for name, value in line.items():
                told["metrics"].setdefault(name, []).append((line["_step"], repr(float(value))))
print(json.dumps(told))
"#;
    let told = answer(
        &python,
        program,
        &out.join("import.py"),
        &[
            ("WANDB_MODE", Path::new("offline")),
            ("WANDB_DIR", place.path()),
            ("WANDB_CONFIG_DIR", place.path()),
            ("WANDB_CACHE_DIR", place.path()),
            ("WANDB_SILENT", Path::new("true")),
        ],
    );
    assert_eq!(
        (&told["group"], &told["run"]),
        (&"seed".into(), &"cyclic-1".into())
    );
    assert_eq!(told["config"]["training.model"], "\"resnet-32\"");
    assert_eq!(told["summary"]["status"], "\"finished\"");
    let metric = |name: &str| points(&told["metrics"][name]);
    assert_eq!(
        metric("schedule/learning_rate"),
        held(|row| Some(row.learning_rate))
    );
    assert_eq!(metric("train/loss"), held(|row| row.train_loss));
    assert_eq!(metric("eval/test/accuracy"), held_accuracy(|value| value));
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
