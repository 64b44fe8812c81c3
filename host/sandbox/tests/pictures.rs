//! Pictures: only from the study's folder, only within limits, and as a core module sees them.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::path::Path;

use common::{engine, facts, limits, rate};
use image::{GrayImage, ImageFormat, RgbImage};
use pixelrate_sandbox::{
    DecodedPicture, Error, Filter, GuardOptions, Limits, Opened, Pictures, RunFacts, Schedule,
    Value,
};
use tempfile::tempdir;

fn write(path: &Path, width: u32, height: u32) {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    picture.save(path).unwrap();
}

fn problem(pictures: &Pictures, name: &str, limits: &Limits) -> String {
    pictures.open(name, limits).unwrap_err().to_string()
}

#[test]
fn a_picture_is_named_with_or_without_its_extension() {
    let folder = tempdir().unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    for extension in ["png", "jpg", "bmp", "gif", "tiff", "webp"] {
        write(
            &folder.path().join(format!("in_{extension}.{extension}")),
            5,
            3,
        );
    }
    write(&folder.path().join("below/x.png"), 4, 3);
    let pictures = Pictures::new(Some(folder.path().to_owned()));
    for name in [
        "in_png",
        "in_png.png",
        "in_jpg",
        "in_bmp",
        "in_gif",
        "in_tiff",
        "in_webp",
    ] {
        let picture = pictures.open(name, &Limits::default()).unwrap();
        assert_eq!(
            (picture.width, picture.height, picture.channels),
            (5, 3, 3),
            "{name}"
        );
        assert_eq!(picture.values.len(), 45, "{name}");
    }
    assert_eq!(
        pictures.open("below/x", &Limits::default()).unwrap().width,
        4
    );
}

