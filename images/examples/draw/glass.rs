//! A window of coloured glass: a sun over hills and a river. Every pane is one shade: scanned along a curve that stays
//! near, it is a schedule of plateaus.

use image::DynamicImage;

use crate::brush::canvas::Canvas;
use crate::brush::chance::{Chance, Noise};
use crate::brush::colour::{Rgb, hex, mix, ramp, scale, screen, smooth};

const WIDTH: f32 = 240.0;
const HEIGHT: f32 = 320.0;
const SUN: (f32, f32) = (150.0, 104.0);

/// A pane: where it lies, and its glass.
struct Pane {
    at: (f32, f32),
    glass: Rgb,
}

/// Draws the picture.
pub(crate) fn draw() -> Option<DynamicImage> {
    let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize, 3, hex(0x0B0A10));
    let panes = panes();
    let (swirl, seed) = (Noise::new(12), Noise::new(77));
    canvas.each(|x, y, _| {
        let (near, edge) = nearest(&panes, x, y);
        let pane = &panes[near];
        // Blown glass: streaks that no two panes share, and light that falls off towards the lead.
        let shift = near as f32 * 3.7;
        let streak = swirl.cloud((x + 0.5 * y) / 15.0 + shift, y / 24.0 - shift, 3);
        let fleck = seed.cloud(x / 2.6, y / 2.6, 2);
        let mut light = scale(pane.glass, 0.93 + 0.22 * streak + 0.05 * fleck);
        light = screen(light, [1.0, 0.97, 0.88], 0.13 * smooth(1.0, 9.0, edge));
        let glow = (-((x - SUN.0).hypot(y - SUN.1)) / 62.0).exp();
        light = screen(light, hex(0xFFE9B0), 0.3 * glow);
        let lead = smooth(1.75, 1.0, edge);
        let solder = mix(hex(0x0C0B10), hex(0x3B3A40), smooth(0.9, 0.0, edge) * 0.8);
        mix(light, solder, lead)
    });
    canvas.bloom(6.0, 0.6, 0.28);
    frame(&mut canvas);
    Some(canvas.finish(0.6, 4).into())
}

/// Rings of panes around the sun, a loose net elsewhere.
fn panes() -> Vec<Pane> {
    let mut chance = Chance::new(41);
    let mut panes = vec![Pane {
        at: SUN,
        glass: hex(0xFFF4C8),
    }];
    let rays = [(8, 25.0), (14, 43.0), (20, 63.0)];
    for (ring, (count, radius)) in rays.into_iter().enumerate() {
        for ray in 0..count {
            let turn = (ray as f32 + 0.5 * ring as f32) / count as f32 * std::f32::consts::TAU;
            let at = (SUN.0 + radius * turn.cos(), SUN.1 + radius * turn.sin());
            if ground(at.0) > at.1 + 3.0 {
                let warm = [0xFFC83D, 0xFF9A2E, 0xF26B38];
                let other = [0xFFDD6B, 0xF9B233, 0xE2552F];
                let code = if ray % 2 == 0 {
                    warm[ring]
                } else {
                    other[ring]
                };
                panes.push(Pane {
                    at,
                    glass: hex(code),
                });
            }
        }
    }
    for row in 0..17 {
        for column in 0..12 {
            let at = (
                (column as f32 + 0.5 * (row % 2) as f32) * 22.0 - 4.0 + chance.around(5.5),
                row as f32 * 20.0 - 2.0 + chance.around(5.0),
            );
            let in_rays = (at.0 - SUN.0).hypot(at.1 - SUN.1) < 76.0 && at.1 < ground(at.0);
            if !in_rays {
                let glass = shade(at, &mut chance);
                panes.push(Pane { at, glass });
            }
        }
    }
    panes
}

/// Where the far hills begin.
fn ground(x: f32) -> f32 {
    186.0 - 16.0 * ((x - 60.0) / 46.0).sin() - 7.0 * (x / 19.0).sin()
}

/// The glass that a place asks for.
fn shade((x, y): (f32, f32), chance: &mut Chance) -> Rgb {
    let vary = chance.between(0.0, 1.0);
    let (far, near) = (ground(x), 236.0 + 15.0 * ((x + 30.0) / 52.0).sin());
    // The river winds down from the far hills.
    let middle = 112.0 + 40.0 * ((y - 180.0) / 36.0).sin();
    let bank = 7.0 + 0.24 * (y - 190.0);
    let glass = if y < far {
        let away = (x - SUN.0).hypot(y - SUN.1);
        ramp(
            &[
                (0.0, 0xF08A4B),
                (0.35, 0xC9507A),
                (0.62, 0x6A4C9C),
                (1.0, 0x1F3C88),
            ],
            (away - 60.0) / 130.0,
        )
    } else if (x - middle).abs() < bank {
        mix(hex(0x3FA7C4), hex(0xBFE8E0), 0.8 * vary)
    } else if y < near {
        mix(hex(0x2F8F6B), hex(0x8CC152), vary)
    } else {
        mix(hex(0x14553F), hex(0x4C9A3A), vary)
    };
    scale(glass, 0.82 + 0.34 * vary)
}

/// The pane of a place, and how far its lead is.
fn nearest(panes: &[Pane], x: f32, y: f32) -> (usize, f32) {
    let away = |pane: &Pane| (x - pane.at.0).hypot(y - pane.at.1);
    let (mut first, mut second) = ((0, f32::INFINITY), (0, f32::INFINITY));
    for (place, pane) in panes.iter().enumerate() {
        let d = away(pane);
        if d < first.1 {
            (first, second) = ((place, d), first);
        } else if d < second.1 {
            second = (place, d);
        }
    }
    let (one, other) = (panes[first.0].at, panes[second.0].at);
    let apart = (one.0 - other.0).hypot(one.1 - other.1).max(1.0);
    (
        first.0,
        (second.1 * second.1 - first.1 * first.1) / (2.0 * apart),
    )
}

/// Lead around the window, round at its top.
fn frame(canvas: &mut Canvas) {
    canvas.each(|x, y, c| {
        let arch = if y < 120.0 {
            120.0 - (x - WIDTH / 2.0).hypot(y - 120.0)
        } else {
            (WIDTH / 2.0 - (x - WIDTH / 2.0).abs()).min(HEIGHT - y)
        };
        let stone = mix(hex(0x15131A), hex(0x26232C), 0.5);
        mix(
            mix(c, hex(0x0C0B10), smooth(7.5, 6.3, arch)),
            stone,
            smooth(4.2, 3.2, arch),
        )
    });
}
