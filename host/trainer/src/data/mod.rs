//! Data sets as bytes, from their official files, checked.

mod cifar;
mod download;
mod files;
mod idx;
mod moments;
mod official;
mod synthetic;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use download::{Transfer, get, get_from};
pub use moments::Moments;

/// A data set, whole, in memory.
#[derive(Debug, Clone, PartialEq)]
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
    /// Where its pictures are from.
    pub origin: Origin,
    /// Whether training crops and flips it (colour pictures of things), and its pictures are normalised.
    pub augment: bool,
    /// What the channels are normalised by then; `None`: each picture by its own moments.
    pub channels: Option<Vec<Moments>>,
}

/// Where a data set's pictures are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The official files, to the byte.
    Official,
    /// Files of the right form that are not the official ones.
    Other,
    /// Drawn by code: there are no files.
    Drawn,
    /// No picture was read.
    Unread,
}

impl Origin {
    /// The origin of files that are official or not.
    fn of_files(official: bool) -> Self {
        if official {
            Self::Official
        } else {
            Self::Other
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Official => "official files",
            Self::Other => "other files than the official ones",
            Self::Drawn => "drawn by code",
            Self::Unread => "not read",
        })
    }
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
    #[error("no data set \"{0}\": use one of {all}", all = names().collect::<Vec<_>>().join(", "))]
    Unknown(String),
    /// A file that is not there.
    #[error("{dataset} is not in {}: {file} is missing; run `pixelrate data get {dataset}`, or name the folder that holds it (`--data-folder`)", folder.display())]
    Missing {
        /// The data set.
        dataset: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What was looked for.
        file: String,
    },
    /// A file that is not what it should be.
    #[error("{}: {problem}; `pixelrate data get {dataset}` fetches it again", path.display())]
    Damaged {
        /// The data set.
        dataset: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of another data set, of the same name.
    #[error(
        "{}: this is the file of {belongs}, not of {dataset}; keep each in a folder of its own name, as `pixelrate data get {dataset}` does",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The data set that it belongs to.
        belongs: &'static str,
        /// The data set that was asked for.
        dataset: String,
    },
    /// A picture that MNIST does not have.
    #[error("MNIST has {count} {split} pictures, counted from 0, and number {index} was asked for")]
    NoPicture {
        /// `train` or `test`.
        split: String,
        /// The number that was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A data set that is not fetched.
    #[error("{0} is drawn by code: there is nothing to fetch")]
    NothingToFetch(String),
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

/// What is known of a data set before any of its files is read.
struct Known {
    name: &'static str,
    description: &'static str,
    train_examples: u64,
    /// Whether training pictures are cropped and mirrored by chance, and all are standardised.
    augment: bool,
    /// Looks for its files.
    look: fn(&str, &Path) -> Result<(), DataError>,
    load: fn(&str, &Path) -> Result<Dataset, DataError>,
}

const SETS: [Known; 5] = [
    Known {
        name: "synthetic",
        description: "6,000 + 2,000 colour pictures of 32x32, ten shapes under noise, drawn by code: nothing to fetch",
        train_examples: synthetic::TRAIN as u64,
        augment: true,
        look: |_, _| Ok(()),
        load: |_, _| Ok(synthetic::load()),
    },
    Known {
        name: "mnist",
        description: "60,000 + 10,000 grey pictures of 28x28, ten handwritten digits; 12 MB to fetch",
        train_examples: 60_000,
        augment: false,
        look: idx::look,
        load: idx::load,
    },
    Known {
        name: "fashion-mnist",
        description: "60,000 + 10,000 grey pictures of 28x28, ten kinds of clothes; 31 MB to fetch",
        train_examples: 60_000,
        augment: false,
        look: idx::look,
        load: idx::load,
    },
    Known {
        name: "cifar10",
        description: "50,000 + 10,000 colour pictures of 32x32, ten kinds of things; 170 MB to fetch",
        train_examples: 50_000,
        augment: true,
        look: cifar::look,
        load: cifar::load,
    },
    Known {
        name: "cifar100",
        description: "50,000 + 10,000 colour pictures of 32x32, a hundred kinds of things; 169 MB to fetch",
        train_examples: 50_000,
        augment: true,
        look: cifar::look,
        load: cifar::load,
    },
];

fn known(name: &str) -> Option<&'static Known> {
    SETS.iter().find(|set| set.name == name)
}

