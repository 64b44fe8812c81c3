//! Curves that fill the plane.

/// Hilbert's curve, as far as it lies in the picture.
pub(crate) fn hilbert(width: u32, height: u32) -> Vec<(u32, u32)> {
    let side = width.max(height).next_power_of_two();
    (0..u64::from(side) * u64::from(side))
        .map(|distance| hilbert_point(side, distance))
        .filter(|&(x, y)| x < width && y < height)
        .collect()
}

/// The point at `distance` along a Hilbert curve in a square (Warren, Hacker's Delight, 2nd ed., section 16-1).
fn hilbert_point(side: u32, distance: u64) -> (u32, u32) {
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

/// The generalised Hilbert curve of a rectangle: Červený's `gilbert2d.py`.
pub(crate) fn gilbert(width: u32, height: u32) -> Vec<(u32, u32)> {
    let (wide, high) = (i64::from(width), i64::from(height));
    let mut points = Vec::with_capacity((width * height) as usize);
    if wide >= high {
        generate((0, 0), (wide, 0), (0, high), &mut points);
    } else {
        generate((0, 0), (0, high), (wide, 0), &mut points);
    }
    points
}

/// The curve from `start` over the rectangle that `a`, its main direction, and `b` span.
fn generate(start: (i64, i64), a: (i64, i64), b: (i64, i64), points: &mut Vec<(u32, u32)>) {
    let (width, height) = ((a.0 + a.1).abs(), (b.0 + b.1).abs());
    let (along, across) = ((a.0.signum(), a.1.signum()), (b.0.signum(), b.1.signum()));
    let line = |length: i64, way: (i64, i64), points: &mut Vec<(u32, u32)>| {
        points.extend((0..length).map(|i| {
            let (x, y) = (start.0 + i * way.0, start.1 + i * way.1);
            (x as u32, y as u32)
        }));
    };
    if height == 1 {
        return line(width, along, points);
    }
    if width == 1 {
        return line(height, across, points);
    }
    let half = |v: (i64, i64)| (v.0.div_euclid(2), v.1.div_euclid(2));
    let sum = |v: (i64, i64), w: (i64, i64)| (v.0 + w.0, v.1 + w.1);
    let less = |v: (i64, i64), w: (i64, i64)| (v.0 - w.0, v.1 - w.1);
    let minus = |v: (i64, i64)| (-v.0, -v.1);
    let (mut a2, mut b2) = (half(a), half(b));
    let (width2, height2) = ((a2.0 + a2.1).abs(), (b2.0 + b2.1).abs());
    // Even steps keep the curve whole where they can.
    if 2 * width > 3 * height {
        if width2 % 2 == 1 && width > 2 {
            a2 = sum(a2, along);
        }
        generate(start, a2, b, points);
        generate(sum(start, a2), less(a, a2), b, points);
    } else {
        if height2 % 2 == 1 && height > 2 {
            b2 = sum(b2, across);
        }
        generate(start, b2, a2, points);
        generate(sum(start, b2), a, less(b, b2), points);
        let last = sum(sum(start, less(a, along)), less(b2, across));
        generate(last, minus(b2), minus(less(a, a2)), points);
    }
}

/// Morton's code of a point: its column's bits at the even places, its row's at the odd ones.
pub(crate) fn morton(x: u32, y: u32) -> u64 {
    spread(x) | spread(y) << 1
}

/// A zero before every bit (Warren, Hacker's Delight, 2nd ed., section 7-2).
fn spread(bits: u32) -> u64 {
    let mut v = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        v = (v | v << shift) & mask;
    }
    v
}

/// How far along Peano's curve a point lies, in the smallest square of a power of three with sides of at least `side`.
/// Its digits to base 3 are those of column and row in turn, each mirrored (2 - digit) where the digits before it
/// that are not of its own axis have an odd sum (Sagan, Space-Filling Curves, section 3.1). The curve begins downwards.
pub(crate) fn peano(side: u32, x: u32, y: u32) -> u64 {
    let mut power = 1;
    while power < side {
        power *= 3;
    }
    let mirrored = |digit: u32, odd: u32| if odd % 2 == 1 { 2 - digit } else { digit };
    let (mut distance, mut of_x, mut of_y) = (0, 0, 0);
    while power > 1 {
        power /= 3;
        let across = mirrored(x / power % 3, of_y);
        of_x += across;
        let down = mirrored(y / power % 3, of_x);
        of_y += down;
        distance = distance * 9 + u64::from(across * 3 + down);
    }
    distance
}
