//! What a schedule is called, and how it is named from anywhere.

use std::path::Path;

use toml::{Table, Value};

use crate::{Error, files, form, is_inline};

/// What people call a schedule: a file's name without folder and extension. A composition that lies in no file is called
/// after what is done last to make it, and its plugin if that is one: `chain`, `warmup-cyclic`.
pub fn name(schedule: &str) -> String {
    if is_inline(schedule) {
        return parsed(schedule).map_or_else(|_| "composition".to_owned(), |it| of_table(&it));
    }
    let path = Path::new(schedule);
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

fn of_table(table: &Table) -> String {
    let last = form::OUTERMOST.iter().find(|key| table.contains_key(**key));
    let plugin = match table.get("plugin") {
        Some(Value::String(plugin)) => Some(name(plugin)),
        Some(Value::Table(table)) => Some(of_table(table)),
        _ => None,
    };
    match (last, plugin) {
        (Some(last), Some(plugin)) => format!("{last}-{plugin}"),
        (Some(last), None) => (*last).to_owned(),
        (None, Some(plugin)) => plugin,
        (None, None) => "composition".to_owned(),
    }
}

/// The name of a schedule that is seen from `folder`, as it is seen from anywhere: the files that it names with their
/// whole paths. What is no good TOML stays as it is, for [`load`](crate::load) to tell.
pub fn located(schedule: &str, folder: &Path) -> String {
    if is_inline(schedule) {
        let table = parsed(schedule);
        return table.map_or_else(|_| schedule.to_owned(), |table| written(table, folder));
    }
    match files::path(schedule, folder) {
        None => schedule.to_owned(),
        Some(path) => {
            let whole = std::path::absolute(&path).unwrap_or(path);
            whole.to_string_lossy().into_owned()
        }
    }
}

/// A composition as a text, its files with their whole paths from `folder`: one text for one table.
pub fn written(table: Table, folder: &Path) -> String {
    let mut value = Value::Table(table);
    locate(&mut value, folder);
    value.to_string()
}

fn locate(value: &mut Value, folder: &Path) {
    match value {
        // Parts of a list may be names alone.
        Value::String(plugin) => *plugin = located(plugin, folder),
        Value::Array(items) => items.iter_mut().for_each(|item| locate(item, folder)),
        Value::Table(table) => {
            let schedules = ["plugin", "chain", "multiply"];
            for (_, value) in table
                .iter_mut()
                .filter(|(key, _)| schedules.contains(&key.as_str()))
            {
                locate(value, folder);
            }
        }
        _ => {}
    }
}

/// The table of a composition that lies in no file.
pub(crate) fn parsed(schedule: &str) -> Result<Table, Error> {
    let problem = |problem: String| Error::Inline {
        keys: Vec::new(),
        problem,
    };
    let read = toml::from_str::<Table>(&format!("it = {schedule}"));
    let mut table =
        read.map_err(|e| problem(format!("it is no table of TOML: {}", e.message())))?;
    match table.remove("it") {
        Some(Value::Table(it)) if table.is_empty() => Ok(it),
        _ => Err(problem("it is more than one table of TOML".to_owned())),
    }
}
