//! The Rust compiler for WASM: the toolchain in use if it has the target or rustup can add it, else Debian's.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::version::{self, Least};
use crate::{Error, Outdated, Step};

/// The target that schedules are built for: no system, not even WASI.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What the SDK is written for, and the built-in schedules.
const LEAST: Least = Least(&[1, 95]);

const INSTALL: &str = "`rustup target add wasm32-unknown-unknown`, or on Debian \
                       `apt-get install rustc-web cargo-web rust-web-src rust-web-llvm lld`";

/// A cargo that can build for [`TARGET`].
#[derive(Debug, Clone)]
pub struct Compiler {
    cargo: String,
    /// Another rustc than cargo's own.
    rustc: Option<String>,
    /// Whether the target's standard library must be built too.
    build_std: bool,
    /// What the compiler calls itself.
    pub version: String,
}

impl Compiler {
    /// The toolchain in use in `folder`, if it has the target; else Debian's `rustc-web`, whose standard library is built
    /// from source.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Old`], with what to install.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let missing = || Error::Missing {
            language: "Rust",
            tool: format!("a Rust compiler for {TARGET}"),
            install: INSTALL,
        };
        if has_target(folder) {
            let version = output(rustc(folder).arg("--version")).ok_or_else(missing)?;
            return Ok(Self {
                cargo: "cargo".to_owned(),
                rustc: None,
                build_std: false,
                version: recent(version, "`rustup update`, or set a newer toolchain")?,
            });
        }
        let debian = "/usr/bin/rustc";
        let has_sources = |root: String| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library")
                .exists()
        };
        let sysroot = output(Command::new(debian).args(["--print", "sysroot"]));
        if !sysroot.is_some_and(has_sources) {
            return Err(missing());
        }
        let version = output(Command::new(debian).arg("--version")).ok_or_else(missing)?;
        Ok(Self {
            cargo: "/usr/bin/cargo".to_owned(),
            rustc: Some(debian.to_owned()),
            build_std: true,
            version: recent(
                version,
                "`apt-get install rustup`, and then `rustup default stable`",
            )?,
        })
    }

    /// `cargo build --release` for [`TARGET`], with these arguments more. With `root`, panic messages name what lies
    /// there by its place in it, wherever it is: the plugin does not depend on that.
    #[must_use]
    pub fn build(&self, arguments: &[&str], root: Option<&Path>) -> Step {
        let mut step = Step::new([
            self.cargo.as_str(),
            "build",
            "--release",
            "--target",
            TARGET,
        ])
        // What this cargo was told by the one that runs us is not meant for another toolchain.
        .without("RUSTUP_TOOLCHAIN")
        .without("CARGO");
        step.words
            .extend(arguments.iter().map(|&word| word.to_owned()));
        let mut flags = root.map_or_else(Vec::new, |root| self.remaps(root));
        if let Some(rustc) = &self.rustc {
            step = step.with("RUSTC", rustc);
        }
        if self.build_std {
            step = step.with("RUSTC_BOOTSTRAP", "1");
            step.words
                .extend(["-Z", "build-std=std,panic_abort"].map(str::to_owned));
            // Debian's rustc looks for a linker that Debian names otherwise.
            flags.push("-C linker=wasm-ld".to_owned());
        }
        if !flags.is_empty() {
            step = step.with("RUSTFLAGS", &flags.join(" "));
        }
        step
    }

    fn remaps(&self, root: &Path) -> Vec<String> {
        let mut flags = vec![format!("--remap-path-prefix={}=.", root.display())];
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        if let Some(home) = home {
            flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
        }
        let rustc = self.rustc.as_deref().unwrap_or("rustc");
        if let Some(sysroot) = output(Command::new(rustc).args(["--print", "sysroot"])) {
            flags.push(format!("--remap-path-prefix={sysroot}=rust"));
        }
        flags
    }
}

/// Adds the target to the toolchain in use in `folder`, where rustup manages it and reaches its server.
pub fn add_target(folder: &Path) {
    if !has_target(folder) {
        // Where it cannot, `find` says what to do.
        let _ = Command::new("rustup")
            .current_dir(folder)
            .env_remove("RUSTUP_TOOLCHAIN")
            .args(["target", "add", TARGET])
            .output();
    }
}

/// The same version, if it is new enough.
fn recent(version: String, install: &'static str) -> Result<String, Error> {
    match version::told(&version) {
        Some(found) if LEAST.is_over(found) => Err(Error::Old(Box::new(Outdated {
            language: "Rust",
            tool: "Rust",
            found: found.to_owned(),
            least: LEAST,
            install,
        }))),
        _ => Ok(version),
    }
}

fn has_target(folder: &Path) -> bool {
    let libraries = output(rustc(folder).args(["--print", "target-libdir", "--target", TARGET]));
    libraries.is_some_and(|folder| Path::new(&folder).is_dir())
}

/// The compiler that cargo takes in `folder`, which may have a toolchain of its own.
fn rustc(folder: &Path) -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(folder).env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
