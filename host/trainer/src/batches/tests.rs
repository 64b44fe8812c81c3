//! What a step is shown, beside libtorch's own operations.

use tch::{IndexOp, Kind};

use super::*;
use crate::data::Split;
use crate::memory::same_layout;

fn counting(augment: bool) -> Dataset {
    square(8, augment)
}

fn square(side: usize, augment: bool) -> Dataset {
    let split = || Split {
        pixels: (0..10 * 3 * side * side).map(|i| (i % 251) as u8).collect(),
        labels: (0..10).collect(),
    };
    Dataset {
        name: "counting".into(),
        classes: 10,
        shape: [3, side, side],
        train: split(),
        test: split(),
        sha256: String::new(),
        origin: crate::data::Origin::Drawn,
        augment,
        channels: None,
    }
}

const OFFICIAL: Augmentation = augmentation(4, PaddingMode::Zeros, Flip::Random);

const fn augmentation(pixels: usize, mode: PaddingMode, flip: Flip) -> Augmentation {
    Augmentation {
        padding: Padding { pixels, mode },
        flip,
    }
}

fn on_host(dataset: &Dataset, examples: u64, seed: u64) -> TrainSet {
    TrainSet::new(dataset, examples, seed, OFFICIAL, Device::Cpu)
}

fn labels(set: &mut TrainSet, step: u64) -> Vec<i64> {
    Vec::try_from(set.batch(step, 4).1).unwrap()
}

#[test]
fn an_epoch_shows_every_picture_once_and_batches_cross_its_border() {
    let mut set = on_host(&counting(false), 10, 7);
    let seen: Vec<i64> = (0..5).flat_map(|step| labels(&mut set, step)).collect();
    let sorted = |part: &[i64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part
    };
    assert_eq!(sorted(&seen[..10]), (0..10).collect::<Vec<_>>());
    assert_eq!(sorted(&seen[10..]), (0..10).collect::<Vec<_>>());
    assert_ne!(seen[..10], seen[10..], "epochs differ in order");
}

#[test]
fn a_step_depends_on_seed_and_step_alone() {
    let mut one = on_host(&counting(true), 10, 7);
    let mut other = on_host(&counting(true), 10, 7);
    let late = other.batch(6, 4);
    for step in 0..6 {
        drop(one.batch(step, 4));
    }
    let again = one.batch(6, 4);
    assert_eq!(late.0, again.0);
    assert_eq!(late.1, again.1);
    let mut seeded = on_host(&counting(true), 10, 8);
    assert_ne!(seeded.batch(6, 4).0, late.0);
}

#[test]
fn a_crop_is_a_window_of_the_padded_picture_or_its_mirror() {
    for side in [8, 32] {
        for pixels in [0, 2, 4, 7] {
            for mode in [PaddingMode::Zeros, PaddingMode::Reflect] {
                crops_are_windows(side, Padding { pixels, mode });
            }
        }
    }
}

fn crops_are_windows(side: i64, padding: Padding) {
    let dataset = square(side as usize, true);
    let split = &dataset.train;
    let plain = host::Pictures::new(split, dataset.shape, 10, Scale::White, padding);
    let size = [10, 3, side, side];
    let bytes = Tensor::from_data_size(&split.pixels, &size, Kind::Uint8);
    let sides = [padding.pixels as i64; 4];
    let padded = match padding.mode {
        PaddingMode::Zeros => bytes.constant_pad_nd(sides),
        PaddingMode::Reflect => bytes.to_kind(Kind::Float).reflection_pad2d(sides),
    };
    let places = 0..=2 * padding.pixels;
    for (top, left, mirrored) in (places.clone())
        .flat_map(|top| places.clone().map(move |left| (top, left)))
        .flat_map(|(top, left)| [(top, left, false), (top, left, true)])
    {
        let crop = Crop {
            top,
            left,
            mirrored,
        };
        let (pixels, label) = plain.batch(&[(7, Some(crop))]);
        assert_eq!(Vec::<i64>::try_from(label).unwrap(), [7]);
        let window = padded
            .i(7)
            .narrow(1, top as i64, side)
            .narrow(2, left as i64, side);
        let window = if mirrored { window.flip([2]) } else { window };
        let window = window.to_kind(Kind::Float) / 255.0;
        assert_eq!(pixels.i(0), window, "{padding:?} {crop:?}");
    }
}

