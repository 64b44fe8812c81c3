//! The smaller commands, as a user calls them: what they print, what they write, how they end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use common::{pixelrate, said, unread};
use serde_json::Value;

/// A plugin whose answer counts its calls, which no resumed run could repeat.
const COUNTER: &str = r#"(module (global $calls (mut f64) (f64.const 0))
    (func (export "learning-rate") (param i64) (result f64)
        (global.set $calls (f64.add (global.get $calls) (f64.const 0.001)))
        (global.get $calls)))"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn check_passes_the_built_in_schedules() {
    let here = Path::new(".");
    for name in pixelrate_sandbox::builtin_names() {
        let (good, out, err) = said(pixelrate(here).args(["check", name, "--json"]));
        assert!(good, "{name}: {out}{err}");
        let told = json(&out);
        assert_eq!(
            (&told["plugin"], &told["passed"]),
            (&name.into(), &true.into())
        );
        let checks: Vec<&str> = told["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            checks,
            [
                "contract",
                "imports",
                "start",
                "values",
                "purity",
                "state",
                "one step",
                "10^12 steps",
                "memory"
            ]
        );
        assert_eq!(told["costs"]["steps"], 10_000);
        assert!(told["costs"]["fuel_median"].as_u64() > Some(0), "{out}");
    }
    let (good, out, _) = said(pixelrate(here).args(["check", "cyclic"]));
    assert!(
        good && out.contains("conforms") && out.contains("agree bit for bit"),
        "{out}"
    );
}

#[test]
fn check_fails_what_a_run_could_not_repeat() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("counter.wat"), COUNTER).unwrap();
    let (good, out, _) = said(pixelrate(dir.path()).args(["check", "counter.wat"]));
    assert!(!good);
    assert!(
        out.contains("does NOT conform: ") && out.contains("in a fresh instance"),
        "{out}"
    );
    let (good, out, _) = said(pixelrate(dir.path()).args(["check", "counter.wat", "--json"]));
    assert!(!good);
    let told = json(&out);
    let purity = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "purity")
        .unwrap();
    assert_eq!(
        (&told["passed"], &purity["verdict"]),
        (&false.into(), &"fail".into())
    );

    // The trainer refuses it for the same reason, before it trains.
    let run = ["run", "--schedule", "counter.wat", "--epochs", "1"];
    let (good, _, err) = said(pixelrate(dir.path()).args(run));
    assert!(!good && err.contains("does not conform (purity)"), "{err}");
    assert!(!dir.path().join("runs").exists());

    fs::write(dir.path().join("text.wasm"), "no plugin").unwrap();
    let (good, out, err) = said(pixelrate(dir.path()).args(["check", "text.wasm", "--json"]));
    assert!(!good && err.is_empty());
    assert!(
        json(&out)["error"]
            .as_str()
            .unwrap()
            .contains("is not a schedule plugin"),
        "{out}"
    );
    let (good, _, err) = said(pixelrate(dir.path()).args(["check", "text.wasm"]));
    assert!(
        !good && err.starts_with("error: text is not a schedule plugin"),
        "{err}"
    );
}

