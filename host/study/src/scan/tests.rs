//! The scan that is drawn is the one that trains.

use std::collections::BTreeMap;

use pixelrate_sandbox::{
    CompileCache, Engine, EngineOptions, GuardOptions, Limits, Pictures, Plugin, RunFacts,
    Schedule, TrainingValues, Value,
};
use pixelrate_scan::Settings;

use super::*;

fn engine() -> Engine {
    Engine::new(&EngineOptions {
        limits: Limits::default(),
        cache: CompileCache::Off,
        parallel_compilation: false,
    })
    .unwrap()
}

fn facts(params: &[(&str, &str)]) -> RunFacts {
    let picture = |name: &str| {
        let channels = if name == "grey" { 1 } else { 3 };
        let byte =
            |i: u32| (90.0 + 70.0 * (f64::from(i) / 31.0).sin() + f64::from(i * 7 % 90)) as u8;
        Some(Ok(DecodedPicture {
            width: 41,
            height: 29,
            channels,
            values: (0..41 * 29 * channels).map(byte).collect(),
        }))
    };
    let params: BTreeMap<String, Value> = (params.iter())
        .map(|(name, value)| {
            let value = value
                .parse()
                .map_or(Value::Text((*value).to_owned()), Value::Number);
            ((*name).to_owned(), value)
        })
        .collect();
    RunFacts {
        total_steps: 2_000,
        steps_per_epoch: 100,
        train_examples: 12_800,
        batch_size: 128,
        seed: 3,
        params,
        pictures: Pictures::default().with_fallback(picture),
    }
}

/// The largest difference between the plugin's rates and the drawn ones, and whether all bits are the same.
fn difference(plugin: &Plugin, facts: &RunFacts) -> (f64, bool) {
    let scan = open(plugin, facts, &Limits::default()).unwrap().unwrap();
    let guard = GuardOptions::default();
    let mut schedule = Schedule::start(plugin, facts, &Limits::default(), &guard).unwrap();
    let mut most = (0.0_f64, true);
    for step in 0..facts.total_steps {
        let trained = schedule
            .step(step, TrainingValues::NONE)
            .unwrap()
            .learning_rate;
        let drawn = scan.rate(step);
        most.0 = most.0.max((trained - drawn).abs());
        most.1 &= trained == drawn;
    }
    most
}

#[test]
fn what_is_drawn_is_what_the_plugin_answers() {
    let plugin = engine().load("image").unwrap();
    for name in [
        "order",
        "channels",
        "normalise",
        "fit",
        "control",
        "reverse",
        "invert",
    ] {
        for word in Settings::words(name) {
            for picture in ["colour", "grey"] {
                let facts = facts(&[("image", picture), (name, word)]);
                let (difference, same) = difference(&plugin, &facts);
                // Powers, logarithms and sines may differ in the last bits between a machine and WASM.
                let exact = ["order", "fit", "reverse", "invert"].contains(&name);
                assert!(
                    difference < 1e-14 && (same || !exact),
                    "{name} {word} {picture}: {difference:e}"
                );
            }
        }
    }
    let all = facts(&[
        ("image", "colour"),
        ("filter", "lanczos"),
        ("order", "gilbert"),
        ("channels", "oklab_l"),
        ("contrast", "1.3"),
        ("gamma", "0.8"),
        ("smooth", "5"),
        ("fit", "linear"),
        ("control", "phase_randomised"),
        ("noise_seed", "9"),
        ("samples", "900"),
        ("max_lr", "0.2"),
    ]);
    assert!(difference(&plugin, &all).0 < 1e-13);
}

#[test]
fn a_drawing_is_an_svg_that_needs_nothing_else() {
    let plugin = engine().load("image").unwrap();
    for order in Settings::words("order") {
        let facts = facts(&[("image", "colour"), ("order", order), ("max_lr", "0.1")]);
        let svg = svg(&plugin, &facts, &Limits::default(), "a <title> & more")
            .unwrap()
            .unwrap();
        assert!(svg.contains("a &lt;title&gt; &amp; more"));
        assert_eq!(svg.matches("data:image/png;base64,").count(), 2);
        assert!(!svg.contains("NaN"), "{order}");
        assert!(svg.len() < 400_000, "{order}: {} bytes", svg.len());
    }
    let folder = tempfile::tempdir().unwrap();
    let facts = facts(&[("image", "grey")]);
    let svg = svg(&plugin, &facts, &Limits::default(), "grey")
        .unwrap()
        .unwrap();
    let file = folder.path().join("scan.png");
    write(&file, &svg).unwrap();
    assert!(std::fs::read(file).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn other_schedules_have_no_scan_and_wrong_ones_say_why() {
    let engine = engine();
    let limits = Limits::default();
    let cyclic = engine.load("cyclic").unwrap();
    assert!(open(&cyclic, &facts(&[]), &limits).unwrap().is_none());
    let image = engine.load("image").unwrap();
    let problem = |params: &[(&str, &str)]| {
        open(&image, &facts(params), &limits)
            .unwrap_err()
            .to_string()
    };
    assert!(problem(&[]).contains("`image` is missing"));
    assert!(
        problem(&[("image", "colour"), ("fit", "7")]).contains("`fit` is 7: must be one of hold")
    );
}

#[test]
fn an_older_version_of_the_plugin_is_known() {
    let parameter = |name: &str, choices: &[&str]| Parameter {
        name: name.to_owned(),
        default: Some(0.0),
        kind: Default::default(),
        doc: String::new(),
        choices: choices.iter().map(|word| (*word).to_owned()).collect(),
        picture: None,
    };
    let first = [
        parameter("image", &[]),
        parameter("base_lr", &[]),
        parameter("max_lr", &[]),
        parameter("samples", &[]),
        parameter("order", &["raster", "serpentine", "hilbert", "spiral"]),
        parameter("channels", &["interleaved", "luma"]),
    ];
    assert!(is_image(&first));
    let mut other = first.clone();
    other[4].choices.reverse();
    assert!(!is_image(&other));
    other[4] = parameter("speed", &[]);
    assert!(!is_image(&other));
}
