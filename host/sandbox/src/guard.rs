//! What a schedule's answers are held to.

use crate::FaultKind;
use crate::live::Raw;

/// The first thing that is wrong with a schedule's answer, the highest learning rate being `ceiling`.
pub(crate) fn problem(raw: &Raw, ceiling: f64) -> Option<(FaultKind, String)> {
    let bad = |value: f64| !value.is_finite() || value < 0.0;
    // Nearly every answer is good: they are told apart only then.
    if bad(raw.learning_rate)
        || raw.learning_rate > ceiling
        || ceiling.is_nan()
        || raw
            .momentum
            .is_some_and(|momentum| bad(momentum) || momentum >= 1.0)
        || raw.weight_decay.is_some_and(bad)
    {
        return Some(told(raw, ceiling));
    }
    None
}

#[cold]
fn told(raw: &Raw, ceiling: f64) -> (FaultKind, String) {
    let values = [
        ("learning rate", Some(raw.learning_rate)),
        ("momentum", raw.momentum),
        ("weight decay", raw.weight_decay),
    ];
    for (what, value) in values {
        let Some(value) = value else { continue };
        let found = if !value.is_finite() {
            Some((FaultKind::NotFinite, "must be finite".to_owned()))
        } else if value < 0.0 {
            Some((FaultKind::Negative, "must not be negative".to_owned()))
        } else if what == "momentum" && value >= 1.0 {
            Some((FaultKind::OverCeiling, "must be below 1".to_owned()))
        } else if what == "learning rate" && (value > ceiling || ceiling.is_nan()) {
            let problem = format!("the study's `max_learning_rate` is {ceiling}");
            Some((FaultKind::OverCeiling, problem))
        } else {
            None
        };
        if let Some((kind, problem)) = found {
            return (kind, format!("its {what} is {value}: {problem}"));
        }
    }
    // It is called for an answer that is bad.
    (FaultKind::NotFinite, "its answer is bad".to_owned())
}
