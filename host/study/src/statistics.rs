//! Means, and how far they can be trusted.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// What a sample says of its mean.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The sample's mean.
    pub mean: f64,
    /// Half of the 95 % interval by Student's t: t(0.975, n - 1) * s / sqrt(n). `None` for a sample of one.
    pub half_width: Option<f64>,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// How many values there are.
    pub count: usize,
}

/// The mean of `values` and its 95 % interval; `None` if there are none.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let half_width = (count > 1).then(|| {
        let freedom = (count - 1) as f64;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / freedom;
        // The distribution exists for any positive number of degrees of freedom.
        let t = StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(0.975));
        t * (variance / count as f64).sqrt()
    });
    Some(Estimate {
        mean,
        half_width,
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.t.interval(0.95, 2, loc=mean, scale=sem) of [0.7, 0.72, 0.77]: t = 4.302652729911275.
        let found = estimate(&[0.7, 0.72, 0.77]).unwrap();
        assert!((found.mean - 0.73).abs() < 1e-12);
        let deviation = (0.0009_f64 + 0.0001 + 0.0016) / 2.0;
        let expected = 4.302_652_729_911_275 * (deviation / 3.0).sqrt();
        assert!((found.half_width.unwrap() - expected).abs() < 1e-9);
        assert_eq!((found.min, found.max, found.count), (0.7, 0.77, 3));
        assert_eq!(estimate(&[0.5]).unwrap().half_width, None);
        assert_eq!(estimate(&[]), None);
    }
}
