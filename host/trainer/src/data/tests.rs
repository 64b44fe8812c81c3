use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

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
    assert!(!mnist.official && !mnist.augment);
    let picture = mnist_picture(folder.path(), "train", 1).unwrap();
    assert_eq!(
        picture,
        (784..1568).map(|i| (i % 256) as u8).collect::<Vec<_>>()
    );
    assert!(mnist_picture(folder.path(), "train", 3).is_err());
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
    assert!(
        load("mnist", folder.path())
            .unwrap_err()
            .to_string()
            .contains("the label 10")
    );
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
    assert!(!unpacked.official);
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
    assert!(mnist.official);
    assert_eq!(
        (mnist.train.labels.len(), mnist.train.labels[59_915]),
        (60_000, 4)
    );
    let cifar = load("cifar10", &folder).unwrap();
    assert_eq!(cifar.train.labels[..3], [6, 9, 9]);
}

/// Serves `bytes` on loopback to so many requests; each answers with at most `most` bytes, and then breaks off.
/// Gives the address, and the `Range` of each request.
fn serve(
    bytes: Vec<u8>,
    requests: usize,
    most: usize,
    ranges: bool,
) -> (String, Receiver<Option<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut from = None;
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = Some(range.trim_end_matches('-').parse::<usize>().unwrap());
                }
                if line.is_empty() {
                    break;
                }
            }
            sender.send(from).unwrap();
            let start = from.filter(|_| ranges).unwrap_or(0);
            let status = if start > 0 {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let rest = &bytes[start..];
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rest.len()
            )
            .unwrap();
            stream.write_all(&rest[..rest.len().min(most)]).unwrap();
        }
    });
    (address, receiver)
}

fn fetch(url: &str, folder: &Path, md5: &str) -> Result<Vec<u8>, String> {
    let path = folder.join("file");
    download::fetch(&format!("{url}file"), &path, md5, &mut |_| {}).map_err(|e| e.to_string())?;
    Ok(std::fs::read(path).unwrap())
}

#[test]
fn a_transfer_goes_on_where_it_was_cut() {
    use md5::Digest as _;
    let bytes: Vec<u8> = (0..300_000_u32)
        .map(|i| (i.wrapping_mul(i) >> 5) as u8)
        .collect();
    let sum = hex::encode(md5::Md5::digest(&bytes));
    for ranges in [true, false] {
        let folder = tempdir().unwrap();
        let (url, seen) = serve(bytes.clone(), 1, 100_000, ranges);
        let broken = fetch(&url, folder.path(), &sum).unwrap_err();
        assert!(broken.contains("goes on from there"), "{broken}");
        assert_eq!(seen.recv().unwrap(), None);
        let (url, seen) = serve(bytes.clone(), 1, usize::MAX, ranges);
        assert_eq!(fetch(&url, folder.path(), &sum).unwrap(), bytes);
        assert_eq!(seen.recv().unwrap(), Some(100_000));
        // There and whole: nobody is asked again.
        assert_eq!(
            fetch("http://127.0.0.1:1/", folder.path(), &sum).unwrap(),
            bytes
        );
    }
}

#[test]
fn a_wrong_sum_is_thrown_away_and_a_wrong_address_is_told() {
    let folder = tempdir().unwrap();
    let (url, _seen) = serve(vec![1; 10], 1, usize::MAX, true);
    let wrong = fetch(&url, folder.path(), "00").unwrap_err();
    assert!(
        wrong.contains("MD5") && wrong.contains("try again"),
        "{wrong}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(
        fetch("http://127.0.0.1:1/", folder.path(), "00")
            .unwrap_err()
            .contains("cannot fetch")
    );
    assert!(
        get("synthetic", folder.path(), &mut |_| {})
            .unwrap_err()
            .to_string()
            .contains("synthetic")
    );
}
