//! In which order a picture's pixels are visited.

use crate::chance::Chance;
use crate::choice::choices;
use crate::curve;

choices! {
    /// A scan.
    Order as "order" {
        /// Row by row, from the left: the blog post's.
        Raster = "raster",
        /// Row by row, every other row from the right (boustrophedon).
        Serpentine = "serpentine",
        /// Along a Hilbert curve over the smallest square of a power of two that holds the picture, leaving out what
        /// lies beside it.
        Hilbert = "hilbert",
        /// From the upper left corner along the border, inwards, clockwise.
        Spiral = "spiral",
        /// Column by column, from the top.
        Columns = "columns",
        /// Column by column, every other column from the bottom.
        ColumnSerpentine = "column_serpentine",
        /// Along the diagonals, to and fro, from the upper left corner (ITU-T T.81, figure A.6: JPEG's).
        Zigzag = "zigzag",
        /// [`Order::Spiral`] backwards: from the middle outwards.
        SpiralOut = "spiral_out",
        /// Along a generalised Hilbert curve, which fills any rectangle without leaving it
        /// (Červený, github.com/jakubcerveny/gilbert).
        Gilbert = "gilbert",
        /// By Morton's code: the bits of row and column interleaved (Z-order).
        Morton = "morton",
        /// Along Peano's curve over the smallest square of a power of three that holds the picture, leaving out what
        /// lies beside it.
        Peano = "peano",
        /// By distance from the middle, outwards; at the same distance clockwise from the left.
        Radial = "radial",
        /// From coarse to fine, in the seven passes of Adam7 (PNG specification, section 8.2).
        Interlaced = "interlaced",
        /// In an order drawn by chance: whole pixels are shuffled, and each keeps its red, green and blue together.
        Random = "random",
    }
}

/// The pixels (`row * width + column`) of a picture in the order of their visit, each once. `seed` decides
/// [`Order::Random`], and nothing else.
pub fn places(order: Order, width: u32, height: u32, seed: u64) -> Vec<u32> {
    let rows = || (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)));
    let columns = || (0..width).flat_map(move |x| (0..height).map(move |y| (x, y)));
    // Every other line the other way round.
    let turn = |line: u32, at: u32, length: u32| {
        if line.is_multiple_of(2) {
            at
        } else {
            length - 1 - at
        }
    };
    let points: Vec<(u32, u32)> = match order {
        Order::Raster => rows().collect(),
        Order::Serpentine => rows().map(|(x, y)| (turn(y, x, width), y)).collect(),
        Order::Columns => columns().collect(),
        Order::ColumnSerpentine => columns().map(|(x, y)| (x, turn(x, y, height))).collect(),
        Order::Zigzag => zigzag(width, height),
        Order::Hilbert => curve::hilbert(width, height),
        Order::Gilbert => curve::gilbert(width, height),
        Order::Morton => sorted(rows(), |(x, y)| curve::morton(x, y)),
        Order::Peano => sorted(rows(), |(x, y)| curve::peano(width.max(height), x, y)),
        Order::Spiral => spiral(width, height),
        Order::SpiralOut => spiral(width, height).into_iter().rev().collect(),
        Order::Radial => radial(width, height),
        Order::Interlaced => interlaced(width, height),
        Order::Random => {
            let mut points: Vec<_> = rows().collect();
            Chance::new(seed, "order").shuffle(&mut points);
            points
        }
    };
    points.into_iter().map(|(x, y)| y * width + x).collect()
}

fn sorted(
    points: impl Iterator<Item = (u32, u32)>,
    key: impl Fn((u32, u32)) -> u64,
) -> Vec<(u32, u32)> {
    let mut keyed: Vec<_> = points.map(|point| (key(point), point)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, point)| point).collect()
}

fn zigzag(width: u32, height: u32) -> Vec<(u32, u32)> {
    (0..width + height - 1)
        .flat_map(|diagonal| {
            let (from, to) = (
                (diagonal + 1).saturating_sub(height),
                diagonal.min(width - 1),
            );
            (from..=to).map(move |i| {
                // Even diagonals rise to the right, odd ones fall to the left.
                let x = if diagonal % 2 == 0 { i } else { from + to - i };
                (x, diagonal - x)
            })
        })
        .collect()
}

fn radial(width: u32, height: u32) -> Vec<(u32, u32)> {
    let middle = |at: u32, length: u32| 2 * i64::from(at) + 1 - i64::from(length);
    let mut keyed: Vec<_> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| {
            let (dx, dy) = (middle(x, width), middle(y, height));
            (dx * dx + dy * dy, (dy as f64).atan2(dx as f64), (x, y))
        })
        .collect();
    keyed.sort_unstable_by(|a, b| {
        let angle = || a.1.total_cmp(&b.1);
        a.0.cmp(&b.0).then_with(angle).then_with(|| a.2.cmp(&b.2))
    });
    keyed.into_iter().map(|(_, _, point)| point).collect()
}

