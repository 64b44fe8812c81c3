//! Decoding and resizing, held byte for byte against Pillow's: by hashes that it gave of pictures that are drawn
//! here, and, where there is a Python with Pillow, by what it makes of PNGs in every mode.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "../../../tests/python.rs"]
mod python;

use std::process::Command;

use pixelrate_sandbox::{DecodedPicture, Filter, Limits};
use sha2::{Digest, Sha256};
use tempfile::tempdir;

/// What `pillow.py golden` printed, with Pillow 12.0.
const GOLDEN: &str = include_str!("golden/pillow.txt");

/// The picture that `golden` in `pillow.py` draws.
fn drawn(width: u32, height: u32, channels: u32) -> DecodedPicture {
    let mut values = Vec::new();
    for y in 0..height {
        for x in 0..width {
            values
                .extend((0..channels).map(|c| ((x * x + 3 * x * y + 7 * y + 85 * c) % 256) as u8));
        }
    }
    DecodedPicture {
        width,
        height,
        channels,
        values,
    }
}

#[test]
fn resizing_gives_the_bytes_that_pillow_gave() {
    assert_eq!(GOLDEN.lines().count(), 60);
    for line in GOLDEN.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<u32>().unwrap();
        let filter: Filter = words[4].parse().unwrap();
        let resized = drawn(number(0), number(1), number(2))
            .resized(u64::from(number(3)), filter, &Limits::default())
            .unwrap();
        assert_eq!(
            (resized.width, resized.height),
            (number(5), number(6)),
            "{line}"
        );
        assert_eq!(
            hex::encode(Sha256::digest(&resized.values)),
            words[7],
            "{line}"
        );
    }
}

#[test]
fn pngs_of_every_mode_agree_with_pillow() {
    let Some(python) = python::python() else {
        return;
    };
    let folder = tempdir().unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pillow.py");
    let output = Command::new(python)
        .args(["-W", "ignore", program, "pictures"])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 1500);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, filter, samples] = words[..3] else {
            unreachable!("{line}")
        };
        let numbers: Vec<u32> = words[3..]
            .iter()
            .map(|word| word.parse().unwrap())
            .collect();
        let limits = Limits::default();
        let png = std::fs::read(folder.path().join(format!("{name}.png"))).unwrap();
        let resized = DecodedPicture::decode(name, &png, &limits)
            .unwrap()
            .resized(samples.parse().unwrap(), filter.parse().unwrap(), &limits)
            .unwrap();
        assert_eq!(
            (resized.width, resized.height, resized.channels),
            (numbers[0], numbers[1], numbers[2]),
            "{line}"
        );
        let raw = format!("{name}.{samples}.{filter}.raw");
        let expected = std::fs::read(folder.path().join(raw)).unwrap();
        assert!(resized.values == expected, "{line}: the bytes differ");
    }
}
