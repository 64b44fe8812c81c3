//! The official files: where they are, and their MD5 sums, as torchvision 0.26 lists them.

use md5::{Digest, Md5};

use super::files::Found;

/// A file of a data set.
pub(super) struct Official {
    pub(super) dataset: &'static str,
    pub(super) file: &'static str,
    pub(super) md5: &'static str,
    /// The folder of the address.
    pub(super) base: &'static str,
}

const MNIST: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";
const FASHION: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
const CIFAR: &str = "https://www.cs.toronto.edu/~kriz/";

const fn file(
    dataset: &'static str,
    file: &'static str,
    md5: &'static str,
    base: &'static str,
) -> Official {
    Official {
        dataset,
        file,
        md5,
        base,
    }
}

const FILES: [Official; 10] = [
    file(
        "mnist",
        "train-images-idx3-ubyte.gz",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        MNIST,
    ),
    file(
        "mnist",
        "train-labels-idx1-ubyte.gz",
        "d53e105ee54ea40749a09fcbcd1e9432",
        MNIST,
    ),
    file(
        "mnist",
        "t10k-images-idx3-ubyte.gz",
        "9fb629c4189551a2d022fa330f9573f3",
        MNIST,
    ),
    file(
        "mnist",
        "t10k-labels-idx1-ubyte.gz",
        "ec29112dd5afa0611ce80d1b7f02629c",
        MNIST,
    ),
    file(
        "fashion-mnist",
        "train-images-idx3-ubyte.gz",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        FASHION,
    ),
    file(
        "fashion-mnist",
        "train-labels-idx1-ubyte.gz",
        "25c81989df183df01b3e8a0aad5dffbe",
        FASHION,
    ),
    file(
        "fashion-mnist",
        "t10k-images-idx3-ubyte.gz",
        "bef4ecab320f06d8554ea6380940ec79",
        FASHION,
    ),
    file(
        "fashion-mnist",
        "t10k-labels-idx1-ubyte.gz",
        "bb300cfdad3c16e7a12a480ee83cd310",
        FASHION,
    ),
    file(
        "cifar10",
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        CIFAR,
    ),
    file(
        "cifar100",
        "cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        CIFAR,
    ),
];

/// The official files of `dataset`; none of a set that is drawn by code.
pub(super) fn files(dataset: &str) -> impl Iterator<Item = &'static Official> {
    FILES.iter().filter(move |file| file.dataset == dataset)
}

/// MD5 of the files of MNIST, unpacked from the official ones: many have them so. Of Fashion-MNIST no sums but
/// those of the packed files are published.
const PLAIN_MNIST: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "6bbc9ace898e44ae57da46a324031adb",
    ),
    (
        "train-labels-idx1-ubyte",
        "a25bea736e30d166cdddb491f175f624",
    ),
    ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
    ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
];

/// Whether `md5` is the sum of that file of `dataset`.
pub(super) fn is_official(dataset: &str, file: &str, md5: &str) -> bool {
    files(dataset).any(|official| official.file == file && official.md5 == md5)
}

/// The data set of which `found` is, under its own name, an official file, packed as it is served or not.
///
/// MNIST and Fashion-MNIST share the names of their files, so this need not be the one that was looked for.
pub(super) fn owner(found: &Found) -> Option<&'static str> {
    let name = found.path.file_name()?.to_str()?;
    let packed = FILES
        .iter()
        .find(|official| official.file == name && official.md5 == found.md5);
    packed.map(|official| official.dataset).or_else(|| {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let (_, sum) = PLAIN_MNIST.iter().find(|(file, _)| *file == plain)?;
        (hex::encode(Md5::digest(&found.bytes)) == *sum).then_some("mnist")
    })
}