#[test]
fn check_and_inspect_tell_every_failure_as_json_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.wasm")).unwrap();
    fs::write(dir.path().join("text.wasm"), "no plugin").unwrap();
    let huge = fs::File::create(dir.path().join("huge.wasm")).unwrap();
    huge.set_len(200 << 20).unwrap();
    fs::write(dir.path().join("counter.wat"), COUNTER).unwrap();

    // What cannot be loaded.
    for (file, problem) in [
        (
            "nowhere.wasm",
            "no schedule \"nowhere.wasm\": it is neither a file nor",
        ),
        (
            "folder.wasm",
            "folder.wasm is a folder: name the plugin's file in it",
        ),
        ("text.wasm", "text is not a schedule plugin: "),
        (
            "huge.wasm",
            "the plugin huge.wasm has 209715200 bytes, over the 67108864",
        ),
    ] {
        for command in ["check", "inspect"] {
            let (good, out, err) = said(pixelrate(dir.path()).args([command, file, "--json"]));
            assert!(!good && err.is_empty(), "{command} {file}: {err}");
            let told = json(&out);
            assert_eq!(told["plugin"], file, "{out}");
            let error = told["error"].as_str().unwrap();
            assert!(error.starts_with(problem), "{command} {file}: {error}");
            assert_eq!(told.get("sha256"), None);
            // People read the same, on the other channel.
            let (good, out, err) = said(pixelrate(dir.path()).args([command, file]));
            assert!(!good && out.is_empty(), "{command} {file}: {out}");
            assert_eq!(err.trim(), format!("error: {error}"));
        }
    }

    // What is loaded, and cannot be tried as it was asked for.
    for (arguments, problem) in [
        (
            &["--steps", "0"][..],
            "--steps and --steps-per-epoch must be at least 1",
        ),
        (&["--param", "max_lr"], "--param max_lr"),
    ] {
        for command in ["check", "inspect"] {
            let all = [&[command, "cyclic", "--json"], arguments].concat();
            let (good, out, err) = said(pixelrate(dir.path()).args(all));
            assert!(!good && err.is_empty(), "{command} {arguments:?}: {err}");
            let told = json(&out);
            let error = told["error"].as_str().unwrap();
            assert!(error.starts_with(problem), "{command}: {error}");
            assert_eq!(
                (&told["plugin"], told["sha256"].as_str().map(str::len)),
                (&"cyclic".into(), Some(64))
            );
        }
    }
    let ceiling = ["check", "cyclic", "--json", "--max-learning-rate", "0"];
    let (good, out, _) = said(pixelrate(dir.path()).args(ceiling));
    assert!(!good);
    let told = json(&out);
    assert_eq!(
        told["error"],
        "--max-learning-rate 0: must be a finite number above 0"
    );
    assert_eq!(told["passed"], false);

    // What was tried, and fails.
    let (good, out, _) = said(pixelrate(dir.path()).args(["check", "counter.wat", "--json"]));
    assert!(!good);
    let told = json(&out);
    let error = told["error"].as_str().unwrap();
    assert!(
        error.starts_with("counter does not conform (purity): "),
        "{error}"
    );
    assert!(!told["checks"].as_array().unwrap().is_empty(), "{out}");
}

#[test]
fn inspect_tells_parameters_declared_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let (good, out, _) = said(pixelrate(dir.path()).args(["inspect", "cyclic"]));
    assert!(good);
    for part in [
        "core module",
        "exports  learning-rate, init, parameters",
        "step_size",
        "1000",
        "half a cycle",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (_, out, _) = said(pixelrate(dir.path()).args(["inspect", "image"]));
    assert!(
        out.contains("[raster] serpentine") && out.contains("picture"),
        "{out}"
    );
    fs::write(
        dir.path().join("asks.wat"),
        r#"(module (import "pixelrate:schedule/run@1.0.0" "param" (func $param (param i32 i32 f64) (result f64)))
            (memory (export "memory") 1) (data (i32.const 8) "peak")
            (func (export "learning-rate") (param i64) (result f64)
                (call $param (i32.const 8) (i32.const 4) (f64.const 0.5))))"#,
    )
    .unwrap();
    let (good, out, err) = said(pixelrate(dir.path()).args(["inspect", "asks.wat", "--json"]));
    assert!(good, "{err}");
    assert_eq!(json(&out)["undeclared"]["peak"], 0.5);
}

