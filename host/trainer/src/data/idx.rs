//! MNIST's format (yann.lecun.com/exdb/mnist): a magic number, the sizes, big-endian, then bytes.

use std::path::Path;

use super::files::{self, Found};
use super::{DataError, Dataset, Split, official};

pub(super) fn load(name: &str, folder: &Path) -> Result<Dataset, DataError> {
    let mut all_official = true;
    let mut split = |prefix: &str| -> Result<_, DataError> {
        let mut file = |kind: &str, dimensions: usize| -> Result<Found, DataError> {
            let plain = format!("{prefix}-{kind}-idx{dimensions}-ubyte");
            let found = files::find(
                name,
                folder,
                &[name],
                &[format!("{plain}.gz"), plain.clone()],
            )?;
            all_official &= official::is_official(name, &found.md5);
            Ok(found)
        };
        let (pictures, labels) = (file("images", 3)?, file("labels", 1)?);
        let (sizes, pixels) = parse(&pictures, 3)?;
        let (count, classes) = parse(&labels, 1)?;
        let [number, height, width] = [sizes[0], sizes[1], sizes[2]];
        if count[0] != number || number == 0 {
            return Err(damaged(
                &labels,
                format!("it has {} labels for {number} pictures", count[0]),
            ));
        }
        let split = Split {
            pixels: pixels.to_vec(),
            labels: classes.to_vec(),
        };
        Ok((split, pictures.path, [1, height, width]))
    };
    let (train, train_path, shape) = split("train")?;
    let (test, test_path, test_shape) = split("t10k")?;
    if shape != test_shape {
        return Err(DataError::Damaged {
            path: test_path,
            problem: format!("its pictures are {test_shape:?}, and those of training {shape:?}"),
        });
    }
    super::assemble(
        name,
        10,
        shape,
        [(train, train_path), (test, test_path)],
        all_official,
    )
}

fn parse(file: &Found, dimensions: usize) -> Result<(Vec<usize>, &[u8]), DataError> {
    let header = 4 + 4 * dimensions;
    let Some((head, rest)) = file.bytes.split_at_checked(header) else {
        return Err(damaged(
            file,
            format!("it has {} bytes, less than a header", file.bytes.len()),
        ));
    };
    let magic = [0, 0, 8, dimensions as u8];
    if head[..4] != magic {
        return Err(damaged(
            file,
            format!(
                "it begins with {:?}, and an IDX file of {dimensions} dimensions with {magic:?}",
                &head[..4]
            ),
        ));
    }
    let sizes: Vec<usize> = head[4..]
        .chunks_exact(4)
        .map(|size| {
            size.iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte))
        })
        .collect();
    let expected = sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size));
    if expected != Some(rest.len()) {
        return Err(damaged(
            file,
            format!(
                "its header says {sizes:?}, and {} bytes follow: is it whole?",
                rest.len()
            ),
        ));
    }
    Ok((sizes, rest))
}

fn damaged(file: &Found, problem: String) -> DataError {
    DataError::Damaged {
        path: file.path.clone(),
        problem,
    }
}
