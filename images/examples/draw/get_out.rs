//! A face that comes out of the dark, two wide eyes, one tear.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::Noise;
use crate::brush::colour::{add, bell, hex, mix, scale, screen, smooth};
use crate::brush::shape::Shape;

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(340, 220, 3, hex(0x06080C));
    let noise = Noise::new(9);
    canvas.each(|x, y, _| {
        mix(
            hex(0x05070B),
            hex(0x182230),
            bell(95.0, 120.0, x) * bell(70.0, 110.0, y) + 0.12 * noise.cloud(x / 70.0, y / 70.0, 3),
        )
    });
    let face = Shape::blob(&[
        (170.0, 12.0),
        (226.0, 34.0),
        (240.0, 96.0),
        (222.0, 160.0),
        (170.0, 206.0),
        (118.0, 160.0),
        (100.0, 96.0),
        (114.0, 34.0),
    ]);
    canvas.fill(
        &Shape::blob(&[
            (60.0, 230.0),
            (110.0, 178.0),
            (170.0, 196.0),
            (230.0, 178.0),
            (280.0, 230.0),
        ]),
        7.0,
        hex(0x10141B),
        1.0,
    );
    let mask = canvas.mask(&face, 6.0);
    canvas.through(&mask, |x, y, _| {
        let light = bell(132.0, 62.0, x) * bell(88.0, 90.0, y);
        let cheek = bell(128.0, 22.0, x) * bell(128.0, 20.0, y)
            + bell(208.0, 18.0, x) * bell(128.0, 18.0, y) * 0.5;
        let brow = bell(150.0, 50.0, x) * bell(54.0, 18.0, y);
        let grain = 0.05 * noise.cloud(x / 9.0, y / 9.0, 3);
        add(
            mix(
                hex(0x1C120E),
                hex(0x8A5A40),
                (light + grain).clamp(0.0, 1.0),
            ),
            hex(0xC08A64),
            0.16 * cheek + 0.14 * brow,
        )
    });
    for (x, lit) in [(137.0, 1.0), (203.0, 0.72)] {
        canvas.fill(
            &Shape::oval((x, 94.0), 27.0, 19.0, 0.0),
            6.0,
            hex(0x130B08),
            0.65,
        );
        let eye = Shape::blob(&[
            (x - 21.0, 96.0),
            (x - 8.0, 83.0),
            (x + 9.0, 83.0),
            (x + 21.0, 96.0),
            (x + 8.0, 105.0),
            (x - 8.0, 105.0),
        ]);
        canvas.fill(&eye, 0.8, scale(hex(0xF0E8DC), lit), 1.0);
        canvas.fill(
            &Shape::oval((x, 94.0), 10.5, 10.5, 0.0),
            0.8,
            hex(0x3A2114),
            1.0,
        );
        canvas.fill(
            &Shape::oval((x, 94.0), 5.0, 5.0, 0.0),
            0.5,
            hex(0x050303),
            1.0,
        );
        canvas.fill(
            &Shape::oval((x - 4.0, 90.0), 2.4, 2.4, 0.0),
            0.5,
            hex(0xFFFFFF),
            0.95 * lit,
        );
        let lid = Shape::curve(&[
            (x - 22.0, 95.0),
            (x - 9.0, 82.0),
            (x + 9.0, 82.0),
            (x + 22.0, 95.0),
        ]);
        canvas.fill(&lid.outlined(2.2), 0.7, hex(0x120A07), 0.95);
        let brow = Shape::curve(&[(x - 24.0, 74.0), (x - 4.0, 64.0), (x + 22.0, 70.0)]);
        canvas.fill(&brow.outlined(5.0), 1.4, hex(0x0D0706), 0.85);
    }
    canvas.fill(
        &Shape::curve(&[
            (166.0, 92.0),
            (160.0, 122.0),
            (154.0, 140.0),
            (172.0, 146.0),
            (186.0, 140.0),
        ])
        .outlined(3.0),
        2.2,
        hex(0x1A0E09),
        0.75,
    );
    canvas.fill(
        &Shape::blob(&[
            (148.0, 170.0),
            (171.0, 162.0),
            (196.0, 170.0),
            (172.0, 182.0),
        ]),
        2.2,
        hex(0x4E231E),
        0.95,
    );
    canvas.fill(
        &Shape::oval((172.0, 171.0), 12.0, 3.4, 0.0),
        1.2,
        hex(0x120505),
        0.95,
    );
    let tear = Shape::curve(&[
        (131.0, 106.0),
        (126.0, 124.0),
        (127.0, 146.0),
        (133.0, 164.0),
    ]);
    canvas.fill(&tear.outlined(2.8), 0.8, hex(0xDDEBF5), 0.75);
    canvas.fill(
        &Shape::oval((133.5, 166.0), 3.0, 4.4, 0.0),
        0.6,
        hex(0xF3FAFF),
        0.9,
    );
    canvas.bloom(5.0, 0.7, 0.2);
    canvas.each(|x, y, c| {
        screen(
            scale(
                c,
                1.0 - 0.55 * smooth(110.0, 210.0, (x - 160.0).hypot((y - 105.0) * 1.2)),
            ),
            hex(0x20364F),
            0.06,
        )
    });
    Some(canvas.finish(3.0, 2).into())
}