#[test]
fn pictures_that_are_flipped_alternately_are_shown_both_ways_in_two_epochs() {
    let alternate = augmentation(2, PaddingMode::Reflect, Flip::Alternate);
    let set = TrainSet::new(&counting(true), 10, 7, alternate, Device::Cpu);
    let mirrored = |epoch| {
        let Epoch { order, crops } = set.shuffle(epoch);
        let mut of_picture = vec![false; 10];
        for (picture, crop) in order.into_iter().zip(crops.unwrap()) {
            assert!(crop.top <= 4 && crop.left <= 4);
            of_picture[picture] = crop.mirrored;
        }
        of_picture
    };
    let (first, second) = (mirrored(0), mirrored(1));
    assert!(first.iter().any(|&it| it) && !first.iter().all(|&it| it));
    assert!(first.iter().zip(&second).all(|(one, other)| one != other));
    assert_eq!((mirrored(2), mirrored(7)), (first, second));
}

#[test]
fn a_device_is_shown_the_same_batches() {
    let mut devices = vec![Device::Cpu];
    if crate::device::open("cuda").is_ok() {
        devices.push(Device::Cuda(0));
    }
    let ways = [
        (Some(OFFICIAL), false),
        (
            Some(augmentation(2, PaddingMode::Reflect, Flip::Alternate)),
            true,
        ),
        (
            Some(augmentation(7, PaddingMode::Reflect, Flip::Random)),
            false,
        ),
        (
            Some(augmentation(0, PaddingMode::Zeros, Flip::Random)),
            true,
        ),
        (None, false),
    ];
    for ((way, by_channel), place) in ways
        .into_iter()
        .flat_map(|way| devices.iter().map(move |&device| (way, device)))
    {
        let mut dataset = counting(way.is_some());
        if by_channel {
            dataset.normalise_by_channel();
        }
        let on_host = || TrainSet::new(&dataset, 9, 3, way.unwrap_or(OFFICIAL), Device::Cpu);
        let mut host = on_host();
        let mut other = TrainSet {
            pictures: Pictures::Device(device::Pictures::new(
                &dataset.train,
                dataset.shape,
                9,
                Scale::of(&dataset),
                way.map(|way| way.padding),
                place,
            )),
            epochs: Vec::new(),
            ..on_host()
        };
        for step in 0..10 {
            let (a, b) = (host.batch(step, 4), other.batch(step, 4));
            let b = (b.0.to_device(Device::Cpu), b.1.to_device(Device::Cpu));
            assert_eq!(a.1, b.1);
            assert_eq!(a.0, b.0, "step {step}");
            assert!(same_layout(&a.0, &b.0), "step {step}");
        }
    }
}

#[test]
fn channels_are_standardised_over_the_training_pictures() {
    let mut dataset = counting(true);
    dataset.normalise_by_channel();
    // Others than those that are trained on.
    dataset.test.pixels.reverse();
    let bytes = |split: &Split| {
        let size = [10, 3, 8, 8];
        Tensor::from_data_size(&split.pixels, &size, Kind::Uint8).to_kind(Kind::Double)
    };
    let over = [0, 2, 3].as_slice();
    let trained = bytes(&dataset.train);
    let expected = (bytes(&dataset.test) - trained.mean_dim(over, true, Kind::Double))
        / trained.std_dim(over, false, true);
    let test = TestSet::new(&dataset, Device::Cpu);
    let (pixels, _) = test.batches(10).next().unwrap();
    let expected = expected.to_kind(Kind::Float);
    assert!(pixels.allclose(&expected, 1e-5, 1e-6, false));
}

#[test]
fn pictures_are_standardised_one_by_one() {
    let test = TestSet::new(&counting(true), Device::Cpu);
    let (pixels, _) = test.batches(10).next().unwrap();
    let mean = f64::try_from(pixels.i(3).mean(Kind::Double)).unwrap();
    let square = f64::try_from(pixels.i(3).square().mean(Kind::Double)).unwrap();
    assert!(
        mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5,
        "{mean} {square}"
    );
}
