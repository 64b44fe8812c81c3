//! Why a plugin cannot be used, in the user's words.

use std::path::PathBuf;

use crate::Fault;

/// Why a plugin could not be loaded or begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a file nor a built-in schedule.
    #[error(
        "no schedule \"{name}\": it is neither a file nor a built-in schedule ({builtins}){}",
        did_you_mean(name, builtins)
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// What is built in.
        builtins: String,
    },
    /// A folder, where a plugin's file is asked for.
    #[error(
        "{0} is a folder: name the plugin's file in it, which `pixelrate build {0}` makes of the source that `pixelrate new` \
         put there"
    )]
    Folder(String),
    /// The plugin's file cannot be read.
    #[error("cannot read the plugin {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The plugin's file is larger than the study allows.
    #[error(
        "the plugin {plugin} has {bytes} bytes, over the {most} that a plugin may have (`plugin_bytes`)"
    )]
    TooLarge {
        /// The plugin's name or file.
        plugin: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// The plugin takes too long to compile.
    #[error(
        "compiling the plugin {plugin} took over {milliseconds} ms: make it smaller, or raise `compile_ms`"
    )]
    CompileTime {
        /// The plugin's name.
        plugin: String,
        /// The limit.
        milliseconds: u64,
    },
    /// The bytes are no plugin.
    #[error("{plugin} is not a schedule plugin: {problem}")]
    NotAPlugin {
        /// The plugin's name.
        plugin: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The plugin asks for something that a schedule may not have.
    #[error("{plugin} imports `{import}`, which a schedule may not have: {fix}")]
    Import {
        /// The plugin's name.
        plugin: String,
        /// The import's name.
        import: String,
        /// What to do about it.
        fix: String,
    },
    /// A study gives a parameter that the plugin does not have.
    #[error("{plugin} has no parameter `{given}`: {hint}")]
    Parameter {
        /// The plugin's name.
        plugin: String,
        /// The parameter that it lacks.
        given: String,
        /// What it has, the closest first.
        hint: String,
    },
    /// A parameter's value is of the wrong kind.
    #[error("{plugin}: parameter `{name}` {problem}")]
    ParameterValue {
        /// The plugin's name.
        plugin: String,
        /// The parameter.
        name: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A plugin that could not be resumed or run again alike.
    #[error("{plugin} does not conform ({check}): {problem}")]
    Conformance {
        /// The plugin's name.
        plugin: String,
        /// The check of [`crate::conformance`] that failed.
        check: &'static str,
        /// What was found, and what to do.
        problem: String,
    },
    /// The plugin failed before its first step.
    #[error(transparent)]
    Start(#[from] Fault),
    /// The sandbox itself could not be set up.
    #[error("the WASM engine could not be set up: {0}")]
    Engine(String),
}

/// A question that names which of `builtins`, a list with commas, `name` is close to or has in it, as `CosineAnnealingLR` has
/// `cosine`, if there is one.
pub(crate) fn did_you_mean(name: &str, builtins: &str) -> String {
    /// Shorter ones stand in many names.
    const TELLING: usize = 4;
    let name = name.to_lowercase();
    let distance = |known: &&str| strsim::damerau_levenshtein(&known.to_lowercase(), &name);
    let names = || builtins.split(", ");
    let close = names()
        .min_by_key(distance)
        .filter(|known| distance(known) <= 2);
    let file = name.rsplit('/').next().unwrap_or(&name);
    let within = || {
        names()
            .filter(|known| known.len() >= TELLING && file.contains(&known.to_lowercase()))
            .max_by_key(|known| known.len())
    };
    close
        .or_else(within)
        .map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}
