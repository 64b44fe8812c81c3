//! A chart of dots in text.

use pixelrate_study::figure::{Series, short, span, thinned};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::symbols::Marker;
use ratatui_core::text::Line;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};

/// Lines of a chart, its axis included.
const HEIGHT: u16 = 12;

/// `series` in `width` columns, its name above it.
pub(crate) fn chart(series: &Series, width: u16) -> String {
    let points = thinned(&series.points);
    let xs = span(points.iter().map(|point| point.0));
    let ys = span(points.iter().map(|point| point.1));
    let axis = |range: &std::ops::Range<f64>| {
        let labels = [range.start, range.end].map(|value| Line::from(short(value)));
        Axis::default()
            .bounds([range.start, range.end])
            .labels(labels)
    };
    let line = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .data(&points);
    let chart = Chart::new(vec![line]).x_axis(axis(&xs)).y_axis(axis(&ys));
    let area = Rect::new(0, 0, width, HEIGHT);
    let mut cells = Buffer::empty(area);
    chart.render(area, &mut cells);
    let lines = cells.content().chunks(usize::from(width)).map(|row| {
        let text: String = row.iter().map(|cell| cell.symbol()).collect();
        format!("{}\n", text.trim_end())
    });
    format!("{}\n{}", series.name, lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_line_goes_from_the_lower_left_to_the_upper_right() {
        let series = Series {
            name: "warm-up".to_owned(),
            points: (0..=1000)
                .map(|i| (f64::from(i), 1e-4 * f64::from(i)))
                .collect(),
            band: Vec::new(),
            marks: Vec::new(),
        };
        let text = chart(&series, 60);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            (lines[0], lines.len()),
            ("warm-up", 1 + usize::from(HEIGHT))
        );
        assert!(lines[1].starts_with("0.1"), "{text}");
        let dots = |line: &str| {
            line.chars()
                .position(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
        };
        assert!(
            dots(lines[1]) > Some(50) && dots(lines[10]) < Some(12),
            "{text}"
        );
        assert!(
            lines[12].contains('0') && lines[12].ends_with("1000"),
            "{text}"
        );
    }
}