/// The data sets' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|set| set.name)
}

/// What a data set is, in a line; none of a name that is not a data set's.
pub fn describe(name: &str) -> Option<&'static str> {
    known(name).map(|set| set.description)
}

/// Training pictures of a data set, which need not be there; none of a name that is not a data set's.
pub fn train_examples(name: &str) -> Option<u64> {
    known(name).map(|set| set.train_examples)
}

/// Loads a data set from `folder`: its files in a folder of the data set's name, or else right there.
///
/// # Errors
/// [`DataError`] names the file, and what to do.
pub fn load(name: &str, folder: &Path) -> Result<Dataset, DataError> {
    let set = known(name).ok_or_else(|| DataError::Unknown(name.to_owned()))?;
    (set.load)(name, folder)
}

/// Looks for a data set's files as [`load`] does, and reads none of them.
///
/// # Errors
/// [`DataError::Unknown`], and [`DataError::Missing`] if a file is not there.
pub fn look(name: &str, folder: &Path) -> Result<(), DataError> {
    let set = known(name).ok_or_else(|| DataError::Unknown(name.to_owned()))?;
    (set.look)(name, folder)
}

impl Dataset {
    /// Puts the last `count` training pictures in the place of the test set. The hash stays that of the whole set.
    ///
    /// # Panics
    /// There are fewer.
    pub(crate) fn hold_back(&mut self, count: usize) {
        let split = &mut self.train;
        let left = split.labels.len() - count;
        let picture = self.shape.iter().product::<usize>();
        self.test = Split {
            pixels: split.pixels.split_off(left * picture),
            labels: split.labels.split_off(left),
        };
    }

    /// Normalises pictures by the moments of each channel, over the training pictures that there are now.
    pub(crate) fn normalise_by_channel(&mut self) {
        self.channels = Some(moments::of_channels(&self.train.pixels, self.shape));
    }
}

/// A data set without its pictures, for a run that trains nothing.
///
/// # Errors
/// [`DataError::Unknown`].
pub fn unread(name: &str) -> Result<Dataset, DataError> {
    if known(name).is_none() {
        return Err(DataError::Unknown(name.to_owned()));
    }
    Ok(Dataset {
        name: name.to_owned(),
        classes: 0,
        shape: [0; 3],
        train: Split::default(),
        test: Split::default(),
        sha256: String::new(),
        origin: Origin::Unread,
        augment: false,
        channels: None,
    })
}

/// Whether training pictures of this data set are cropped and mirrored by chance, and all are standardised.
pub(crate) fn is_augmented(name: &str) -> bool {
    known(name).is_some_and(|set| set.augment)
}

/// One picture of MNIST: rows of 28 bytes, 28 of them. `split` is `train` or `test`.
///
/// # Errors
/// [`DataError`], if MNIST is not in `folder` or has no such picture.
pub fn mnist_picture(folder: &Path, split: &str, index: usize) -> Result<Vec<u8>, DataError> {
    idx::picture(folder, split, index)
}

/// Puts a loaded set together, and checks that labels are in range; each split comes with the file of its labels.
fn assemble(
    name: &str,
    classes: usize,
    shape: [usize; 3],
    splits: [(Split, PathBuf); 2],
    origin: Origin,
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
            let classes = classes - 1;
            let problem =
                format!("it has the label {label}, and {name} has the classes 0 to {classes}");
            return Err(files::damaged(name, path, problem));
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
        origin,
        augment: is_augmented(name),
        channels: None,
    })
}

#[cfg(test)]
mod tests;
