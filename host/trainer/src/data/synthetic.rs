//! Ten classes of 32x32 colour pictures, drawn by code: shapes under noise, so that studies run anywhere.
//!
//! Drawn in whole numbers from one fixed seed: the same bytes on every machine.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dataset, Split};

const SIDE: i32 = 32;
pub(super) const TRAIN: usize = 6_000;
const TEST: usize = 2_000;
/// One label in so many is wrong, in training and in testing alike: no model gets them all.
const WRONG_LABEL: u32 = 20;

pub(super) fn load() -> Dataset {
    let mut generator = ChaCha8Rng::seed_from_u64(2018);
    let splits = [TRAIN, TEST].map(|count| {
        (
            split(count, &mut generator),
            std::path::PathBuf::from("synthetic"),
        )
    });
    match super::assemble(
        "synthetic",
        10,
        [3, SIDE as usize, SIDE as usize],
        splits,
        super::Origin::Drawn,
    ) {
        Ok(dataset) => dataset,
        // The only thing that can be wrong is a label, and `split` draws them below 10.
        Err(_) => unreachable!(),
    }
}

fn split(count: usize, generator: &mut ChaCha8Rng) -> Split {
    let mut split = Split::default();
    for i in 0..count {
        let class = (i % 10) as u8;
        draw(class, generator, &mut split.pixels);
        let label = if generator.random_ratio(1, WRONG_LABEL) {
            generator.random_range(0..10)
        } else {
            class
        };
        split.labels.push(label);
    }
    split
}

/// One picture of `class`: its shape in one colour on another, at a place and of a size of its own, with a few
/// specks that hide it, a slope of light, and noise.
fn draw(class: u8, generator: &mut impl Rng, pixels: &mut Vec<u8>) {
    let radius = generator.random_range(6..=11);
    let reach = SIDE - radius - 3;
    let centre = [0; 2].map(|_: i32| generator.random_range(radius + 2..=reach));
    // One of the two is dark and the other light, in every channel.
    let mut colour = |low: i32| [0; 3].map(|_: i32| generator.random_range(low..low + 90));
    let (dark, light) = (colour(20), colour(145));
    let (ground, ink) = if generator.random() {
        (dark, light)
    } else {
        (light, dark)
    };
    let slope = [0; 2].map(|_: i32| generator.random_range(-2..=2_i32));
    let specks: Vec<[i32; 3]> = (0..generator.random_range(2..6))
        .map(|_| {
            [
                generator.random_range(0..SIDE),
                generator.random_range(0..SIDE),
                generator.random_range(1..4),
            ]
        })
        .collect();
    let start = pixels.len();
    pixels.resize(start + 3 * (SIDE * SIDE) as usize, 0);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let inside = covers(class, x - centre[0], y - centre[1], radius);
            let hidden = specks
                .iter()
                .any(|&[sx, sy, size]| (x - sx).abs() <= size && (y - sy).abs() <= size);
            let light = slope[0] * (x - SIDE / 2) + slope[1] * (y - SIDE / 2);
            for (channel, (&ground, &ink)) in ground.iter().zip(&ink).enumerate() {
                let base = if inside && !hidden { ink } else { ground };
                // The sum of three dice is close to a normal of deviation 32.
                let noise: i32 = (0..3).map(|_| generator.random_range(-32..=32)).sum();
                let place = start + channel * (SIDE * SIDE) as usize + (y * SIDE + x) as usize;
                pixels[place] = (base + light + noise).clamp(0, 255) as u8;
            }
        }
    }
}

/// Whether the shape of `class`, of radius `r` around the origin, covers the point.
fn covers(class: u8, x: i32, y: i32, r: i32) -> bool {
    let (ax, ay, square) = (x.abs(), y.abs(), x * x + y * y);
    let within = ax <= r && ay <= r;
    let thick = r / 3 + 1;
    match class {
        0 => square <= r * r,
        1 => square <= r * r && square >= (r - thick) * (r - thick),
        2 => within,
        3 => within && (ax > r - thick || ay > r - thick),
        4 => ay <= r && 2 * ax <= y + r,
        5 => within && (ax < thick || ay < thick),
        6 => within && ((x - y).abs() < thick || (x + y).abs() < thick),
        7 => ax + ay <= r,
        8 => within && y.rem_euclid(2 * thick) < thick,
        _ => within && x.rem_euclid(2 * thick) < thick,
    }
}
