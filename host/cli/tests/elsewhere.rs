//! A run's folder on another machine: neither its data set, its pictures nor its plugin lie where they lay.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{logged, pixelrate, said};

/// Files of MNIST's form: so many pictures of one shade more than the one before.
fn mnist(folder: &Path, first: u8) {
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, header: &[u32], bytes: Vec<u8>| {
        let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        file.extend(bytes);
        fs::write(folder.join(name), file).unwrap();
    };
    for (part, count) in [("train", 64_u8), ("t10k", 16)] {
        let pixels = (0..count).flat_map(|i| vec![first.wrapping_add(i); 784]);
        let header = [0x0803, u32::from(count), 28, 28];
        write(
            &format!("{part}-images-idx3-ubyte"),
            &header,
            pixels.collect(),
        );
        let labels = (0..count).map(|i| i % 10).collect();
        let header = [0x0801, u32::from(count)];
        write(&format!("{part}-labels-idx1-ubyte"), &header, labels);
    }
}

#[test]
fn a_run_goes_on_and_is_replayed_where_its_folder_was_carried_to() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    mnist(&here.path().join("data"), 0);
    let picture = pixelrate_images::get("puppy").unwrap();
    fs::create_dir(here.path().join("pictures")).unwrap();
    fs::write(here.path().join("pictures/mine.png"), picture).unwrap();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/image.wasm");
    fs::copy(built, here.path().join("scan.wasm")).unwrap();
    let study = "[study]\nname = \"carried\"\nseeds = [0]\npictures = \"pictures\"\n\n\
        [training]\ndataset = \"mnist\"\nmodel = \"convnet\"\nbatch_size = 16\nepochs = 5\ndevice = \"cpu\"\n\n\
        [[schedule]]\nplugin = \"scan.wasm\"\nparams = { image = \"mine\" }\n";
    fs::write(here.path().join("carried.toml"), study).unwrap();
    let (good, _, err) = said(pixelrate(here.path()).args(["study", "carried.toml"]));
    assert!(good, "{err}");

    // As after a crash in the first steps: nothing but what the folder holds from then on.
    let (from, to) = (
        here.path().join("runs/carried/scan-seed0"),
        there.path().join("run"),
    );
    for folder in ["plugins", "pictures"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
        }
    }
    fs::copy(from.join("run.toml"), to.join("run.toml")).unwrap();
    let finished = logged(&from);
    fs::remove_dir_all(here.path()).unwrap();

    let resume = |more: &[&str]| said(pixelrate(there.path()).args(["resume", "run"]).args(more));
    let (good, _, err) = resume(&[]);
    assert!(!good && err.contains("is not in"), "{err}");
    mnist(&there.path().join("other"), 9);
    let (good, _, err) = resume(&["--data-folder", "other"]);
    assert!(
        !good && err.contains("differs from the data that the run started with"),
        "{err}"
    );
    mnist(&there.path().join("data"), 0);
    let (good, _, err) = resume(&["--data-folder", "data"]);
    assert!(good, "{err}");
    assert_eq!(logged(&to), finished);
    // The run remembers it.
    let (good, out, err) = said(pixelrate(there.path()).args(["replay", "run"]));
    assert!(good && out.contains("agree bit for bit"), "{out}{err}");
}
