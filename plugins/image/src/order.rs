//! In which order a picture's pixels are visited.

/// A scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Row by row, from the left.
    Raster,
    /// Row by row, every other row from the right.
    Serpentine,
    /// Along a Hilbert curve over the smallest square of a power of two that holds the picture, leaving out what
    /// lies beside it.
    Hilbert,
    /// From the upper left corner along the border, inwards, clockwise.
    Spiral,
}

/// The pixels (`row * width + column`) of a picture in the order of their visit, each once.
pub fn places(order: Order, width: u32, height: u32) -> Vec<u32> {
    let place = |column: u32, row: u32| row * width + column;
    match order {
        Order::Raster => (0..width * height).collect(),
        Order::Serpentine => (0..height)
            .flat_map(|row| {
                (0..width).map(move |i| (if row % 2 == 0 { i } else { width - 1 - i }, row))
            })
            .map(|(column, row)| place(column, row))
            .collect(),
        Order::Hilbert => {
            let side = width.max(height).next_power_of_two();
            (0..u64::from(side) * u64::from(side))
                .map(|distance| hilbert(side, distance))
                .filter(|&(column, row)| column < width && row < height)
                .map(|(column, row)| place(column, row))
                .collect()
        }
        Order::Spiral => spiral(width, height)
            .into_iter()
            .map(|(column, row)| place(column, row))
            .collect(),
    }
}

/// The point at `distance` along a Hilbert curve in a square (Warren, Hacker's Delight, 2nd ed., section 16-1).
fn hilbert(side: u32, distance: u64) -> (u32, u32) {
    let (mut x, mut y, mut left, mut size) = (0, 0, distance, 1);
    while size < side {
        let right = (left / 2) as u32 & 1;
        let up = (left as u32 ^ right) & 1;
        if up == 0 {
            if right == 1 {
                (x, y) = (size - 1 - x, size - 1 - y);
            }
            (x, y) = (y, x);
        }
        x += size * right;
        y += size * up;
        left /= 4;
        size *= 2;
    }
    (x, y)
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
        for order in [
            Order::Raster,
            Order::Serpentine,
            Order::Hilbert,
            Order::Spiral,
        ] {
            for (width, height) in [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (16, 16), (13, 20)] {
                let mut visited = places(order, width, height);
                visited.sort_unstable();
                assert_eq!(
                    visited,
                    (0..width * height).collect::<Vec<_>>(),
                    "{order:?} {width}x{height}"
                );
            }
        }
    }

    #[test]
    fn neighbours_follow_each_other() {
        let distance = |width: u32, a: u32, b: u32| {
            (a % width).abs_diff(b % width) + (a / width).abs_diff(b / width)
        };
        for (order, width, height) in [
            (Order::Serpentine, 7, 5),
            (Order::Spiral, 7, 5),
            (Order::Hilbert, 16, 16),
        ] {
            let visited = places(order, width, height);
            assert!(
                visited
                    .windows(2)
                    .all(|pair| distance(width, pair[0], pair[1]) == 1),
                "{order:?}"
            );
        }
    }

    #[test]
    fn a_spiral_goes_clockwise_inwards() {
        assert_eq!(places(Order::Spiral, 3, 3), [0, 1, 2, 5, 8, 7, 6, 3, 4]);
    }
}
