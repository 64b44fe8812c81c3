//! Curves from 1 to 0.

use std::f64::consts::{FRAC_PI_2, PI};

/// How a rate falls: from 1 at the progress 0 to 0 at 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// 1 - p.
    Linear,
    /// (1 + cos πp) / 2.
    Cosine,
    /// (1 + cos 2π count p) / 2: this many waves, of which a half is `Cosine` (Transformers' `num_cycles`).
    Waves(f64),
    /// 1 - √p (Hägele et al. 2024, arXiv 2405.18392).
    OneMinusSqrt,
    /// 1 - p^power (timm).
    OneMinusPower(f64),
    /// (1 - p)^power.
    Polynomial(f64),
    /// ratio^p, stretched so that it ends at 0 (timm's `exp`).
    Exponential(f64),
    /// (1 - p) / (1/2 + (1 - p)/2): REX (Chen, Wolfe, Kyrillidis 2022, arXiv 2107.04197).
    Rex,
    /// (1 - tanh(from (1 - p) + to p)) / 2 (Hsueh et al. 2018, arXiv 1806.01593). It begins below 1 and ends above 0.
    Tanh {
        /// The hyperbolic tangent's argument at the start.
        from: f64,
        /// And at the end.
        to: f64,
    },
}

impl Shape {
    /// What is left at `progress`, from 0 to 1.
    pub fn fall(self, progress: f64) -> f64 {
        let left = 1.0 - progress;
        match self {
            Self::Linear => left,
            // The cosine of a rounded π/2 is not quite 0.
            Self::Cosine if progress == 1.0 => 0.0,
            // (1 + cos 2x) / 2 = cos² x, which loses no digits where it is small.
            Self::Cosine => (progress * FRAC_PI_2).cos().powi(2),
            Self::Waves(count) if count == 0.5 => Self::Cosine.fall(progress),
            Self::Waves(count) => (progress * PI * count).cos().powi(2),
            Self::OneMinusSqrt => 1.0 - progress.sqrt(),
            Self::OneMinusPower(power) => 1.0 - progress.powf(power),
            Self::Polynomial(power) => left.powf(power),
            Self::Exponential(ratio) => (ratio.powf(progress) - ratio) / (1.0 - ratio),
            Self::Rex => left / (0.5 + 0.5 * left),
            Self::Tanh { from, to } => 0.5 * (1.0 - (from * left + to * progress).tanh()),
        }
    }

    /// What a rise along its mirror image has reached at `progress`, from 0 to 1.
    pub fn rise(self, progress: f64) -> f64 {
        match self {
            // The difference of two numbers near 1 would lose the digits of a small progress.
            Self::Linear => progress,
            Self::Polynomial(power) => progress.powf(power),
            _ => self.fall(1.0 - progress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    #[test]
    fn waves_come_back() {
        let shape = Shape::Waves(1.5);
        for (progress, left) in [(0.0, 1.0), (1.0 / 3.0, 0.0), (2.0 / 3.0, 1.0), (1.0, 0.0)] {
            assert!((shape.fall(progress) - left).abs() < 1e-15, "{progress}");
        }
        assert_eq!(Shape::Waves(0.5).fall(0.3), Shape::Cosine.fall(0.3));
    }

    #[test]
    fn a_rise_is_the_mirror_image_and_keeps_small_digits() {
        for shape in [Shape::Linear, Shape::Polynomial(2.0), Shape::Cosine] {
            for progress in [0.0, 0.25, 0.5, 1.0] {
                assert_eq!(
                    shape.rise(progress),
                    shape.fall(1.0 - progress),
                    "{shape:?}"
                );
            }
        }
        assert_eq!(Shape::Linear.rise(3e-9), 3e-9);
    }

    #[test]
    fn all_fall_from_one_to_zero() {
        let shapes = [
            Shape::Linear,
            Shape::Cosine,
            Shape::OneMinusSqrt,
            Shape::OneMinusPower(2.0),
            Shape::Polynomial(3.0),
            Shape::Exponential(0.1),
            Shape::Rex,
            Shape::Tanh {
                from: -40.0,
                to: 40.0,
            },
        ];
        for shape in shapes {
            assert!((shape.fall(0.0) - 1.0).abs() < 1e-15, "{shape:?}");
            assert!(shape.fall(1.0).abs() < 1e-15, "{shape:?}");
            let values: Vec<f64> = (0..=100)
                .map(|i| shape.fall(f64::from(i) / 100.0))
                .collect();
            assert!(values.is_sorted_by(|a, b| a >= b), "{shape:?}");
        }
    }
}
