//! Decoding and nearest-neighbour resizing, held byte for byte against Pillow's.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use std::process::Command;

use pixelrate_sandbox::{DecodedPicture, Filter, Limits};
use tempfile::tempdir;

/// Writes pictures of odd sizes in every mode, and what Pillow makes of each: channels, width, height, bytes.
const PROGRAM: &str = r#"
import sys, numpy
from PIL import Image
folder = sys.argv[1]
random = numpy.random.default_rng(7)
def noise(*shape, high=256, kind="uint8"):
    return random.integers(0, high, shape).astype(kind)
for width, height in [(1, 1), (7, 5), (31, 17), (150, 223), (223, 150), (101, 257)]:
    colour = Image.fromarray(noise(height, width, 3))
    pictures = {
        "rgb": colour,
        "grey": Image.fromarray(noise(height, width)),
        "palette": colour.quantize(37),
        "alpha": Image.fromarray(noise(height, width, 4), "RGBA"),
        "greyalpha": Image.fromarray(noise(height, width, 2), "LA"),
        "bits": Image.fromarray(noise(height, width, high=2) * 255).convert("1"),
    }
    for mode, picture in pictures.items():
        name = f"{folder}/{mode}-{width}x{height}"
        picture.save(f"{name}.png")
        opened = Image.open(f"{name}.png")
        opened = opened.convert("L") if opened.mode in ("L", "1") else opened.convert("RGB")
        for samples in (3, 100, 1125, 4686, 97656, 200001):
            f = (width * height * 3 / samples) ** 0.5
            size = (int(width / f), int(height / f))
            if min(size) < 1:
                continue
            resized = opened.resize(size, Image.NEAREST)
            with open(f"{name}.{samples}.raw", "wb") as file:
                file.write(resized.tobytes())
            print(f"{mode}-{width}x{height}", samples, *size, len(resized.getbands()))
"#;

#[test]
fn nearest_agrees_with_pillow() {
    let Some(python) = std::env::var_os("PIXELRATE_PYTHON") else {
        assert!(
            std::env::var_os("PIXELRATE_REQUIRE_PYTHON").is_none(),
            "PIXELRATE_PYTHON names no Python with tests/requirements.txt"
        );
        println!("skipped: PIXELRATE_PYTHON names no Python with tests/requirements.txt");
        return;
    };
    let folder = tempdir().unwrap();
    let output = Command::new(python)
        .args(["-W", "ignore", "-c", PROGRAM])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 150);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<u32> = words[1..]
            .iter()
            .map(|word| word.parse().unwrap())
            .collect();
        let png = std::fs::read(folder.path().join(format!("{}.png", words[0]))).unwrap();
        let picture = DecodedPicture::decode(words[0], &png, &Limits::default()).unwrap();
        let resized = picture
            .resized(u64::from(numbers[0]), Filter::Nearest, &Limits::default())
            .unwrap();
        assert_eq!(
            (resized.width, resized.height, resized.channels),
            (numbers[1], numbers[2], numbers[3]),
            "{line}"
        );
        let expected = std::fs::read(
            folder
                .path()
                .join(format!("{}.{}.raw", words[0], numbers[0])),
        )
        .unwrap();
        assert!(resized.values == expected, "{line}: the bytes differ");
    }
}
