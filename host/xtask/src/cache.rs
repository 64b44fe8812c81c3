//! What is fetched once and kept in a cache folder of the user's.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder. `pixelrate query` looks there too.
///
/// # Errors
/// The user has none.
pub(crate) fn folder() -> Result<PathBuf> {
    let cache =
        dirs::cache_dir().context("there is no cache folder: set HOME or XDG_CACHE_HOME")?;
    Ok(cache.join("pixelrate"))
}

/// A folder that takes the place of another when it is whole, and is gone when it is dropped before.
pub(crate) struct Scratch {
    folder: PathBuf,
    place: PathBuf,
}

impl Scratch {
    /// An empty one, for `place`.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn new(place: &Path) -> Result<Self> {
        let mut scratch = place.as_os_str().to_owned();
        scratch.push(format!(".{}.part", std::process::id()));
        let folder = PathBuf::from(scratch);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder,
            place: place.to_owned(),
        })
    }

    /// Where to put things.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Puts it in its place, over what was there.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn keep(self) -> Result<()> {
        let place = &self.place;
        if place.exists() {
            fs::remove_dir_all(place)
                .with_context(|| format!("cannot replace {}", place.display()))?;
        }
        fs::rename(&self.folder, place).with_context(|| format!("cannot make {}", place.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_scratch_folder_goes_unless_it_is_kept() {
        let home = TempDir::new().unwrap();
        let place = home.path().join("libtorch-2.11.0-cpu");
        let path = Scratch::new(&place).unwrap().path().to_owned();
        assert!(!path.exists());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("libtorch-2.11.0-cpu."), "{name}");
        for text in ["older", "newer"] {
            let scratch = Scratch::new(&place).unwrap();
            fs::write(scratch.path().join("file"), text).unwrap();
            scratch.keep().unwrap();
            assert_eq!(fs::read_to_string(place.join("file")).unwrap(), text);
        }
        assert!(!path.exists());
    }
}
