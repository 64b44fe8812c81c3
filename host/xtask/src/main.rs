//! `cargo xtask`: set-up, tests, demo. It needs neither libtorch nor anything else that it is to set up.

mod bench;
mod cache;
mod duckdb;
mod gpu;
mod languages;
mod libtorch;
mod parity;
mod plugins;
mod python;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, iter, thread};

use anyhow::{Result, bail};
use libtorch::Device;
use steps::{Steps, Variables};

const HELP: &str = "cargo xtask COMMAND

  demo [ARGUMENTS]     set up, then run experiments/demo.toml and report on it
  test                 set up, then everything that CI holds a change to; with the languages, if PIXELRATE_LANGUAGES is set,
                       and beside other packages' schedules, if PIXELRATE_PARITY is
  languages            set up, then every example of every language of sdk/, by its real compiler
  parity [--bless]     the built-in schedules beside those of PyTorch, optax, timm, Transformers and Keras, which it fetches;
                       --bless keeps what they give as host/sandbox/tests/golden/parity.jsonl
  setup                find libtorch 2.11, or fetch it, for plain cargo commands; and DuckDB, for `pixelrate query`
  setup --cpu|--cuda   look anew, and fetch the one for this device
  plugins              build the built-in schedules for WASM into plugins/dist
  bench [--compare|--bless] [BENCHMARK …]
                       the benchmarks, beside PyTorch out of `parity`'s packages; --compare fails if a ratio that they print
                       is worse than in tests/bench/ratios.toml, which --bless writes
  gpu                  build what is to be tried on a machine with a GPU into target/gpu, for one that has no Rust
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = root();
    let (command, rest) = arguments
        .split_first()
        .map_or(("help", arguments), |(first, rest)| (first.as_str(), rest));
    match command {
        "setup" => set_up(&root, device(rest)?),
        "demo" => {
            set_up(&root, None)?;
            let study = [
                "run",
                "--package",
                "pixelrate",
                "--",
                "study",
                "experiments/demo.toml",
            ];
            Steps::new(&root).cargo(
                "demo",
                study.into_iter().chain(rest.iter().map(String::as_str)),
            )
        }
        "test" => test(&root),
        "languages" => {
            libtorch::set_up(&root, None)?;
            let mut steps = Steps::new(&root);
            steps.set_all(languages::set_up(&root)?);
            steps.cargo(
                "languages",
                [
                    "test",
                    "--locked",
                    "--package",
                    "pixelrate",
                    "--test",
                    "languages",
                    "--",
                    "--nocapture",
                ],
            )
        }
        "parity" => match rest {
            [] => parity::run(&root, false),
            [one] if one == "--bless" => parity::run(&root, true),
            _ => bail!("parity takes nothing, or --bless\n\n{HELP}"),
        },
        "plugins" => plugins::build(&root),
        "bench" => bench::run(&root, rest),
        "gpu" => gpu::pack(&root),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command \"{other}\"\n\n{HELP}"),
    }
}

fn device(arguments: &[String]) -> Result<Option<Device>> {
    match arguments {
        [] => Ok(None),
        [one] if one == "--cpu" => Ok(Some(Device::Cpu)),
        [one] if one == "--cuda" => Ok(Some(Device::Cuda)),
        _ => bail!("setup takes nothing, --cpu or --cuda\n\n{HELP}"),
    }
}

/// What the program needs: libtorch to be built, DuckDB to answer queries. Without the latter all else works.
fn set_up(root: &Path, device: Option<Device>) -> Result<()> {
    libtorch::set_up(root, device)?;
    if let Err(problem) = duckdb::set_up(root) {
        eprintln!("duckdb: `pixelrate query` has none yet: {problem:#}");
    }
    Ok(())
}

/// Everything that CI holds a change to, the quickest first.
fn test(root: &Path) -> Result<()> {
    set_up(root, None)?;
    let mut steps = Steps::new(root);
    steps.cargo("fmt", ["fmt", "--all", "--check"])?;
    steps.cargo_in("plugins", "fmt of the plugins", ["fmt", "--all", "--check"])?;
    // It takes minutes, mostly one core or none, while all cores compile.
    let packages = {
        let root = root.to_owned();
        thread::spawn(move || packages(&root))
    };
    let checked = checks(root, &mut steps);
    // Also where a check failed: what pip has begun must not go on under another run's feet.
    let packages = match packages.join() {
        Ok(packages) => packages,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    checked?;
    for (name, found) in packages {
        match found {
            Ok(variables) => steps.set_all(variables),
            // A test that must not do without fails, and says so.
            Err(problem) => eprintln!("{name}: {problem:#}"),
        }
    }
    steps.cargo(
        "build of the tests",
        ["test", "--workspace", "--locked", "--no-run"],
    )?;
    // They take minutes and one core, as few of the others do.
    let faults = steps.cargo_beside(
        "faults",
        ["test", "--workspace", "--locked", "--test", "faults"],
    );
    let others = steps.cargo(
        "tests",
        ["test", "--workspace", "--locked", "--", "--skip", FAULTS],
    );
    faults.wait().and(others)
}

/// What is checked before the tests of the workspace.
fn checks(root: &Path, steps: &mut Steps) -> Result<()> {
    steps.cargo(
        "clippy",
        [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    steps.set("RUSTDOCFLAGS", "-D warnings".into());
    steps.cargo("docs", ["doc", "--workspace", "--no-deps", "--locked"])?;
    let target = root.join("target/plugins-test");
    let target = target.to_string_lossy();
    steps.cargo_in(
        "plugins",
        "tests of the plugins",
        ["test", "--quiet", "--locked", "--target-dir", &target],
    )?;
    // They depend on it, and it is no member of theirs: it is a template, too.
    steps.cargo_in(
        "plugins",
        "tests of Rust's SDK",
        [
            "test",
            "--quiet",
            "--locked",
            "--target-dir",
            &target,
            "--package",
            "pixelrate-schedule",
        ],
    )?;
    if let Some(built) = plugins::build_for_test(root)? {
        steps.set("PIXELRATE_BUILT_PLUGINS", built.into());
    }
    Ok(())
}

/// What the tests take from PyPI: each with what tells a step of it, or why it cannot be had.
fn packages(root: &Path) -> Vec<(&'static str, Result<Variables>)> {
    let asked = |flag| env::var_os(flag).is_some();
    let readers = || {
        let found = python::environment(root, "python", "tests/requirements.txt", &[])?;
        Ok(vec![
            ("PIXELRATE_PYTHON", found.python),
            ("PIXELRATE_REQUIRE_PYTHON", "1".into()),
        ])
    };
    let mut all = vec![("test: without Python's readers of the log", readers())];
    if asked(languages::FLAG) {
        all.push(("languages", languages::set_up(root)));
    }
    if asked(parity::FLAG) {
        all.push(("parity", parity::set_up(root)));
    }
    all
}

/// The test of `host/cli/tests/faults.rs`.
const FAULTS: &str = "a_run_comes_through_whatever_happens";

/// The project's folder: the first above this crate that holds `Cargo.lock`.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let above = iter::successors(Some(here.as_path()), |folder| folder.parent());
    above
        .into_iter()
        .find(|folder| folder.join("Cargo.lock").exists())
        .unwrap_or(&here)
        .to_owned()
}
