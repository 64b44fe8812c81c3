//! Studies through the program: to their end, stopped and gone on with, with a run that fails, and wrong.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{logged, pixelrate, said, study};
use pixelrate_runlog::read_steps;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const TWO: &str = "[[schedule]]\nplugin = \"cyclic\"\nparams = { step_size = 10 }\n\n\
                   [[schedule]]\nlabel = \"adam\"\nplugin = \"fixed\"\nparams = { learning_rate = 3e-4 }\n\
                   training = { optimizer = \"adam\" }\n";

#[test]
fn a_study_ends_with_its_table_and_pictures() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tiny.toml"), study(40, "[0, 1]", TWO)).unwrap();
    let (good, out, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml", "--jobs", "2"]));
    assert!(good, "{err}");
    assert!(out.contains("| cyclic | "), "{out}");
    assert!(out.contains("drawn by code"), "{out}");
    let place = dir.path().join("runs/tiny");
    for run in ["cyclic-seed0", "cyclic-seed1", "adam-seed0", "adam-seed1"] {
        assert_eq!(read_steps(&place.join(run)).unwrap().len(), 40, "{run}");
    }
    // One seed's runs see the same pictures: only the schedules differ, and the first loss does not know them.
    let first = |run: &str| read_steps(&place.join(run)).unwrap()[0].train_loss;
    assert_eq!(first("cyclic-seed0"), first("adam-seed0"));
    assert_ne!(first("cyclic-seed0"), first("cyclic-seed1"));
    for picture in ["accuracies", "learning-rates", "losses", "accuracy-curves"] {
        let text = fs::read_to_string(place.join(format!("report/{picture}.svg"))).unwrap();
        assert!(text.contains("<svg") && text.contains("cyclic") && text.ends_with("</svg>\n"));
    }

    let (good, out, _) = said(pixelrate(dir.path()).args(["report", "runs/tiny", "--json"]));
    assert!(good);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["schedule"], "cyclic");
    assert_eq!(rows[0]["accuracy"]["count"], 2);
    assert_eq!(rows[1]["accuracies"].as_object().unwrap().len(), 2);

    // Done is done: the same command trains nothing, and says the same.
    let began = Instant::now();
    let (good, again, _) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
    assert!(good && again.contains("| cyclic | "));
    assert!(began.elapsed() < Duration::from_secs(60));

    // A study that is changed does not go on under the old runs.
    fs::write(dir.path().join("tiny.toml"), study(60, "[0, 1]", TWO)).unwrap();
    let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
    assert!(!good);
    assert!(
        err.contains("training.epochs") && err.contains("2.0, now 3.0"),
        "{err}"
    );
}

