//! What a run was asked to do and what it found, as trackers have it: names and values, no tables in tables.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;

/// What `run.toml` holds, its tables flattened: `training.batch_size`, `schedule.params.max_lr`. What was asked for goes by
/// its own names, what the run found begins with `found.`. These are the parameters that MLflow and Weights & Biases are
/// given. Empty for a run that has no `run.toml` yet.
///
/// # Errors
/// The file cannot be read, or is not what pixelrate wrote.
pub fn params(folder: &Path) -> Result<BTreeMap<String, toml::Value>, Error> {
    let path = folder.join("run.toml");
    let table = match fs::read_to_string(&path) {
        Ok(text) => toml::from_str::<toml::Table>(&text).map_err(|source| Error::RunFile {
            path,
            source: Box::new(source),
        })?,
        Err(error) if error.kind() == ErrorKind::NotFound => toml::Table::new(),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    let mut params = BTreeMap::new();
    for (section, value) in table {
        let prefix = if section == "spec" { "" } else { &section };
        flatten(prefix, value, &mut params);
    }
    Ok(params)
}

fn flatten(name: &str, value: toml::Value, into: &mut BTreeMap<String, toml::Value>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if name.is_empty() {
                    key
                } else {
                    format!("{name}.{key}")
                };
                flatten(&name, value, into);
            }
        }
        value => {
            into.insert(name.to_owned(), value);
        }
    }
}

/// A value of `run.toml` as a word, strings without quotation marks.
pub fn word(value: &toml::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
