//! What the page's script draws, as JSON within the page.

use serde_json::{Value, json};

use crate::figure::palette;
use crate::report::stretches::Point;
use crate::report::trace::Trace;

/// A chart of the page.
pub(super) struct Chart {
    /// Its element's name, behind `chart-`.
    pub(super) id: &'static str,
    /// What stands over it.
    pub(super) title: &'static str,
    unit: &'static str,
    points: fn(&Trace) -> &[Point],
}

pub(super) const CHARTS: [Chart; 3] = [
    Chart {
        id: "rates",
        title: "Learning rate of the first seed",
        unit: "learning rate",
        points: |trace| &trace.rates,
    },
    Chart {
        id: "losses",
        title: "Training loss",
        unit: "cross-entropy, nats",
        points: |trace| &trace.losses,
    },
    Chart {
        id: "accuracies",
        title: "Accuracy",
        unit: "accuracy, %",
        points: |trace| &trace.accuracies,
    },
];

/// The curves of all labels. A `<` would let a label end the element that holds them.
pub(super) fn curves(labels: &[&str], traces: &[Trace]) -> String {
    let charts: Vec<Value> = CHARTS
        .iter()
        .map(|chart| {
            let series: Vec<Value> = traces
                .iter()
                .enumerate()
                .map(|(label, trace)| series(label, (chart.points)(trace)))
                .collect();
            json!({ "id": chart.id, "unit": chart.unit, "series": series })
        })
        .collect();
    let data = json!({ "labels": labels, "colours": palette::colours().len(), "charts": charts });
    data.to_string().replace('<', "\\u003c")
}

fn series(label: usize, points: &[Point]) -> Value {
    let all = |value: fn(&Point) -> f64| -> Vec<Value> {
        points.iter().map(|point| number(value(point))).collect()
    };
    let mut series = json!({ "label": label, "step": all(|point| point.step), "value": all(|point| point.value) });
    if points.iter().any(|point| point.low != point.high) {
        series["low"] = all(|point| point.low).into();
        series["high"] = all(|point| point.high).into();
    }
    series
}

/// A number to six digits: more than a screen shows, and half as long. What is no number is left open.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Value::from(value as i64);
    }
    let rounded: Option<f64> = format!("{value:.5e}").parse().ok();
    rounded
        .filter(|value| value.is_finite())
        .map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_labels_cannot_leave_their_element() {
        assert_eq!(number(0.001_234_567_89).to_string(), "0.00123457");
        assert_eq!(number(1_500.0).to_string(), "1500");
        assert_eq!(number(f64::NAN), Value::Null);
        let text = curves(&["</script><script>alert(1)</script>"], &[Trace::default()]);
        assert!(!text.contains('<'), "{text}");
        let data: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(data["labels"][0], "</script><script>alert(1)</script>");
        assert_eq!(data["charts"].as_array().unwrap().len(), 3);
    }
}
