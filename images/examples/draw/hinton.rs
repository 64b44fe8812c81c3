//! A scholar before a blackboard of contours and arrows: nobody in particular.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{add, bell, hex, mix, scale, smooth};
use crate::brush::shape::{At, Shape};

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(240, 300, 3, hex(0x27423B));
    let noise = Noise::new(21);
    canvas.each(|x, y, c| {
        add(
            scale(
                c,
                0.82 + 0.28 * bell(150.0, 120.0, x) * bell(90.0, 120.0, y),
            ),
            hex(0xCFE0D4),
            0.10 * noise.cloud(x / 40.0, y / 14.0, 4).max(0.0),
        )
    });
    chalk(&mut canvas);
    let coat = [
        (8.0, 306.0),
        (26.0, 232.0),
        (84.0, 204.0),
        (120.0, 214.0),
        (156.0, 204.0),
        (214.0, 232.0),
        (232.0, 306.0),
    ];
    let mask = canvas.mask(&Shape::blob(&coat), 2.2);
    canvas.through(&mask, |x, y, _| {
        scale(
            mix(
                hex(0x2C3550),
                hex(0x56678C),
                bell(78.0, 56.0, x) * bell(250.0, 70.0, y),
            ),
            0.93 + 0.14 * noise.cloud(x / 3.0, y / 9.0, 2),
        )
    });
    canvas.fill(
        &Shape::polygon(&[(98.0, 206.0), (142.0, 206.0), (120.0, 262.0)]),
        1.0,
        hex(0xE9E4D8),
        1.0,
    );
    canvas.fill(
        &Shape::polygon(&[(98.0, 202.0), (84.0, 226.0), (118.0, 266.0), (112.0, 226.0)]),
        1.0,
        hex(0x232B43),
        1.0,
    );
    canvas.fill(
        &Shape::polygon(&[
            (142.0, 202.0),
            (156.0, 226.0),
            (122.0, 266.0),
            (128.0, 226.0),
        ]),
        1.0,
        hex(0x232B43),
        1.0,
    );
    canvas.fill(
        &Shape::blob(&[
            (102.0, 170.0),
            (138.0, 170.0),
            (144.0, 212.0),
            (120.0, 224.0),
            (96.0, 212.0),
        ]),
        2.0,
        hex(0xB9835F),
        1.0,
    );
    let head = Shape::blob(&[
        (120.0, 62.0),
        (160.0, 82.0),
        (168.0, 130.0),
        (152.0, 176.0),
        (120.0, 196.0),
        (88.0, 176.0),
        (72.0, 130.0),
        (80.0, 82.0),
    ]);
    let mask = canvas.mask(&head, 2.0);
    canvas.through(&mask, |x, y, _| {
        let light = bell(100.0, 46.0, x) * bell(118.0, 70.0, y);
        add(
            mix(hex(0x8F5B3F), hex(0xEFC6A2), light),
            hex(0xE08A6A),
            0.14 * (bell(92.0, 13.0, x) + bell(148.0, 13.0, x)) * bell(146.0, 13.0, y),
        )
    });
    hair(&mut canvas);
    for x in [101.0, 140.0] {
        canvas.fill(
            &Shape::oval((x, 126.0), 10.0, 6.0, 0.0),
            2.0,
            hex(0x7A4A34),
            0.6,
        );
        canvas.fill(
            &Shape::oval((x, 127.0), 6.6, 3.8, 0.0),
            0.6,
            hex(0xF4EEE4),
            1.0,
        );
        canvas.fill(
            &Shape::oval((x, 127.0), 3.4, 3.5, 0.0),
            0.5,
            hex(0x33475C),
            1.0,
        );
        canvas.fill(
            &Shape::oval((x - 1.2, 125.8), 1.0, 1.0, 0.0),
            0.3,
            hex(0xFFFFFF),
            1.0,
        );
        canvas.fill(
            &Shape::curve(&[(x - 13.0, 114.0), (x, 109.0), (x + 13.0, 114.0)]).outlined(3.6),
            1.1,
            hex(0x9A9390),
            0.95,
        );
        canvas.fill(
            &Shape::oval((x, 127.0), 14.0, 11.0, 0.0).outlined(1.3),
            0.4,
            hex(0x1F1C1A),
            0.9,
        );
    }
    canvas.fill(
        &Shape::line(&[(115.0, 126.0), (126.0, 126.0)]).outlined(1.4),
        0.4,
        hex(0x1F1C1A),
        0.9,
    );
    canvas.fill(
        &Shape::curve(&[
            (122.0, 130.0),
            (127.0, 150.0),
            (121.0, 157.0),
            (112.0, 154.0),
        ])
        .outlined(2.0),
        1.2,
        hex(0x8A553C),
        0.8,
    );
    canvas.fill(
        &Shape::curve(&[(101.0, 171.0), (120.0, 177.0), (139.0, 170.0)]).outlined(2.6),
        0.9,
        hex(0x8C4438),
        0.9,
    );
    canvas.each(|x, y, c| {
        scale(
            c,
            1.0 - 0.35 * smooth(120.0, 230.0, (x - 118.0).hypot((y - 140.0) * 0.85)),
        )
    });
    Some(canvas.finish(1.6, 8).into())
}

/// Grey hair, swept to one side.
fn hair(canvas: &mut Canvas) {
    let mut chance = Chance::new(4);
    for i in 0..260 {
        let t = i as f32 / 260.0;
        let root: At = (
            74.0 + 92.0 * t,
            98.0 - 40.0 * (t * std::f32::consts::PI).sin() + chance.around(5.0),
        );
        let tip = (
            root.0 + 12.0 + chance.around(9.0),
            root.1 - 9.0 + chance.around(6.0),
        );
        let tone = [0xD9D5D0, 0xB6B0AB, 0xF0EDE8, 0x8F8985][chance.between(0.0, 3.99) as usize];
        canvas.fill(
            &Shape::line(&[root, tip]).outlined(2.2),
            0.7,
            hex(tone),
            0.85,
        );
    }
}

/// Contours of a loss, a path down to its bottom, and a small net.
fn chalk(canvas: &mut Canvas) {
    let white = hex(0xDCE8DF);
    for i in 0..5 {
        let radius = 9.0 + 8.0 * i as f32;
        canvas.fill(
            &Shape::oval((44.0, 62.0), radius, radius * 0.62, 0.3).outlined(1.0),
            0.5,
            white,
            0.5 - 0.05 * i as f32,
        );
    }
    canvas.fill(
        &Shape::line(&[
            (84.0, 36.0),
            (66.0, 44.0),
            (62.0, 56.0),
            (50.0, 54.0),
            (44.0, 62.0),
        ])
        .outlined(1.4),
        0.4,
        hex(0xF2D48A),
        0.85,
    );
    let columns: [&[f32]; 3] = [
        &[30.0, 52.0, 74.0],
        &[24.0, 42.0, 60.0, 78.0],
        &[40.0, 62.0],
    ];
    let node = |column: usize, y: f32| (178.0 + 22.0 * column as f32, y);
    for column in 0..2 {
        for &a in columns[column] {
            for &b in columns[column + 1] {
                canvas.fill(
                    &Shape::line(&[node(column, a), node(column + 1, b)]).outlined(0.6),
                    0.3,
                    white,
                    0.4,
                );
            }
        }
    }
    for (column, nodes) in columns.iter().enumerate() {
        for &y in *nodes {
            canvas.fill(
                &Shape::oval(node(column, y), 4.0, 4.0, 0.0),
                0.6,
                white,
                0.85,
            );
        }
    }
}
