//! A white puppy in a meadow, hair by hair: some twenty thousand strokes of fur.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{Rgb, add, bell, hex, lerp, mix, ramp, scale, screen, smooth};
use crate::brush::layer::Layer;
use crate::brush::shape::{At, Shape};

const SIZE: usize = 320;

/// Where the fur parts: all hair grows away from here.
const CROWN: At = (160.0, 158.0);

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(SIZE, SIZE, 3, hex(0x7FA05A));
    meadow(&mut canvas);
    canvas.fill(
        &Shape::blob(&[
            (78.0, 215.0),
            (160.0, 180.0),
            (242.0, 215.0),
            (272.0, 325.0),
            (48.0, 325.0),
        ]),
        5.0,
        hex(0xB3AEBF),
        1.0,
    );
    chest(&mut canvas)?;
    ears(&mut canvas)?;
    let skull = [
        (160.0, 62.0),
        (222.0, 88.0),
        (250.0, 150.0),
        (228.0, 206.0),
        (160.0, 232.0),
        (92.0, 206.0),
        (70.0, 150.0),
        (98.0, 88.0),
    ];
    canvas.fill(&Shape::blob(&skull), 6.0, hex(0xCBC4CE), 1.0);
    head(&mut canvas)?;
    mouth(&mut canvas)?;
    muzzle(&mut canvas)?;
    nose(&mut canvas);
    for side in [-1.0, 1.0] {
        eye(&mut canvas, 160.0 + side * 37.0, 141.0, side);
    }
    lashes(&mut canvas)?;
    canvas.bloom(9.0, 0.86, 0.16);
    canvas.each(|x, y, c| {
        let warm = screen(
            c,
            hex(0xFFE2A8),
            0.16 * bell(30.0, 150.0, x) * bell(10.0, 150.0, y),
        );
        scale(
            warm,
            1.0 - 0.22 * smooth(150.0, 250.0, (x - 160.0).hypot(y - 160.0)),
        )
    });
    Some(canvas.finish(1.2, 7).into())
}

/// Out of focus: grass, light through leaves, a few flowers.
fn meadow(canvas: &mut Canvas) {
    let noise = Noise::new(3);
    canvas.each(|x, y, _| {
        let drift = noise.cloud(x / 110.0, y / 70.0, 3) * 0.18;
        ramp(
            &[
                (0.0, 0xE9E3A6),
                (0.3, 0xA9C274),
                (0.62, 0x6E9A52),
                (1.0, 0x3F6B3C),
            ],
            y / 320.0 + drift + (x - 90.0) / 1400.0,
        )
    });
    let mut chance = Chance::new(11);
    for _ in 0..70 {
        let (x, y) = (chance.between(-10.0, 330.0), chance.between(-10.0, 210.0));
        let radius = chance.between(5.0, 21.0);
        let colour = [hex(0xFFF3B8), hex(0xE6F0A0), hex(0xBFDC8C), hex(0xFFE0C0)]
            [chance.between(0.0, 3.99) as usize];
        let strength = chance.between(0.05, 0.22);
        let disc = canvas.mask(&Shape::oval((x, y), radius, radius, 0.0), 0.8);
        canvas.through(&disc, |px, py, c| {
            let rim = smooth(0.55, 1.0, (px - x).hypot(py - y) / radius);
            screen(c, colour, strength * (0.65 + 0.5 * rim))
        });
    }
    *canvas = canvas.blurred(1.6);
}

/// One hair's tone from light on it (0 to 1): lavender shade, cream, sunlit white.
fn tone(light: f32) -> Rgb {
    ramp(
        &[
            (0.0, 0x77738F),
            (0.25, 0xA9A4B8),
            (0.5, 0xD9D1D0),
            (0.72, 0xF3EADF),
            (1.0, 0xFFFDF5),
        ],
        light,
    )
}

/// Light on a ball-like form: from above, left.
fn ball(at: At, centre: At, radius: At) -> f32 {
    let (nx, ny) = ((at.0 - centre.0) / radius.0, (at.1 - centre.1) / radius.1);
    let nz = (1.0 - nx * nx - ny * ny).max(0.0).sqrt();
    0.46 - 0.26 * nx - 0.34 * ny + 0.22 * nz
}

