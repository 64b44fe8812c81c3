//! `pixelrate inspect`: what a plugin is, and which parameters it has.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use pixelrate_sandbox::composition::Node;
use pixelrate_sandbox::{
    Exports, GuardOptions, Limits, Parameter, ParameterKind, Plugin, Schedule, TrainingValues,
};
use serde::Serialize;

use crate::{table, trial};

/// Show what a plugin exports and imports, and its parameters with their defaults.
///
/// Parameters are those that it declares, and those that it was seen to ask for when it was started and asked for a
/// step.
#[derive(clap::Args)]
#[command(after_help = "Example: pixelrate inspect cyclic")]
pub(crate) struct Args {
    /// A .wasm or .wat file, a built-in schedule, or a composition (.toml).
    plugin: String,
    #[command(flatten)]
    trial: trial::Args,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints, however it goes.
#[derive(Serialize)]
struct Told<'a> {
    plugin: &'a str,
    /// Why it could not be inspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Nothing, where it could not be loaded.
    #[serde(flatten)]
    known: Option<Known<'a>>,
}

/// What a plugin is.
#[derive(Serialize)]
struct Known<'a> {
    sha256: &'a str,
    bytes: usize,
    lifted: bool,
    exports: Exports,
    imports: &'a [String],
    reads_training: bool,
    reads_weights: bool,
    parameters: &'a [Parameter],
    /// How a composition is put together.
    #[serde(skip_serializing_if = "Option::is_none")]
    composition: Option<&'a Node>,
    /// The plugins of a composition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartTold<'a>>,
    /// Parameters that it asked for without declaring them, and the defaults that it gave.
    undeclared: &'a BTreeMap<String, Option<f64>>,
    /// Why it did not start, so that it could not be seen what it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_error: Option<&'a str>,
}

/// A plugin in a composition.
#[derive(Serialize)]
struct PartTold<'a> {
    name: &'a str,
    sha256: &'a str,
    bytes: usize,
    exports: Exports,
}

/// What a plugin was seen to ask for.
#[derive(Default)]
struct Seen {
    undeclared: BTreeMap<String, Option<f64>>,
    start_error: Option<String>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut plugin = None;
    let seen = seen(args, &mut plugin);
    if args.json {
        return json(args, plugin.as_ref(), seen);
    }
    let seen = seen?;
    if let Some(plugin) = &plugin {
        print(plugin, &seen);
    }
    Ok(ExitCode::SUCCESS)
}

/// Loads the plugin and tries it; `plugin` is there as soon as it is loaded, whatever follows.
fn seen(args: &Args, plugin: &mut Option<Plugin>) -> Result<Seen> {
    let plugin = plugin.insert(trial::load(&trial::engine()?, &args.plugin)?);
    Ok(match undeclared(plugin, args)? {
        Ok(undeclared) => Seen {
            undeclared,
            start_error: None,
        },
        Err(problem) => Seen {
            undeclared: BTreeMap::new(),
            start_error: Some(problem),
        },
    })
}

fn json(args: &Args, plugin: Option<&Plugin>, seen: Result<Seen>) -> Result<ExitCode> {
    let (seen, error) = match seen {
        Ok(seen) => (seen, None),
        Err(problem) => (Seen::default(), Some(crate::told(&problem))),
    };
    let code = match error {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    };
    let told = Told {
        plugin: plugin.map_or(&args.plugin, Plugin::name),
        error,
        known: plugin.map(|plugin| Known {
            sha256: plugin.sha256(),
            bytes: plugin.bytes().len(),
            lifted: plugin.lifted(),
            exports: plugin.exports(),
            imports: plugin.imports(),
            reads_training: plugin.reads_training(),
            reads_weights: plugin.reads_weights(),
            parameters: plugin.parameters(),
            composition: plugin.composition(),
            parts: (plugin.parts().iter())
                .map(|part| PartTold {
                    name: part.name,
                    sha256: part.plugin.sha256(),
                    bytes: part.plugin.bytes().len(),
                    exports: part.plugin.exports(),
                })
                .collect(),
            undeclared: &seen.undeclared,
            start_error: seen.start_error.as_deref(),
        }),
    };
    println!("{}", serde_json::to_string_pretty(&told)?);
    Ok(code)
}

