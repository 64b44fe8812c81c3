//! Repaints a canvas with brush strokes, big ones first, finer ones where the picture asks for them.

use super::canvas::Canvas;
use super::chance::{Chance, Noise};
use super::colour::{luma, mix, scale};
use super::layer::Layer;
use super::shape::{At, Shape};

/// How the brush is held.
pub(crate) struct Brush {
    /// Breadth of the strokes in pixels, for one pass after the other.
    pub(crate) breadths: &'static [f32],
    /// Length of a stroke in breadths.
    pub(crate) length: f32,
    /// A stroke is painted where the picture so far is off by more than this (0 to 1): 0 paints everywhere.
    pub(crate) patience: f32,
    /// How far strokes stray in brightness.
    pub(crate) liveliness: f32,
    /// How thick the paint is: opacity of a stroke.
    pub(crate) body: f32,
    /// Seed of every chance.
    pub(crate) seed: u64,
}

/// The picture repainted. Strokes follow its edges, and `drift` (an angle for a place) where there are none.
pub(crate) fn repaint(picture: &Canvas, brush: &Brush, drift: impl Fn(f32, f32) -> f32) -> Canvas {
    let mut painted = picture.blurred(brush.breadths.first().copied().unwrap_or(1.0));
    let mut chance = Chance::new(brush.seed);
    let bristle = Noise::new(brush.seed as u32);
    for (pass, &breadth) in brush.breadths.iter().enumerate() {
        let model = picture.blurred(breadth * 0.35);
        let Some(mut layer) = Layer::new(picture) else {
            break;
        };
        for (x, y) in scattered(picture, breadth * 0.8, &mut chance) {
            let colour = model.at(x, y);
            let off = (0..3)
                .map(|i| (colour[i] - painted.at(x, y)[i]).abs())
                .sum::<f32>();
            if pass > 0 && off < brush.patience {
                continue;
            }
            let spine = follow(&model, (x, y), breadth, brush.length, &drift, &mut chance);
            let light = 1.0 + chance.around(brush.liveliness);
            let body = scale(colour, light);
            let round = |t: f32| breadth * (1.0 - (2.0 * t - 1.0).abs().powi(5)).max(0.0);
            layer.fill(&Shape::stroke(&spine, round), body, brush.body);
            // Two or three bristles leave furrows of a lighter and a darker tone.
            for side in [-0.3_f32, 0.05, 0.32] {
                let tone = 1.0 + brush.liveliness * 1.6 * bristle.at(x * 0.9 + side * 7.0, y * 0.9);
                let furrow: Vec<At> = beside(&spine, side * breadth);
                layer.fill(
                    &Shape::stroke(&furrow, |t| round(t) * 0.16),
                    scale(body, tone),
                    brush.body * 0.7,
                );
            }
        }
        painted.lay(&layer);
    }
    painted
}

/// Places for strokes in a shuffled order: a grid, each point off by chance.
fn scattered(picture: &Canvas, gap: f32, chance: &mut Chance) -> Vec<At> {
    let (width, height) = (
        picture.width as f32 / picture.scale,
        picture.height as f32 / picture.scale,
    );
    let mut places = Vec::new();
    for row in 0..=(height / gap) as usize {
        for column in 0..=(width / gap) as usize {
            let (dx, dy) = (chance.between(-0.6, 0.6), chance.between(-0.6, 0.6));
            places.push(((column as f32 + dx) * gap, (row as f32 + dy) * gap));
        }
    }
    chance.shuffle(&mut places);
    places
}

/// A stroke's spine through a place: along the edge of tones, until the colour has changed too much.
fn follow(
    model: &Canvas,
    start: At,
    breadth: f32,
    length: f32,
    drift: &impl Fn(f32, f32) -> f32,
    chance: &mut Chance,
) -> Vec<At> {
    let colour = model.at(start.0, start.1);
    let bend = chance.around(0.25);
    let mut halves = [Vec::new(), Vec::new()];
    for (half, sign) in halves.iter_mut().zip([1.0_f32, -1.0]) {
        let (mut x, mut y) = start;
        let mut last: Option<At> = None;
        for _ in 0..3 {
            let reach = breadth * 0.7;
            let gradient =
                |dx: f32, dy: f32| luma(model.at(x + dx, y + dy)) - luma(model.at(x - dx, y - dy));
            let (gx, gy) = (gradient(reach, 0.0), gradient(0.0, reach));
            let strength = (gx.hypot(gy) * 14.0).min(1.0);
            let angle = drift(x, y) + bend;
            let (mut dx, mut dy) = (angle.cos(), angle.sin());
            if strength > 0.05 {
                let (ex, ey) = (-gy / gx.hypot(gy), gx / gx.hypot(gy));
                let agree = if ex * dx + ey * dy < 0.0 { -1.0 } else { 1.0 };
                dx = dx * (1.0 - strength) + ex * agree * strength;
                dy = dy * (1.0 - strength) + ey * agree * strength;
            }
            let (mut sx, mut sy) = (dx * sign, dy * sign);
            if let Some((lx, ly)) = last
                && lx * sx + ly * sy < 0.0
            {
                (sx, sy) = (-sx, -sy);
            }
            let size = sx.hypot(sy).max(1e-3);
            last = Some((sx, sy));
            x += sx / size * breadth * length / 6.0;
            y += sy / size * breadth * length / 6.0;
            let there = model.at(x, y);
            if (0..3).map(|i| (there[i] - colour[i]).abs()).sum::<f32>() > 0.22 && !half.is_empty()
            {
                break;
            }
            half.push((x, y));
        }
    }
    let [ahead, mut behind] = halves;
    behind.reverse();
    behind.push(start);
    behind.extend(ahead);
    behind
}

/// The curve moved sideways.
fn beside(spine: &[At], by: f32) -> Vec<At> {
    let last = spine.len() - 1;
    spine
        .iter()
        .enumerate()
        .map(|(i, &(x, y))| {
            let (a, b) = (spine[i.saturating_sub(1)], spine[(i + 1).min(last)]);
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let size = dx.hypot(dy).max(1e-6);
            (x - dy / size * by, y + dx / size * by)
        })
        .collect()
}

/// Lets the weave of a cloth show through thin paint.
pub(crate) fn weave(canvas: &mut Canvas, amount: f32, seed: u32) {
    let noise = Noise::new(seed);
    canvas.each(|x, y, c| {
        let thread = (x * 2.6).sin() * (y * 2.6).sin() + 0.6 * noise.at(x * 0.7, y * 0.7);
        mix(c, scale(c, 1.0 + thread * 0.5), amount)
    });
}
