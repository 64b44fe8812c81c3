//! Builds the built-in schedules for WASM.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";
const NAMES: [&str; 4] = ["cyclic", "fixed", "image", "piecewise"];
/// Which compiler gave the committed files.
const RECORD: &str = "TOOLCHAIN.txt";

/// Builds all plugins, and puts them into `plugins/dist`.
///
/// # Errors
/// No compiler for WASM can be found, or a plugin does not build.
pub(crate) fn build(root: &Path) -> Result<()> {
    let compiler = Compiler::find()?;
    println!("plugins: {}", compiler.version);
    let built = compiler.build(root)?;
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist)?;
    for name in NAMES {
        let from = built.join(format!("pixelrate_{name}.wasm"));
        let to = dist.join(format!("{name}.wasm"));
        let size = fs::copy(&from, &to).with_context(|| from.display().to_string())?;
        println!("plugins: {name}.wasm, {size} bytes");
    }
    fs::write(dist.join(RECORD), format!("{}\n", compiler.version))?;
    Ok(())
}

/// Builds all plugins for a test that holds the committed ones against them, value by value: the bytes of a build
/// depend on the compiler and on where the sources lie. Gives their folder; `None`, and says why, where no compiler
/// can be had.
///
/// # Errors
/// A plugin does not build.
pub(crate) fn build_for_test(root: &Path) -> Result<Option<PathBuf>> {
    match Compiler::find() {
        Ok(compiler) => {
            println!("plugins: built again with {}", compiler.version);
            compiler.build(root).map(Some)
        }
        Err(problem) => {
            eprintln!("plugins: not built again: {problem:#}");
            Ok(None)
        }
    }
}

struct Compiler {
    cargo: PathBuf,
    rustc: Option<PathBuf>,
    build_std: bool,
    version: String,
}

impl Compiler {
    /// The toolchain in use, if it has the WASM target or rustup can add it; else Debian's `rustc-web`, whose
    /// standard library is built from source.
    fn find() -> Result<Self> {
        let own = |rustc: &str| -> Option<String> { output(Command::new(rustc).arg("--version")) };
        if has_target() || (rustup_adds_target() && has_target()) {
            return Ok(Self {
                cargo: "cargo".into(),
                rustc: None,
                build_std: false,
                version: own("rustc").context("rustc --version")?,
            });
        }
        let debian = Path::new("/usr/bin/rustc");
        if debian.exists() && Path::new("/usr/lib/rustlib/src/rust/library").exists()
            || rust_web_sources()
        {
            return Ok(Self {
                cargo: "/usr/bin/cargo".into(),
                rustc: Some(debian.into()),
                build_std: true,
                version: output(Command::new(debian).arg("--version"))
                    .context("/usr/bin/rustc --version")?,
            });
        }
        bail!(
            "there is no Rust compiler for {TARGET}: `rustup target add {TARGET}`, or on Debian \
             `apt-get install rustc-web cargo-web rust-web-src rust-web-llvm lld`"
        )
    }

    /// Gives the folder of what it built.
    fn build(&self, root: &Path) -> Result<PathBuf> {
        let plugins = root.join("plugins");
        let target = root.join("target/plugins");
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(&plugins)
            .args([
                "build",
                "--release",
                "--locked",
                "--quiet",
                "--target",
                TARGET,
            ])
            .arg("--target-dir")
            .arg(&target)
            // Panic messages name source files: by their place in the project, wherever it lies.
            .env("RUSTFLAGS", self.remaps(root))
            // What this cargo was told by the one that runs us is not meant for another toolchain.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO");
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if self.build_std {
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["-Z", "build-std=std,panic_abort"]);
        }
        let status = command
            .status()
            .with_context(|| format!("cannot start {}", self.cargo.display()))?;
        if !status.success() {
            bail!("the plugins do not build: {command:?}");
        }
        Ok(target.join(TARGET).join("release"))
    }

    fn remaps(&self, root: &Path) -> String {
        let mut flags = format!("--remap-path-prefix={}=.", root.display());
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        if let Some(home) = home {
            flags.push_str(&format!(" --remap-path-prefix={}=cargo", home.display()));
        }
        let rustc = self.rustc.clone().unwrap_or_else(|| "rustc".into());
        if self.build_std {
            // Debian's rustc looks for a linker that Debian names otherwise.
            flags.push_str(" -C linker=wasm-ld");
        }
        if let Some(sysroot) = output(Command::new(rustc).args(["--print", "sysroot"])) {
            flags.push_str(&format!(" --remap-path-prefix={sysroot}=rust"));
        }
        flags
    }
}

fn has_target() -> bool {
    let libraries =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    libraries.is_some_and(|folder| Path::new(&folder).is_dir())
}

fn rustup_adds_target() -> bool {
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .output();
    added.is_ok_and(|output| output.status.success())
}

fn rust_web_sources() -> bool {
    let sysroot = output(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]));
    sysroot.is_some_and(|root| {
        Path::new(&root)
            .join("lib/rustlib/src/rust/library")
            .exists()
    })
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
