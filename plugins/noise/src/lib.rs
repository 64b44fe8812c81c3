//! A rate with noise on it, as timm's schedulers can have: to be multiplied with any other schedule, or alone. The noise
//! is the same for the same seed; it is not the noise of PyTorch's generator, which timm draws from.

use pixelrate_schedule::{Run, Schedule, export_schedule};
use pixelrate_shapes::clock::Clock;
use pixelrate_shapes::read;

struct Noise {
    clock: Clock,
    rate: f64,
    normal: bool,
    std: f64,
    limit: f64,
    from: f64,
    to: f64,
    seed: u64,
}

/// SplitMix64's output function (Steele, Lea, Flood 2014): one number for each place in its sequence.
fn mixed(place: u64) -> u64 {
    let z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in (0, 1), by 53 bits.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

impl Noise {
    fn at(&self, time: f64) -> f64 {
        let place = mixed(self.seed ^ mixed(time.to_bits()));
        if !self.normal {
            return (2.0 * unit(mixed(place)) - 1.0) * self.limit;
        }
        // Drawn again while it is over the limit. A limit so narrow that a hundred draws miss it leaves the rate alone.
        let draws = (0..100).map(|draw| {
            let pair = place.wrapping_add(2 * draw);
            let (radius, angle) = (unit(mixed(pair)), unit(mixed(pair.wrapping_add(1))));
            (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos() * self.std
        });
        draws
            .into_iter()
            .find(|noise| noise.abs() < self.limit)
            .unwrap_or(0.0)
    }
}

impl Schedule for Noise {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        Ok(Self {
            clock,
            rate: read::not_negative(run, "learning_rate")?,
            normal: read::choice(run, "distribution", &[true, false])?,
            std: read::not_negative(run, "std")?,
            limit: read::share(run, "limit")?,
            from: clock.duration(run, "from")?,
            to: clock.duration_or(run, "to", f64::INFINITY)?,
            seed: mixed(run.seed()),
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        let time = self.clock.at(step);
        if self.from <= time && time < self.to {
            self.rate * (1.0 + self.at(time))
        } else {
            self.rate
        }
    }
}

export_schedule!(Noise, parameters: [
    {"learning_rate" = 0.1, "The rate without the noise; 1 to multiply another schedule."},
    {"distribution" = 0 in ["normal", "uniform"], "How the noise is spread."},
    {"std" = 0.2, "normal: the standard deviation, as a share of the rate."},
    {"limit" = 0.67, "The noise is less than this share of the rate."},
    {"from" = 0, "When the noise begins."},
    {"to" = 0, "When it ends; 0: never."},
    {"unit" = 0 in ["steps", "epochs", "fraction", "whole_epochs"], "What times count: steps, epochs, fractions of the run, or epochs within which the noise stays."},
]);

#[cfg(test)]
mod tests {
    use super::{mixed, unit};

    #[test]
    fn draws_are_spread_evenly() {
        let draws = (0..100_000).map(|place| unit(mixed(place)));
        let (sum, squares) = draws.fold((0.0, 0.0), |(sum, squares), draw| {
            (sum + draw, squares + draw * draw)
        });
        assert!((sum / 1e5 - 0.5).abs() < 0.005);
        assert!((squares / 1e5 - 1.0 / 3.0).abs() < 0.005);
    }
}
