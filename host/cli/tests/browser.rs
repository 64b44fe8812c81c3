//! The report's page in a real browser: on a wide screen and a telephone's, light and dark, in print, and without a script.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::fs;

use browser::Browser;
use common::{pixelrate, said, study};
use serde_json::json;

const WIDE: (u32, u32) = (1_280, 900);
const PHONE: (u32, u32) = (390, 844);

const SCHEDULES: &str = "[[schedule]]\nlabel = \"a-label-that-is-longer-than-most-tables-like\"\nplugin = \"cyclic\"\n\
     params = { step_size = 10 }\n\n\
     [[schedule]]\nlabel = \"constant_then_dark\"\nplugin = \"fixed\"\nparams = { learning_rate = 3e-4 }\n\n\
     [[schedule]]\nlabel = \"mona_lisa\"\nplugin = \"image\"\nparams = { image = \"mona_lisa\" }\n\n\
     [report]\nbaseline = \"constant_then_dark\"\n";

#[test]
fn the_page_can_be_read_hovered_zoomed_and_printed() {
    let Some(mut browser) = Browser::start() else {
        let required = std::env::var_os("PIXELRATE_REQUIRE_BROWSER").is_some();
        assert!(
            !required,
            "no browser was found in the PATH: install Debian's chromium"
        );
        eprintln!("skipped: no browser (chromium, google-chrome) was found in the PATH");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let text = study(40, "[0, 1, 2]", SCHEDULES).replace("1000.0", "0.5");
    fs::write(dir.path().join("tiny.toml"), text).unwrap();
    let (good, out, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml", "--jobs", "2"]));
    assert!(good, "{err}");
    assert!(out.contains("baseline | difference"), "{out}");
    let page = dir.path().join("runs/tiny/report/report.html");
    let html = fs::read_to_string(&page).unwrap();
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http"));
    let address = format!("file://{}", page.display());

    for (name, size, colours) in [
        ("wide-light", WIDE, "light"),
        ("wide-dark", WIDE, "dark"),
        ("phone-light", PHONE, "light"),
        ("phone-dark", PHONE, "dark"),
    ] {
        browser.look(&address, size, colours);
        assert!(
            browser.is(&format!(
                "document.documentElement.scrollWidth <= {}",
                size.0
            )),
            "{name}: the page scrolls sideways"
        );
        tables(&mut browser, name, size);
        assert!(
            browser.is("!document.querySelector('.page').innerText.includes('`')"),
            "{name}: Markdown's marks are shown as they are"
        );
        let paper = browser.value("getComputedStyle(document.body).backgroundColor");
        let is_white = paper == "rgb(255, 255, 255)";
        assert_eq!(is_white, colours == "light", "{name}: {paper}");
        assert_eq!(browser.value("report.plots().length"), 3, "{name}");
        assert!(
            browser.is("[...document.querySelectorAll('.gallery img')].every(i => i.complete && i.naturalWidth > 0)"),
            "{name}: a picture is broken"
        );
        keep(&mut browser, name);
        browser.place("#chart-rates");
        keep(&mut browser, &format!("{name}-curves"));
    }

    browser.look(&address, WIDE, "light");
    hovered(&mut browser);
    switched(&mut browser);
    zoomed(&mut browser);
    sorted(&mut browser);
    printed(&mut browser);
    assert_eq!(browser.complaints, Vec::<String>::new());

    browser.call(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": true }),
    );
    browser.look(&address, WIDE, "dark");
    let drawn = browser.place(".still svg");
    assert!(
        drawn.2 > 300.0 && drawn.3 > 100.0,
        "without a script nothing is drawn: {drawn:?}"
    );
}

/// On a wide screen all of each table is seen. On a telephone those that are wider scroll by themselves. No name is broken
/// within a word.
fn tables(browser: &mut Browser, name: &str, size: (u32, u32)) {
    let wider = "[...document.querySelectorAll('.scroll')].filter(t => t.scrollWidth > t.clientWidth) \
                 .map(t => t.getAttribute('aria-label'))";
    let wider = browser.value(wider);
    if size == WIDE {
        assert_eq!(wider, json!([]), "{name}: tables are cut off");
    } else {
        let first = wider.get(0);
        assert_eq!(first, Some(&json!("Results")), "{name}: {wider}");
    }
    // Each word of a name is a text of its own; one that is broken has more than one box.
    let broken = "[...document.querySelectorAll('.scroll tbody th')].flatMap(th => { \
                    const texts = document.createTreeWalker(th, NodeFilter.SHOW_TEXT), found = []; \
                    while (texts.nextNode()) { \
                      const range = document.createRange(); \
                      range.selectNodeContents(texts.currentNode); \
                      const told = texts.currentNode.parentElement.closest('.told'); \
                      if (!told && range.getClientRects().length > 1) found.push(texts.currentNode.data); \
                    } \
                    return found; })";
    assert_eq!(browser.value(broken), json!([]), "{name}: words are broken");
}

/// A screenshot for whoever wants to look, in the target folder.
fn keep(browser: &mut Browser, name: &str) {
    let shot = browser.screenshot();
    assert!(shot.len() > 20_000, "{name} is an empty screen");
    let place =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.png"));
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, shot).unwrap();
    fs::write(place, bytes).unwrap();
}

/// Over a curve there is a tip with the step, and every schedule's value.
fn hovered(browser: &mut Browser) {
    let tips = "[...document.querySelectorAll('.tip')].filter(t => !t.hidden).map(t => t.innerText).join()";
    assert_eq!(browser.value(tips), "", "a tip without a pointer");
    let (left, top, width, height) = browser.place("#chart-rates .u-over");
    for share in [0.4, 0.5] {
        browser.mouse("mouseMoved", (left + share * width, top + height / 2.0));
    }
    let told = browser.value(tips);
    let told = told.as_str().unwrap();
    for word in ["step", "constant_then_dark", "mona_lisa", "a-label"] {
        assert!(told.contains(word), "{word} is not in the tip: {told}");
    }
    keep(browser, "tip");
}

/// A press on a name takes its curve out of all charts, and another brings it back.
fn switched(browser: &mut Browser) {
    let visible = "report.plots().map(p => p.series[4].show)";
    assert_eq!(browser.value(visible), json!([true, true, true]));
    browser.press(".chip:nth-child(2)");
    assert_eq!(browser.value(visible), json!([false, false, false]));
    let pressed = "document.querySelectorAll('.chip')[1].getAttribute('aria-pressed')";
    assert_eq!(browser.value(pressed), "false");
    browser.press(".chip:nth-child(2)");
    assert_eq!(browser.value(visible), json!([true, true, true]));
}

/// Dragging over a stretch brings all charts closer, and a button brings all of the run back.
fn zoomed(browser: &mut Browser) {
    let ranges = "report.plots().map(p => [p.scales.x.min, p.scales.x.max])";
    let widths = |found: &serde_json::Value| -> Vec<f64> {
        let ranges = found.as_array().unwrap().iter();
        ranges
            .map(|range| range[1].as_f64().unwrap() - range[0].as_f64().unwrap())
            .collect()
    };
    let before = widths(&browser.value(ranges));
    let (left, top, width, height) = browser.place("#chart-losses .u-over");
    let at = |share: f64| (left + share * width, top + height / 2.0);
    browser.mouse("mouseMoved", at(0.25));
    browser.mouse("mousePressed", at(0.25));
    browser.mouse("mouseMoved", at(0.4));
    browser.mouse("mouseMoved", at(0.5));
    browser.mouse("mouseReleased", at(0.5));
    let closer = browser.value(ranges);
    for (closer, before) in widths(&closer).iter().zip(&before) {
        assert!(*closer < 0.5 * before, "{closer} of {before} steps");
    }
    assert_eq!(closer[0], closer[1], "the charts show other stretches");
    browser.press("[data-tool=whole]");
    for (after, closer) in widths(&browser.value(ranges)).iter().zip(widths(&closer)) {
        assert!(*after > 2.0 * closer, "{after} after {closer} steps");
    }
}

/// A press on a column's head sorts by it.
fn sorted(browser: &mut Browser) {
    let column = "[...document.querySelectorAll('table.sorted')[0].tBodies[0].rows].map(r => +r.cells[1].dataset.value)";
    browser.press("table.sorted thead th:nth-child(2) button");
    let found: Vec<f64> = serde_json::from_value(browser.value(column)).unwrap();
    assert!(
        found.len() == 3 && found.is_sorted_by(|a, b| a >= b),
        "{found:?}"
    );
}

/// On paper the drawn curves stand for the others, black on white.
fn printed(browser: &mut Browser) {
    browser.media("print", "dark");
    assert_eq!(
        browser.value("getComputedStyle(document.querySelector('.live')).display"),
        "none"
    );
    assert_eq!(
        browser.value("getComputedStyle(document.querySelector('.still')).display"),
        "block"
    );
    assert_eq!(
        browser.value("getComputedStyle(document.body).backgroundColor"),
        "rgb(255, 255, 255)"
    );
    let pdf = browser.call("Page.printToPDF", json!({ "printBackground": true }));
    let text = pdf["data"].as_str().unwrap();
    // `%PDF-` in base64.
    assert!(text.starts_with("JVBERi") && text.len() > 20_000);
    browser.media("screen", "light");
}