/// Hairs all over a shape: `grow` gives for a root its direction, its length and its light.
fn fur(
    canvas: &mut Canvas,
    shape: &Shape,
    gap: f32,
    width: f32,
    seed: u64,
    grow: impl Fn(f32, f32) -> (f32, f32, f32),
) -> Option<()> {
    let mask = canvas.mask(shape, 1.5);
    let mut chance = Chance::new(seed);
    let tufts = Noise::new(seed as u32 + 5);
    let mut roots = Vec::new();
    for row in 0..(330.0 / gap) as usize {
        for column in 0..(330.0 / gap) as usize {
            let root = (
                (column as f32 + chance.between(-0.7, 0.7)) * gap,
                (row as f32 + chance.between(-0.7, 0.7)) * gap,
            );
            if mask.here(root.0, root.1) > chance.between(0.2, 0.8) {
                roots.push(root);
            }
        }
    }
    // Like shingles: the hairs nearest to the crown lie on top.
    let from_crown = |at: &At| (at.0 - CROWN.0).hypot(at.1 - CROWN.1);
    roots.sort_by(|a, b| from_crown(b).total_cmp(&from_crown(a)));
    let mut layer = Layer::new(canvas)?;
    for (x, y) in roots {
        let (mut angle, mut length, light) = grow(x, y);
        let tuft = tufts.cloud(x / 13.0, y / 13.0, 2);
        angle += tuft * 0.9 + chance.around(0.16);
        length *= chance.between(0.6, 1.15) * (1.0 + tuft * 0.35);
        let curl = chance.around(0.35) + tuft * 0.5;
        let mut hair = vec![(x, y)];
        for step in 1..=3 {
            let (px, py) = hair[step - 1];
            let way = angle + curl * (step as f32 - 1.0) / 2.0;
            hair.push((px + way.cos() * length / 3.0, py + way.sin() * length / 3.0));
        }
        let shine = light + chance.around(0.11) + tuft * 0.16;
        layer.hair(&hair, width * chance.between(0.6, 1.3), tone(shine), 0.86);
    }
    canvas.lay(&layer);
    Some(())
}

/// Away from the crown, drawn down by its weight.
fn outwards(x: f32, y: f32, weight: f32) -> f32 {
    let (dx, dy) = (x - CROWN.0, y - CROWN.1);
    let size = dx.hypot(dy).max(1.0);
    (dy / size + weight).atan2(dx / size)
}

fn chest(canvas: &mut Canvas) -> Option<()> {
    let shape = Shape::blob(&[
        (96.0, 190.0),
        (160.0, 170.0),
        (224.0, 190.0),
        (262.0, 260.0),
        (276.0, 335.0),
        (44.0, 335.0),
        (58.0, 260.0),
    ]);
    fur(canvas, &shape, 2.6, 2.3, 21, |x, y| {
        let under_chin = bell(160.0, 62.0, x) * smooth(262.0, 215.0, y);
        let light = ball((x, y), (160.0, 262.0), (125.0, 110.0)) + 0.1
            - 0.42 * under_chin
            - 0.12 * smooth(250.0, 330.0, y);
        (outwards(x, y, 0.7), 30.0, light)
    })
}

fn ears(canvas: &mut Canvas) -> Option<()> {
    for side in [-1.0_f32, 1.0] {
        let at = |dx: f32, y: f32| (160.0 + side * dx, y);
        let outer = Shape::blob(&[
            at(36.0, 84.0),
            at(50.0, 54.0),
            at(74.0, 33.0),
            at(86.0, 42.0),
            at(90.0, 78.0),
            at(84.0, 112.0),
        ]);
        canvas.fill(&outer, 1.5, hex(0xC9BFC4), 1.0);
        let lit = if side < 0.0 { 0.16 } else { 0.0 };
        fur(canvas, &outer, 2.1, 1.7, 31, |_, y| {
            let tip = (y - 30.0) / 80.0;
            ((-1.0_f32).atan2(side * 0.62), 12.0, 0.72 + lit - 0.22 * tip)
        })?;
        let inner = Shape::blob(&[
            at(52.0, 84.0),
            at(60.0, 62.0),
            at(74.0, 48.0),
            at(79.0, 62.0),
            at(78.0, 92.0),
            at(66.0, 104.0),
        ]);
        let mask = canvas.mask(&inner, 3.0);
        canvas.through(&mask, |_, y, c| {
            mix(
                c,
                mix(hex(0xE9B5A4), hex(0xB9837C), (y - 45.0) / 60.0),
                0.75,
            )
        });
        let tufts = Shape::blob(&[
            at(46.0, 96.0),
            at(52.0, 78.0),
            at(62.0, 86.0),
            at(76.0, 106.0),
        ]);
        fur(canvas, &tufts, 2.6, 1.6, 37, |_, _| {
            ((-1.0_f32).atan2(side * 0.75), 22.0, 0.84)
        })?;
    }
    Some(())
}