/// Waits until some run of the study has logged steps.
fn wait_for_steps(study: &Path, child: &mut Child) {
    let began = Instant::now();
    loop {
        let runs = fs::read_dir(study).into_iter().flatten().flatten();
        if runs
            .map(|run| read_steps(&run.path()).map_or(0, |steps| steps.len()))
            .any(|steps| steps > 10)
        {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "no step was logged"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_same_command_goes_on_after_a_stop_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
    for folder in [&whole, &stopped] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("tiny.toml"), study(2_000, "[0]", TWO)).unwrap();
    }
    let (good, _, err) = said(pixelrate(&whole).args(["study", "tiny.toml", "--jobs", "2"]));
    assert!(good, "{err}");

    // SIGINT to the study's process alone: its runs are stopped by it, and not by the terminal.
    let mut child = pixelrate(&stopped)
        .args(["study", "tiny.toml", "--jobs", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_steps(&stopped.join("runs/tiny"), &mut child);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert!(err.contains("the same command continues"), "{err}");
    let steps = |run: &str| {
        read_steps(&stopped.join("runs/tiny").join(run))
            .unwrap()
            .len()
    };
    assert!(steps("cyclic-seed0") < 2_000, "it was too late to stop");

    // Killed, it cannot tell its runs to stop, and they do.
    let mut child = pixelrate(&stopped)
        .args(["study", "tiny.toml", "--jobs", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut last = Err(String::new());
    for _ in 0..100 {
        let (good, _, err) = said(pixelrate(&stopped).args(["study", "tiny.toml"]));
        last = if good { Ok(()) } else { Err(err) };
        // The runs of the one that was killed may still be writing their checkpoints, or only be beginning.
        let passes = ["another process", "already holds", "holds a run already"];
        if !(last.as_ref()).is_err_and(|err| passes.iter().any(|words| err.contains(words))) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    last.unwrap();
    for run in ["cyclic-seed0", "adam-seed0"] {
        let place = |folder: &Path| logged(&folder.join("runs/tiny").join(run));
        assert_eq!(place(&whole), place(&stopped), "{run}");
    }
}

#[test]
fn a_run_that_fails_ends_no_other_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // Good until step 5. What it makes of the loss is known only then.
    fs::write(
        dir.path().join("breaks.wat"),
        r#"(module (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
             (func (export "learning-rate") (param i64) (result f64)
               (if (result f64) (i64.lt_u (local.get 0) (i64.const 5))
                 (then (f64.const 0.01)) (else (f64.add (call $loss) (f64.const nan))))))"#,
    )
    .unwrap();
    let schedules = format!("[[schedule]]\nplugin = \"breaks.wat\"\n\n{TWO}");
    fs::write(dir.path().join("tiny.toml"), study(40, "[0]", &schedules)).unwrap();
    let (good, out, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml", "--jobs", "2"]));
    assert!(!good);
    let (_, last) = err.split_once("error: breaks-seed0 failed: ").unwrap();
    assert!(
        last.contains("failed at step 5: its learning rate is NaN"),
        "{err}"
    );
    assert_eq!(
        last.lines().count(),
        2,
        "the fault, and what else could be done: {err}"
    );
    assert!(
        out.contains("| cyclic | ") && out.contains("breaks-seed0: "),
        "{out}"
    );
    for (run, steps) in [
        ("cyclic-seed0", 40),
        ("adam-seed0", 40),
        ("breaks-seed0", 5),
    ] {
        let found = read_steps(&dir.path().join("runs/tiny").join(run)).unwrap();
        assert_eq!(found.len(), steps, "{run}");
    }
}

#[test]
fn a_study_none_of_whose_runs_begins_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let text = study(40, "[0]", TWO).replace("\"synthetic\"", "\"cifar10\"");
    fs::write(dir.path().join("tiny.toml"), text).unwrap();
    let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
    assert!(!good);
    assert_eq!(
        err.matches("pixelrate data get cifar10").count(),
        1,
        "{err}"
    );
    assert!(!dir.path().join("runs/tiny/cyclic-seed0").exists());
    // Files that are there, and are none.
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    for name in ["1", "2", "3", "4", "5"].map(|number| format!("data_batch_{number}.bin")) {
        fs::write(data.join(name), "").unwrap();
    }
    fs::write(data.join("test_batch.bin"), "").unwrap();
    let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
    assert!(!good);
    assert!(err.contains("no report yet: "), "{err}");
    assert!(
        err.contains("error: cyclic-seed0 failed: ") && err.contains("pixelrate data get cifar10"),
        "{err}"
    );
}

#[test]
fn schedules_may_be_put_in_another_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tiny.toml");
    let (cyclic, adam) = TWO.split_at(TWO.rfind("[[schedule]]").unwrap());
    fs::write(&file, study(40, "[0]", TWO)).unwrap();
    let run = || {
        let (good, out, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
        assert!(good, "{err}");
        let place = |label: &str| out.find(&format!("\n| {label} | "));
        ["cyclic", "adam", "fixed"].map(place)
    };
    let [first, second, _] = run();
    assert!(first < second);
    let fixed = "[[schedule]]\nplugin = \"fixed\"\n\n";
    let other = format!("{fixed}{adam}\n{cyclic}");
    fs::write(&file, study(40, "[0]", &other)).unwrap();
    let [cyclic, adam, fixed] = run();
    assert!(fixed.is_some() && fixed < adam && adam < cyclic);
    // One that is gone from the study stands behind all others, and is no part of their grid.
    let text = study(40, "[0]", adam_alone());
    fs::write(&file, text).unwrap();
    let [cyclic, adam, fixed] = run();
    assert!(adam.is_some() && adam < fixed && fixed < cyclic);
}

fn adam_alone() -> &'static str {
    &TWO[TWO.rfind("[[schedule]]").unwrap()..]
}

#[test]
fn a_run_goes_on_when_the_terminal_that_nohup_was_typed_in_ends() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tiny.toml"), study(2_000, "[0]", TWO)).unwrap();
    let program = env!("CARGO_BIN_EXE_pixelrate");
    let mut child = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' HUP; exec \"$0\" study tiny.toml --jobs 1",
            program,
        ])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_steps(&dir.path().join("runs/tiny"), &mut child);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_key() {
    let cyclic = "[[schedule]]\nplugin = \"cyclic\"\n";
    let good = study(40, "[0]", cyclic);
    let line = |text: &str, part: &str| 1 + text.lines().position(|l| l.contains(part)).unwrap();
    let cases = [
        // A key that does not exist, a value of the wrong type, a number that cannot be.
        (
            good.replace("batch_size", "batchsize"),
            "batchsize",
            vec!["batchsize", "batch_size"],
        ),
        (
            good.replace("= 16", "= \"16\""),
            "batch_size",
            vec!["batch_size", "u32"],
        ),
        (
            good.replace("= 16", "= 0"),
            "batch_size",
            vec!["batch_size", "at least 1"],
        ),
        (
            good.replace("\"convnet\"", "\"resnet-9\""),
            "model",
            vec!["resnet-9", "6n + 2"],
        ),
        (
            good.replace("synthetic", "cifar11"),
            "dataset",
            vec!["cifar11", "cifar10"],
        ),
        (good.replace("[0]", "[]"), "seeds", vec!["seeds"]),
        (
            format!("{good}params = {{ max_learning_rte = 0.1 }}\n"),
            "params",
            vec!["max_learning_rte", "max_lr"],
        ),
        (
            format!("{good}{cyclic}"),
            "[[schedule]]",
            vec!["cyclic", "label"],
        ),
        (
            good.replace(
                "name = \"tiny\"\n",
                "name = \"tiny\"\npictures = \"pictrues\"\n",
            ),
            "pictures",
            vec!["pictrues is no folder"],
        ),
        (
            format!("{good}[grid]\nepochs = [2, 1, 1.0]\n"),
            "epochs = [",
            vec!["`epochs` has 1.0 twice"],
        ),
        (
            format!("{good}[grid]\nvalidation_examples = [0, 100]\n"),
            "validation_examples = [",
            vec!["evaluated on the same pictures"],
        ),
        (
            format!("{good}[grid]\ntest_views = [1, 6]\n"),
            "test_views = [",
            vec!["evaluated on the same views"],
        ),
        (
            good.replace("model =", "flip = \"sideways\"\nmodel ="),
            "flip =",
            vec!["random", "alternate"],
        ),
        (
            good.replace("\"cyclic\"", "\"cyclik.wasm\""),
            "cyclik",
            vec!["cyclik.wasm"],
        ),
        (
            good.replacen("[[schedule]]", "[schedule]", 1),
            "[schedule]",
            vec!["`[[schedule]]`"],
        ),
        (
            format!("guard = 10\n{good}"),
            "guard",
            vec!["expected a table"],
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (text, place, words) in cases {
        fs::write(dir.path().join("tiny.toml"), &text).unwrap();
        let (good, _, err) = said(pixelrate(dir.path()).args(["study", "tiny.toml"]));
        assert!(!good, "{text}");
        let expected = if place == "[[schedule]]" {
            text.lines().count() - 1
        } else {
            line(&text, place)
        };
        let told = err.contains(&format!("tiny.toml:{expected}:"))
            || err.contains("tiny.toml: ") && err.contains(&format!("line {expected},"));
        assert!(told, "line {expected} of {text}\n{err}");
        for word in words {
            assert!(err.contains(word), "{word}: {err}");
        }
        assert!(err.matches("TOML parse error").count() <= 1, "{err}");
        assert!(!dir.path().join("runs").exists(), "nothing was begun");
    }
}

#[test]
fn ctrl_c_in_a_terminal_reaches_the_runs_through_their_study_alone() {
    // While its runs begin, and when they train.
    for pause in [Some(300), Some(700), Some(1_500), None] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tiny.toml"), study(50_000, "[0]", TWO)).unwrap();
        let mut child = pixelrate(dir.path())
            .args(["study", "tiny.toml", "--jobs", "2"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        match pause {
            Some(milliseconds) => std::thread::sleep(Duration::from_millis(milliseconds)),
            None => wait_for_steps(&dir.path().join("runs/tiny"), &mut child),
        }
        kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr).into_owned();
        // The study itself may not have come so far that it listens.
        let signal = pause.is_some() && ended.status.signal().is_some();
        assert!(signal || ended.status.code() == Some(130), "{err}");
        assert!(!err.contains("FAILED") && !err.contains("failed"), "{err}");
        if pause.is_none() {
            let runs = fs::read_dir(dir.path().join("runs/tiny"))
                .unwrap()
                .flatten();
            let mut kept = runs.filter_map(|run| fs::read_dir(run.path().join("checkpoints")).ok());
            assert!(kept.any(|mut all| all.next().is_some()), "{err}");
        }
    }
}

#[test]
fn a_study_has_one_process_and_its_folder_to_itself_and_is_stopped_from_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tiny.toml"), study(50_000, "[0]", TWO)).unwrap();
    let say = |line: &str| said(pixelrate(dir.path()).args(line.split(' ')));
    let mut child = pixelrate(dir.path())
        .args(["study", "tiny.toml", "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_steps(&dir.path().join("runs/tiny"), &mut child);
    let refused = |line: &str, words: &str| {
        let (good, _, err) = say(line);
        assert!(!good && err.contains(words), "{line}: {err}");
    };
    refused("study tiny.toml", &format!("(process {})", child.id()));
    refused(
        "run --schedule fixed --folder runs/tiny",
        "holds runs, such as",
    );
    refused(
        "search --schedule fixed --param learning_rate=0.1,0.2 --name tiny",
        "holds runs of a study",
    );
    // The runs that have not begun do not begin.
    let (good, out, err) = say("stop runs/tiny");
    assert!(good && out.contains("stopped, with its runs"), "{err}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    refused("stop runs/tiny", "asked 0 of 2 matching runs");
    refused("resume runs/tiny", "no run in runs/tiny is paused");
    // What is over can be forked.
    let (good, _, err) = say("fork runs/tiny --at-step 5 --schedule fixed --only-prepare");
    assert!(good, "{err}");
}
