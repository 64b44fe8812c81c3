//! Against scipy's and statsmodels' numbers, which `tests/golden/make_statistics.py` writes.

use serde_json::Value;

use super::*;

fn golden(part: &str) -> Vec<Value> {
    let text = include_str!("../../tests/golden/statistics.json");
    let all: Value = serde_json::from_str(text).unwrap();
    all[part].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap();
    all.iter().map(|number| number.as_f64().unwrap()).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3)
}

#[test]
fn intervals_agree_with_scipy() {
    for case in golden("intervals") {
        let values = numbers(&case["values"]);
        let found = estimate(&values).unwrap();
        let (half, ends) = (found.half_width.unwrap(), numbers(&case["t"]));
        assert!(
            close(found.mean - half, ends[0]) && close(found.mean + half, ends[1]),
            "{case}"
        );
        assert!(
            close(
                found.deviation.unwrap(),
                case["deviation"].as_f64().unwrap()
            ),
            "{case}"
        );
        let (found, ends) = (bca(&values).unwrap(), numbers(&case["bca"]));
        assert!(
            close(found[0], ends[0]) && close(found[1], ends[1]),
            "{case}: {found:?}"
        );
    }
}

#[test]
fn paired_tests_agree_with_scipy() {
    for case in golden("paired") {
        let found = paired(&numbers(&case["differences"])).unwrap();
        assert!(
            close(found.p_t.unwrap(), case["p_t"].as_f64().unwrap()),
            "{case}: {found:?}"
        );
        match (found.p_flip, case["p_flip"].as_f64()) {
            (Some(found), Some(expected)) => assert!(close(found, expected), "{case}: {found}"),
            (found, expected) => assert_eq!(found, expected, "{case}"),
        }
    }
}

#[test]
fn holm_agrees_with_statsmodels() {
    for case in golden("holm") {
        let p_values: Vec<Option<f64>> = numbers(&case["p"]).into_iter().map(Some).collect();
        for (found, expected) in holm(&p_values).iter().zip(numbers(&case["corrected"])) {
            assert!(close(found.unwrap(), expected), "{case}");
        }
    }
    // What was not tested is no comparison.
    assert_eq!(
        holm(&[None, Some(0.02), None, Some(0.03)]),
        [None, Some(0.04), None, Some(0.04)]
    );
    assert_eq!(holm(&[]), []);
}

#[test]
fn power_agrees_with_statsmodels() {
    for case in golden("power") {
        let number = |key: &str| case[key].as_f64().unwrap();
        let pairs = case["pairs"].as_u64().unwrap() as usize;
        let found = power(number("effect"), pairs, number("alpha"));
        assert!((found - number("power")).abs() < 1e-9, "{case}: {found}");
    }
    for case in golden("needed") {
        let number = |key: &str| case[key].as_f64().unwrap();
        let found = pairs_needed(number("effect"), number("alpha"));
        let expected = case["pairs"].as_u64().map(|pairs| pairs as usize);
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn the_detectable_effect_has_the_power_that_was_asked_for() {
    for (pairs, alpha) in [(2, 0.05), (3, 0.005), (20, 0.05)] {
        let effect = detectable(pairs, alpha).unwrap();
        assert!(
            close(power(effect, pairs, alpha), POWER),
            "{pairs} at {alpha}: {effect}"
        );
        assert!(pairs_needed(1.001 * effect, alpha).unwrap() <= pairs);
    }
    assert_eq!(detectable(1, 0.05), None);
}

#[test]
fn few_or_equal_values_say_little() {
    assert_eq!(estimate(&[]), None);
    let one = estimate(&[0.5]).unwrap();
    assert_eq!((one.mean, one.half_width, one.deviation), (0.5, None, None));
    assert_eq!((bca(&[0.5, 0.6]), bca(&[0.5; 4])), (None, None));
    assert_eq!(paired(&[]), None);
    assert_eq!(paired(&[0.01]).unwrap().p_t, None);
    // 0.3 - 0.2 and 0.2 - 0.1 differ by their rounding alone.
    assert_eq!(paired(&[0.3 - 0.2, 0.2 - 0.1]).unwrap().p_t, None);
    assert_eq!(pairs_needed(0.0, 0.05), None);
    assert_eq!(pairs_needed(f64::NAN, 0.05), None);
}

#[test]
fn many_pairs_are_flipped_by_drawn_signs_and_alike_each_time() {
    let differences: Vec<f64> = (0..40)
        .map(|i| 0.02 + 0.01 * f64::from(i % 7 - 3))
        .collect();
    let found = paired(&differences).unwrap();
    assert_eq!(found.p_flip, Some(1e-4));
    assert_eq!(found, paired(&differences).unwrap());
    let mixed: Vec<f64> = (0..40)
        .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    assert!(paired(&mixed).unwrap().p_flip.unwrap() > 0.9);
}

#[test]
fn a_bootstrap_of_many_values_is_close_to_students_interval() {
    let values: Vec<f64> = (0..30).map(|i| f64::from(i * 37 % 30)).collect();
    let (found, t) = (bca(&values).unwrap(), estimate(&values).unwrap());
    let half = t.half_width.unwrap();
    assert!(
        (found[0] - (t.mean - half)).abs() < 0.1 * half,
        "{found:?} {t:?}"
    );
    assert!(
        (found[1] - (t.mean + half)).abs() < 0.1 * half,
        "{found:?} {t:?}"
    );
}