#[test]
fn what_was_opened_can_be_kept_and_stands_for_its_name_from_then_on() {
    let (folder, kept) = (tempdir().unwrap(), tempdir().unwrap());
    std::fs::create_dir(folder.path().join("below")).unwrap();
    write(&folder.path().join("below/x.jpg"), 5, 3);
    let drawn = DecodedPicture {
        width: 2,
        height: 1,
        channels: 1,
        values: vec![3, 200],
    };
    let answer = drawn.clone();
    let study = Pictures::new(Some(folder.path().to_owned()))
        .with_fallback(move |name| (name == "mnist:train/4").then(|| Ok(answer.clone())))
        .with_kept(kept.path().to_owned());
    let (opened, limits) = (Opened::default(), Limits::default());
    let first = study.open("below/x", &limits).unwrap();
    assert!(opened.take().is_empty());
    for name in ["below/x", "below/x", "mnist:train/4"] {
        study.clone().noting(&opened).open(name, &limits).unwrap();
    }
    let noted = opened.take();
    let places: Vec<_> = noted.keys().map(|place| place.to_str().unwrap()).collect();
    assert_eq!(places, ["below/x.jpg", "mnist:train/4.png"]);
    for (place, file) in noted {
        let path = kept.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    write(&folder.path().join("below/x.jpg"), 6, 3);
    let alone = Pictures::default().with_kept(kept.path().to_owned());
    for pictures in [&study, &alone] {
        assert_eq!(pictures.open("below/x", &limits).unwrap(), first);
    }
    assert_eq!(alone.open("mnist:train/4", &limits).unwrap(), drawn);
    let problem = problem(&study.noting(&opened), "below/x", &limits);
    assert!(
        problem.contains("has changed since the run kept it"),
        "{problem}"
    );
    alone.noting(&opened).open("below/x", &limits).unwrap();
    assert!(opened.take().is_empty());
}

#[test]
fn nothing_outside_the_folder_is_read() {
    let outer = tempdir().unwrap();
    let folder = outer.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    write(&outer.path().join("secret.png"), 2, 2);
    write(&folder.join("mine.png"), 2, 2);
    let pictures = Pictures::new(Some(folder.clone()));
    let absolute = outer.path().join("secret.png");
    for name in [
        "../secret.png",
        "../secret",
        "a/../../secret.png",
        absolute.to_str().unwrap(),
        "",
    ] {
        let problem = problem(&pictures, name, &Limits::default());
        assert!(problem.contains("without `..`"), "{name}: {problem}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absolute, folder.join("link.png")).unwrap();
        std::os::unix::fs::symlink(outer.path(), folder.join("up")).unwrap();
        std::os::unix::fs::symlink(folder.join("mine.png"), folder.join("inside.png")).unwrap();
        for name in ["link", "link.png", "up/secret", "up/secret.png"] {
            let problem = problem(&pictures, name, &Limits::default());
            assert!(
                problem.contains("leads out of the study's picture folder"),
                "{name}: {problem}"
            );
        }
        assert!(pictures.open("inside", &Limits::default()).is_ok());
    }
    let missing = problem(&pictures, "other", &Limits::default());
    assert!(missing.contains("does not hold it"), "{missing}");
    let none = problem(&Pictures::default(), "other", &Limits::default());
    assert!(
        none.contains("no folder of pictures is named (`--pictures FOLDER`"),
        "{none}"
    );
    // Who misspells a name is told of those that there are, and of the one that is close.
    let offering = Pictures::new(Some(folder)).offering(["puppy", "mona_lisa"]);
    let misspelt = problem(&offering, "puppi", &Limits::default());
    assert!(
        misspelt.contains("mine, mona_lisa, puppy; did you mean `puppy`?"),
        "{misspelt}"
    );
}

#[test]
fn the_folder_comes_before_the_fallback() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("mona_lisa.png"), 3, 3);
    let spare = DecodedPicture {
        width: 1,
        height: 1,
        channels: 1,
        values: vec![9],
    };
    let pictures = Pictures::new(Some(folder.path().to_owned()))
        .with_fallback(move |name| (name != "nobody").then(|| Ok(spare.clone())));
    assert_eq!(
        pictures
            .open("mona_lisa", &Limits::default())
            .unwrap()
            .width,
        3
    );
    assert_eq!(pictures.open("puppy", &Limits::default()).unwrap().width, 1);
    assert!(pictures.open("nobody", &Limits::default()).is_err());
}

#[test]
fn endings_in_capitals_are_found_as_cameras_write_them() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("IMG_0042.JPG"), 4, 2);
    write(&folder.path().join("mona_lisa.Png"), 3, 3);
    let pictures = Pictures::new(Some(folder.path().to_owned()));
    for (name, width) in [
        ("IMG_0042", 4),
        ("IMG_0042.JPG", 4),
        ("IMG_0042.jpg", 4),
        ("mona_lisa", 3),
    ] {
        assert_eq!(
            pictures.open(name, &Limits::default()).unwrap().width,
            width
        );
    }
    let names = Pictures::names(folder.path()).unwrap();
    assert_eq!(names, ["IMG_0042", "mona_lisa"]);
}

#[test]
fn what_would_stand_in_for_a_picture_that_is_gone_is_no_change_of_it() {
    let (folder, kept) = (tempdir().unwrap(), tempdir().unwrap());
    write(&kept.path().join("mona_lisa.jpg"), 5, 3);
    let spare = DecodedPicture {
        width: 1,
        height: 1,
        channels: 1,
        values: vec![9],
    };
    let pictures = Pictures::new(Some(folder.path().to_owned()))
        .with_fallback(move |_| Some(Ok(spare.clone())))
        .with_kept(kept.path().to_owned())
        .noting(&Opened::default());
    let limits = Limits::default();
    assert_eq!(pictures.open("mona_lisa", &limits).unwrap().width, 5);
    write(&folder.path().join("mona_lisa.jpg"), 6, 3);
    let problem = problem(&pictures, "mona_lisa", &limits);
    assert!(problem.contains("has changed since"), "{problem}");
}

