//! CIFAR's binary version (www.cs.toronto.edu/~kriz/cifar.html): records of labels and 3072 bytes, channel first.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::files::{self, Found};
use super::{DataError, Dataset, Origin, Split, official};

const PIXELS: usize = 3 * 32 * 32;

struct Layout {
    folder: &'static str,
    tar: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    /// Bytes of labels before the pixels; the last is the one that counts.
    labels: usize,
    /// Records a file.
    train_records: usize,
    classes: usize,
}

const CIFAR10: Layout = Layout {
    folder: "cifar-10-batches-bin",
    tar: "cifar-10-binary.tar.gz",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    labels: 1,
    train_records: 10_000,
    classes: 10,
};

const CIFAR100: Layout = Layout {
    folder: "cifar-100-binary",
    tar: "cifar-100-binary.tar.gz",
    train: &["train.bin"],
    test: "test.bin",
    labels: 2,
    train_records: 50_000,
    classes: 100,
};

fn layout(name: &str) -> &'static Layout {
    if name == "cifar10" {
        &CIFAR10
    } else {
        &CIFAR100
    }
}

/// Looks for its files, and reads none.
pub(super) fn look(name: &str, folder: &Path) -> Result<(), DataError> {
    let layout = layout(name);
    match packed(layout, name, folder) {
        Some(_) => Ok(()),
        None => paths(layout, name, folder).map(drop),
    }
}

fn packed(layout: &Layout, name: &str, folder: &Path) -> Option<PathBuf> {
    // What `data get` fetched comes first, so that it takes the place of a damaged file.
    let mut places = [folder.join(name), folder.to_owned()]
        .map(|place| place.join(layout.tar))
        .into_iter();
    places.find(|tar| tar.is_file())
}

pub(super) fn load(name: &str, folder: &Path) -> Result<Dataset, DataError> {
    let layout = layout(name);
    let (files, is_official) = match packed(layout, name, folder) {
        Some(tar) => unpack(layout, name, &tar)?,
        None => (plain(layout, name, folder)?, false),
    };
    let mut train = Split::default();
    let (train_files, test_file) = files.split_at(layout.train.len());
    for file in train_files {
        records(file, layout, layout.train_records, &mut train)?;
    }
    let mut test = Split::default();
    records(&test_file[0], layout, 10_000, &mut test)?;
    let (train_path, test_path) = (train_files[0].path.clone(), test_file[0].path.clone());
    super::assemble(
        name,
        layout.classes,
        [3, 32, 32],
        [(train, train_path), (test, test_path)],
        Origin::of_files(is_official),
    )
}

fn names(layout: &Layout) -> impl Iterator<Item = &'static str> {
    layout.train.iter().copied().chain([layout.test])
}

fn plain(layout: &Layout, name: &str, folder: &Path) -> Result<Vec<Found>, DataError> {
    let paths = paths(layout, name, folder)?.into_iter();
    paths.map(|path| files::read(name, path)).collect()
}

fn paths(layout: &Layout, name: &str, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let inside = [
        Path::new(name).join(layout.folder),
        name.into(),
        layout.folder.into(),
    ];
    let wanted: Vec<Vec<String>> = names(layout)
        .map(|file| vec![file.to_owned(), format!("{file}.gz")])
        .collect();
    files::find(name, folder, &inside, &wanted)
}

fn unpack(layout: &Layout, name: &str, tar: &Path) -> Result<(Vec<Found>, bool), DataError> {
    let io = |source| DataError::Io {
        path: tar.to_owned(),
        source,
    };
    let md5 = files::md5_of(tar).map_err(io)?;
    let damaged = |e: std::io::Error| {
        let problem = format!("it cannot be unpacked ({e}): is it whole?");
        files::damaged(name, tar, problem)
    };
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(tar).map_err(io)?));
    let mut found: Vec<Option<Found>> = names(layout).map(|_| None).collect();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path: PathBuf = entry.path().map_err(damaged)?.into_owned();
        let place =
            names(layout).position(|file| path.file_name().is_some_and(|name| name == file));
        if let Some(place) = place {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            found[place] = Some(Found {
                dataset: name.to_owned(),
                path: tar.join(path),
                bytes,
                md5: md5.clone(),
            });
        }
    }
    let whole: Option<Vec<Found>> = found.into_iter().collect();
    match whole {
        Some(files) => Ok((files, official::is_official(name, layout.tar, &md5))),
        None => Err(files::damaged(
            name,
            tar,
            format!(
                "it does not hold all of {}",
                names(layout).collect::<Vec<_>>().join(", ")
            ),
        )),
    }
}

fn records(file: &Found, layout: &Layout, count: usize, into: &mut Split) -> Result<(), DataError> {
    let record = layout.labels + PIXELS;
    if file.bytes.len() != record * count {
        return Err(file.damaged(format!(
            "it has {} bytes, and {count} records of {record} are {}: is it whole?",
            file.bytes.len(),
            record * count
        )));
    }
    for record in file.bytes.chunks_exact(record) {
        into.labels.push(record[layout.labels - 1]);
        into.pixels.extend_from_slice(&record[layout.labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_two_labels_of_cifar100_the_fine_one_counts() {
        let mut bytes = Vec::new();
        for (coarse, fine, pixel) in [(19, 98, 5), (0, 99, 6)] {
            bytes.extend([coarse, fine]);
            bytes.extend([pixel; PIXELS]);
        }
        let file = |bytes: &[u8]| Found {
            dataset: "cifar100".to_owned(),
            path: "train.bin".into(),
            bytes: bytes.to_vec(),
            md5: String::new(),
        };
        let mut split = Split::default();
        records(&file(&bytes), &CIFAR100, 2, &mut split).unwrap();
        assert_eq!(split.labels, [98, 99]);
        assert_eq!(split.pixels, [[5; PIXELS], [6; PIXELS]].concat());
        let short = records(&file(&bytes[1..]), &CIFAR100, 2, &mut split).unwrap_err();
        assert!(short.to_string().contains("6147 bytes"), "{short}");
    }
}
