//! The pictures that schedules read, with the way in which they read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use pixelrate_sandbox::{Engine, EngineOptions};

use crate::report::gather::{Group, Run};
use crate::{plan, scan};

/// A picture, and the label that reads it.
pub(super) struct Picture {
    label: String,
    told: String,
    /// A drawing of the scan, as an address that holds it.
    address: String,
}

/// The scans of the labels at the places `shown`. A plugin or a picture that is not there any more is left out: what a run
/// read is in its log.
pub(super) fn pictures(groups: &[Group<'_>], shown: &[usize]) -> Vec<Picture> {
    let found = shown.iter().filter_map(|&place| picture(&groups[place]));
    found.collect()
}

fn picture(group: &Group<'_>) -> Option<Picture> {
    let run = group.first();
    let schedule = &run.file.spec.schedule;
    let svg = drawing(run, &group.name)?;
    Some(Picture {
        label: group.name.clone(),
        told: schedule.told(),
        address: format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)),
    })
}

/// The scan of the run's own plugin over the run's own steps; `None` for one that reads no picture.
fn drawing(run: &Run, title: &str) -> Option<String> {
    let spec = &run.file.spec;
    let engine = Engine::new(&EngineOptions::from(&spec.limits)).ok()?;
    let plugin = engine.load(&spec.schedule.plugin).ok()?;
    let mut facts = plan::facts(spec);
    if let Some(found) = &run.file.found {
        facts.total_steps = found.total_steps;
    }
    scan::svg(&plugin, &facts, &spec.limits, title).ok()?
}

pub(super) fn gallery(pictures: &[Picture]) -> Markup {
    html! {
        div.gallery {
            @for picture in pictures {
                figure {
                    img src=(picture.address) alt={ "The picture that " (picture.label) " reads, and the way of its scan over it" };
                    figcaption { strong { (picture.label) } " – " (picture.told) }
                }
            }
        }
    }
}