#[test]
fn preview_draws_to_the_terminal_to_files_and_as_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let two = [
        "preview",
        "cyclic:step_size=50",
        "image:image=puppy,order=hilbert",
        "--steps",
        "200",
    ];
    let (good, out, err) = said(pixelrate(dir.path()).args(two));
    assert!(good && !err.contains("reads"), "{err}");
    assert!(out.contains("cyclic") && out.contains("puppy"), "{out}");
    assert!(
        out.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c)),
        "{out}"
    );

    let (good, _, err) = said(pixelrate(dir.path()).args(["preview", "plateau"]));
    let lacks = "plateau reads losses and accuracies, which only a run has";
    assert!(good && err.contains(lacks), "{err}");

    let (good, out, _) = said(pixelrate(dir.path()).args(two).arg("--json"));
    assert!(good);
    let told = json(&out);
    let rates = told[0]["learning_rate"].as_array().unwrap();
    assert_eq!(
        (rates.len(), rates[0].as_f64(), rates[50].as_f64()),
        (200, Some(1e-5), Some(1e-2))
    );

    for (file, start) in [("rates.svg", &b"<svg"[..]), ("rates.png", b"\x89PNG")] {
        let (good, out, err) = said(pixelrate(dir.path()).args(two).args(["--out", file]));
        assert!(good && out.trim() == file, "{out}{err}");
        assert!(
            fs::read(dir.path().join(file)).unwrap().starts_with(start),
            "{file}"
        );
    }
    let (good, _, err) = said(pixelrate(dir.path()).args(two).args(["--out", "rates.pdf"]));
    assert!(!good && err.contains(".svg or .png"), "{err}");
    for (name, meant) in [
        ("cyclik", "cyclic"),
        ("OneCycleLR", "onecycle"),
        ("cosine_decay_schedule", "cosine"),
    ] {
        let (good, _, err) = said(pixelrate(dir.path()).args(["preview", name]));
        let question = format!("did you mean `{meant}`?");
        assert!(!good && err.contains(&question), "{err}");
    }
}

#[test]
fn what_cannot_be_drawn_or_is_misspelt_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |call: &[&str]| {
        let (good, out, err) = said(pixelrate(dir.path()).args(call));
        assert!(!good && out.is_empty(), "{call:?}: {out}");
        err
    };
    for call in [
        &["preview", "image:image=puppi"][..],
        &["run", "--schedule", "image", "--param", "image=puppi"],
    ] {
        let err = refused(call);
        for words in ["mona_lisa, ", "did you mean `puppy`?", "--pictures"] {
            assert!(err.contains(words), "{call:?}: {words}: {err}");
        }
    }
    for call in [
        &["preview", "image:image=puppy", "--pictures", "typo"][..],
        &["run", "--schedule", "image", "--pictures", "typo"],
    ] {
        let err = refused(call);
        assert!(err.contains("--pictures: typo is not a folder"), "{err}");
    }
    let composed = "{ plugin = \"image\", params = { image = \"puppy\" }, scale = 0.5 }";
    let err = refused(&["preview", composed, "--scan", "scan.png"]);
    assert!(
        err.contains("a composition") && !err.contains("is missing"),
        "{err}"
    );
    for call in [
        &["preview", "cyclic:max_lr=0.1,max_lr=0.2"][..],
        &[
            "inspect",
            "cyclic",
            "--param",
            "max_lr=0.1",
            "--param",
            "max_lr=0.2",
        ],
        &[
            "run",
            "--schedule",
            "cyclic",
            "--param",
            "max_lr=0.1",
            "--param",
            "max_lr=0.2",
        ],
    ] {
        let err = refused(call);
        assert!(
            err.contains("`--param max_lr` is given twice"),
            "{call:?}: {err}"
        );
    }
}

#[test]
fn a_number_below_zero_is_an_options_value() {
    let dir = tempfile::tempdir().unwrap();
    for (option, told) in [
        ("--epochs", "`epochs`: is -1"),
        ("--max-learning-rate", "`max_learning_rate`: is -1"),
        ("--seed", "invalid value '-1' for '--seed"),
    ] {
        let run = ["run", "--schedule", "fixed", option, "-1"];
        let (good, _, err) = said(pixelrate(dir.path()).args(run));
        assert!(!good && err.contains(told), "{err}");
    }
}

#[test]
fn who_asks_for_a_rate_is_told_whose_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for call in [
        &["run", "--lr", "0.1"][..],
        &["run", "--learning-rate=0.1"],
        &["search", "--lr", "0.1"],
        &["swap", "runs/run/one", "--lr", "0.1"],
        &["fork", "runs/run/one", "--lr", "0.1"],
    ] {
        let (good, _, err) = said(pixelrate(dir.path()).args(call));
        assert!(!good && err.contains("unexpected argument '--lr"), "{err}");
        assert!(
            err.contains("--schedule fixed --param learning_rate=0.1"),
            "{err}"
        );
    }
    let (_, help, _) = said(pixelrate(dir.path()).args(["run", "--help"]));
    assert!(!help.contains("--lr"), "{help}");
}

