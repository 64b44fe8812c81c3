//! Builds the built-in schedules for WASM, and holds the committed files against the result.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

const TARGET: &str = "wasm32-unknown-unknown";
const NAMES: [&str; 4] = ["cyclic", "fixed", "image", "piecewise"];
/// Which compiler gave the committed files: another may rightly give other bytes.
const RECORD: &str = "TOOLCHAIN.txt";

/// Builds all plugins and puts them into `plugins/dist`; with `check`, compares them with what is there instead.
///
/// # Errors
/// No compiler for WASM can be found, a plugin does not build, or, with `check`, a committed file is not what
/// its sources give.
pub(crate) fn build(root: &Path, check: bool) -> Result<()> {
    let compiler = Compiler::find()?;
    println!("plugins: {}", compiler.version);
    let built = compiler.build(root)?;
    let dist = root.join("plugins/dist");
    if !check {
        fs::create_dir_all(&dist)?;
        for (name, bytes) in &built {
            fs::write(dist.join(format!("{name}.wasm")), bytes)?;
            println!("plugins: {name}.wasm, {} bytes", bytes.len());
        }
        fs::write(dist.join(RECORD), format!("{}\n", compiler.version))?;
        return Ok(());
    }
    let recorded = fs::read_to_string(dist.join(RECORD)).context("plugins/dist/TOOLCHAIN.txt")?;
    if recorded.trim() != compiler.version {
        // Built, so the sources compile; the bytes cannot be held against another compiler's.
        println!(
            "plugins: the committed files are by {}: not compared byte by byte",
            recorded.trim()
        );
        return Ok(());
    }
    for (name, bytes) in &built {
        if fs::read(dist.join(format!("{name}.wasm")))? != *bytes {
            bail!(
                "plugins/dist/{name}.wasm is not what its sources give: run `cargo xtask plugins`, and commit it"
            );
        }
    }
    println!("plugins: the committed files are what their sources give");
    Ok(())
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

    fn build(&self, root: &Path) -> Result<Vec<(&'static str, Vec<u8>)>> {
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
        NAMES
            .iter()
            .map(|&name| {
                let path = target
                    .join(TARGET)
                    .join("release")
                    .join(format!("pixelrate_{name}.wasm"));
                Ok((
                    name,
                    fs::read(&path).with_context(|| path.display().to_string())?,
                ))
            })
            .collect()
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

/// As `build` with `check`, where a compiler for WASM can be had; else says that it was left out.
///
/// # Errors
/// As `build`, but for a missing compiler.
pub(crate) fn check_if_possible(root: &Path) -> Result<()> {
    match Compiler::find() {
        Ok(_) => build(root, true),
        Err(problem) => {
            eprintln!("plugins: not built again: {problem:#}");
            Ok(())
        }
    }
}
