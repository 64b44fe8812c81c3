use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::tempdir;

use super::*;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images(count: u32) -> Vec<u8> {
    let header = [0x0000_0803, count, 28, 28];
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend((0..count * 784).map(|i| (i % 256) as u8));
    bytes
}

fn labels(labels: &[u8]) -> Vec<u8> {
    let header = [0x0000_0801, labels.len() as u32];
    header
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .chain(labels.iter().copied())
        .collect()
}

fn write_mnist(folder: &Path) {
    std::fs::write(folder.join("train-images-idx3-ubyte.gz"), gz(&images(3))).unwrap();
    std::fs::write(folder.join("train-labels-idx1-ubyte"), labels(&[7, 0, 9])).unwrap();
    std::fs::write(folder.join("t10k-images-idx3-ubyte"), images(1)).unwrap();
    std::fs::write(folder.join("t10k-labels-idx1-ubyte.gz"), gz(&labels(&[4]))).unwrap();
}

#[test]
fn mnist_is_read_plain_and_packed() {
    let folder = tempdir().unwrap();
    write_mnist(folder.path());
    let mnist = load("mnist", folder.path()).unwrap();
    assert_eq!(
        (
            mnist.shape,
            mnist.train.labels.clone(),
            mnist.test.labels.clone()
        ),
        ([1, 28, 28], vec![7, 0, 9], vec![4])
    );
    assert_eq!(mnist.train.pixels.len(), 3 * 784);
    assert!(mnist.origin == Origin::Other && !mnist.augment);
    let picture = mnist_picture(folder.path(), "train", 1).unwrap();
    assert_eq!(
        picture,
        (784..1568).map(|i| (i % 256) as u8).collect::<Vec<_>>()
    );
    for (split, index) in [
        ("train", 3),
        ("train", usize::MAX),
        ("test", 1),
        ("best", 0),
    ] {
        let none = mnist_picture(folder.path(), split, index).unwrap_err();
        assert!(matches!(none, DataError::NoPicture { .. }), "{none}");
        assert!(none.to_string().contains(&format!("number {index} was")));
    }
    assert_eq!(mnist_picture(folder.path(), "test", 0).unwrap().len(), 784);
    // One picture needs no more of the file than what comes before it.
    let short = folder.path().join("t10k-images-idx3-ubyte");
    std::fs::write(&short, &images(2)[..16 + 784 + 783]).unwrap();
    assert!(mnist_picture(folder.path(), "test", 0).is_ok());
    let broken = mnist_picture(folder.path(), "test", 1)
        .unwrap_err()
        .to_string();
    assert!(broken.contains("t10k-images-idx3-ubyte") && broken.contains("is it whole?"));
}

