//! Files of a run's folder that appear whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;

/// Where the run in `folder` keeps the plugin of this hash.
pub fn plugin_path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join("plugins").join(format!("{sha256}.wasm"))
}

/// Keeps a plugin's file in the run's folder, under its hash, on the disk when this returns.
///
/// # Errors
/// The disk's.
pub fn keep_plugin(folder: &Path, sha256: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = plugin_path(folder, sha256);
    if path
        .metadata()
        .is_ok_and(|kept| kept.len() == bytes.len() as u64)
    {
        return Ok(());
    }
    if let Some(plugins) = path.parent() {
        fs::create_dir_all(plugins).map_err(Error::io("make", plugins))?;
    }
    write_whole(&path, bytes)
}

/// Where the run in `folder` keeps the pictures that its schedules opened.
pub fn pictures_folder(folder: &Path) -> PathBuf {
    folder.join("pictures")
}

/// Keeps pictures in the run's folder, on the disk when this returns.
///
/// # Errors
/// The disk's.
pub fn keep_pictures(folder: &Path, opened: BTreeMap<PathBuf, Vec<u8>>) -> Result<(), Error> {
    for (place, file) in opened {
        let path = pictures_folder(folder).join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("make", parent))?;
        }
        write_whole(&path, &file)?;
    }
    Ok(())
}

/// Writes a file whole or not at all, on the disk when this returns.
///
/// # Errors
/// The disk's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write(path, bytes, true)
}

/// Writes beside `path` and renames, so that nobody reads half of it; synced if it must outlive the power.
pub(crate) fn write(path: &Path, bytes: &[u8], sync: bool) -> Result<(), Error> {
    // Two processes may write the same file at once, and two threads of one.
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let scratch = path.with_extension(format!("{}-{count}.part", std::process::id()));
    File::create(&scratch)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            if sync { file.sync_all() } else { Ok(()) }
        })
        .and_then(|()| fs::rename(&scratch, path))
        .and_then(|()| if sync { sync_name(path) } else { Ok(()) })
        .inspect_err(|_| drop(fs::remove_file(&scratch)))
        .map_err(Error::io("write", path))
}

/// Lets a file's name outlive the power too. Only Unix lets a folder be synced; elsewhere the system orders it.
fn sync_name(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}
