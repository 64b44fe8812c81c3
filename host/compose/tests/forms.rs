//! How a composition may be written, and what is said of what cannot be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::path::Path;

use common::{Place, rates};
use pixelrate_compose::{is_composition, located, name, resolve};
use pixelrate_sandbox::{Composition, builtin_names};

const MOST: u64 = 64 << 20;

#[test]
fn a_file_a_text_and_a_file_in_a_file_are_the_same_schedule() {
    let place = Place::new();
    place.write(
        "warm.toml",
        "plugin = 'decay.wat'\nparams = { from = 0.2, factor = 0.5 }\nwarmup = { epochs = 1 }\n",
    );
    let text =
        "{ plugin = 'decay.wat', params = { from = 0.2, factor = 0.5 }, warmup = { epochs = 1 } }";
    let file = place.load("warm.toml").unwrap();
    assert_eq!((file.name(), file.parts().len()), ("warm", 1));
    assert_eq!(place.load(text).unwrap().bytes(), file.bytes());
    assert_eq!(
        place.load("{ plugin = 'warm.toml' }").unwrap().bytes(),
        file.bytes()
    );
    assert_eq!(
        place
            .load(&format!("{{ plugin = {text} }}"))
            .unwrap()
            .bytes(),
        file.bytes()
    );
    // A part's name is seen from the file that names it.
    place.write("below/more.toml", "plugin = '../warm.toml'\n");
    assert_eq!(place.load("below/more.toml").unwrap().bytes(), file.bytes());
    // So is what was made one file already.
    place.write("made.wasm", file.bytes());
    assert_eq!(
        place.load("{ plugin = 'made.wasm' }").unwrap().bytes(),
        file.bytes()
    );
    let found = rates(&file, 30);
    assert_eq!((found[5], found[10], found[11]), (0.1, 0.2, 0.1));
}

#[test]
fn parameters_are_given_through_to_parts() {
    let place = Place::new();
    place.write(
        "pair.toml",
        "[[chain]]\nplugin = 'fixed'\nlabel = 'low'\nsteps = 5\n[[chain]]\nplugin = 'fixed'\n",
    );
    for params in [
        "{ 'low.learning_rate' = 0.5, 'fixed.learning_rate' = 0.25 }",
        "{ low.learning_rate = 0.5, fixed.learning_rate = 0.25 }",
    ] {
        let found = place.rates(
            &format!("{{ plugin = 'pair.toml', params = {params} }}"),
            10,
        );
        assert_eq!((found[0], found[5]), (0.5, 0.25));
    }
    let plugin = place.load("pair.toml").unwrap();
    let names: Vec<&str> = plugin
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(names, ["low.learning_rate", "fixed.learning_rate"]);
}

#[test]
fn every_file_is_watched_also_one_that_is_missing() {
    let place = Place::new();
    place.write("inner.toml", "plugin = 'decay.wat'\n");
    let outer = place.write(
        "outer.toml",
        "chain = [ { plugin = 'none.wasm', steps = 3 }, { plugin = 'inner.toml', steps = 3 }, 'fixed' ]\n",
    );
    let found = resolve(outer.to_str().unwrap(), MOST);
    let files: Vec<&str> = found
        .files
        .iter()
        .map(|it| it.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["outer.toml", "none.wasm", "inner.toml", "decay.wat"]
    );
    let problem = found.bytes.unwrap_err().to_string();
    assert!(
        problem.contains("outer.toml:1: cannot read") && problem.contains("none.wasm"),
        "{problem}"
    );
}

