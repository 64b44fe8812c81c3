//! Values of a table, and what is said of those that cannot be.

use toml::{Table, Value};

use crate::Error;

/// What is wrong, and with which key.
#[derive(Debug)]
pub(crate) enum Problem {
    /// In the table that is being read: the keys that lead there, and what is wrong.
    Here(Vec<String>, String),
    /// In another file, or with a plugin, which tells its place itself.
    There(Error),
}

impl Problem {
    pub(crate) fn at(keys: &[&str], problem: impl Into<String>) -> Self {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Self::Here(keys, problem.into())
    }

    /// The same, seen from the table in which `key` leads to this one.
    pub(crate) fn below(self, key: impl ToString) -> Self {
        match self {
            Self::Here(mut keys, problem) => {
                keys.insert(0, key.to_string());
                Self::Here(keys, problem)
            }
            there => there,
        }
    }
}

/// Refuses keys that a table may not have, and names those that it may. `of`: what the table is.
pub(crate) fn known(table: &Table, of: &str, may: &[&str]) -> Result<(), Problem> {
    let Some(key) = table.keys().find(|key| !may.contains(&key.as_str())) else {
        return Ok(());
    };
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, key);
    let closest = may.iter().min_by_key(distance);
    let guess = match closest.filter(|known| distance(known) <= 2) {
        Some(known) => format!("did you mean `{known}`? It may have "),
        None => "it may have ".to_owned(),
    };
    let problem = format!("{of} has no key `{key}`: {guess}{}", may.join(", "));
    Err(Problem::at(&[key], problem))
}

/// What a value is, to somebody who wrote it.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// What is wrong with a value that is of another kind than it must be.
pub(crate) fn must_be(key: &str, value: &Value, what: &str) -> Problem {
    let found = told(value);
    Problem::at(&[key], format!("`{key}` is {found}: must be {what}"))
}

/// The number that `key` has.
pub(crate) fn number(table: &Table, key: &str) -> Result<Option<f64>, Problem> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Float(number)) => Ok(Some(*number)),
        Some(Value::Integer(number)) => Ok(Some(*number as f64)),
        Some(other) => Err(must_be(key, other, "a number")),
    }
}

/// The whole number, 1 or more, that `key` has.
pub(crate) fn count(table: &Table, key: &str) -> Result<Option<u64>, Problem> {
    let whole = "a whole number, 1 or more";
    match table.get(key) {
        None => Ok(None),
        Some(value @ Value::Integer(number)) => match u64::try_from(*number) {
            Ok(number @ 1..) => Ok(Some(number)),
            _ => Err(must_be(key, value, whole)),
        },
        Some(other) => Err(must_be(key, other, whole)),
    }
}

/// The word that `key` has.
pub(crate) fn word<'a>(table: &'a Table, key: &str) -> Result<Option<&'a str>, Problem> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(word)) => Ok(Some(word)),
        Some(other) => Err(must_be(key, other, "a text")),
    }
}

/// The table that `key` has.
pub(crate) fn table<'a>(
    table: &'a Table,
    key: &str,
    example: &str,
) -> Result<Option<&'a Table>, Problem> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(other) => Err(must_be(key, other, &format!("a table, such as {example}"))),
    }
}
