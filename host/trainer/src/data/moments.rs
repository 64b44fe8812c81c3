//! What a channel of pictures is normalised by.

/// Mean and deviation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// The mean.
    pub mean: f32,
    /// The deviation (the root of the mean square less the squared mean), at least 1: of a channel that shows nothing,
    /// nothing is divided by zero.
    pub deviation: f32,
}

/// Of each channel of pictures of `shape`: channels, height and width.
pub(super) fn of_channels(pixels: &[u8], [channels, height, width]: [usize; 3]) -> Vec<Moments> {
    let mut sums = vec![(0, 0); channels];
    for (place, plane) in pixels.chunks_exact((height * width).max(1)).enumerate() {
        let (sum, squares) = sums_of(plane);
        let own: &mut (u64, u64) = &mut sums[place % channels];
        *own = (own.0 + u64::from(sum), own.1 + u64::from(squares));
    }
    let count = (pixels.len() / channels.max(1)).max(1) as f64;
    let of = |(sum, squares): (u64, u64)| {
        let mean = sum as f64 / count;
        let variance = squares as f64 / count - mean * mean;
        Moments {
            mean: mean as f32,
            deviation: variance.sqrt().max(1.0) as f32,
        }
    };
    sums.into_iter().map(of).collect()
}

/// Of the values of a plane and of their squares, which fit in 32 bits. No sum is looked at whether it wrapped, which would
/// be one byte at a time.
fn sums_of(plane: &[u8]) -> (u32, u32) {
    plane.iter().fold((0, 0), |(sum, squares), &x| {
        let x = u32::from(x);
        (
            u32::wrapping_add(sum, x),
            u32::wrapping_add(squares, x.wrapping_mul(x)),
        )
    })
}
