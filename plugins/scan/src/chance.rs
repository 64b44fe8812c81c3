//! Chance that a seed decides.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of numbers; the same seed and purpose give the same.
pub(crate) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    /// The stream of a seed for one purpose: two purposes of one run share no numbers.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a of the purpose; the generator's own seeding mixes the bits.
        let salt = purpose
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
            });
        Self(Xoshiro256PlusPlus::seed_from_u64(seed ^ salt))
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Two independent draws of the standard normal distribution (Box and Muller, 1958).
    pub(crate) fn normals(&mut self) -> (f64, f64) {
        let (radius, angle) = (
            (-2.0 * self.uniform().ln()).sqrt(),
            std::f64::consts::TAU * self.uniform(),
        );
        (radius * angle.cos(), radius * angle.sin())
    }

    /// Every order is as likely as every other (Fisher and Yates), but for a bias below 2^-32.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let wide = u128::from(self.0.next_u64()) * (last as u128 + 1);
            all.swap(last, (wide >> 64) as usize);
        }
    }
}
