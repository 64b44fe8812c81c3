//! Schedules made of schedules, from the TOML that people write to the one file that a run keeps.
//!
//! A schedule is named by a built-in's name, by a `.wasm` or `.wat` file, or by a composition: a `.toml` file, or the
//! TOML itself as an inline table (`{ plugin = "cyclic", warmup = { epochs = 5 } }`). Everybody who takes a schedule's
//! name takes all of these: [`load`] loads it, [`resolve`] gives its bytes and the files that it was made of.
//!
//! `plugins/COMPOSE.md` tells how a composition is written, and [`pixelrate_sandbox::composition`] what it does.

mod error;
mod files;
mod form;
mod keys;
mod name;
mod places;

use std::path::{Path, PathBuf};

use pixelrate_sandbox::{Composition, Engine, Plugin};

pub use error::Error;
pub use form::KEYS;
pub use name::{located, name, written};
pub use places::Places;

/// What a composition's name comes to.
#[derive(Debug)]
pub struct Resolved {
    /// The files that it is made of, as far as they are known, be they there or not: if one changes, it may be another.
    pub files: Vec<PathBuf>,
    /// Its own bytes, with all of theirs in them.
    pub bytes: Result<Vec<u8>, Error>,
}

/// Whether `schedule` names a composition: a `.toml` file, or a table of TOML itself.
pub fn is_composition(schedule: &str) -> bool {
    is_inline(schedule)
        || Path::new(schedule)
            .extension()
            .is_some_and(|end| end == "toml")
}

/// Whether `schedule` is a composition's own text, and not the name of a file.
pub fn is_inline(schedule: &str) -> bool {
    schedule.trim_start().starts_with('{')
}

/// Reads the composition that `schedule` names, and every plugin in it. Relative names are the working folder's in a
/// text, and a file's own folder's in a file. No file may have more than `most_bytes`.
pub fn resolve(schedule: &str, most_bytes: u64) -> Resolved {
    let mut reader = files::Reader::new(most_bytes);
    let node = form::whole(schedule, &mut reader);
    let bytes = node.and_then(|node| {
        let plugins = std::mem::take(&mut reader.plugins);
        let composition = Composition { node, plugins };
        composition
            .to_bytes()
            .map_err(|problem| match is_inline(schedule) {
                true => Error::Inline {
                    keys: Vec::new(),
                    problem,
                },
                false => Error::Value {
                    path: schedule.into(),
                    line: 1,
                    problem,
                },
            })
    });
    Resolved {
        files: reader.files,
        bytes,
    }
}

/// Loads the schedule that `schedule` names, a composition or any other.
///
/// # Errors
/// What is wrong with the composition's TOML, with file, line and key; what [`Engine::load`] has against a plugin.
pub fn load(engine: &Engine, schedule: &str) -> Result<Plugin, Error> {
    if !is_composition(schedule) {
        return Ok(engine.load(schedule)?);
    }
    let bytes = resolve(schedule, engine.limits().plugin_bytes).bytes?;
    Ok(engine.load_bytes(&name(schedule), &bytes)?)
}