#[test]
fn nothing_is_said_once_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    for call in [
        &["data", "list"][..],
        &["inspect", "cyclic"],
        &["preview", "cyclic", "--steps", "100"],
        &[
            "search",
            "--list",
            "--schedule",
            "cyclic",
            "--param",
            "max_lr=0.1,0.2",
        ],
    ] {
        // As a shell tells of what SIGPIPE ended.
        let end = unread(pixelrate(dir.path()).args(call));
        assert_eq!(end, (Some(141), String::new()), "{call:?}");
    }
}

#[test]
fn data_lists_checks_and_fetches() {
    let dir = tempfile::tempdir().unwrap();
    let (good, out, _) = said(pixelrate(dir.path()).args(["data", "list"]));
    assert!(good);
    for name in ["mnist", "fashion-mnist", "cifar10", "cifar100", "synthetic"] {
        assert!(out.contains(name), "{name}: {out}");
    }
    let (good, out, _) = said(pixelrate(dir.path()).args(["data", "check", "synthetic"]));
    assert!(
        good && out.contains("10 classes") && out.contains("drawn by code"),
        "{out}"
    );
    let (good, _, err) = said(pixelrate(dir.path()).args(["data", "check", "cifar10"]));
    assert!(!good && err.contains("pixelrate data get cifar10"), "{err}");
    let (good, _, err) = said(pixelrate(dir.path()).args(["data", "get", "imagenet"]));
    assert!(!good && err.contains("imagenet"), "{err}");

    // A mirror on loopback, whose file is not the official one: refused, and no trace of it is left to be loaded.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/mnist", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let (good, _, err) =
        said(pixelrate(dir.path()).args(["data", "get", "mnist", "--mirror", &mirror]));
    assert!(!good && err.contains("127.0.0.1"), "{err}");
    let (good, _, err) = said(pixelrate(dir.path()).args(["data", "check", "mnist"]));
    assert!(!good && err.contains("pixelrate data get mnist"), "{err}");
}

#[test]
fn a_new_plugin_builds_at_once_and_its_test_can_fail() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("my-schedule");
    let new = ["new", "my-schedule", "--lang", "wat"];
    let (good, out, err) = said(pixelrate(dir.path()).args(new));
    assert!(
        good && out.contains("next: cd my-schedule && pixelrate build")
            && out.contains("  .gitignore\n"),
        "{out}{err}"
    );
    let (good, out, err) = said(pixelrate(dir.path()).args(["build", "my-schedule"]));
    assert!(
        good && out.contains("conforms") && out.contains("1: 5 rates of a run of 100 steps"),
        "{out}{err}"
    );
    assert!(folder.join("my-schedule.wasm").is_file());

    let manifest = folder.join("pixelrate.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("55 = 0.2", "55 = 0.21")).unwrap();
    let (good, out, _) = said(pixelrate(&folder).arg("build"));
    assert!(
        !good && out.contains("step 55 of 100 gives 0.2") && out.contains("does NOT conform: test"),
        "{out}"
    );

    let (good, _, err) = said(pixelrate(dir.path()).args(new));
    assert!(!good && err.contains("exists and is not empty"), "{err}");
    let (good, _, err) = said(pixelrate(dir.path()).args(["new", "x", "--lang", "pyton"]));
    assert!(!good && err.contains("did you mean `python`?"), "{err}");
    let (good, _, err) = said(pixelrate(dir.path()).arg("build"));
    assert!(!good && err.contains("holds no pixelrate.toml"), "{err}");
}

