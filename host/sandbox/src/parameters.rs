//! Which parameters a plugin has: what it declares, and what it was seen to ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::composition::Role;
use crate::lines::clipped;
use crate::{Error, Plugin, RunFacts, Value};

/// Bytes of the text that declares parameters, and how many it may declare.
const MOST_TEXT: usize = 1 << 20;
const MOST: usize = 1_000;

/// A parameter that a plugin declares, by the contract's `parameters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name; one that ends in `*` stands for a numbered family.
    pub name: String,
    /// What it is where a study does not give it.
    #[serde(default)]
    pub default: Option<f64>,
    /// A number or a picture.
    #[serde(default)]
    pub kind: ParameterKind,
    /// What it means, and its unit.
    #[serde(default)]
    pub doc: String,
    /// Names for 0, 1, 2, …, if it has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The picture that a composition gives, for a parameter that names one.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// A number.
    #[default]
    Number,
    /// The name of a picture.
    Picture,
}

impl Parameter {
    /// Whether `name` is this parameter, or a member of this family.
    pub fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(stem) => name
                .strip_prefix(stem)
                .is_some_and(|rest| rest.parse::<u32>().is_ok()),
            None => self.name == name,
        }
    }
}

impl Parameter {
    /// Whether `name` is a member of this family, and `given` has all from the first to it.
    fn has_all_up_to(&self, name: &str, given: &BTreeMap<String, Value>) -> bool {
        let Some(stem) = self.name.strip_suffix('*') else {
            return false;
        };
        let Some(Ok(number)) = name.strip_prefix(stem).map(str::parse::<u32>) else {
            return false;
        };
        // As it is written: 01 is none.
        number > 0
            && name == format!("{stem}{number}")
            && (1..number).all(|n| given.contains_key(&format!("{stem}{n}")))
    }
}

/// The parameters that the text of a plugin's `parameters` declares.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence.
pub(crate) fn read(json: &str) -> Result<Vec<Parameter>, String> {
    if json.len() > MOST_TEXT {
        let bytes = json.len();
        return Err(format!("gave {bytes} bytes, over {MOST_TEXT}"));
    }
    let mut list: Vec<Parameter> = serde_json::from_str(json)
        .map_err(|e| format!("gave what is no JSON list of parameters: {e}"))?;
    for parameter in &mut list {
        let texts = [&mut parameter.name, &mut parameter.doc].into_iter();
        for text in texts.chain(&mut parameter.choices) {
            *text = clipped(text);
        }
    }
    if list.len() > MOST {
        return Err(format!("declare {}, over {MOST}", list.len()));
    }
    let mut names = BTreeSet::new();
    match list.iter().find(|parameter| !names.insert(&parameter.name)) {
        Some(twice) => Err(format!("declare `{}` twice", twice.name)),
        None => Ok(list),
    }
}

/// The number that the study gives for `name`, choices read as their places.
///
/// # Errors
/// What is wrong with the value.
pub(crate) fn number(
    declared: &[Parameter],
    facts: &RunFacts,
    name: &str,
) -> Result<Option<f64>, String> {
    let Some(value) = facts.params.get(name) else {
        return Ok(None);
    };
    let text = match value {
        Value::Number(number) => return Ok(Some(*number)),
        Value::Text(text) => text,
    };
    let choices = declared
        .iter()
        .find(|p| p.is_called(name))
        .map_or(&[][..], |p| &p.choices);
    match choices.iter().position(|choice| choice == text) {
        Some(place) => Ok(Some(place as f64)),
        None if choices.is_empty() => Err(format!("is \"{text}\", and must be a number")),
        None => Err(format!(
            "is \"{text}\", and must be one of {}",
            choices.join(", ")
        )),
    }
}

/// Holds what a plugin is given against what it declares.
pub(crate) fn check_values(whole: &Plugin, role: &Role) -> Result<(), Error> {
    let (declared, facts) = (role.plugin.parameters(), &role.facts);
    for parameter in declared {
        for (name, value) in &facts.params {
            if !parameter.is_called(name) {
                continue;
            }
            let problem = match (parameter.kind, value) {
                (ParameterKind::Number, _) => number(declared, facts, name).err(),
                (ParameterKind::Picture, Value::Number(number)) => Some(format!(
                    "is {number}, and must be the name of a picture: one that is a number is named with its ending, \
                         as {number}.png"
                )),
                (ParameterKind::Picture, Value::Text(_)) => None,
            };
            if let Some(problem) = problem {
                return Err(Error::ParameterValue {
                    plugin: whole.name().to_owned(),
                    name: role.outer(name),
                    problem,
                });
            }
        }
    }
    Ok(())
}

/// The first parameter of the study that is neither declared nor was asked for. A member of a family must have been asked
/// for, or be one of those from 1 on without a gap, which its plugin may read later: any other changes nothing, ever.
/// `asked` is `None` of a plugin that did not come to ask.
pub(crate) fn unknown<'a>(
    declared: &[Parameter],
    asked: Option<&BTreeMap<String, Option<f64>>>,
    facts: &'a RunFacts,
) -> Option<&'a str> {
    let was_asked = |name: &str| asked.is_some_and(|asked| asked.contains_key(name));
    let opens_pictures = declared.iter().any(|p| p.kind == ParameterKind::Picture)
        || was_asked(crate::pictures::FILTER);
    facts.params.keys().map(String::as_str).find(|name| {
        let declares = |p: &Parameter| {
            p.is_called(name)
                && (p.name == *name || asked.is_none() || p.has_all_up_to(name, &facts.params))
        };
        let known = declared.iter().any(declares) || was_asked(name);
        !(known || opens_pictures && *name == crate::pictures::FILTER)
    })
}

/// The error for an unknown parameter, with the right ones, the closest first.
pub(crate) fn misspelt(
    plugin: &str,
    declared: &[Parameter],
    asked: &BTreeMap<String, Option<f64>>,
    given: &str,
) -> Error {
    let mut known: Vec<&str> = declared.iter().map(|p| p.name.as_str()).collect();
    known.extend(
        asked
            .keys()
            .map(String::as_str)
            .filter(|name| !declared.iter().any(|p| p.is_called(name))),
    );
    // In a composition it may lack nothing but its part's name.
    let distance = |name: &str| {
        let own = name.split_once('.').map_or(name, |(_, own)| own);
        let whole = strsim::damerau_levenshtein(name, given);
        whole.min(strsim::damerau_levenshtein(own, given))
    };
    known.sort_by_key(|name| distance(name));
    let family = declared.iter().find(|p| p.is_called(given));
    let family = family.map(|family| {
        format!(
            "members of `{}` must be numbered 1, 2, 3 and so on, without gaps",
            family.name
        )
    });
    let others = || match known.as_slice() {
        [] => "it has none".to_owned(),
        [only] => format!("it has {only}"),
        [closest, ..] if distance(closest) <= 2 => {
            format!("did you mean `{closest}`? It has {}", known.join(", "))
        }
        all => format!("it has {}", all.join(", ")),
    };
    let hint = family.unwrap_or_else(others);
    Error::Parameter {
        plugin: plugin.to_owned(),
        given: given.to_owned(),
        hint,
    }
}
