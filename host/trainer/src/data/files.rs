//! A data set's files, wherever the user put them and however they are packed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::DataError;

/// A file's content, unpacked.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// MD5 of the file as it lies there, packed or not, in hexadecimal.
    pub(super) md5: String,
}

/// The first of `names` that is in `folder` or one of `inside`; names that end in `.gz` are unpacked.
pub(super) fn find(
    dataset: &str,
    folder: &Path,
    inside: &[&str],
    names: &[String],
) -> Result<Found, DataError> {
    let folders =
        std::iter::once(folder.to_owned()).chain(inside.iter().map(|name| folder.join(name)));
    for folder in folders {
        for name in names {
            let path = folder.join(name);
            if path.is_file() {
                return read(path);
            }
        }
    }
    Err(DataError::Missing {
        dataset: dataset.to_owned(),
        folder: folder.to_owned(),
        file: names.join(" or "),
    })
}

fn read(path: PathBuf) -> Result<Found, DataError> {
    let packed = std::fs::read(&path).map_err(|source| DataError::Io {
        path: path.clone(),
        source,
    })?;
    let md5 = hex::encode(Md5::digest(&packed));
    let bytes = if path.extension().is_some_and(|extension| extension == "gz") {
        let mut bytes = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut bytes)
            .map_err(|e| DataError::Damaged {
                path: path.clone(),
                problem: format!(
                    "it cannot be unpacked after {} bytes ({e}): is it whole?",
                    bytes.len()
                ),
            })?;
        bytes
    } else {
        packed
    };
    Ok(Found { path, bytes, md5 })
}

/// MD5 of a file that may be large.
pub(super) fn md5_of(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Md5::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}
