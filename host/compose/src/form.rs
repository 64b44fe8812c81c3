//! The form of a composition: TOML to tree.

use std::collections::BTreeMap;
use std::path::Path;

use pixelrate_sandbox::Value;
use pixelrate_sandbox::composition::{
    Clock, Every, Leaf, Length, Link, MOST_DEPTH, Node, leaf_names,
};
use toml::{Table, Value as Toml};

use crate::files::{Found, Reader};
use crate::keys::{Problem, count, known, must_be, number, table, word};
use crate::{Error, Places, is_inline, name};

/// The keys of a schedule: what gives the rate (`plugin`, `chain` or `multiply`), and what is done to it, in this order.
pub const KEYS: [&str; 10] = [
    "plugin", "params", "label", "chain", "multiply", "repeat", "scale", "offset", "clamp",
    "warmup",
];

/// What may be done to make a schedule, from what is done last.
pub(crate) const OUTERMOST: [&str; 7] = [
    "warmup", "clamp", "offset", "scale", "repeat", "chain", "multiply",
];

/// Keys that a part of a chain has besides.
const OF_LINK: [&str; 4] = ["steps", "epochs", "fraction", "clock"];

/// Reads the composition that `schedule` names.
pub(crate) fn whole(schedule: &str, reader: &mut Reader) -> Result<Node, Error> {
    if !is_inline(schedule) {
        return file(Path::new(schedule), reader, MOST_DEPTH);
    }
    let table = name::parsed(schedule)?;
    let mut form = Form {
        reader,
        folder: Path::new(""),
    };
    form.node(&table, "a schedule", &[], MOST_DEPTH)
        .map_err(|problem| match problem {
            Problem::Here(keys, problem) => Error::Inline { keys, problem },
            Problem::There(error) => error,
        })
}

fn file(path: &Path, reader: &mut Reader, depth: usize) -> Result<Node, Error> {
    reader.text(path, |reader, text| {
        let table = toml::from_str::<Table>(text).map_err(|source| Error::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let mut form = Form {
            reader,
            folder: path.parent().unwrap_or(Path::new("")),
        };
        let read = form.node(&table, "a composition", &[], depth);
        read.map_err(|problem| match problem {
            Problem::Here(keys, problem) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                // The innermost key that is in the file.
                let all: Vec<&[&str]> = (1..=keys.len()).rev().map(|n| &keys[..n]).collect();
                let hint = match table.contains_key("study") {
                    true => " (is it a study? `pixelrate study` runs it)",
                    false => "",
                };
                Error::Value {
                    path: path.to_owned(),
                    line: Places::of(text).first_line(&all),
                    problem: format!("{problem}{hint}"),
                }
            }
            Problem::There(error) => error,
        })
    })
}

/// Reads tables of one file, or of a text.
struct Form<'a> {
    reader: &'a mut Reader,
    /// Where its names are seen from.
    folder: &'a Path,
}