fn interlaced(width: u32, height: u32) -> Vec<(u32, u32)> {
    // First column and row of each pass, and how far its columns and rows lie apart.
    const PASSES: [(u32, u32, usize, usize); 7] = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    PASSES
        .iter()
        .flat_map(|&(left, top, across, down)| {
            (top..height)
                .step_by(down)
                .flat_map(move |y| (left..width).step_by(across).map(move |x| (x, y)))
        })
        .collect()
}

fn spiral(width: u32, height: u32) -> Vec<(u32, u32)> {
    let mut visited = Vec::with_capacity((width * height) as usize);
    // Bounds of what is left, both ends within.
    let (mut left, mut top, mut right, mut bottom) =
        (0, 0, i64::from(width) - 1, i64::from(height) - 1);
    while left <= right && top <= bottom {
        visited.extend((left..=right).map(|x| (x, top)));
        visited.extend((top + 1..=bottom).map(|y| (right, y)));
        if top < bottom {
            visited.extend((left..right).rev().map(|x| (x, bottom)));
        }
        if left < right {
            visited.extend((top + 1..bottom).rev().map(|y| (left, y)));
        }
        (left, top, right, bottom) = (left + 1, top + 1, right - 1, bottom - 1);
    }
    visited
        .into_iter()
        .map(|(x, y)| (x as u32, y as u32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_visits_every_pixel_once() {
        for &order in Order::ALL {
            for (width, height) in [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (16, 16), (13, 20)] {
                let mut visited = places(order, width, height, 3);
                visited.sort_unstable();
                assert_eq!(
                    visited,
                    (0..width * height).collect::<Vec<_>>(),
                    "{order:?} {width}x{height}"
                );
            }
        }
    }

    /// How far apart pixels lie that follow each other: the larger of rows and columns, and their sum.
    fn jumps(order: Order, width: u32, height: u32) -> Vec<(u32, u32)> {
        let visited = places(order, width, height, 0);
        let steps = visited.windows(2).map(|pair| {
            let across = (pair[0] % width).abs_diff(pair[1] % width);
            let down = (pair[0] / width).abs_diff(pair[1] / width);
            (across.max(down), across + down)
        });
        steps.collect()
    }

    #[test]
    fn neighbours_follow_each_other() {
        for (order, width, height) in [
            (Order::Serpentine, 7, 5),
            (Order::ColumnSerpentine, 7, 5),
            (Order::Spiral, 7, 5),
            (Order::SpiralOut, 7, 5),
            (Order::Hilbert, 16, 16),
            (Order::Peano, 27, 27),
            (Order::Gilbert, 16, 16),
            (Order::Gilbert, 30, 22),
            (Order::Gilbert, 100, 33),
        ] {
            let far = jumps(order, width, height);
            assert!(far.iter().all(|&(_, sum)| sum == 1), "{order:?}");
        }
        let far = jumps(Order::Zigzag, 8, 6);
        assert!(far.iter().all(|&(most, _)| most == 1));
        // One diagonal step cannot be helped where the longer side is odd and the shorter even.
        let far = jumps(Order::Gilbert, 15, 12);
        assert!(far.iter().all(|&(most, _)| most == 1));
        assert_eq!(far.iter().filter(|&&(_, sum)| sum == 2).count(), 1);
    }

    #[test]
    fn small_scans_are_the_known_ones() {
        let three = |order| places(order, 3, 3, 0);
        assert_eq!(three(Order::Spiral), [0, 1, 2, 5, 8, 7, 6, 3, 4]);
        assert_eq!(three(Order::SpiralOut), [4, 3, 6, 7, 8, 5, 2, 1, 0]);
        assert_eq!(three(Order::Columns), [0, 3, 6, 1, 4, 7, 2, 5, 8]);
        assert_eq!(three(Order::ColumnSerpentine), [0, 3, 6, 7, 4, 1, 2, 5, 8]);
        assert_eq!(three(Order::Zigzag), [0, 1, 3, 6, 4, 2, 5, 7, 8]);
        assert_eq!(three(Order::Peano), [0, 3, 6, 7, 4, 1, 2, 5, 8]);
        assert_eq!(three(Order::Radial), [4, 1, 5, 7, 3, 0, 2, 8, 6]);
        assert_eq!(places(Order::Morton, 4, 2, 0), [0, 1, 4, 5, 2, 3, 6, 7]);
        // The first eight of JPEG's table, of a block of eight by eight.
        let jpeg = [0, 1, 8, 16, 9, 2, 3, 10];
        assert_eq!(places(Order::Zigzag, 8, 8, 0)[..8], jpeg);
        // Adam7's first pass of a picture of 16 x 9, then its second.
        let first = [0, 8, 128, 136, 4, 12, 132, 140];
        assert_eq!(places(Order::Interlaced, 16, 9, 0)[..8], first);
    }

    #[test]
    fn chance_follows_its_seed() {
        let random = |seed| places(Order::Random, 20, 20, seed);
        assert_eq!(random(1), random(1));
        assert_ne!(random(1), random(2));
    }
}
