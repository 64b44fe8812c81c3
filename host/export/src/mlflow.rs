//! MLflow's file store (`mlflow/store/tracking/file_store.py`): an experiment a study, a folder a run, a file a metric with
//! lines of time, value and step.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::path::Path;

use pixelrate_runlog::RunStatus;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::draft::{self, Draft};
use crate::run::Run;
use crate::word;

/// MLflow's `RunStatus`.
const RUNNING: u8 = 1;
const FINISHED: u8 = 3;
const FAILED: u8 = 4;
const KILLED: u8 = 5;

pub(crate) fn write(run: &Run, out: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), Error> {
    // Names that are the same whenever the run is exported: MLflow wants digits for an experiment, 32 hexadecimal digits
    // for a run.
    let experiment = digits(&run.study);
    let digest = Sha256::digest(format!("{}/{}", run.study, run.run));
    let id = hex::encode(&digest[..16]);
    let folder = out.join(&experiment);
    let home = folder.join(&id);
    let uri = |path: &Path| {
        let whole = std::path::absolute(path).map_err(Error::io("find", path))?;
        Ok::<_, Error>(format!("file://{}", whole.display()))
    };

    let mut metrics: BTreeMap<String, Draft> = BTreeMap::new();
    run.walk(tell, |point| {
        for (name, value) in point.values {
            let file = match metrics.entry((*name).to_owned()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(Draft::create(home.join("metrics").join(name))?),
            };
            writeln!(file, "{} {value} {}", point.time_ms, point.step).map_err(file.refused())?;
        }
        Ok(())
    })?;
    metrics.into_values().try_for_each(Draft::finish)?;
    for (name, value) in &run.config {
        let file = home.join("params").join(name);
        draft::write(file, word(value).as_bytes())?;
    }
    let tags = [
        ("mlflow.runName", run.run.clone()),
        ("mlflow.user", "pixelrate".to_owned()),
        ("mlflow.source.name", "pixelrate".to_owned()),
        ("pixelrate.study", run.study.clone()),
        ("pixelrate.folder", run.folder.display().to_string()),
    ];
    for (name, value) in tags {
        draft::write(home.join("tags").join(name), value.as_bytes())?;
    }
    let artifacts = home.join("artifacts");
    std::fs::create_dir_all(&artifacts).map_err(Error::io("make the folder", &artifacts))?;
    let summary = run.summary.as_ref();
    let status = match summary.map(|summary| summary.status) {
        None => RUNNING,
        Some(RunStatus::Finished) => FINISHED,
        Some(RunStatus::Failed | RunStatus::Diverged) => FAILED,
        Some(RunStatus::Stopped) => KILLED,
    };
    // The run's own file last: until it is there, MLflow does not see the run.
    meta(
        &folder,
        &json!({
            "artifact_location": uri(&folder)?,
            "creation_time": run.started_ms(),
            "experiment_id": experiment,
            "last_update_time": run.started_ms(),
            "lifecycle_stage": "active",
            "name": run.study,
        }),
    )?;
    meta(
        &home,
        &json!({
            "artifact_uri": uri(&artifacts)?,
            "end_time": summary.map(|summary| summary.finished_unix_ms),
            "entry_point_name": "",
            "experiment_id": experiment,
            "lifecycle_stage": "active",
            "run_id": id,
            "run_name": run.run,
            "run_uuid": id,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": run.started_ms(),
            "status": status,
            "tags": [],
            "user_id": "pixelrate",
        }),
    )
}

/// A `meta.yaml`: JSON is YAML.
fn meta(folder: &Path, value: &Value) -> Result<(), Error> {
    draft::write(folder.join("meta.yaml"), format!("{value:#}\n").as_bytes())
}

/// A number of 18 digits for a name.
fn digits(name: &str) -> String {
    let digest = Sha256::digest(name);
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{:018}", number % 1_000_000_000_000_000_000)
}
