//! MNIST's format (yann.lecun.com/exdb/mnist): a magic number, the sizes, big-endian, then bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::files::{self, Found};
use super::{DataError, Dataset, Origin, Split, official};

/// Looks for its files, and reads none.
pub(super) fn look(name: &str, folder: &Path) -> Result<(), DataError> {
    paths(name, folder).map(drop)
}

fn paths(name: &str, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let wanted = ["train", "t10k"]
        .into_iter()
        .flat_map(|prefix| {
            [
                file_names(prefix, "images", 3),
                file_names(prefix, "labels", 1),
            ]
        })
        .collect::<Vec<_>>();
    files::find(name, folder, &[name.into()], &wanted)
}

pub(super) fn load(name: &str, folder: &Path) -> Result<Dataset, DataError> {
    let mut paths = paths(name, folder)?.into_iter();
    let mut all_official = true;
    let mut split = || -> Result<_, DataError> {
        let mut file = || -> Result<Found, DataError> {
            let found = files::read(name, paths.next().unwrap_or_default())?;
            match official::owner(&found) {
                Some(owner) if owner != name => {
                    return Err(DataError::Other {
                        path: found.path,
                        belongs: owner,
                        dataset: name.to_owned(),
                    });
                }
                owner => all_official &= owner.is_some(),
            }
            Ok(found)
        };
        let (pictures, labels) = (file()?, file()?);
        let (sizes, pixels) = parse(&pictures, 3)?;
        let (count, classes) = parse(&labels, 1)?;
        let [number, height, width] = [sizes[0], sizes[1], sizes[2]];
        if number * height * width == 0 {
            return Err(pictures.damaged(format!("it holds no pixels: its header says {sizes:?}")));
        }
        if count[0] != number {
            return Err(labels.damaged(format!("it has {} labels for {number} pictures", count[0])));
        }
        let split = Split {
            pixels: pixels.to_vec(),
            labels: classes.to_vec(),
        };
        Ok((split, labels.path, pictures.path, [1, height, width]))
    };
    let (train, train_labels, _, shape) = split()?;
    let (test, test_labels, test_pictures, test_shape) = split()?;
    if shape != test_shape {
        return Err(files::damaged(
            name,
            &test_pictures,
            format!("its pictures are {test_shape:?}, and those of training {shape:?}"),
        ));
    }
    super::assemble(
        name,
        10,
        shape,
        [(train, train_labels), (test, test_labels)],
        Origin::of_files(all_official),
    )
}

/// Picture `index` of MNIST's `train` or `test`, of which no more is read than up to that picture.
pub(super) fn picture(folder: &Path, split: &str, index: usize) -> Result<Vec<u8>, DataError> {
    let none = |count| DataError::NoPicture {
        split: split.to_owned(),
        index,
        count,
    };
    let prefix = match split {
        "train" => "train",
        "test" => "t10k",
        _ => return Err(none(0)),
    };
    let wanted = [file_names(prefix, "images", 3)];
    let path: PathBuf = files::find("mnist", folder, &["mnist".into()], &wanted)?
        .into_iter()
        .collect();
    let damaged = |problem: String| files::damaged("mnist", &path, problem);
    let broken = |e: std::io::Error| {
        damaged(format!(
            "it breaks off before picture {index} ({e}): is it whole?"
        ))
    };
    let mut reader = files::open(&path)?;
    let mut head = [0; 16];
    reader.read_exact(&mut head).map_err(broken)?;
    let sizes = header(&head, 3).map_err(damaged)?;
    if sizes[1..] != [28, 28] {
        return Err(damaged(format!(
            "its pictures are {:?}, and those of MNIST [28, 28]",
            &sizes[1..]
        )));
    }
    if index >= sizes[0] {
        return Err(none(sizes[0]));
    }
    let before = (index * 28 * 28) as u64;
    std::io::copy(&mut reader.by_ref().take(before), &mut std::io::sink()).map_err(broken)?;
    let mut picture = vec![0; 28 * 28];
    reader.read_exact(&mut picture).map_err(broken)?;
    Ok(picture)
}

/// The packed file, which is what the official address serves, goes before the plain one.
fn file_names(prefix: &str, kind: &str, dimensions: usize) -> Vec<String> {
    let plain = format!("{prefix}-{kind}-idx{dimensions}-ubyte");
    vec![format!("{plain}.gz"), plain]
}

fn parse(file: &Found, dimensions: usize) -> Result<(Vec<usize>, &[u8]), DataError> {
    let Some((head, rest)) = file.bytes.split_at_checked(4 + 4 * dimensions) else {
        let length = file.bytes.len();
        return Err(file.damaged(format!("it has {length} bytes, less than a header")));
    };
    let sizes = header(head, dimensions).map_err(|problem| file.damaged(problem))?;
    let expected = sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size));
    if expected != Some(rest.len()) {
        return Err(file.damaged(format!(
            "its header says {sizes:?}, and {} bytes follow: is it whole?",
            rest.len()
        )));
    }
    Ok((sizes, rest))
}

/// The sizes that a header of `4 + 4 * dimensions` bytes names, or what is wrong with it.
fn header(head: &[u8], dimensions: usize) -> Result<Vec<usize>, String> {
    let magic = [0, 0, 8, dimensions as u8];
    if head[..4] != magic {
        return Err(format!(
            "it begins with {:?}, and an IDX file of {dimensions} dimensions with {magic:?}",
            &head[..4]
        ));
    }
    let big_endian = |size: &[u8]| {
        size.iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    Ok(head[4..].chunks_exact(4).map(big_endian).collect())
}
