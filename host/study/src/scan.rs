//! A picture with its scan drawn on it: what the built-in schedule `image` makes of a picture.
//!
//! The scan is that of the plugin, from the same crate. [`svg`] is all that a report needs; [`open`] gives the scan itself.

mod drawing;
mod pixels;

use std::path::Path;

use pixelrate_sandbox::{DecodedPicture, Limits, Parameter, Plugin, RunFacts, Value};
use pixelrate_scan::{Pixels, Scan, Settings};

use crate::Error;
use crate::figure;

/// Why a schedule that reads a picture has no scan here.
pub const ONLY_IMAGE: &str = "only the scan of the built-in schedule `image` by itself can be drawn, and this is another, or \
    a composition, whose parts need not read a picture from the run's first step to its last";

/// The parameter that names the picture.
const PICTURE: &str = "image";

/// A picture, decoded and resized.
#[derive(Debug)]
pub struct Opened(DecodedPicture);

impl Pixels for Opened {
    fn width(&self) -> u32 {
        self.0.width
    }

    fn height(&self) -> u32 {
        self.0.height
    }

    fn channels(&self) -> u32 {
        self.0.channels
    }

    fn value(&self, index: u64) -> f64 {
        self.0.value(index).unwrap_or_default()
    }
}

/// The scan by which `plugin` reads its picture in a run of `facts`; `None` for a plugin that is not the built-in `image`,
/// or a version of it (its parameters tell), and for a composition, even of `image` alone: its clock need not be the run's.
///
/// # Errors
/// [`Error::Scan`], if the plugin would refuse the run: a parameter or a picture is wrong.
pub fn open(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
) -> Result<Option<Scan<Opened>>, Error> {
    let declared = plugin.parameters();
    if plugin.composition().is_some() || !is_image(declared) {
        return Ok(None);
    }
    let wrong = |problem: String| Error::Scan {
        plugin: plugin.name().to_owned(),
        problem,
    };
    let param = |name: &str| number(declared, facts, name);
    let settings = Settings::read(param, facts.total_steps, facts.seed).map_err(wrong)?;
    let picture = facts.picture(PICTURE, settings.picture_samples(), limits);
    let picture = Opened(picture.map_err(wrong)?);
    Ok(Some(Scan::new(settings, picture).map_err(wrong)?))
}

/// A drawing of [`open`]'s scan, as the text of an SVG that needs nothing else: the picture with the way of the scan
/// over it, coloured by step; the picture as the steps read it; and the learning rate against the step, in the same
/// colours. It is [`WIDTH`] wide, on white, and scales. `title` stands above it.
///
/// # Errors
/// [`open`]'s.
pub fn svg(
    plugin: &Plugin,
    facts: &RunFacts,
    limits: &Limits,
    title: &str,
) -> Result<Option<String>, Error> {
    let Some(scan) = open(plugin, facts, limits)? else {
        return Ok(None);
    };
    let notes = notes(&scan, facts);
    let svg = drawing::svg(&scan, title, &notes).map_err(|problem| Error::Scan {
        plugin: plugin.name().to_owned(),
        problem,
    });
    Ok(Some(svg?))
}

pub use drawing::WIDTH;

/// Writes [`svg`]'s text to a file, as SVG or PNG: the path's ending decides.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn write(path: &Path, svg: &str) -> Result<(), Error> {
    figure::write(path, svg)
}

/// Whether these are the parameters of `image`: of a version before this one, some of them and the first of their words.
fn is_image(declared: &[Parameter]) -> bool {
    let known = |parameter: &Parameter| {
        parameter.name == PICTURE
            || Settings::DEFAULTS.iter().any(|(name, _)| {
                parameter.name == *name
                    && Settings::words(name)
                        .iter()
                        .zip(&parameter.choices)
                        .all(|(word, choice)| word == choice)
            })
    };
    let has = |name: &str| declared.iter().any(|parameter| parameter.name == name);
    declared.iter().all(known) && [PICTURE, "order", "channels"].into_iter().all(has)
}

/// What the plugin would be told of a parameter, or what it means by leaving it out.
fn number(declared: &[Parameter], facts: &RunFacts, name: &str) -> f64 {
    let given = match facts.params.get(name) {
        Some(Value::Number(number)) => Some(*number),
        Some(Value::Text(word)) => {
            let place = Settings::words(name).iter().position(|known| known == word);
            Some(place.map_or(f64::NAN, |place| place as f64))
        }
        None => None,
    };
    let parameter = declared.iter().find(|parameter| parameter.name == name);
    let by_default = || Settings::DEFAULTS.iter().find(|(known, _)| *known == name);
    given
        .or_else(|| parameter.and_then(|parameter| parameter.default))
        .or_else(|| by_default().map(|(_, default)| *default))
        .unwrap_or(f64::NAN)
}

/// What the study asks of the scan, in words.
fn notes(scan: &Scan<Opened>, facts: &RunFacts) -> String {
    let settings = scan.settings();
    let mut notes = vec![
        format!("{} order", settings.order.word().replace('_', " ")),
        format!("{} channels", settings.channels.word().replace('_', " ")),
    ];
    let told = ["order", "channels", PICTURE, "base_lr", "max_lr"];
    notes.extend(
        facts
            .params
            .iter()
            .filter(|(name, _)| !told.contains(&name.as_str()))
            .map(|(name, value)| match value {
                Value::Number(number) => format!("{name} {number}"),
                Value::Text(word) => format!("{name} {word}"),
            }),
    );
    notes.join(", ")
}

#[cfg(test)]
mod tests;
