//! Data sets as bytes, from their official files, checked.

mod cifar;
mod download;
mod files;
mod idx;
mod official;
mod synthetic;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use download::{Transfer, get, get_from};

/// A data set, whole, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name in a study.
    pub name: String,
    /// How many classes there are.
    pub classes: usize,
    /// Channels, height and width of a picture.
    pub shape: [usize; 3],
    /// What is trained on.
    pub train: Split,
    /// What is tested on.
    pub test: Split,
    /// SHA-256 over the shape, then the pixels and labels of both splits, in hexadecimal.
    pub sha256: String,
    /// Whether the files are the official ones to the byte.
    pub official: bool,
    /// Whether training crops and flips it (colour pictures of things), and standardises each picture.
    pub augment: bool,
}

/// Pictures and their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// `pictures * channels * height * width` bytes.
    pub pixels: Vec<u8>,
    /// A class a picture.
    pub labels: Vec<u8>,
}

/// Why a data set cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No data set of that name.
    #[error("no data set \"{0}\": use cifar10, cifar100, mnist, fashion-mnist or synthetic")]
    Unknown(String),
    /// A file that is not there.
    #[error("{dataset} is not in {}: {file} is missing; run `pixelrate data get {dataset}`, or name the folder that holds it", folder.display())]
    Missing {
        /// The data set.
        dataset: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What was looked for.
        file: String,
    },
    /// A file that is not what it should be.
    #[error("{}: {problem}; `pixelrate data get` fetches it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A transfer that failed.
    #[error("cannot fetch {url}: {problem}")]
    Fetch {
        /// From where.
        url: String,
        /// What went wrong, and what to do.
        problem: String,
    },
}

/// The data sets' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ["synthetic", "mnist", "fashion-mnist", "cifar10", "cifar100"].into_iter()
}

/// Loads a data set from `folder` (its files right there, or in a folder of the data set's name).
///
/// # Errors
/// [`DataError`] names the file, and what to do.
pub fn load(name: &str, folder: &Path) -> Result<Dataset, DataError> {
    match name {
        "synthetic" => Ok(synthetic::load()),
        "mnist" | "fashion-mnist" => idx::load(name, folder),
        "cifar10" | "cifar100" => cifar::load(name, folder),
        other => Err(DataError::Unknown(other.to_owned())),
    }
}

/// One picture of MNIST: rows of 28 bytes, 28 of them. `split` is `train` or `test`.
///
/// # Errors
/// [`DataError`], if MNIST is not in `folder` or has no such picture.
pub fn mnist_picture(folder: &Path, split: &str, index: usize) -> Result<Vec<u8>, DataError> {
    let mnist = idx::load("mnist", folder)?;
    let pictures = if split == "test" {
        &mnist.test
    } else {
        &mnist.train
    };
    let size = mnist.shape.iter().product::<usize>();
    let bytes = pictures.pixels.get(index * size..(index + 1) * size);
    bytes.map(<[u8]>::to_vec).ok_or_else(|| DataError::Damaged {
        path: folder.to_owned(),
        problem: format!(
            "MNIST has {} {split} pictures, and number {index} was asked for",
            pictures.labels.len()
        ),
    })
}

/// Puts a loaded set together, and checks that labels are in range.
fn assemble(
    name: &str,
    classes: usize,
    shape: [usize; 3],
    splits: [(Split, PathBuf); 2],
    official: bool,
) -> Result<Dataset, DataError> {
    let mut hash = Sha256::new();
    for side in shape {
        hash.update((side as u64).to_le_bytes());
    }
    for (split, path) in &splits {
        if let Some(label) = split
            .labels
            .iter()
            .find(|&&label| usize::from(label) >= classes)
        {
            return Err(DataError::Damaged {
                path: path.clone(),
                problem: format!(
                    "it has the label {label}, and {name} has the classes 0 to {}",
                    classes - 1
                ),
            });
        }
        hash.update(&split.pixels);
        hash.update(&split.labels);
    }
    let [(train, _), (test, _)] = splits;
    Ok(Dataset {
        name: name.to_owned(),
        classes,
        shape,
        train,
        test,
        sha256: hex::encode(hash.finalize()),
        official,
        augment: matches!(name, "cifar10" | "cifar100" | "synthetic"),
    })
}

#[cfg(test)]
mod tests;