#[test]
fn what_was_fetched_goes_before_what_lies_about_and_copies_do_not_mix() {
    let folder = tempdir().unwrap();
    write_mnist(folder.path());
    let inside = folder.path().join("mnist");
    std::fs::create_dir(&inside).unwrap();
    // An unfinished copy is passed over, whole.
    std::fs::write(inside.join("t10k-labels-idx1-ubyte"), labels(&[5])).unwrap();
    assert_eq!(load("mnist", folder.path()).unwrap().test.labels, [4]);
    write_mnist(&inside);
    std::fs::write(inside.join("t10k-labels-idx1-ubyte.gz"), gz(&labels(&[6]))).unwrap();
    // A damaged file that lies about no longer matters.
    std::fs::write(folder.path().join("t10k-images-idx3-ubyte"), b"").unwrap();
    assert_eq!(load("mnist", folder.path()).unwrap().test.labels, [6]);
    // Of two unfinished copies the fuller one is told of.
    std::fs::remove_file(inside.join("train-labels-idx1-ubyte")).unwrap();
    for file in ["t10k-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    let missing = load("mnist", folder.path()).unwrap_err().to_string();
    assert!(
        missing.contains(&format!("not in {}: train-labels", inside.display())),
        "{missing}"
    );
}

#[test]
fn a_file_is_official_under_its_own_name_only() {
    let mut all = official::files("mnist");
    let (pictures, names) = (all.next().unwrap(), all.next().unwrap());
    assert!(official::is_official("mnist", pictures.file, pictures.md5));
    assert!(!official::is_official("mnist", names.file, pictures.md5));
    assert!(!official::is_official(
        "fashion-mnist",
        pictures.file,
        pictures.md5
    ));
}

#[test]
fn every_set_is_described_with_its_sizes() {
    assert!(names().all(|name| describe(name).is_some()));
    assert_eq!(describe("imagenet"), None);
    let set = load("synthetic", Path::new("")).unwrap();
    let sizes = [&set.train, &set.test].map(|split| format!("{},000", split.labels.len() / 1000));
    assert!(
        describe("synthetic")
            .unwrap()
            .starts_with(&sizes.join(" + "))
    );
}

#[test]
fn damage_is_told_with_the_file_and_what_to_do() {
    let folder = tempdir().unwrap();
    let spoil = |file: &str, bytes: &[u8]| {
        write_mnist(folder.path());
        std::fs::write(folder.path().join(file), bytes).unwrap();
        let message = load("mnist", folder.path()).unwrap_err().to_string();
        std::fs::remove_file(folder.path().join(file)).unwrap();
        assert!(message.contains(file), "{message}");
        message
    };
    let packed = gz(&images(3));
    assert!(
        spoil("train-images-idx3-ubyte.gz", &packed[..packed.len() / 2]).contains("is it whole?")
    );
    let plain = images(1);
    assert!(spoil("t10k-images-idx3-ubyte", &plain[..500]).contains("484 bytes follow"));
    assert!(spoil("train-labels-idx1-ubyte", &labels(&[1, 2])).contains("2 labels for 3 pictures"));
    assert!(spoil("t10k-images-idx3-ubyte", &labels(&[1; 20])).contains("begins with"));
    assert!(spoil("t10k-images-idx3-ubyte", b"").contains("less than a header"));
    write_mnist(folder.path());
    std::fs::write(
        folder.path().join("train-labels-idx1-ubyte"),
        labels(&[1, 2, 10]),
    )
    .unwrap();
    let label = load("mnist", folder.path()).unwrap_err().to_string();
    assert!(
        label.contains("train-labels-idx1-ubyte: it has the label 10"),
        "{label}"
    );
    std::fs::write(
        folder.path().join("train-images-idx3-ubyte.gz"),
        gz(&images(0)),
    )
    .unwrap();
    let flat = load("mnist", folder.path()).unwrap_err().to_string();
    assert!(flat.contains("holds no pixels"), "{flat}");
    std::fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte.gz")).unwrap();
    assert!(
        load("mnist", folder.path())
            .unwrap_err()
            .to_string()
            .contains("pixelrate data get mnist")
    );
}

fn batch(first: u8) -> Vec<u8> {
    (0..10_000_u32)
        .flat_map(|i| {
            std::iter::once((i % 10) as u8)
                .chain(std::iter::repeat_n(first.wrapping_add(i as u8), 3072))
        })
        .collect()
}

#[test]
fn cifar_is_read_from_its_folder_and_from_its_tar() {
    let folder = tempdir().unwrap();
    let inside = folder.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&inside).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let names = (1..=5)
        .map(|i| format!("data_batch_{i}.bin"))
        .chain(["test_batch.bin".to_owned()]);
    for (i, name) in names.enumerate() {
        let bytes = batch(i as u8);
        std::fs::write(inside.join(&name), &bytes).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append_data(
            &mut header,
            format!("cifar-10-batches-bin/{name}"),
            &bytes[..],
        )
        .unwrap();
    }
    let plain = load("cifar10", folder.path()).unwrap();
    assert_eq!(
        (plain.train.labels.len(), plain.test.labels.len()),
        (50_000, 10_000)
    );
    assert_eq!(plain.train.pixels[10_000 * 3072], 1);
    let packed = tempdir().unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    std::fs::write(packed.path().join("cifar-10-binary.tar.gz"), &bytes).unwrap();
    let unpacked = load("cifar10", packed.path()).unwrap();
    assert_eq!(unpacked, plain);
    assert!(unpacked.origin == Origin::Other);
    std::fs::write(
        packed.path().join("cifar-10-binary.tar.gz"),
        &bytes[..bytes.len() / 2],
    )
    .unwrap();
    assert!(
        load("cifar10", packed.path())
            .unwrap_err()
            .to_string()
            .contains("is it whole?")
    );
    std::fs::write(inside.join("data_batch_3.bin"), &batch(0)[1..]).unwrap();
    assert!(
        load("cifar10", folder.path())
            .unwrap_err()
            .to_string()
            .contains("data_batch_3.bin")
    );
}

#[test]
fn synthetic_is_the_same_everywhere() {
    let one = load("synthetic", Path::new("")).unwrap();
    // Held, so that a change of a generator's version cannot change results unseen.
    assert_eq!(one.sha256, include_str!("synthetic.sha256").trim());
    for class in 0..10 {
        let count = one
            .test
            .labels
            .iter()
            .filter(|&&label| label == class)
            .count();
        assert!((150..250).contains(&count), "{class}: {count}");
    }
}

#[test]
fn the_real_sets_are_known() {
    let Some(folder) = std::env::var_os("PIXELRATE_DATA").map(PathBuf::from) else {
        println!("skipped: PIXELRATE_DATA names no folder with the real data sets");
        return;
    };
    let mnist = load("mnist", &folder).unwrap();
    assert_eq!(mnist.origin, Origin::Official);
    assert_eq!(
        (mnist.train.labels.len(), mnist.train.labels[59_915]),
        (60_000, 4)
    );
    let plain = tempdir().unwrap();
    for file in official::files("mnist") {
        let found = files::read("mnist", folder.join("mnist").join(file.file)).unwrap();
        let name = file.file.trim_end_matches(".gz");
        std::fs::write(plain.path().join(name), &found.bytes).unwrap();
    }
    assert_eq!(load("mnist", plain.path()).unwrap(), mnist);
    for other in [plain.path(), &folder.join("mnist")] {
        let wrong = load("fashion-mnist", other).unwrap_err().to_string();
        assert!(wrong.contains("this is the file of mnist"), "{wrong}");
    }
    assert_eq!(
        mnist_picture(&folder, "train", 59_915).unwrap(),
        mnist.train.pixels[59_915 * 784..][..784]
    );
    let cifar = load("cifar10", &folder).unwrap();
    assert_eq!(cifar.train.labels[..3], [6, 9, 9]);
}