#[test]
fn a_jpeg_that_breaks_off_is_refused_wherever_it_does() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    let noise = RgbImage::from_fn(64, 64, |x, y| {
        image::Rgb([((x * 37) ^ (y * 91)) as u8, (x * y) as u8, 200])
    });
    noise.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let pictures = Pictures::new(Some(folder.path().to_owned()));
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        pictures.open("photo", &Limits::default())
    };
    assert!(open(&whole).is_ok());
    // What cameras put behind the end does no harm, whatever it looks like.
    for more in [&b"more"[..], &[0xff, 0xda, 0x00], &[0xff]] {
        assert!(open(&[&whole[..], more].concat()).is_ok());
    }
    for end in (whole.len() / 3..whole.len()).step_by(7) {
        let problem = open(&whole[..end]).unwrap_err().to_string();
        assert!(problem.contains("breaks off"), "{end}: {problem}");
    }
    // What a run has kept is taken as it is.
    let kept = Pictures::default().with_kept(folder.path().to_owned());
    assert!(kept.open("photo", &Limits::default()).is_ok());
}

#[test]
fn size_is_limited_before_anything_is_unpacked() {
    let folder = tempdir().unwrap();
    write(&folder.path().join("wide.png"), 200, 100);
    let pictures = Pictures::new(Some(folder.path().to_owned()));
    let few = Limits {
        picture_pixels: 19_999,
        ..Limits::default()
    };
    let message = problem(&pictures, "wide", &few);
    assert!(
        message.contains("200 x 100 pixels, over the 19999 of `picture_pixels`"),
        "{message}"
    );
    let small = Limits {
        picture_bytes: 100,
        ..Limits::default()
    };
    let message = problem(&pictures, "wide", &small);
    assert!(
        message.contains("over the 100 of `picture_bytes`"),
        "{message}"
    );
    // A header that promises more than there could ever be is refused for what it says.
    let mut png = std::fs::read(folder.path().join("wide.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut hasher = crc(&png[12..29]).to_be_bytes().to_vec();
    png.splice(29..33, hasher.drain(..));
    let message = DecodedPicture::decode("bomb", &png, &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("65536 x 65536 pixels, over"), "{message}");
    let message = DecodedPicture::decode("text", b"no picture", &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("cannot be decoded"), "{message}");
    let half = std::fs::read(folder.path().join("wide.png")).unwrap();
    let message = DecodedPicture::decode("half", &half[..half.len() / 2], &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("cannot be decoded"), "{message}");
}

/// PNG's checksum of a chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

#[test]
fn a_shape_that_samples_do_not_fit_is_told() {
    let line = DecodedPicture {
        width: 1000,
        height: 1,
        channels: 3,
        values: vec![0; 3000],
    };
    let resize = |samples| {
        line.clone()
            .resized(samples, Filter::Nearest, &Limits::default())
    };
    let message = resize(30).unwrap_err().to_string();
    assert!(
        message.contains("30 samples are too few for its shape, 1000 x 1"),
        "{message}"
    );
    let message = resize(u64::MAX).unwrap_err().to_string();
    assert!(message.contains("over the 100000000 pixels"), "{message}");
    assert_eq!(resize(0).unwrap(), line);
}

/// Opens the parameter "image" in `init`; the rate is the value at the step's place, or the number of values at
/// step 1000.
const SCAN: &str = r#"(module
    (import "pixelrate:schedule/images@1.0.0" "[static]image.open" (func $open (param i32 i32 i64) (result i32)))
    (import "pixelrate:schedule/images@1.0.0" "[method]image.len" (func $len (param i32) (result i64)))
    (import "pixelrate:schedule/images@1.0.0" "[method]image.channels" (func $channels (param i32) (result i32)))
    (import "pixelrate:schedule/images@1.0.0" "[method]image.value" (func $value (param i32 i64) (result f64)))
    (import "pixelrate:schedule/images@1.0.0" "[resource-drop]image" (func $drop (param i32)))
    (memory (export "memory") 1) (data (i32.const 8) "image")
    (global $image (mut i32) (i32.const 0))
    (func (export "init")
        (call $drop (call $open (i32.const 8) (i32.const 5) (i64.const 0)))
        (global.set $image (call $open (i32.const 8) (i32.const 5) (i64.const 0))))
    (func (export "learning_rate") (param i64) (result f64)
        (if (result f64) (i64.eq (local.get 0) (i64.const 1000))
            (then (f64.div (f64.convert_i64_u (call $len (global.get $image))) (f64.const 100)))
            (else (call $value (global.get $image) (local.get 0))))))"#;

fn scan(wat: &str, facts: &RunFacts) -> Result<Schedule, Error> {
    let plugin = engine().load_bytes("scan", wat.as_bytes())?;
    Schedule::start(&plugin, facts, &limits(), &GuardOptions::default())
}

#[test]
fn a_core_module_reads_a_picture() {
    let folder = tempdir().unwrap();
    let grey = GrayImage::from_fn(3, 2, |x, y| image::Luma([(10 * (x + 3 * y)) as u8]));
    grey.save_with_format(folder.path().join("grey.png"), ImageFormat::Png)
        .unwrap();
    let mut facts = facts(&[("image", Value::Text("grey".into()))]);
    facts.pictures = Pictures::new(Some(folder.path().to_owned()));
    let mut schedule = scan(SCAN, &facts).unwrap();
    for (step, byte) in [0_u8, 10, 20, 30, 40, 50].into_iter().enumerate() {
        let expected = f64::from(f32::from(byte) / 255.0);
        assert_eq!(rate(&mut schedule, step as u64), expected);
    }
    assert_eq!(rate(&mut schedule, 1000), 0.06);
    let fault = schedule
        .step(6, pixelrate_sandbox::TrainingValues::NONE)
        .unwrap_err();
    assert!(
        fault
            .message
            .contains("has 6 values, and it asked for number 6, counted from 0"),
        "{fault}"
    );
    facts
        .params
        .insert("filter".into(), Value::Text("sharpest".into()));
    let error = scan(SCAN, &facts).unwrap_err().to_string();
    assert!(
        error.contains("use nearest, bilinear, bicubic or lanczos"),
        "{error}"
    );
    facts.params.remove("filter");
    facts.params.insert("image".into(), Value::Number(3.0));
    let error = scan(SCAN, &facts).unwrap_err().to_string();
    assert!(
        error.contains("`image` is 3, and must be the name of a picture"),
        "{error}"
    );
    facts
        .params
        .insert("image".into(), Value::Text("gray".into()));
    let error = scan(SCAN, &facts).unwrap_err().to_string();
    assert!(
        error.contains("`image`: picture \"gray\": ") && error.contains("does not hold it"),
        "{error}"
    );
}

#[test]
fn open_pictures_have_a_limit_together() {
    let hoarder = SCAN.replace(
        "(call $drop (call $open",
        "(loop $more (call $drop (i32.const 0)) (drop (call $open",
    );
    let hoarder = hoarder.replace("(call $drop (i32.const 0))", "").replacen(
        "(i64.const 0)))",
        "(i64.const 0))) (br $more))",
        1,
    );
    let picture = DecodedPicture {
        width: 1000,
        height: 1000,
        channels: 3,
        values: vec![1; 3_000_000],
    };
    let mut facts = facts(&[("image", Value::Text("big".into()))]);
    facts.pictures = Pictures::default().with_fallback(move |_| Some(Ok(picture.clone())));
    let plugin = engine().load_bytes("hoarder", hoarder.as_bytes()).unwrap();
    let limits = Limits {
        picture_pixels: 5_000_000,
        ..limits()
    };
    let error = Schedule::start(&plugin, &facts, &limits, &GuardOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("values open, over the 15000000"), "{error}");
}
