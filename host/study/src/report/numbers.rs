//! Numbers as people read them.

use crate::statistics::Estimate;

/// What stands where there is no number.
pub(super) const NONE: &str = "–";

/// A share as percent: `98.68`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// A mean share and half of its interval, in percent: `98.68 ± 0.39`.
pub(super) fn with_half(estimate: &Option<Estimate>) -> String {
    match estimate {
        None => NONE.to_owned(),
        Some(Estimate {
            mean,
            half_width: Some(half),
            ..
        }) => format!("{} ± {}", percent(*mean), percent(*half)),
        Some(Estimate { mean, .. }) => percent(*mean),
    }
}

/// The least and the greatest share, in percent.
pub(super) fn range(estimate: &Option<Estimate>) -> String {
    or_none(estimate.map(|found| format!("{} to {}", percent(found.min), percent(found.max))))
}

/// A difference of shares in percentage points, with its sign.
pub(super) fn points(difference: f64) -> String {
    let points = (1e4 * difference).round() / 1e2;
    // A difference that rounds to nothing has no sign.
    if points == 0.0 {
        "0.00".to_owned()
    } else {
        format!("{points:+.2}")
    }
}

/// A difference, and its interval.
pub(super) fn difference(estimate: &Option<Estimate>) -> String {
    or_none(estimate.map(|found| match found.half_width {
        None => points(found.mean),
        Some(half) => format!(
            "{} [{}, {}]",
            points(found.mean),
            points(found.mean - half),
            points(found.mean + half)
        ),
    }))
}

/// A p-value.
pub(super) fn chance(p: Option<f64>) -> String {
    or_none(p.map(|p| {
        if p < 0.001 {
            "< 0.001".to_owned()
        } else if (0.045..0.055).contains(&p) {
            // On which side of 0.05 it is must show.
            format!("{p:.4}")
        } else {
            format!("{p:.3}")
        }
    }))
}

/// A mean with so many digits.
pub(super) fn mean(estimate: &Option<Estimate>, digits: usize) -> String {
    number(estimate.map(|found| found.mean), digits)
}

/// A mean of seconds. Whole ones would not tell short runs apart.
pub(super) fn seconds(estimate: &Option<Estimate>) -> String {
    // From here on the tenths would be rounded up to ten.
    let short = estimate.is_some_and(|found| found.mean < 9.95);
    mean(estimate, usize::from(short))
}

/// A number with so many digits.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    or_none(value.map(|value| format!("{value:.digits$}")))
}

pub(super) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::estimate;

    #[test]
    fn seconds_have_tenths_below_ten() {
        for (given, told) in [(2.26, "2.3"), (9.94, "9.9"), (9.96, "10"), (118.4, "118")] {
            assert_eq!(seconds(&estimate(&[given])), told);
        }
        assert_eq!(seconds(&None), NONE);
    }
}