impl Form<'_> {
    /// The schedule of `table`. `of` is what messages call it; `more` are keys that it has besides.
    fn node(
        &mut self,
        table: &Table,
        of: &str,
        more: &[&str],
        depth: usize,
    ) -> Result<Node, Problem> {
        let Some(depth) = depth.checked_sub(1) else {
            let problem = format!("its parts are nested more than {MOST_DEPTH} deep");
            return Err(Problem::at(&[], problem));
        };
        // Whatever is wrong here, the files that are named below are looked for: one of them may mend it.
        let source = self.source(table, of, depth);
        known(table, of, &[&KEYS[..], more].concat())?;
        done_to(table, source?)
    }

    /// What gives the rate.
    fn source(&mut self, table: &Table, of: &str, depth: usize) -> Result<Node, Problem> {
        let all = ["plugin", "chain", "multiply"];
        let given: Vec<&str> = all
            .into_iter()
            .filter(|key| table.contains_key(*key))
            .collect();
        let key = match given[..] {
            [one] => one,
            [] => {
                let problem = format!(
                    "{of} needs a `plugin`, a `chain` or a `multiply`, which gives the rate"
                );
                return Err(Problem::at(&[], problem));
            }
            [one, two, ..] => {
                let problem = format!(
                    "{of} has both `{one}` and `{two}`: keep one, or nest one inside the other"
                );
                return Err(Problem::at(&[two], problem));
            }
        };
        if key != "plugin" {
            for other in ["params", "label"] {
                if table.contains_key(other) {
                    let problem = format!("`{other}` is a plugin's: give it to those in `{key}`");
                    return Err(Problem::at(&[other], problem));
                }
            }
        }
        match (key, &table[key]) {
            ("plugin", Toml::String(plugin)) => self.plugin(plugin, table, depth),
            ("plugin", Toml::Table(inner)) => {
                no_label(table)?;
                let node = self.node(inner, "a schedule", &[], depth);
                give(node.map_err(|e| e.below("plugin"))?, params(table)?)
            }
            ("plugin", other) => Err(must_be(
                "plugin",
                other,
                "a built-in schedule's name, a file, or a table",
            )),
            ("chain", Toml::Array(parts)) => {
                let links = self.each(parts, key, |form, table| form.link(table, depth))?;
                Ok(Node::Chain(links))
            }
            (_, Toml::Array(parts)) => {
                let of = "a part of `multiply`";
                let nodes =
                    self.each(parts, key, |form, table| form.node(table, of, &[], depth))?;
                Ok(Node::Multiply(nodes))
            }
            (key, other) => Err(must_be(key, other, "a list of schedules")),
        }
    }

    /// Reads each of `parts`. The first that is wrong is told.
    fn each<T>(
        &mut self,
        parts: &[Toml],
        key: &str,
        mut read: impl FnMut(&mut Self, &Table) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        let mut part = |(index, part): (usize, &Toml)| {
            let read = match part {
                Toml::Table(table) => read(self, table),
                Toml::String(plugin) => {
                    let plugin = Toml::String(plugin.clone());
                    read(self, &Table::from_iter([("plugin".to_owned(), plugin)]))
                }
                _ => {
                    let problem = format!(
                        "each part of `{key}` must be a table, such as {{ plugin = \"cyclic\" }}, or a name"
                    );
                    Err(Problem::at(&[], problem))
                }
            };
            read.map_err(|e| e.below(index).below(key))
        };
        let all: Vec<_> = parts.iter().enumerate().map(&mut part).collect();
        all.into_iter().collect()
    }

    fn link(&mut self, table: &Table, depth: usize) -> Result<Link, Problem> {
        let node = self.node(table, "a part of a chain", &OF_LINK, depth);
        Ok(Link {
            length: length(table, "a part of a chain")?,
            clock: clock(table)?,
            node: node?,
        })
    }

    /// The plugin or composition of this name.
    fn plugin(&mut self, plugin: &str, table: &Table, depth: usize) -> Result<Node, Problem> {
        let params = params(table)?;
        if is_inline(plugin) {
            let inner = name::parsed(plugin).map_err(Problem::There)?;
            no_label(table)?;
            let node = self.node(&inner, "a schedule", &[], depth);
            return give(node.map_err(|e| e.below("plugin"))?, params);
        }
        let found = self.reader.find(plugin, self.folder).map_err(|e| match e {
            Error::Sandbox(e @ pixelrate_sandbox::Error::NotFound { .. }) => {
                Problem::at(&["plugin"], e.to_string())
            }
            Error::Read { .. } => Problem::at(&["plugin"], e.to_string()),
            other => Problem::There(other),
        })?;
        match found {
            Found::Plugin(plugin_number) => {
                let label = match word(table, "label")? {
                    Some(label) => label.to_owned(),
                    // A part's name has no dot, by which its parameters are told apart from it.
                    None => name::name(plugin).replace(['.', '='], "-"),
                };
                Ok(Node::Plugin(Leaf {
                    plugin: plugin_number,
                    label,
                    params,
                }))
            }
            Found::Toml(path) => {
                no_label(table)?;
                let node = file(&path, self.reader, depth).map_err(|e| match e {
                    Error::Read { .. } => Problem::at(&["plugin"], e.to_string()),
                    other => Problem::There(other),
                });
                give(node?, params)
            }
            Found::Composition(made) => {
                no_label(table)?;
                let mut node = made.node;
                let places: Vec<usize> = made
                    .plugins
                    .into_iter()
                    .map(|bytes| self.reader.add(bytes))
                    .collect();
                for leaf in node.leaves_mut() {
                    leaf.plugin = places[leaf.plugin];
                }
                give(node, params)
            }
        }
    }
}

/// A composition's plugins have labels of their own.
fn no_label(table: &Table) -> Result<(), Problem> {
    match table.contains_key("label") {
        false => Ok(()),
        true => Err(Problem::at(
            &["label"],
            "`label` is a plugin's, and this is a composition: its own plugins have labels",
        )),
    }
}

/// Gives the plugins of a composition other parameters than it says.
fn give(mut node: Node, params: BTreeMap<String, Value>) -> Result<Node, Problem> {
    let names = leaf_names(&node);
    let mut leaves = node.leaves_mut();
    for (name, value) in params {
        let (part, own) = match (&names[..], name.split_once('.')) {
            ([only], _) => (only.as_str(), name.as_str()),
            (_, Some((part, own))) => (part, own),
            (_, None) => ("", name.as_str()),
        };
        let Some(place) = names.iter().position(|known| known == part) else {
            let all = names.join(", ");
            let problem = format!(
                "parameter `{name}` names no part: write it as PART.{own}, the parts are {all}"
            );
            return Err(Problem::at(&["params", &name], problem));
        };
        leaves[place].params.insert(own.to_owned(), value);
    }
    Ok(node)
}

fn params(table: &Table) -> Result<BTreeMap<String, Value>, Problem> {
    let example = "{ max_lr = 0.1 }";
    let Some(given) = self::table(table, "params", example)? else {
        return Ok(BTreeMap::new());
    };
    let mut params = BTreeMap::new();
    collect(given, "", &mut params).map_err(|e| e.below("params"))?;
    Ok(params)
}

