//! What lies in a folder that should be a libtorch.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::RELEASE;

/// What a build needs: the libraries that it links, and a header of each half of the C++ interface.
const PARTS: [&str; 5] = [
    "lib/libtorch.so",
    "lib/libtorch_cpu.so",
    "lib/libc10.so",
    "include/ATen/ATen.h",
    "include/torch/csrc/api/include/torch/torch.h",
];

/// A folder that holds the libtorch which we need.
#[derive(Debug)]
pub(super) struct Libtorch {
    pub(super) folder: PathBuf,
    pub(super) version: String,
    pub(super) cuda: bool,
}

impl Libtorch {
    /// Holds a folder against what a build needs.
    ///
    /// # Errors
    /// A part is missing, or it is another release.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        if let Some(part) = PARTS.iter().find(|part| !folder.join(part).exists()) {
            bail!(
                "{} is no libtorch: {part} is missing there",
                folder.display()
            );
        }
        let version = version(folder)
            .with_context(|| format!("{} does not tell its version", folder.display()))?;
        if !version.starts_with(&format!("{RELEASE}.")) {
            bail!(
                "{} is libtorch {version}, and {RELEASE} is needed",
                folder.display()
            );
        }
        let cuda = folder.join("lib/libtorch_cuda.so").exists();
        Ok(Self {
            folder: folder.to_owned(),
            version,
            cuda,
        })
    }
}

impl fmt::Display for Libtorch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = if self.cuda { "CPU and CUDA" } else { "CPU" };
        write!(
            f,
            "{} for {device} in {}",
            self.version,
            self.folder.display()
        )
    }
}

/// The version that a folder's own files tell: `version.py` of a wheel, `build-version` of an archive.
fn version(folder: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(folder.join("version.py")).ok()?;
    let told = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(told.trim().trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Lays out empty files under the names that a libtorch has.
    pub(in super::super) fn fake(folder: &Path, version: &str) {
        for part in PARTS {
            let path = folder.join(part);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let text = format!("debug = False\n__version__ = '{version}'\n");
        fs::write(folder.join("version.py"), text).unwrap();
    }

    #[test]
    fn a_wheel_and_an_archive_tell_their_version() {
        let home = TempDir::new().unwrap();
        fake(home.path(), "2.11.0+cu130");
        let libtorch = Libtorch::read(home.path()).unwrap();
        assert_eq!(
            (libtorch.version.as_str(), libtorch.cuda),
            ("2.11.0+cu130", false)
        );
        fs::remove_file(home.path().join("version.py")).unwrap();
        let problem = Libtorch::read(home.path()).unwrap_err().to_string();
        assert!(problem.contains("does not tell its version"), "{problem}");
        fs::write(home.path().join("build-version"), "2.11.0+cpu\n").unwrap();
        fs::write(home.path().join("lib/libtorch_cuda.so"), "").unwrap();
        let libtorch = Libtorch::read(home.path()).unwrap();
        assert_eq!(
            (libtorch.version.as_str(), libtorch.cuda),
            ("2.11.0+cpu", true)
        );
    }

    #[test]
    fn each_part_that_is_missing_is_named() {
        for part in PARTS {
            let home = TempDir::new().unwrap();
            fake(home.path(), "2.11.0");
            fs::remove_file(home.path().join(part)).unwrap();
            let problem = Libtorch::read(home.path()).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn other_releases_are_refused() {
        for other in ["2.1.0", "2.110.0", "2.12.0+cpu", "1.13.1"] {
            let home = TempDir::new().unwrap();
            fake(home.path(), other);
            let problem = Libtorch::read(home.path()).unwrap_err().to_string();
            assert!(problem.contains(other), "{problem}");
        }
    }
}
