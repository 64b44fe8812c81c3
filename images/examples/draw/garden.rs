//! A garden of raked sand and stones. Its furrows are a cyclic schedule, and the rings around the stones bend it.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{add, glaze, hex, lerp, mix, scale, smooth};
use crate::brush::shape::{At, Shape};

/// Middle, half its breadth and height, and how far its rings reach beyond its edge.
const STONES: [(At, f32, f32, f32); 3] = [
    ((112.0, 94.0), 36.0, 25.0, 40.0),
    ((164.0, 122.0), 17.0, 12.0, 26.0),
    ((276.0, 168.0), 25.0, 18.0, 36.0),
];
/// From one furrow to the next.
const FURROW: f32 = 6.4;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(360, 240, 3, hex(0xE4DAC6));
    let (grain, bumps) = (Noise::new(9), Noise::new(27));
    canvas.each(|x, y, _| {
        // The light comes from the upper left: a furrow is bright where it rises against it.
        let (h, dx, dy) = {
            let at = |x: f32, y: f32| raked(x + 0.7 * bumps.at(x / 9.0, y / 9.0), y);
            let here = at(x, y);
            (here, at(x + 0.35, y) - here, at(x, y + 0.35) - here)
        };
        let lit = 0.5 - 1.05 * (0.55 * dx + 0.83 * dy);
        let speck = grain.cloud(x / 1.3, y / 1.3, 2);
        let warm = mix(hex(0x9C8B73), hex(0xFFF6E2), lit.clamp(0.0, 1.0));
        let deep = scale(warm, lerp(0.84, 1.0, smooth(-1.0, 0.6, h)));
        scale(deep, 0.97 + 0.09 * speck)
    });
    for (at, wide, high, _) in STONES {
        stone(&mut canvas, at, wide, high);
    }
    leaves(&mut canvas)?;
    canvas.each(|x, y, c| {
        let dusk = smooth(60.0, 420.0, x + 0.9 * y);
        let c = glaze(c, hex(0xD9CBE0), 0.35 * dusk);
        add(c, hex(0xFFE3B0), 0.06 * (1.0 - dusk))
    });
    Some(canvas.finish(1.2, 2).into())
}

/// How high the sand lies, from -1 to 1.
fn raked(x: f32, y: f32) -> f32 {
    let wave = |along: f32| (std::f32::consts::TAU * along / FURROW).cos();
    // The nearest stone's rings, where they reach; two that meet share the line between them.
    let ring = STONES
        .iter()
        .map(|(at, wide, high, reach)| (beyond(*at, *wide, *high, x, y), *reach))
        .filter(|(off, reach)| off < reach)
        .min_by(|a, b| a.0.total_cmp(&b.0));
    match ring {
        Some((off, _)) => wave(off),
        None => wave(y + 1.6 * (x / 120.0).sin()),
    }
}

/// How far a place lies outside an ellipse, about.
fn beyond(at: At, wide: f32, high: f32, x: f32, y: f32) -> f32 {
    let (u, v) = ((x - at.0) / wide, (y - at.1) / high);
    let size = u.hypot(v).max(1e-3);
    // Radial distance to the edge, the same in every direction far out.
    let edge = (1.0 / (u / size / wide).hypot(v / size / high)).min(wide);
    (size - 1.0) * lerp((wide * high).sqrt(), edge, 0.35)
}

/// A boulder in moss, with its shadow.
fn stone(canvas: &mut Canvas, at: At, wide: f32, high: f32) {
    let (rough, moss) = (Noise::new(at.0 as u32), Noise::new(at.1 as u32 + 100));
    let outline = |grow: f32, wild: f32| -> Shape {
        let points: Vec<At> = (0..18)
            .map(|i| {
                let turn = i as f32 / 18.0 * std::f32::consts::TAU;
                let r = grow * (1.0 + wild * rough.at(turn.cos() * 1.6 + 3.0, turn.sin() * 1.6));
                (at.0 + wide * r * turn.cos(), at.1 + high * r * turn.sin())
            })
            .collect();
        Shape::blob(&points)
    };
    let shadow = Shape::oval(
        (at.0 + 0.28 * wide, at.1 + 0.4 * high),
        wide,
        0.95 * high,
        0.05,
    );
    canvas.fill(&shadow, 4.0, hex(0x4A3F3C), 0.55);
    let bed = canvas.mask(&outline(1.08, 0.18), 0.8);
    canvas.through(&bed, |x, y, _| {
        let tuft = moss.cloud(x / 2.4, y / 2.4, 3);
        mix(
            hex(0x33481F),
            hex(0x86A046),
            0.5 + 0.9 * tuft - 0.012 * (y - at.1),
        )
    });
    let body = canvas.mask(&outline(0.86, 0.22), 0.5);
    canvas.through(&body, |x, y, _| {
        let (u, v) = ((x - at.0) / wide, (y - at.1 + 0.12 * high) / high);
        let dome = (1.0 - 0.9 * (u * u + v * v)).max(0.02).sqrt();
        let facet = rough.crest(x / (0.7 * wide), y / (0.6 * high), 4) - 0.72;
        let light = (0.2 + 0.62 * dome - 0.42 * u - 0.5 * v + 0.9 * facet).clamp(0.04, 1.0);
        let grey = mix(hex(0x26272C), hex(0xA9A6A0), light);
        let lichen = smooth(0.22, 0.5, moss.cloud(x / 7.0, y / 7.0, 3));
        mix(grey, hex(0x9AA07A), 0.4 * lichen)
    });
}

/// A few leaves of a maple that is not seen.
fn leaves(canvas: &mut Canvas) -> Option<()> {
    let mut chance = Chance::new(34);
    for (x, y, size) in [
        (226.0, 60.0, 8.5),
        (247.0, 83.0, 6.5),
        (205.0, 44.0, 5.5),
        (60.0, 196.0, 7.0),
        (320.0, 112.0, 6.0),
        (150.0, 204.0, 5.0),
    ] {
        let turn = chance.between(0.0, std::f32::consts::TAU);
        let colour = mix(hex(0xB3261E), hex(0xE8772E), chance.between(0.0, 1.0));
        let at = |angle: f32, r: f32| {
            let angle = angle + turn;
            (
                x + size * r * angle.cos(),
                y + 0.85 * size * r * angle.sin(),
            )
        };
        // Five points, the middle one longest.
        let tips = [
            (-1.9, 0.62),
            (-0.95, 0.92),
            (0.0, 1.15),
            (0.95, 0.92),
            (1.9, 0.62),
        ];
        let mut points = vec![at(std::f32::consts::PI, 0.28)];
        for (place, (angle, r)) in tips.into_iter().enumerate() {
            points.push(at(angle - 0.2, 0.55 * r));
            points.push(at(angle, r));
            points.push(at(angle + 0.2, 0.55 * r));
            if place < 4 {
                points.push(at(angle + 0.475, 0.3));
            }
        }
        let shadow: Vec<At> = points.iter().map(|p| (p.0 + 1.6, p.1 + 2.0)).collect();
        canvas.fill(&Shape::polygon(&shadow), 1.0, hex(0x4A3F3C), 0.5);
        canvas.fill(&Shape::polygon(&points), 0.3, colour, 1.0);
        let stem = Shape::line(&[at(std::f32::consts::PI, 0.9), at(0.0, 0.7)]);
        canvas.fill(&stem.outlined(0.6), 0.3, scale(colour, 0.6), 0.9);
    }
    Some(())
}
