//! Finds libtorch 2.11, or fetches it once into a cache folder of the user's, and links `.libtorch` to it, where
//! `.cargo/config.toml` looks for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

const VERSION: &str = "2.11";
const WHEELS: [&str; 3] = [
    "torch==2.11.0",
    "nvidia-cuda-cupti==13.0.85",
    "nvidia-cuda-runtime==13.0.96",
];
/// Parts of the wheel that need CUDA, and Python's own.
const NOT_FOR_CPU: [&str; 4] = [
    "libtorch_cuda",
    "libc10_cuda",
    "libtorch_nvshmem",
    "libcaffe2_nvrtc",
];

/// Makes sure that `.libtorch` leads to a libtorch 2.11, and says which.
pub(crate) fn set_up(root: &Path) -> Result<()> {
    let link = root.join(".libtorch");
    let (folder, from) = find(&link)?;
    check(&folder)?;
    eprintln!("libtorch: {} ({from})", folder.display());
    if fs::canonicalize(&link).ok() != fs::canonicalize(&folder).ok() {
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
        }
        std::os::unix::fs::symlink(&folder, &link)
            .with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

fn find(link: &Path) -> Result<(PathBuf, &'static str)> {
    // Cargo passes its own default, the link, on to us: that is not the user's word.
    let given = env::var_os("LIBTORCH")
        .map(PathBuf::from)
        .filter(|given| given != link);
    if let Some(given) = given {
        return Ok((given, "from LIBTORCH"));
    }
    if check(link).is_ok() {
        return Ok((fs::canonicalize(link)?, "found before"));
    }
    if let Some(folder) = python().filter(|folder| check(folder).is_ok()) {
        return Ok((folder, "the current Python's PyTorch"));
    }
    Ok((cached()?, "the PyTorch wheel"))
}

/// Holds a folder against what a build needs.
fn check(folder: &Path) -> Result<()> {
    for part in [
        "lib/libtorch_cpu.so",
        "lib/libc10.so",
        "include/torch/csrc/api/include/torch/torch.h",
    ] {
        if !folder.join(part).exists() {
            bail!(
                "{} is no libtorch: {part} is missing; set LIBTORCH to one of {VERSION}, or unset it",
                folder.display()
            );
        }
    }
    let version = version(folder)
        .with_context(|| format!("{} does not tell its version", folder.display()))?;
    if !version.starts_with(&format!("{VERSION}.")) {
        bail!(
            "{} is libtorch {version}, and {VERSION} is needed: set LIBTORCH to one, or unset it",
            folder.display()
        );
    }
    Ok(())
}

/// The version that a folder's own files tell: `version.py` of a wheel, `build-version` of an archive.
fn version(folder: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(folder.join("version.py")) {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("__version__ = "))?;
        return Some(line.trim_matches(['\'', '"']).to_owned());
    }
    Some(
        fs::read_to_string(folder.join("build-version"))
            .ok()?
            .trim()
            .to_owned(),
    )
}

fn python() -> Option<PathBuf> {
    let code = "import torch; print(torch.__path__[0])";
    let output = Command::new("python3").args(["-c", code]).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}

fn has_gpu() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

/// The wheel's libtorch in the user's cache folder, fetched if it is not there.
fn cached() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache")
        }
    };
    let kind = if has_gpu() { "cuda" } else { "cpu" };
    let home = cache
        .join("pixelrate")
        .join(format!("libtorch-2.11.0-{kind}"));
    let folder = home.join("torch");
    if check(&folder).is_ok() {
        return Ok(folder);
    }
    eprintln!(
        "libtorch: fetching the wheels of {} (530 MB), once, into {}",
        WHEELS.join(", "),
        home.display()
    );
    let scratch = home.with_extension(format!("part{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let filled = fill(&scratch);
    if filled.is_err() {
        let _ = fs::remove_dir_all(&scratch);
    }
    filled?;
    // Whole or not at all: what is half unpacked never has the final name.
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::rename(&scratch, &home)?;
    Ok(folder)
}

fn fill(scratch: &Path) -> Result<()> {
    let wheels = scratch.join("wheels");
    let mut download = Command::new("python3");
    download
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
        ])
        .arg(&wheels);
    if has_gpu() {
        bail!(
            "there is an NVIDIA driver, which wants the whole of PyTorch: `python3 -m pip install torch==2.11.0`, then try again"
        );
    }
    let status = download
        .args(WHEELS)
        .status()
        .context("cannot start python3: on Debian, apt-get install python3-pip")?;
    if !status.success() {
        bail!(
            "pip could not fetch {}: on Debian, apt-get install python3-pip; or set LIBTORCH to a libtorch {VERSION}",
            WHEELS.join(", ")
        );
    }
    for entry in fs::read_dir(&wheels)? {
        let wheel = entry?.path();
        let status = Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(scratch)
            .status()?;
        if !status.success() {
            bail!("{} cannot be unpacked", wheel.display());
        }
    }
    fs::remove_dir_all(&wheels)?;
    let libraries = scratch.join("torch/lib");
    for entry in fs::read_dir(&libraries)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if NOT_FOR_CPU.iter().any(|part| name.starts_with(part))
            || name.starts_with("libtorch_python")
            || name == "libtorch.so"
        {
            fs::remove_file(&path)?;
        }
    }
    // The wheel's libtorch.so only names its parts, those of CUDA among them.
    std::os::unix::fs::symlink("libtorch_cpu.so", libraries.join("libtorch.so"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{check, version};

    #[test]
    fn a_folder_is_held_against_what_a_build_needs() {
        let folder =
            std::env::temp_dir().join(format!("pixelrate-libtorch-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for file in [
            "lib/libtorch_cpu.so",
            "lib/libc10.so",
            "include/torch/csrc/api/include/torch/torch.h",
        ] {
            assert!(
                check(&folder)
                    .unwrap_err()
                    .to_string()
                    .contains("is missing")
            );
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert!(
            check(&folder)
                .unwrap_err()
                .to_string()
                .contains("does not tell its version")
        );
        fs::write(
            folder.join("version.py"),
            "x = 1\n__version__ = '2.11.0+cu130'\n",
        )
        .unwrap();
        assert_eq!(version(&folder).unwrap(), "2.11.0+cu130");
        check(&folder).unwrap();
        fs::write(folder.join("version.py"), "__version__ = '2.1.0'\n").unwrap();
        assert!(
            check(&folder)
                .unwrap_err()
                .to_string()
                .contains("is libtorch 2.1.0")
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