fn head(canvas: &mut Canvas) -> Option<()> {
    let shape = Shape::blob(&[
        (160.0, 72.0),
        (214.0, 92.0),
        (240.0, 148.0),
        (222.0, 200.0),
        (160.0, 222.0),
        (98.0, 200.0),
        (80.0, 148.0),
        (106.0, 92.0),
    ]);
    fur(canvas, &shape, 1.9, 1.75, 41, |x, y| {
        let (dx, dy) = ((x - 160.0).abs(), y - 150.0);
        let away = dx.hypot(dy * 1.05);
        let length = 5.5
            + 21.0 * smooth(28.0, 92.0, away) * (0.5 + 0.5 * smooth(-90.0, 40.0, dy))
            + 3.0 * smooth(60.0, 90.0, away);
        let sockets = bell(37.0, 15.0, dx) * bell(141.0, 13.0, y);
        let bridge = bell(0.0, 15.0, dx) * bell(125.0, 38.0, y);
        let furrow = bell(0.0, 4.0, dx) * bell(98.0, 22.0, y);
        let brow = bell(31.0, 13.0, dx) * bell(118.0, 9.0, y);
        let light = ball((x, y), (160.0, 148.0), (108.0, 104.0)) + 0.16 - 0.26 * sockets
            + 0.07 * bridge
            + 0.1 * brow
            - 0.12 * furrow;
        (outwards(x, y, 0.22), length, light)
    })
}

/// A smile, open a little, and a tongue.
fn mouth(canvas: &mut Canvas) -> Option<()> {
    let open = Shape::blob(&[
        (131.0, 197.0),
        (146.0, 201.0),
        (160.0, 198.0),
        (174.0, 201.0),
        (189.0, 197.0),
        (181.0, 215.0),
        (160.0, 226.0),
        (139.0, 215.0),
    ]);
    canvas.fill(&open, 1.2, hex(0x4A2530), 1.0);
    let tongue = canvas.mask(
        &Shape::blob(&[
            (144.0, 205.0),
            (160.0, 203.0),
            (176.0, 205.0),
            (177.0, 224.0),
            (169.0, 240.0),
            (160.0, 243.0),
            (151.0, 240.0),
            (143.0, 224.0),
        ]),
        0.8,
    );
    canvas.through(&tongue, |x, y, _| {
        let fold = bell(160.0, 2.2, x) * smooth(243.0, 215.0, y);
        let round = 1.0 - ((x - 160.0) / 19.0).powi(2);
        let pink = mix(
            hex(0xC65F70),
            hex(0xF59AA0),
            round * smooth(200.0, 226.0, y),
        );
        let wet = bell(153.0, 4.0, x) * bell(228.0, 6.0, y);
        screen(scale(pink, 1.0 - 0.25 * fold), [1.0; 3], 0.4 * wet)
    });
    let chin = Shape::blob(&[
        (138.0, 217.0),
        (146.0, 228.0),
        (160.0, 232.0),
        (174.0, 228.0),
        (182.0, 217.0),
        (172.0, 236.0),
        (160.0, 240.0),
        (148.0, 236.0),
    ]);
    let _ = chin;
    Some(())
}

fn muzzle(canvas: &mut Canvas) -> Option<()> {
    for side in [-1.0_f32, 1.0] {
        let at = |dx: f32, y: f32| (160.0 + side * dx, y);
        let cheek = Shape::blob(&[
            at(-1.0, 172.0),
            at(14.0, 166.0),
            at(30.0, 174.0),
            at(37.0, 190.0),
            at(28.0, 200.0),
            at(13.0, 201.0),
            at(0.0, 193.0),
        ]);
        canvas.fill(&cheek, 2.5, hex(0xEDE5E0), 1.0);
        fur(canvas, &cheek, 1.7, 1.25, 53, |x, y| {
            let light = ball((x, y), (160.0 + side * 17.0, 180.0), (24.0, 20.0)) + 0.2;
            (
                (0.55_f32 + (y - 185.0) / 40.0).atan2((x - 160.0) / 22.0),
                7.0,
                light,
            )
        })?;
    }
    let dots = [(13.0, 186.0), (19.0, 182.0), (20.0, 190.0), (26.0, 186.0)];
    for (dx, y) in dots {
        for side in [-1.0, 1.0] {
            canvas.fill(
                &Shape::oval((160.0 + side * dx, y), 0.9, 0.9, 0.0),
                0.3,
                hex(0x6B5E66),
                0.55,
            );
        }
    }
    Some(())
}