#[test]
fn a_composition_is_a_schedule_and_no_study() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("warm.toml"),
        "plugin = 'fixed'\nparams = { learning_rate = 0.5 }\nwarmup = { steps = 4 }\n",
    )
    .unwrap();
    let text = "{ chain = [ { plugin = 'warm.toml', steps = 6 }, { plugin = 'image', params = { image = 'puppy' } } ] }";
    let args = ["preview", "--json", "--steps", "10", "warm.toml", text];
    let (good, out, err) = said(pixelrate(dir.path()).args(args));
    assert!(good, "{err}");
    let told = json(&out);
    let rates = |line: usize| told[line]["learning_rate"].as_array().unwrap().clone();
    assert_eq!(
        (&told[0]["schedule"], &told[1]["schedule"]),
        (&"warm".into(), &"chain".into())
    );
    let warm = [0.0, 0.125, 0.25, 0.375, 0.5, 0.5];
    assert_eq!(
        (&rates(0)[..6], &rates(1)[..6]),
        (&warm.map(Value::from)[..], &warm.map(Value::from)[..])
    );
    assert_ne!(rates(1)[9], rates(1)[5]);

    let (good, out, err) = said(pixelrate(dir.path()).args(["inspect", text, "--json"]));
    assert!(good, "{err}");
    let told = json(&out);
    assert_eq!(
        (&told["parts"][1]["name"], &told["parts"][0]["name"]),
        (&"image".into(), &"fixed".into())
    );
    let parameters = told["parameters"].as_array().unwrap();
    let named = |name: &str| parameters.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(named("fixed.learning_rate")["default"], 0.5);
    // The picture that it names, and not the one that those are given which name none.
    assert_eq!(named("image.image")["picture"], "puppy");
    let (good, _, err) = said(pixelrate(dir.path()).args(["check", text]));
    assert!(good, "{err}");
}

#[test]
fn a_study_tells_where_a_composition_of_its_own_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let study = |schedule: &str| {
        let head = "[study]\nname = 's'\nseeds = [0]\n[training]\ndataset = 'synthetic'\nmodel = 'convnet'\nepochs = 1\n";
        fs::write(
            dir.path().join("s.toml"),
            format!("{head}[[schedule]]\n{schedule}"),
        )
        .unwrap();
        said(pixelrate(dir.path()).args(["preview", "s.toml", "--json"]))
    };
    let two = "chain = [\n  { plugin = 'fixed', label = 'low', epochs = 0.5 },\n  'fixed',\n]\n";
    let (good, out, err) = study(&format!("{two}params = {{ 'low.learning_rate' = 0.25 }}\n"));
    assert!(good, "{err}");
    let rates = &json(&out)[0]["learning_rate"];
    assert_eq!(rates[0], 0.25);
    assert_ne!(rates[46], 0.25);
    // Its label is what makes it, where the study gives none.
    assert_eq!(json(&out)[0]["schedule"], "chain");
    let (good, _, err) = said(pixelrate(dir.path()).args(["preview", "s.toml", "--steps", "100"]));
    assert!(
        !good && err.contains("--steps is for schedules by their names"),
        "{err}"
    );
    for (schedule, problem) in [
        (
            "plugin = 'fixed'\nwarmup = { epoch = 5 }\n",
            "s.toml:10: `warmup` has no key `epoch`: did you mean `epochs`?",
        ),
        (
            "chain = [\n  { plugin = 'fixed', epochs = 1 },\n  { plugin = 'fixed', repeat = 0 },\n]\n",
            "s.toml:11: `repeat` is 0: must be a whole number, 1 or more",
        ),
        (
            "scale = 2\n",
            "s.toml:8: a schedule needs a `plugin`, a `chain` or a `multiply`, which gives the rate",
        ),
        ("plugin = 'fixed'\nscal = 2\n", "unknown field `scal`"),
        (
            "plugin = 'fixed'\nwarmup = { epochs = 2 }\n",
            "the warm-up takes 94 steps of 46: none are left for `fixed`",
        ),
        (two, "chain has no parameter"),
    ] {
        let schedule = if schedule == two {
            format!("{two}params = {{ learning_rate = 0.25 }}\n")
        } else {
            schedule.to_owned()
        };
        let (good, _, err) = study(&schedule);
        assert!(!good && err.contains(problem), "{schedule}: {err}");
    }
}