#[test]
fn names_and_places_do_not_depend_on_where_one_stands() {
    for (schedule, called, composed) in [
        ("cyclic", "cyclic", false),
        ("a/b.wasm", "b", false),
        ("a/warm.toml", "warm", true),
        (
            "{ plugin = 'a/b.wasm', warmup = { epochs = 5 }, scale = 2 }",
            "warmup-b",
            true,
        ),
        ("{ chain = ['fixed'] }", "chain", true),
        (
            "{ plugin = { chain = ['fixed'] }, repeat = 3 }",
            "repeat-chain",
            true,
        ),
        ("{ oops", "composition", true),
    ] {
        assert_eq!(
            (name(schedule).as_str(), is_composition(schedule)),
            (called, composed)
        );
    }
    let seen = located(
        "{ plugin = 'b.wasm', params = { plugin = 'c.wasm' }, scale = 2 }",
        Path::new("/a"),
    );
    assert_eq!(located(&seen, Path::new("/elsewhere")), seen);
    assert!(
        seen.contains("\"/a/b.wasm\"") && seen.contains("\"c.wasm\""),
        "{seen}"
    );
    assert_eq!(located("fixed", Path::new("/a")), "fixed");
    // A program that was compiled from cosine.c is no schedule.
    let place = tempfile::tempdir().unwrap();
    for name in ["cosine", "mine"] {
        std::fs::write(place.path().join(name), "").unwrap();
    }
    let mine = place.path().join("mine");
    assert_eq!(located("cosine", place.path()), "cosine");
    assert_eq!(located("mine", place.path()), mine.to_str().unwrap());
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let place = Place::new();
    place.write("self.toml", "plugin = 'other.toml'\n");
    place.write("other.toml", "# a comment\nplugin = 'self.toml'\n");
    place.write("study.toml", "[study]\nname = 'x'\n");
    let problem = |text: &str| {
        place.write("bad.toml", text);
        let whole = place.load("bad.toml").unwrap_err().to_string();
        let folder = format!("{}/", place.path().display());
        whole.replace(&folder, "")
    };
    let built_in = builtin_names().collect::<Vec<_>>().join(", ");
    let known = "plugin, params, label, chain, multiply, repeat, scale, offset, clamp, warmup";
    for (text, told) in [
        ("plugin = 'fixed'\nscal = 2\n", format!("bad.toml:2: a composition has no key `scal`: did you mean `scale`? It may have {known}")),
        ("scale = 2\n", "bad.toml:1: a composition needs a `plugin`, a `chain` or a `multiply`, which gives the rate".to_owned()),
        ("plugin = 'fixed'\n\nchain = []\n", "bad.toml:3: a composition has both `plugin` and `chain`: keep one, or nest one inside the other".to_owned()),
        ("plugin = 5\n", "bad.toml:1: `plugin` is 5: must be a built-in schedule's name, a file, or a table".to_owned()),
        ("plugin = 'cylic'\n", format!("bad.toml:1: no schedule \"cylic\": it is neither a file nor a built-in schedule ({built_in}); did you mean `cyclic`?")),
        ("plugin = 'fixed'\nwarmup = 5\n", "bad.toml:2: `warmup` is 5: must be a table, such as { epochs = 5 }".to_owned()),
        ("plugin = 'fixed'\n[warmup]\nepoch = 5\n", "bad.toml:3: `warmup` has no key `epoch`: did you mean `epochs`? It may have steps, epochs, fraction, from, clock".to_owned()),
        ("plugin = 'fixed'\nwarmup = { from = 0.1 }\n", "bad.toml:2: `warmup` needs a length: `steps`, `epochs` or `fraction`".to_owned()),
        ("plugin = 'fixed'\nwarmup = { steps = 2, epochs = 1 }\n", "bad.toml:2: `warmup` has more than one of `steps`, `epochs` and `fraction`".to_owned()),
        ("plugin = 'fixed'\nwarmup = { steps = 2, from = 3 }\n", "bad.toml:2: `from` is 3: must be from 0 to 1".to_owned()),
        ("plugin = 'fixed'\nwarmup = { steps = 2.5 }\n", "bad.toml:2: `steps` is 2.5: must be a whole number, 1 or more".to_owned()),
        ("plugin = 'fixed'\nwarmup = { steps = 2, clock = 'wall' }\n", "bad.toml:2: `clock` is \"wall\": must be \"own\" or \"run\"".to_owned()),
        ("plugin = 'fixed'\nrepeat = { steps = 5, times = 2 }\n", "bad.toml:2: `repeat` needs one of `steps`, `epochs`, `fraction` and `times`".to_owned()),
        ("plugin = 'fixed'\nrepeat = 0\n", "bad.toml:2: `repeat` is 0: must be a whole number, 1 or more".to_owned()),
        ("plugin = 'fixed'\nscale = -1\n", "bad.toml:2: `scale` is -1: must not be negative".to_owned()),
        ("plugin = 'fixed'\noffset = inf\n", "bad.toml:2: `offset` is inf: must be a finite number".to_owned()),
        ("plugin = 'fixed'\nclamp = { min = 2, max = 1 }\n", "bad.toml:2: `clamp` has a `min` of 2, which is above its `max` of 1".to_owned()),
        ("plugin = 'fixed'\nlabel = 'a.b'\n", "bad.toml:2: the label \"a.b\" cannot name a part: use up to 100 letters, without `.` or `=`".to_owned()),
        ("plugin = 'fixed'\nparams = { a = true }\n", "bad.toml:2: `a` is true: must be a finite number or a text".to_owned()),
        ("plugin = 'fixed'\nparams = { learning_rate = inf }\n", "bad.toml:2: `learning_rate` is inf: must be a finite number or a text".to_owned()),
        ("chain = []\n", "bad.toml:1: `chain` needs at least one part".to_owned()),
        ("chain = 'fixed'\n", "bad.toml:1: `chain` is \"fixed\": must be a list of schedules".to_owned()),
        ("chain = [5]\n", "bad.toml:1: each part of `chain` must be a table, such as { plugin = \"cyclic\" }, or a name".to_owned()),
        ("[[chain]]\nplugin = 'fixed'\n\n[[chain]]\nplugin = 'fixed'\n", "bad.toml:1: part 1 of the chain needs a length, `steps`, `epochs` or `fraction`: only the last takes what is left".to_owned()),
        ("[[chain]]\nplugin = 'fixed'\nsteps = 3\n", "bad.toml:1: the last part of a chain takes all remaining steps: remove its `steps`, `epochs` or `fraction`".to_owned()),
        ("[[chain]]\nplugin = 'fixed'\nsteps = 3\n[[chain]]\nplugin = 'fixed'\nstep = 3\n", format!("bad.toml:6: a part of a chain has no key `step`: did you mean `steps`? It may have {known}, steps, epochs, fraction, clock")),
        ("[[multiply]]\nplugin = 'fixed'\nsteps = 3\n", format!("bad.toml:3: a part of `multiply` has no key `steps`: it may have {known}")),
        ("params = { a = 1 }\nchain = ['fixed']\n", "bad.toml:1: `params` is a plugin's: give it to those in `chain`".to_owned()),
        ("label = 'a'\n[plugin]\nchain = ['fixed']\n", "bad.toml:1: `label` is a plugin's, and this is a composition: its own plugins have labels".to_owned()),
        ("params = { learning_rate = 1 }\n[plugin]\nmultiply = ['fixed', 'fixed']\n", "bad.toml:1: parameter `learning_rate` names no part: write it as PART.learning_rate, the parts are fixed, fixed-2".to_owned()),
        ("plugin = 'self.toml'\n", "self.toml:1: it includes itself, and would never end".to_owned()),
        ("plugin = 'study.toml'\n", format!("study.toml:1: a composition has no key `study`: it may have {known} (is it a study? `pixelrate study` runs it)")),
        ("plugin = 'none/at/all.wasm'\n", "bad.toml:1: cannot read none/at/all.wasm: No such file or directory (os error 2)".to_owned()),
    ] {
        assert_eq!(problem(text), told, "{text}");
    }
    assert!(problem("plugin = \n").starts_with("bad.toml: TOML parse error at line 1, column 10"));
    let inline = |text: &str| place.load(text).unwrap_err().to_string();
    assert_eq!(
        inline(
            "{ chain = [ { plugin = 'fixed', steps = 2 }, { plugin = 'fixed', warmup = { epoch = 1 } } ] }"
        ),
        "`warmup` has no key `epoch`: did you mean `epochs`? It may have steps, epochs, fraction, from, clock (at `chain[2].warmup.epoch`)"
    );
    assert!(inline("{ chain = [ }").starts_with("it is no table of TOML: "));
    assert!(inline("{ plugin = 'fixed' }\nmore = 1").contains("more than one table"));
    // One that is damaged, and one whose plugin does not load.
    let made = place.load("{ plugin = 'fixed' }").unwrap();
    place.write("cut.wasm", &made.bytes()[..made.bytes().len() - 1]);
    let cut = inline("{ plugin = 'cut.wasm' }");
    assert!(
        cut.contains("cut.wasm is not a schedule plugin: it is a damaged composition"),
        "{cut}"
    );
    place.write("text.wasm", "no plugin");
    let text = inline("{ plugin = 'text.wasm', scale = 2 }");
    assert!(
        text.starts_with("scale-text, part `text`, is not a schedule plugin"),
        "{text}"
    );
}

