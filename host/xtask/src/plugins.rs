//! Builds the built-in schedules for WASM.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pixelrate_author::rust::{self, Compiler, TARGET};

/// Which compiler gave the committed files.
const RECORD: &str = "TOOLCHAIN.txt";

/// Builds all plugins, and puts them into `plugins/dist`.
///
/// # Errors
/// No compiler for WASM can be found, or a plugin does not build.
pub(crate) fn build(root: &Path) -> Result<()> {
    let compiler = compiler(root)?;
    println!("plugins: {}", compiler.version);
    let built = built_by(&compiler, root)?;
    let dist = root.join("plugins/dist");
    fs::create_dir_all(&dist)?;
    for name in names(root)? {
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
    match compiler(root) {
        Ok(compiler) => {
            println!("plugins: built again with {}", compiler.version);
            built_by(&compiler, root).map(Some)
        }
        Err(problem) => {
            eprintln!("plugins: not built again: {problem:#}");
            Ok(None)
        }
    }
}

/// The plugins' names, in alphabetical order: the folders of `plugins` whose crate is one. The others hold what they share.
fn names(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("plugins"))? {
        let folder = entry?;
        let Ok(manifest) = fs::read_to_string(folder.path().join("Cargo.toml")) else {
            continue;
        };
        if manifest.contains("\"cdylib\"") {
            names.push(folder.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn compiler(root: &Path) -> Result<Compiler> {
    let plugins = root.join("plugins");
    rust::add_target(&plugins);
    Ok(Compiler::find(&plugins)?)
}

/// Gives the folder of what it built.
fn built_by(compiler: &Compiler, root: &Path) -> Result<PathBuf> {
    let target = root.join("target/plugins");
    let place = target.to_string_lossy();
    compiler
        .build(&["--locked", "--quiet", "--target-dir", &place], Some(root))
        .run(&root.join("plugins"))?;
    Ok(target.join(TARGET).join("release"))
}
