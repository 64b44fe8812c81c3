//! What the plugins of a composition are called, and their parameters from outside.

use std::collections::{BTreeMap, BTreeSet};

use super::{Leaf, Node};
use crate::{Error, Parameter, ParameterKind, Plugin, Value, parameters};

/// What the plugins of a tree are called, in their order: by their labels, the second of a label `label-2`.
pub fn leaf_names(node: &Node) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for Leaf { label, .. } in node.leaves() {
        let others = (2..).map(|number| format!("{label}-{number}"));
        let mut free = std::iter::once(label.clone()).chain(others);
        // There is one: the numbers do not end.
        let name = free.find(|name| !taken.contains(name)).unwrap_or_default();
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// How the parameter `name` of a plugin is called from outside: `part.name`, and `name` alone where a composition has one
/// plugin only.
pub(super) fn outer(names: &[String], index: usize, name: &str) -> String {
    match names {
        [_] => name.to_owned(),
        _ => format!("{}.{name}", names[index]),
    }
}

/// The parameters that the plugins of a composition declare, as they are called from outside, with what the composition
/// gives as their defaults.
pub(crate) fn parameters(names: &[String], leaves: &[&Leaf], plugins: &[Plugin]) -> Vec<Parameter> {
    let mut all = Vec::new();
    for (index, leaf) in leaves.iter().enumerate() {
        let declared = plugins[leaf.plugin].parameters();
        for parameter in declared {
            let mut parameter = parameter.clone();
            let given = leaf.params.get(&parameter.name);
            match (given, parameter.kind) {
                (Some(Value::Number(number)), _) => parameter.default = Some(*number),
                (Some(Value::Text(word)), ParameterKind::Number) => {
                    let place = parameter.choices.iter().position(|choice| choice == word);
                    parameter.default = place.map(|place| place as f64).or(parameter.default);
                }
                (Some(Value::Text(picture)), ParameterKind::Picture) => {
                    parameter.picture = Some(picture.clone());
                }
                (None, _) => {}
            }
            parameter.name = outer(names, index, &parameter.name);
            all.push(parameter);
        }
        // Members of a family that the composition gives.
        for (name, value) in &leaf.params {
            let family = |p: &&Parameter| p.name.ends_with('*') && p.is_called(name);
            if let Some(family) = declared.iter().find(family)
                && let Value::Number(number) = value
            {
                all.push(Parameter {
                    name: outer(names, index, name),
                    default: Some(*number),
                    ..family.clone()
                });
            }
        }
    }
    all
}

/// What each plugin is given: what the composition says, and over it what whoever uses the composition does.
pub(super) fn given(
    whole: &Plugin,
    names: &[String],
    leaves: &[&Leaf],
    outside: &BTreeMap<String, Value>,
) -> Result<Vec<BTreeMap<String, Value>>, Error> {
    let mut given: Vec<_> = leaves.iter().map(|leaf| leaf.params.clone()).collect();
    for (name, value) in outside {
        let place = match (names, name.split_once('.')) {
            ([_], _) => Some((0, name.as_str())),
            (_, Some((part, name))) => {
                let place = names.iter().position(|known| known == part);
                place.map(|place| (place, name))
            }
            _ => None,
        };
        let Some((place, own)) = place else {
            return Err(parameters::misspelt(
                whole.name(),
                whole.parameters(),
                &BTreeMap::new(),
                name,
            ));
        };
        given[place].insert(own.to_owned(), value.clone());
    }
    Ok(given)
}
