//! Whether a run that goes on is still the one that was begun.

use std::path::{Path, PathBuf};

use pixelrate_trainer::spec::RunSpec;

use crate::Error;

/// As what the run in `folder` was begun; `None` if there is none.
pub(super) fn begun(folder: &Path) -> Result<Option<RunSpec>, Error> {
    let file = folder.join("run.toml");
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(RunSpec::read(&file)?))
}

/// Refuses a folder whose run was begun under another spec.
pub(crate) fn unchanged(spec: &RunSpec, folder: &Path) -> Result<(), Error> {
    match begun(folder)? {
        Some(began) => same(&began, spec, folder),
        None => Ok(()),
    }
}

/// Refuses to go on with the run in `folder`, which began as `began`, under a spec that differs.
pub(super) fn same(began: &RunSpec, spec: &RunSpec, folder: &Path) -> Result<(), Error> {
    // Most are the same to the letter.
    if began == spec {
        return Ok(());
    }
    // Where a label stands in the study may change: it is the order of tables, and of nothing that was trained.
    let moved = RunSpec {
        label_index: spec.label_index,
        ..began.clone()
    };
    refuse(
        folder,
        difference("", &comparable(&moved), &comparable(spec)),
    )
}

/// Refuses to go on in `folder` with what differs: the key, its value then, and its value now.
pub(crate) fn refuse(
    folder: &Path,
    difference: Option<(String, String, String)>,
) -> Result<(), Error> {
    match difference {
        None => Ok(()),
        Some((key, was, is)) => Err(Error::Changed {
            folder: folder.to_owned(),
            key,
            was,
            is,
        }),
    }
}

/// What may not change of a run. Where things lie and how often they are kept may; the number of threads may not: it
/// changes the bits.
pub(crate) fn comparable(spec: &RunSpec) -> serde_json::Value {
    let mut spec = spec.clone();
    spec.training.data_folder = PathBuf::new();
    spec.training.checkpoint_seconds = 1.0;
    spec.schedule.picture_folder = None;
    // Neither what follows a swap nor whether there may be one changes what was trained by now.
    spec.schedule.rollback_steps = 0;
    spec.watch = false;
    // Nor does how its parameters were found.
    spec.tuned = None;
    serde_json::to_value(spec).unwrap_or_default()
}

pub(crate) fn difference(
    key: &str,
    was: &serde_json::Value,
    is: &serde_json::Value,
) -> Option<(String, String, String)> {
    if let (Some(one), Some(other)) = (was.as_object(), is.as_object()) {
        let keys = one.keys().chain(other.keys());
        let null = serde_json::Value::Null;
        return keys.into_iter().find_map(|name| {
            let path = if key.is_empty() {
                name.clone()
            } else {
                format!("{key}.{name}")
            };
            difference(
                &path,
                one.get(name).unwrap_or(&null),
                other.get(name).unwrap_or(&null),
            )
        });
    }
    (was != is).then(|| (key.to_owned(), was.to_string(), is.to_string()))
}
