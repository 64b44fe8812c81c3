//! Seeded chance: a stream of numbers for strokes, and fields of smooth noise for textures.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of numbers that is the same in every run.
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from `low` to `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// A number around 0, nearly normal, mostly within -`spread`..`spread`.
    pub(crate) fn around(&mut self, spread: f32) -> f32 {
        (0..3).map(|_| self.between(-spread, spread)).sum::<f32>() / 1.7
    }
}

/// A field of gradient noise over the plane.
#[derive(Clone, Copy)]
pub(crate) struct Noise(u32);

impl Noise {
    /// The field of this seed.
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) ^ 0x5BD1_E995)
    }

    /// An even hash of a lattice point, from 0 to 1: grain.
    pub(crate) fn grain(self, x: i32, y: i32) -> f32 {
        (self.hash(x, y) >> 8) as f32 / 16_777_216.0
    }

    fn hash(self, x: i32, y: i32) -> u32 {
        let mut h = self.0
            ^ (x as u32).wrapping_mul(0x85EB_CA6B)
            ^ (y as u32).wrapping_mul(0xC2B2_AE35).rotate_left(13);
        h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
        h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
        h ^ (h >> 16)
    }

    /// One octave, about -1 to 1, features of size 1.
    pub(crate) fn at(self, x: f32, y: f32) -> f32 {
        let (cell_x, cell_y) = (x.floor(), y.floor());
        let (fx, fy) = (x - cell_x, y - cell_y);
        let corner = |dx: i32, dy: i32| {
            // Eight directions are enough for a texture and need no trigonometry.
            const D: f32 = std::f32::consts::FRAC_1_SQRT_2;
            let ways = [
                (1.0, 0.0),
                (-1.0, 0.0),
                (0.0, 1.0),
                (0.0, -1.0),
                (D, D),
                (-D, D),
                (D, -D),
                (-D, -D),
            ];
            let (gx, gy) = ways[(self.hash(cell_x as i32 + dx, cell_y as i32 + dy) & 7) as usize];
            gx * (fx - dx as f32) + gy * (fy - dy as f32)
        };
        let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (u, v) = (fade(fx), fade(fy));
        let top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * u;
        let bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * u;
        (top + (bottom - top) * v) * 1.5
    }

    /// Several octaves, each of half the size and half the strength: clouds, stone, paper. About -1 to 1.
    pub(crate) fn cloud(self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut strength, mut size, mut whole) = (0.0, 1.0, 1.0, 0.0);
        for octave in 0..octaves {
            let shift = octave as f32 * 17.3;
            sum += strength * self.at(x * size + shift, y * size - shift);
            whole += strength;
            strength *= 0.5;
            size *= 2.0;
        }
        sum / whole
    }

    /// Sharp crests: mountains, creases. From 0 to 1.
    pub(crate) fn crest(self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut sum, mut strength, mut size, mut whole) = (0.0, 1.0, 1.0, 0.0);
        for octave in 0..octaves {
            let shift = octave as f32 * 31.7;
            sum += strength * (1.0 - self.at(x * size + shift, y * size + shift).abs());
            whole += strength;
            strength *= 0.5;
            size *= 2.0;
        }
        sum / whole
    }
}