/// The plugin in lines, and its parameters as a table.
fn print(plugin: &Plugin, seen: &Seen) {
    let parts = plugin.parts();
    let kind = match parts.len() {
        0 if plugin.lifted() => "core module, lifted".to_owned(),
        0 => "component".to_owned(),
        1 => "composition of 1 part".to_owned(),
        many => format!("composition of {many} parts"),
    };
    println!("{}: {kind}, {} bytes", plugin.name(), plugin.bytes().len());
    println!("  sha256   {}", plugin.sha256());
    let exports: Vec<&str> = plugin.exports().names().collect();
    println!("  exports  {}", exports.join(", "));
    println!("  imports  {}", plugin.imports().join(", "));
    for part in &parts {
        let (sha256, bytes) = (part.plugin.sha256(), part.plugin.bytes().len());
        println!("  part     {}: {bytes} bytes, {}", part.name, &sha256[..12]);
    }
    if plugin.reads_training() {
        println!(
            "  It reads training's values, so the loss is read back from the device at every step."
        );
    }
    if plugin.reads_weights() {
        println!("  It reads the norm of the weights, which is measured for it at every step.");
    }
    let mut table = table::table();
    for parameter in plugin.parameters() {
        table.add_row([&parameter.name, &default(parameter), &parameter.doc]);
    }
    for (name, value) in &seen.undeclared {
        let value = value.map_or_else(|| "picture".to_owned(), |value| value.to_string());
        table.add_row([name, &value, "(not declared)"]);
    }
    if let Some(problem) = &seen.start_error {
        println!("It did not start, so it may have parameters not listed here: {problem}");
    }
    if table.is_empty() {
        println!("no parameters");
    } else {
        table.set_header(["parameter", "default", ""]);
        table::wrap(&mut table, &[1, 2]);
        println!("{table}");
    }
}

/// The default as a study writes it: a number, or one of the words that stand for numbers.
fn default(parameter: &Parameter) -> String {
    match (parameter.kind, parameter.default) {
        (ParameterKind::Picture, _) => parameter.picture.as_deref().unwrap_or("picture").to_owned(),
        (_, None) => String::new(),
        (_, Some(value)) if parameter.choices.is_empty() => value.to_string(),
        (_, Some(value)) => {
            let word = |(place, word): (usize, &String)| {
                if place as f64 == value {
                    format!("[{word}]")
                } else {
                    word.clone()
                }
            };
            let words: Vec<String> = parameter.choices.iter().enumerate().map(word).collect();
            words.join(" ")
        }
    }
}

/// What the plugin asks for beside what it declares; or why it did not start.
fn undeclared(
    plugin: &Plugin,
    args: &Args,
) -> Result<Result<BTreeMap<String, Option<f64>>, String>> {
    let facts = args.trial.facts(plugin)?;
    let started = Schedule::start(plugin, &facts, &Limits::default(), &GuardOptions::default());
    let mut schedule = match started {
        Ok(schedule) => schedule,
        Err(problem) => return Ok(Err(problem.to_string())),
    };
    // It may ask as late as in its first step; a fault there is no concern of this command.
    let _ = schedule.step(0, TrainingValues::NONE);
    let mut asked = schedule.asked();
    asked.retain(|name, _| {
        !plugin
            .parameters()
            .iter()
            .any(|known| known.is_called(name))
    });
    if plugin
        .parameters()
        .iter()
        .any(|known| known.kind == ParameterKind::Picture)
    {
        // Every plugin with a picture has it, by the trainer's own doing.
        asked.remove("filter");
    }
    Ok(Ok(asked))
}