#[test]
fn compositions_that_grow_without_end_are_stopped() {
    let place = Place::new();
    for level in 0..40 {
        let next = format!("level{}.toml", level + 1);
        place.write(
            &format!("level{level}.toml"),
            format!("multiply = [ {{ plugin = '{next}' }}, {{ plugin = '{next}' }} ]\n"),
        );
    }
    place.write("level40.toml", "plugin = 'fixed'\n");
    let problem = place.load("level0.toml").unwrap_err().to_string();
    assert!(
        problem.contains("too many files") || problem.contains("nested more than"),
        "{problem}"
    );
    let wide = format!(
        "{{ multiply = [{}] }}",
        "'fixed', ".repeat(65).trim_end_matches(", ")
    );
    let problem = place.load(&wide).unwrap_err().to_string();
    assert!(
        problem.contains("it uses 65 plugins, over the 64"),
        "{problem}"
    );
    let deep = format!(
        "{}{}{}",
        "{ plugin = ".repeat(40),
        "'fixed'",
        " }".repeat(40)
    );
    let problem = place.load(&deep).unwrap_err().to_string();
    assert!(
        problem.contains("nested more than 32") || problem.contains("recursion"),
        "{problem}"
    );
}

#[test]
fn the_same_files_give_the_same_bytes_and_each_is_there_once() {
    let place = Place::new();
    let text = located(
        "{ chain = [ { plugin = 'decay.wat', epochs = 1 }, { plugin = 'line.wat', epochs = 1 }, 'decay.wat' ] }",
        place.path(),
    );
    let bytes = || resolve(&text, MOST).bytes.unwrap();
    assert_eq!(bytes(), bytes());
    let composition = Composition::from_bytes(&bytes()).unwrap();
    assert_eq!(composition.plugins.len(), 2);
    // No path of this machine is in it.
    let folder = place.path().to_str().unwrap();
    assert!(!String::from_utf8_lossy(&bytes()).contains(folder));
}
