//! The pictures that schedules read, with the way in which they read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use pixelrate_control::{pictures_folder, plugin_path};
use pixelrate_sandbox::{Engine, EngineOptions, ParameterKind, Pictures, Plugin, RunFacts, Value};

use super::text::{name, prose};
use crate::report::gather::{Group, Run};
use crate::{plan, scan};

/// A picture that a label reads.
pub(super) struct Picture {
    label: String,
    told: String,
    scan: Result<Drawn, String>,
}

/// A drawing of a scan.
struct Drawn {
    /// An address that holds it.
    address: String,
    /// What it was drawn from in place of what the run had; empty where the run kept all.
    instead: &'static str,
}

/// The scans of the labels at the places `shown`, or why one cannot be drawn. A label that reads no picture has none.
pub(super) fn pictures(groups: &[Group<'_>], shown: &[usize]) -> Vec<Picture> {
    let found = shown.iter().filter_map(|&place| picture(&groups[place]));
    found.collect()
}

fn picture(group: &Group<'_>) -> Option<Picture> {
    let run = group.first();
    Some(Picture {
        label: group.name.clone(),
        told: run.schedule.told(),
        scan: drawing(run, &group.name).transpose()?,
    })
}

/// The scan of the run's own plugin over the run's own steps; `None` for one that reads no picture.
fn drawing(run: &Run, title: &str) -> Result<Option<Drawn>, String> {
    let spec = &run.spec();
    let engine = Engine::new(&EngineOptions::from(&spec.limits)).map_err(|e| e.to_string())?;
    let (plugin, kept) = match plugin(&engine, run) {
        Ok(found) => found,
        // Nobody knows what it read: only one that was given a word can have read a picture.
        Err(why) if spec.schedule.params.values().any(is_text) => return Err(why),
        Err(_) => return Ok(None),
    };
    let pictures = plugin.parameters().iter();
    if !pictures
        .into_iter()
        .any(|it| it.kind == ParameterKind::Picture)
    {
        return Ok(None);
    }
    let mut facts = plan::facts(spec);
    if let Some(found) = &run.file.found {
        facts.total_steps = found.total_steps;
    }
    let todays = facts.pictures.clone();
    facts.pictures = Pictures::new(Some(pictures_folder(&run.folder)));
    let svg = |facts: &RunFacts| scan::svg(&plugin, facts, &spec.limits, title);
    let (svg, kept_picture) = match svg(&facts) {
        Ok(svg) => (svg, true),
        // What the run kept may have been deleted, or it was stopped before it kept anything.
        Err(_) => {
            facts.pictures = todays;
            (svg(&facts).map_err(|e| e.to_string())?, false)
        }
    };
    let Some(svg) = svg else {
        return Err(scan::ONLY_IMAGE.to_owned());
    };
    Ok(Some(Drawn {
        address: format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)),
        instead: match (kept, kept_picture) {
            (true, true) => "",
            (true, false) => "the picture as it is today: the run's `pictures/` does not hold it",
            (false, true) => {
                "by the plugin as it is today: the run's `plugins/` does not hold its own"
            }
            (false, false) => {
                "by the plugin and the picture as they are today: the run's folder holds neither"
            }
        },
    }))
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

/// The plugin that the run kept, or else that of its name today; and whether it is the run's.
fn plugin(engine: &Engine, run: &Run) -> Result<(Plugin, bool), String> {
    let schedule = &run.schedule;
    let kept = run.schedule_sha256.as_ref().and_then(|sha256| {
        let path = plugin_path(&run.folder, sha256);
        let bytes = std::fs::read(path).ok()?;
        engine.load_bytes(&schedule.name(), &bytes).ok()
    });
    match kept {
        Some(plugin) => Ok((plugin, true)),
        None => pixelrate_compose::load(engine, &schedule.plugin)
            .map(|plugin| (plugin, false))
            .map_err(|e| e.to_string()),
    }
}

