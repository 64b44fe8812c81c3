//! The views that a query asks: which files, and the SQL that makes tables of them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use pixelrate_export::{params, word};
use pixelrate_runlog::{Table, source};
use tempfile::TempDir;

use crate::Error;

/// A view that a query may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A row a training step.
    Steps,
    /// A row an evaluation.
    Evals,
    /// A row a thing that happened.
    Events,
    /// A row a run that has ended.
    Runs,
    /// A row a setting of a run.
    Params,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Steps,
        Self::Evals,
        Self::Events,
        Self::Runs,
        Self::Params,
    ];

    /// Its name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Evals => "evals",
            Self::Events => "events",
            Self::Runs => "runs",
            Self::Params => "params",
        }
    }

    /// The views that `sql` may ask: those whose names stand in it. Each costs a look at the files of all runs.
    pub fn named_in(sql: &str) -> Vec<Self> {
        let words = || sql.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        // DuckDB can list the views without naming one: `show tables`, `pragma show_tables`, `from duckdb_tables()`, …
        let asks_for_all = words().any(|word| {
            let word = word.to_ascii_lowercase();
            let listings = ["show", "describe", "pragma", "information_schema"];
            let catalogues = ["duckdb_", "sqlite_", "pg_", "pragma_", "show_"];
            listings.contains(&word.as_str())
                || catalogues.iter().any(|start| word.starts_with(start))
        });
        let named = |view: &Self| words().any(|word| word.eq_ignore_ascii_case(view.as_str()));
        Self::ALL
            .into_iter()
            .filter(|view| asks_for_all || named(view))
            .collect()
    }

    fn table(self) -> Option<Table> {
        match self {
            Self::Steps => Some(Table::Steps),
            Self::Evals => Some(Table::Evals),
            Self::Events => Some(Table::Events),
            Self::Runs => Some(Table::Summary),
            Self::Params => None,
        }
    }
}

/// Views of runs as they were at one moment, ready for a query. What it wrote for them is gone when it is dropped.
#[derive(Debug)]
pub struct Views {
    scratch: TempDir,
    setup: PathBuf,
    files: Vec<PathBuf>,
}

impl Views {
    /// Makes `views` of the runs in these folders. No Parquet file of theirs is opened.
    ///
    /// # Errors
    /// A log that cannot be read, a path that is not UTF-8, or the disk's.
    pub fn new(runs: &[PathBuf], views: &[View]) -> Result<Self, Error> {
        let scratch = tempfile::Builder::new()
            .prefix("pixelrate-query-")
            .tempdir()
            .map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
        let mut files = Vec::new();
        let mut sql = String::new();
        for view in views {
            let source = match view.table() {
                Some(table) => tables_files(runs, table, scratch.path(), &mut files)?,
                None => settings(runs, scratch.path())?,
            };
            // Writing into a String cannot fail.
            let _ = writeln!(
                sql,
                "create view {} as select * from {source};",
                view.as_str()
            );
        }
        let spill = quoted(utf8(&scratch.path().join("spilled"))?);
        let _ = writeln!(sql, "set temp_directory = {spill};");
        // The answer may look at a file more than once.
        sql.push_str("set parquet_metadata_cache = true;\n");
        let setup = scratch.path().join("setup.sql");
        std::fs::write(&setup, sql).map_err(Error::io("write", &setup))?;
        Ok(Self {
            scratch,
            setup,
            files,
        })
    }

    /// The SQL that makes the views, for a DuckDB that stands where this process does.
    pub(crate) fn setup(&self) -> &Path {
        &self.setup
    }

    /// A folder that lives as long as the views.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A file of the views that is not there any more.
    pub(crate) fn gone(&self) -> Option<&Path> {
        self.files
            .iter()
            .map(PathBuf::as_path)
            .find(|file| !file.exists())
    }
}

/// A table's Parquet files of all runs, as a source in SQL.
///
/// The first file is one that we write: the rows that are in no part yet, often none. It has every column of the newest
/// schema in its order, whatever the versions of the others, and lets a table be empty.
fn tables_files(
    runs: &[PathBuf],
    table: Table,
    scratch: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<String, Error> {
    let newest = scratch.join(format!("{}.parquet", table.as_str()));
    let failed = |source| Error::Parquet {
        path: newest.clone(),
        source,
    };
    let file = File::create(&newest).map_err(Error::io("create", &newest))?;
    let mut writer = ArrowWriter::try_new(file, table.schema(), None).map_err(failed)?;
    let mut sql = format!("read_parquet([{}", text(&newest)?);
    for run in runs {
        let source = source(run, table)?;
        for batch in &source.rest {
            writer.write(batch).map_err(failed)?;
        }
        for part in source.parts {
            // Writing into a String cannot fail.
            let _ = write!(sql, ",\n  {}", text(&part)?);
            files.push(part);
        }
    }
    writer.close().map_err(failed)?;
    sql.push_str("], union_by_name = true)");
    Ok(sql)
}

/// The settings of all runs, as a source in SQL.
fn settings(runs: &[PathBuf], scratch: &Path) -> Result<String, Error> {
    let path = scratch.join("params.jsonl");
    let failed = |source| Error::io("write", &path)(source);
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    for run in runs {
        let settings = params(run)?;
        // A run in its first moment has no run.toml, and no settings to tell.
        let (Some(study), Some(name)) = (settings.get("study"), settings.get("run")) else {
            continue;
        };
        let (study, name) = (word(study), word(name));
        for (key, value) in &settings {
            let row = serde_json::json!({ "study": study, "run": name, "name": key, "value": word(value) });
            writeln!(file, "{row}").map_err(failed)?;
        }
    }
    file.flush().map_err(failed)?;
    Ok(format!(
        "read_json({}, format = 'newline_delimited', \
         columns = {{study: 'VARCHAR', run: 'VARCHAR', name: 'VARCHAR', value: 'VARCHAR'}})",
        text(&path)?
    ))
}

/// A path as a string of SQL that names that very file: DuckDB takes a star in it for a pattern.
fn text(path: &Path) -> Result<String, Error> {
    let mut pattern = String::new();
    for letter in utf8(path)?.chars() {
        match letter {
            '*' | '?' | '[' => pattern.extend(['[', letter, ']']),
            _ => pattern.push(letter),
        }
    }
    Ok(quoted(&pattern))
}

fn utf8(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::Path(path.to_owned()))
}

/// A string of SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_asked_where_its_name_stands_as_a_word() {
        let named = View::named_in("select * from Steps join \"runs\" using (run) -- evals_of");
        assert_eq!(named, [View::Steps, View::Runs]);
        assert_eq!(View::named_in("select 1"), []);
        assert_eq!(View::named_in("show tables"), View::ALL);
    }

    #[test]
    fn a_path_is_that_file_and_no_pattern() {
        let quoted = text(Path::new("runs/it's [1]*/a.parquet")).unwrap();
        assert_eq!(quoted, "'runs/it''s [[]1][*]/a.parquet'");
    }
}
