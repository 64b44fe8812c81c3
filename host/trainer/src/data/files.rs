//! A data set's files, wherever the user put them and however they are packed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::DataError;

/// A file's content, unpacked.
pub(super) struct Found {
    pub(super) dataset: String,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// MD5 of the file as it lies there, packed or not, in hexadecimal.
    pub(super) md5: String,
}

impl Found {
    pub(super) fn damaged(&self, problem: String) -> DataError {
        damaged(&self.dataset, &self.path, problem)
    }
}

pub(super) fn damaged(dataset: &str, path: &Path, problem: String) -> DataError {
    DataError::Damaged {
        dataset: dataset.to_owned(),
        path: path.to_owned(),
        problem,
    }
}

/// Where each of `wanted` lies, under the first of its names that is there.
///
/// All come from one folder, the first of `inside` and then `folder` itself that holds them all: files of two
/// copies, or of two data sets whose files share their names, do not mix. `inside` comes first because
/// `pixelrate data get` writes there, so that what it fetched takes the place of a damaged file.
pub(super) fn find(
    dataset: &str,
    folder: &Path,
    inside: &[PathBuf],
    wanted: &[Vec<String>],
) -> Result<Vec<PathBuf>, DataError> {
    let places = inside
        .iter()
        .map(|name| folder.join(name))
        .chain([folder.to_owned()]);
    let mut fullest = (0, folder.to_owned(), wanted.first());
    for place in places {
        let mut found = Vec::with_capacity(wanted.len());
        let mut missing = None;
        for names in wanted {
            let mut paths = names.iter().map(|name| place.join(name));
            match paths.find(|path| path.is_file()) {
                Some(path) => found.push(path),
                None => missing = missing.or(Some(names)),
            }
        }
        if missing.is_none() {
            return Ok(found);
        }
        if found.len() > fullest.0 {
            fullest = (found.len(), place, missing);
        }
    }
    let (_, folder, missing) = fullest;
    Err(DataError::Missing {
        dataset: dataset.to_owned(),
        folder,
        file: missing.map_or_else(String::new, |names| names.join(" or ")),
    })
}

/// A file's content; one that ends in `.gz` is unpacked.
pub(super) fn read(dataset: &str, path: PathBuf) -> Result<Found, DataError> {
    let packed = std::fs::read(&path).map_err(|source| DataError::Io {
        path: path.clone(),
        source,
    })?;
    let md5 = hex::encode(Md5::digest(&packed));
    let bytes = if is_packed(&path) {
        let mut bytes = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut bytes)
            .map_err(|e| {
                let problem = format!(
                    "it cannot be unpacked after {} bytes ({e}): is it whole?",
                    bytes.len()
                );
                damaged(dataset, &path, problem)
            })?;
        bytes
    } else {
        packed
    };
    Ok(Found {
        dataset: dataset.to_owned(),
        path,
        bytes,
        md5,
    })
}

/// Reads a file from its beginning; one that ends in `.gz` is unpacked on the way.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io {
        path: path.to_owned(),
        source,
    })?;
    let reader = BufReader::new(file);
    Ok(if is_packed(path) {
        Box::new(GzDecoder::new(reader))
    } else {
        Box::new(reader)
    })
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
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