pub(super) fn gallery(pictures: &[Picture]) -> Markup {
    html! {
        div.gallery {
            @for picture in pictures {
                figure {
                    @if let Ok(drawn) = &picture.scan {
                        img src=(drawn.address) alt={ "The picture that " (picture.label) " reads, and the way of its scan over it" };
                    }
                    figcaption {
                        strong { (name(&picture.label)) } " – " (picture.told)
                        @match &picture.scan {
                            Ok(drawn) if drawn.instead.is_empty() => {}
                            Ok(drawn) => { ". Drawn " (prose(drawn.instead)) "." }
                            Err(why) => { ". Its scan is not drawn: " (prose(why)) "." }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use pixelrate_sandbox::builtin_bytes;

    use super::*;
    use crate::report::gather;
    use crate::runs::tests::{begin, spec};

    /// The gallery of a study of one run of `plugin`, whose folder keeps what `keep` puts there.
    fn shown(plugin: &str, image: Option<&str>, keep: impl Fn(&Path)) -> String {
        let place = tempfile::tempdir().unwrap();
        let mut spec = spec("label", 0, None);
        spec.schedule.plugin = plugin.to_owned();
        let image = image.map(|name| ("image".to_owned(), Value::Text(name.to_owned())));
        spec.schedule.params = image.into_iter().collect();
        let (folder, log) = begin(place.path(), &spec);
        drop(log);
        keep(&folder);
        let runs = gather::runs(place.path()).unwrap().read;
        gallery(&pictures(&gather::by_label(&runs), &[0])).into_string()
    }

    /// Keeps a picture of two pixels under this name.
    fn keep_picture(folder: &Path, name: &str) {
        let mut picture = resvg::tiny_skia::Pixmap::new(2, 1).unwrap();
        picture
            .data_mut()
            .copy_from_slice(&[9, 9, 9, 255, 200, 200, 200, 255]);
        let pictures = pictures_folder(folder);
        fs::create_dir_all(&pictures).unwrap();
        let png = picture.encode_png().unwrap();
        fs::write(pictures.join(format!("{name}.png")), png).unwrap();
    }

    #[test]
    fn a_scan_is_of_what_the_run_kept() {
        // No built-in picture has this name: only the run's own can be drawn.
        let html = shown("image", Some("kept-by-the-run"), |folder| {
            keep_picture(folder, "kept-by-the-run");
        });
        assert!(
            html.contains("<img") && !html.contains("the picture as it is today"),
            "{html}"
        );
        assert!(html.contains("by the plugin as it is today"), "{html}");
        let html = shown("image", Some("puppy"), |_| {});
        assert!(
            html.contains("<img") && html.contains("the run's folder holds neither"),
            "{html}"
        );
        // A run's plugin goes before today's of the name.
        let html = shown("not-there-any-more", Some("puppy"), |folder| {
            let sha256 = crate::ended::run_file(folder)
                .unwrap()
                .unwrap()
                .found
                .unwrap()
                .schedule_sha256;
            let image = builtin_bytes("image").unwrap();
            pixelrate_control::keep_plugin(folder, &sha256, image).unwrap();
            keep_picture(folder, "puppy");
        });
        assert!(html.contains("<img") && !html.contains("today"), "{html}");
    }

    #[test]
    fn a_picture_that_cannot_be_drawn_says_why() {
        let composed = "{ plugin = \"image\", params = { image = \"puppy\" }, scale = 0.5 }";
        let html = shown(composed, None, |_| {});
        assert!(!html.contains("<img"), "{html}");
        assert!(
            html.contains("Its scan is not drawn:") && html.contains("composition"),
            "{html}"
        );
        let html = shown("image", Some("gone"), |_| {});
        assert!(
            html.contains("Its scan is not drawn:") && html.contains("gone"),
            "{html}"
        );
        assert!(!shown("fixed", None, |_| {}).contains("figure"));
    }
}
