//! A half-length figure before a dreamt landscape, in brown glazes.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::Noise;
use crate::brush::colour::{bell, glaze, hex, mix, ramp, scale, smooth};
use crate::brush::painterly::weave;
use crate::brush::shape::Shape;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(220, 320, 3, hex(0x9BA483));
    let noise = Noise::new(33);
    canvas.each(|x, y, _| {
        let sky = ramp(
            &[(0.0, 0x9DB0A0), (0.5, 0xC9C49A), (1.0, 0xB59A62)],
            y / 170.0,
        );
        // Ridge behind ridge, each browner and nearer.
        let ridges = [
            (66.0, 26.0, 0x8FA39A, 34.0),
            (96.0, 22.0, 0x7F8B6E, 26.0),
            (132.0, 18.0, 0x7A6A42, 40.0),
            (176.0, 12.0, 0x57421F, 60.0),
        ];
        ridges
            .iter()
            .enumerate()
            .fold(sky, |c, (i, &(level, height, colour, wide))| {
                let edge =
                    level - height * noise.crest(x / wide + 9.0 * i as f32, i as f32 * 3.7, 4);
                mix(
                    c,
                    scale(hex(colour), 0.9 + 0.25 * noise.cloud(x / 14.0, y / 10.0, 3)),
                    smooth(edge - 2.0, edge + 2.0, y) * 0.94,
                )
            })
    });
    let river = Shape::curve(&[
        (30.0, 118.0),
        (52.0, 134.0),
        (22.0, 152.0),
        (48.0, 170.0),
        (20.0, 192.0),
    ]);
    canvas.fill(&river.outlined(5.0), 1.8, hex(0xC7C9A6), 0.7);
    canvas.fill(
        &Shape::curve(&[
            (170.0, 112.0),
            (196.0, 128.0),
            (178.0, 146.0),
            (214.0, 164.0),
        ])
        .outlined(4.0),
        1.6,
        hex(0x9C7B44),
        0.75,
    );
    let hair = Shape::blob(&[
        (110.0, 46.0),
        (146.0, 66.0),
        (154.0, 122.0),
        (158.0, 186.0),
        (110.0, 200.0),
        (64.0, 186.0),
        (68.0, 122.0),
        (76.0, 66.0),
    ]);
    canvas.fill(&hair, 4.0, hex(0x2A1A0E), 0.97);
    let dress = Shape::blob(&[
        (4.0, 330.0),
        (22.0, 226.0),
        (72.0, 184.0),
        (110.0, 196.0),
        (150.0, 184.0),
        (200.0, 226.0),
        (216.0, 330.0),
    ]);
    let mask = canvas.mask(&dress, 3.0);
    canvas.through(&mask, |x, y, _| {
        let fold = noise.crest(x / 26.0 + y / 90.0, y / 70.0, 3);
        mix(
            hex(0x1D140B),
            hex(0x5E4A22),
            (0.55 * fold * bell(86.0, 80.0, x)).clamp(0.0, 1.0),
        )
    });
    let chest = canvas.mask(
        &Shape::blob(&[
            (88.0, 168.0),
            (132.0, 168.0),
            (152.0, 204.0),
            (110.0, 226.0),
            (70.0, 204.0),
        ]),
        3.5,
    );
    canvas.through(&chest, |x, y, _| {
        mix(
            hex(0x9A6A36),
            hex(0xE9C98E),
            bell(98.0, 36.0, x) * bell(192.0, 34.0, y),
        )
    });
    let face = canvas.mask(
        &Shape::blob(&[
            (110.0, 62.0),
            (137.0, 80.0),
            (141.0, 118.0),
            (130.0, 148.0),
            (110.0, 166.0),
            (90.0, 148.0),
            (80.0, 118.0),
            (84.0, 80.0),
        ]),
        2.6,
    );
    canvas.through(&face, |x, y, _| {
        let light = bell(100.0, 30.0, x) * bell(108.0, 52.0, y);
        mix(hex(0xA06F3C), hex(0xF0D5A0), light)
    });
    for x in [99.0, 124.0] {
        canvas.fill(
            &Shape::oval((x, 109.0), 9.0, 6.0, 0.0),
            2.6,
            hex(0x7A4E28),
            0.55,
        );
        canvas.fill(
            &Shape::oval((x, 111.0), 5.8, 2.4, 0.0),
            0.8,
            hex(0xEADFC0),
            0.9,
        );
        canvas.fill(
            &Shape::oval((x + 0.8, 110.8), 2.5, 2.4, 0.0),
            0.6,
            hex(0x2A180C),
            1.0,
        );
        canvas.fill(
            &Shape::curve(&[(x - 6.5, 110.5), (x, 107.4), (x + 6.5, 110.5)]).outlined(1.4),
            0.7,
            hex(0x40260F),
            0.9,
        );
    }
    canvas.fill(
        &Shape::curve(&[
            (116.0, 106.0),
            (114.0, 124.0),
            (106.0, 131.0),
            (112.0, 133.0),
        ])
        .outlined(2.0),
        1.6,
        hex(0x7E5128),
        0.7,
    );
    canvas.fill(
        &Shape::curve(&[
            (97.0, 144.0),
            (104.0, 146.0),
            (112.0, 146.5),
            (123.0, 142.0),
        ])
        .outlined(2.2),
        1.0,
        hex(0x84402A),
        0.85,
    );
    canvas.fill(
        &Shape::oval((110.0, 153.0), 9.0, 2.6, 0.0),
        2.0,
        hex(0x8A5C30),
        0.45,
    );
    for (x, y, angle) in [(96.0, 282.0, -0.18), (132.0, 276.0, 0.22)] {
        let hand = canvas.mask(&Shape::oval((x, y), 34.0, 12.0, angle), 2.6);
        canvas.through(&hand, |px, py, _| {
            mix(
                hex(0x8F6130),
                hex(0xE6C58A),
                bell(x - 8.0, 26.0, px) * bell(y - 4.0, 12.0, py),
            )
        });
        for finger in 0..4 {
            let fy = y - 5.0 + 4.4 * finger as f32;
            canvas.fill(
                &Shape::line(&[(x - 6.0, fy), (x - 32.0, fy + 3.0)]).outlined(0.9),
                0.7,
                hex(0x6B431D),
                0.55,
            );
        }
    }
    weave(&mut canvas, 0.05, 6);
    canvas.each(|x, y, c| {
        scale(
            glaze(c, hex(0xE8C070), 0.22),
            1.04 - 0.36 * smooth(110.0, 220.0, (x - 108.0).hypot((y - 140.0) * 0.8)),
        )
    });
    Some(canvas.finish(1.8, 3).into())
}