/// `a.b = 1` is a table in TOML, and a part's parameter here.
fn collect(given: &Table, before: &str, into: &mut BTreeMap<String, Value>) -> Result<(), Problem> {
    for (key, value) in given {
        let name = format!("{before}{key}");
        let value = match value {
            Toml::Integer(number) => Value::Number(*number as f64),
            Toml::Float(number) if number.is_finite() => Value::Number(*number),
            Toml::String(text) => Value::Text(text.clone()),
            Toml::Table(more) if before.is_empty() => {
                collect(more, &format!("{name}."), into).map_err(|e| e.below(key))?;
                continue;
            }
            other => return Err(must_be(key, other, "a finite number or a text")),
        };
        into.insert(name, value);
    }
    Ok(())
}

/// What is done to a schedule, from the first on.
fn done_to(given: &Table, node: Node) -> Result<Node, Problem> {
    let mut node = checked(node, source_of(given))?;
    if let Some(every) = every(given)? {
        let inner = Box::new(node);
        node = checked(Node::Repeat { every, node: inner }, "repeat")?;
    }
    if let Some(factor) = number(given, "scale")? {
        let inner = Box::new(node);
        let scaled = Node::Scale {
            factor,
            node: inner,
        };
        node = checked(scaled, "scale")?;
    }
    if let Some(by) = number(given, "offset")? {
        let inner = Box::new(node);
        node = checked(Node::Offset { by, node: inner }, "offset")?;
    }
    if let Some(bounds) = table(given, "clamp", "{ min = 1e-5 }")? {
        let below = |e: Problem| e.below("clamp");
        known(bounds, "`clamp`", &["min", "max"]).map_err(below)?;
        let bounded = Node::Clamp {
            min: number(bounds, "min").map_err(below)?,
            max: number(bounds, "max").map_err(below)?,
            node: Box::new(node),
        };
        node = checked(bounded, "clamp")?;
    }
    if let Some(how) = table(given, "warmup", "{ epochs = 5 }")? {
        let warmed = warmup(how, node).map_err(|e| e.below("warmup"))?;
        node = checked(warmed, "warmup")?;
    }
    Ok(node)
}

fn warmup(how: &Table, node: Node) -> Result<Node, Problem> {
    let of = "`warmup`";
    known(how, of, &["steps", "epochs", "fraction", "from", "clock"])?;
    let Some(over) = length(how, of)? else {
        let problem = "`warmup` needs a length: `steps`, `epochs` or `fraction`";
        return Err(Problem::at(&[], problem));
    };
    Ok(Node::Warmup {
        over,
        from: number(how, "from")?.unwrap_or(0.0),
        clock: clock(how)?,
        node: Box::new(node),
    })
}

fn every(given: &Table) -> Result<Option<Every>, Problem> {
    if let Some(Toml::Integer(_)) = given.get("repeat") {
        return Ok(count(given, "repeat")?.map(Every::Times));
    }
    let example = "{ epochs = 10 }, or how often";
    let Some(how) = table(given, "repeat", example)? else {
        return Ok(None);
    };
    let below = |e: Problem| e.below("repeat");
    known(how, "`repeat`", &["steps", "epochs", "fraction", "times"]).map_err(below)?;
    let (times, length) = (
        count(how, "times").map_err(below)?,
        length(how, "`repeat`").map_err(below)?,
    );
    match (times, length) {
        (Some(times), None) => Ok(Some(Every::Times(times))),
        (None, Some(length)) => Ok(Some(Every::Length(length))),
        _ => Err(Problem::at(
            &["repeat"],
            "`repeat` needs one of `steps`, `epochs`, `fraction` and `times`",
        )),
    }
}

fn length(given: &Table, of: &str) -> Result<Option<Length>, Problem> {
    let all = [
        count(given, "steps")?.map(Length::Steps),
        number(given, "epochs")?.map(Length::Epochs),
        number(given, "fraction")?.map(Length::Fraction),
    ];
    let mut given = all.into_iter().flatten();
    match (given.next(), given.next()) {
        (length, None) => Ok(length),
        _ => {
            let problem = format!("{of} has more than one of `steps`, `epochs` and `fraction`");
            Err(Problem::at(&[], problem))
        }
    }
}

fn clock(given: &Table) -> Result<Clock, Problem> {
    match word(given, "clock")? {
        None | Some("own") => Ok(Clock::Own),
        Some("run") => Ok(Clock::Run),
        Some(other) => {
            let problem = format!("`clock` is \"{other}\": must be \"own\" or \"run\"");
            Err(Problem::at(&["clock"], problem))
        }
    }
}

/// Tells what cannot be with the key that it came by.
fn checked(node: Node, key: &str) -> Result<Node, Problem> {
    match node.check() {
        Ok(()) => Ok(node),
        Err(problem) => Err(Problem::at(&[key], problem)),
    }
}

/// The key that gives the rate.
fn source_of(given: &Table) -> &'static str {
    let all = ["label", "chain", "multiply"];
    let there = all.into_iter().find(|key| given.contains_key(*key));
    there.unwrap_or("plugin")
}
