//! A learning-rate range test: loss against rate, on a logarithmic axis.

use std::path::Path;

use plotters::prelude::*;

use super::{GRID, INK, colour, draw, short, span};
use crate::Error;

/// What a range test saw. All points are (rate, loss), the rates above 0 and rising.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// The losses as they were, a line a run.
    pub raw: Vec<Vec<(f64, f64)>>,
    /// The smoothed loss, mean over the runs.
    pub smoothed: Vec<(f64, f64)>,
    /// The least and the greatest smoothed loss of a run, at each point of the mean.
    pub band: Vec<(f64, f64)>,
    /// What is suggested.
    pub marks: Vec<Mark>,
}

/// A rate that is marked.
#[derive(Debug, Clone)]
pub struct Mark {
    /// What the legend calls it.
    pub name: String,
    /// The rate.
    pub rate: f64,
    /// The loss there.
    pub loss: f64,
}

/// Draws a range test.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn rates(path: &Path, title: &str, rates: &Rates) -> Result<(), Error> {
    // An axis of decades, whose labels are powers of ten.
    let place = |rate: f64| rate.log10();
    let raw = || rates.raw.iter().flatten();
    let xs = span(raw().chain(&rates.smoothed).map(|point| place(point.0)));
    let ys = heights(rates);
    let top = ys.end;
    let decades = (xs.end - xs.start).ceil() as usize + 1;
    draw(path, (980, 500), title, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_labels(decades)
            .y_labels(8)
            .x_desc("learning rate")
            .y_desc("training loss, nats")
            .x_label_formatter(&|&power| {
                let rate = 10_f64.powf(power);
                if (power - power.round()).abs() < 1e-9 && power.abs() > 1.5 {
                    format!("1e{}", power.round())
                } else {
                    format!("{}", format!("{rate:.1e}").parse().unwrap_or(rate))
                }
            })
            .y_label_formatter(&|value| short(*value))
            .label_style(("sans-serif", 12, &INK))
            .draw()?;
        let fit = |&(rate, loss): &(f64, f64)| (place(rate), loss.min(top));
        for run in &rates.raw {
            let line = LineSeries::new(run.iter().map(fit), INK.mix(0.22).stroke_width(1));
            chart.draw_series(line)?;
        }
        let paint = colour(0);
        if rates.raw.len() > 1 {
            let edges = || rates.smoothed.iter().zip(&rates.band);
            let lower = edges().map(|(point, band)| fit(&(point.0, band.0)));
            let upper = edges().rev().map(|(point, band)| fit(&(point.0, band.1)));
            let outline: Vec<_> = lower.chain(upper).collect();
            chart.draw_series([Polygon::new(outline, paint.mix(0.18))])?;
        }
        let mean = LineSeries::new(rates.smoothed.iter().map(fit), paint.stroke_width(3));
        chart
            .draw_series(mean)?
            .label(if rates.raw.len() > 1 {
                "smoothed, mean of the runs; band: least to greatest"
            } else {
                "smoothed"
            })
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 18, y)], paint.stroke_width(3))
            });
        let bottom = chart.y_range().start;
        for (index, mark) in rates.marks.iter().enumerate() {
            let paint = colour(index + 1);
            let x = place(mark.rate);
            chart.draw_series(DashedLineSeries::new(
                [(x, bottom), (x, top)],
                5,
                4,
                paint.stroke_width(1),
            ))?;
            chart
                .draw_series([Circle::new((x, mark.loss.min(top)), 5, paint.filled())])?
                .label(format!("{}: {}", mark.name, three_digits(mark.rate)))
                .legend(move |(x, y)| Circle::new((x + 9, y), 5, paint.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(("sans-serif", 14, &INK))
            .margin(10)
            .draw()?;
        Ok(())
    })
}

/// From the least loss to somewhat above what the smoothed loss was before its least: how far an explosion goes after it
/// tells nothing, and would press all that does into one line.
fn heights(rates: &Rates) -> std::ops::Range<f64> {
    let smoothed = &rates.smoothed;
    let least = (0..smoothed.len()).min_by(|&a, &b| smoothed[a].1.total_cmp(&smoothed[b].1));
    let before = least.map_or(0, |least| least + 1);
    let bands = rates
        .band
        .iter()
        .take(before)
        .flat_map(|band| [band.0, band.1]);
    let means = smoothed.iter().take(before).map(|point| point.1);
    let seen = span(means.chain(bands));
    let raw = rates.raw.iter().flatten().map(|point| point.1);
    let bottom = span(raw).start.min(seen.start);
    let room = 0.25 * (seen.end - bottom);
    bottom - 0.2 * room..seen.end + room
}

/// A rate as people write it.
fn three_digits(rate: f64) -> String {
    let rounded: f64 = format!("{rate:.2e}").parse().unwrap_or(rate);
    if (1e-3..1e4).contains(&rounded) {
        format!("{rounded}")
    } else {
        format!("{rounded:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explosion_leaves_room_for_what_was_before_it() {
        let smoothed = vec![(1e-3, 2.3), (1e-2, 2.0), (0.1, 1.5), (1.0, 40.0)];
        let shown = heights(&Rates {
            raw: vec![vec![(1e-3, 2.4), (1e-2, 1.8), (0.1, 1.0), (1.0, 900.0)]],
            band: smoothed.iter().map(|point| (point.1, point.1)).collect(),
            smoothed,
            marks: Vec::new(),
        });
        assert!(shown.start < 1.0 && shown.start > 0.5, "{shown:?}");
        assert!(shown.end > 2.3 && shown.end < 3.0, "{shown:?}");
    }

    #[test]
    fn rates_are_written_as_people_do() {
        assert_eq!(three_digits(0.012_345), "0.0123");
        assert_eq!(three_digits(1.234_5e-5), "1.23e-5");
        assert_eq!(three_digits(10.0), "10");
    }
}