fn nose(canvas: &mut Canvas) {
    let line = Shape::stroke(&[(160.0, 178.0), (160.0, 190.0), (160.0, 197.0)], |t| {
        2.2 - t
    });
    canvas.fill(&line, 0.4, hex(0x2E2227), 0.85);
    for side in [-1.0, 1.0] {
        let lip = Shape::stroke(
            &[
                (160.0, 196.0),
                (160.0 + side * 12.0, 202.5),
                (160.0 + side * 26.0, 200.0),
                (160.0 + side * 35.0, 191.0),
            ],
            |t| 2.6 * (1.0 - t) + 0.9,
        );
        canvas.fill(&lip, 0.5, hex(0x2E2227), 0.85);
    }
    let shape = Shape::blob(&[
        (160.0, 156.0),
        (173.0, 157.5),
        (180.0, 164.0),
        (174.0, 173.0),
        (160.0, 180.0),
        (146.0, 173.0),
        (140.0, 164.0),
        (147.0, 157.5),
    ]);
    canvas.fill(&shape, 2.6, hex(0x3A2E36), 0.55);
    let mask = canvas.mask(&shape, 0.6);
    let pores = Noise::new(61);
    canvas.through(&mask, |x, y, _| {
        let shine = bell(157.0, 9.0, x) * bell(160.5, 2.6, y);
        let sky = smooth(176.0, 156.0, y);
        let leather = pores.at(x * 1.4, y * 1.4) * 0.035;
        let base = mix(hex(0x130E13), hex(0x3B333E), sky).map(|v| v + leather);
        add(base, hex(0xDDE4F2), 0.75 * shine)
    });
    for side in [-1.0, 1.0] {
        let nostril = Shape::stroke(
            &[
                (160.0 + side * 5.0, 171.0),
                (160.0 + side * 9.5, 166.5),
                (160.0 + side * 14.5, 168.5),
            ],
            |t| 4.2 * (1.0 - (t - 0.4).abs()),
        );
        canvas.fill(&nostril, 0.7, hex(0x050306), 0.95);
    }
}

fn eye(canvas: &mut Canvas, x: f32, y: f32, side: f32) {
    let almond = |grow: f32| {
        Shape::blob(&[
            (x - side * (12.0 + grow), y + 3.0),
            (x - side * 6.0, y - 8.0 - grow),
            (x + side * 4.0, y - 9.5 - grow),
            (x + side * (11.5 + grow), y - 2.0),
            (x + side * 7.0, y + 7.5 + grow),
            (x - side * 3.0, y + 9.0 + grow),
        ])
    };
    canvas.fill(&almond(3.0), 2.6, hex(0x5A4A52), 0.6);
    canvas.fill(&almond(1.2), 0.7, hex(0x17100F), 1.0);
    let ball = canvas.mask(&almond(-0.6), 0.5);
    canvas.through(&ball, |px, py, _| {
        let away = (px - x).hypot(py - y) / 10.0;
        let glow = smooth(0.1, 0.9, (py - y) / 9.0) * smooth(1.05, 0.45, away);
        mix(
            mix(hex(0x0C0708), hex(0x2B1710), smooth(0.45, 0.75, away)),
            hex(0x9A5A28),
            glow * 0.85,
        )
    });
    canvas.fill(
        &Shape::oval((x - 3.4, y - 4.0), 3.4, 2.9, -0.3),
        0.35,
        [1.0; 3],
        0.97,
    );
    canvas.fill(
        &Shape::oval((x + 4.2, y + 3.8), 1.5, 1.1, 0.0),
        0.4,
        hex(0xFFF0DC),
        0.7,
    );
    canvas.fill(
        &Shape::stroke(
            &[(x - 8.0, y + 4.5), (x, y + 8.6), (x + 8.0, y + 4.0)],
            |t| lerp(0.2, 1.0, 1.0 - (2.0 * t - 1.0).abs()),
        ),
        0.3,
        hex(0xCFC2C8),
        0.5,
    );
}

/// The last hairs, over the corners of the eyes, and whiskers.
fn lashes(canvas: &mut Canvas) -> Option<()> {
    let mut layer = Layer::new(canvas)?;
    let mut chance = Chance::new(71);
    for side in [-1.0_f32, 1.0] {
        for i in 0..26 {
            let t = i as f32 / 25.0;
            let (x, y) = (
                160.0 + side * lerp(22.0, 51.0, t),
                131.5 - 5.0 * bell(0.45, 0.4, t) + chance.around(1.0),
            );
            let tip = (
                x + side * chance.between(1.0, 6.0),
                y + chance.between(0.5, 4.0),
            );
            layer.hair(
                &[(x, y), ((x + tip.0) / 2.0, y + 0.4), tip],
                1.0,
                tone(chance.between(0.62, 0.95)),
                0.85,
            );
        }
        for i in 0..5 {
            let (y, reach) = (182.0 + i as f32 * 3.0, chance.between(40.0, 62.0));
            let root = (160.0 + side * (18.0 + i as f32 * 2.0), y);
            let tip = (root.0 + side * reach, y + chance.between(-14.0, 16.0));
            layer.hair(
                &[root, ((root.0 + tip.0) / 2.0, (y + tip.1) / 2.0 - 4.0), tip],
                0.55,
                hex(0xFFFFFF),
                0.6,
            );
        }
    }
    canvas.lay(&layer);
    Some(())
}
