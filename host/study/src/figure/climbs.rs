//! A search: what every candidate came to at every rung.

use std::path::Path;

use plotters::prelude::*;

use super::{GRID, INK, LEGEND, colour, draw, padded, short, wrapped};
use crate::Error;

/// Candidates of the legend.
const NAMED: usize = 9;

/// A candidate on its way up.
#[derive(Debug, Clone)]
pub struct Climb {
    /// What the legend calls it.
    pub name: String,
    /// The rung, from 0, the value there, and half of its interval.
    pub points: Vec<(usize, f64, f64)>,
    /// Whether it came to the last rung.
    pub finished: bool,
}

/// Values against budgets, a line a candidate, the best first: grey, but for those that came to the last rung, or, if it
/// is one alone, the nine that came furthest. Budgets stand at equal distances: each is a multiple of the one before.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn climbs(
    path: &Path,
    title: &str,
    y: &str,
    budgets: &[f64],
    all: &[Climb],
) -> Result<(), Error> {
    let finished = all.iter().filter(|climb| climb.finished).count();
    let named = finished.clamp(NAMED.min(all.len()), NAMED);
    let ends = all
        .iter()
        .enumerate()
        .flat_map(|(place, climb)| {
            let bars = if place < finished { 1.0 } else { 0.0 };
            climb
                .points
                .iter()
                .map(move |&(_, value, half)| (value, bars * half))
        })
        .flat_map(|(value, half)| [value - half, value + half]);
    let ys = padded(ends);
    let last = budgets.len().saturating_sub(1) as f64;
    draw(path, (980, 500), title, |area| {
        let (plot, legend) = area.split_horizontally(980 - LEGEND);
        let mut chart = ChartBuilder::on(&plot)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(-0.25..last + 0.25, ys)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_labels(budgets.len() + 1)
            .y_labels(8)
            .x_desc("epochs by the rung's end")
            .y_desc(y)
            .x_label_formatter(&|&place| {
                let whole = place.fract() == 0.0 && (0.0..=last).contains(&place);
                let budget = whole.then(|| budgets[place as usize]);
                budget.map_or_else(String::new, |epochs| short((epochs * 1e3).round() / 1e3))
            })
            .y_label_formatter(&|value| short(*value))
            .label_style(("sans-serif", 12, &INK))
            .draw()?;
        // The best lie on top.
        for (place, climb) in all.iter().enumerate().rev() {
            let (paint, thick) = match place {
                place if place >= named => (INK.mix(0.22), 1),
                0 => (colour(0).to_rgba(), 4),
                place => (colour(place).to_rgba(), 2),
            };
            let at = |rung: usize, value: f64| (rung as f64, value);
            let points: Vec<_> = climb.points.iter().map(|p| at(p.0, p.1)).collect();
            chart.draw_series(LineSeries::new(points.clone(), paint.stroke_width(thick)))?;
            let size = if place < named { 4 } else { 2 };
            let dots = points
                .into_iter()
                .map(|p| Circle::new(p, size, paint.filled()));
            chart.draw_series(dots)?;
            if place < finished {
                // Beside one another, so that none hides another.
                let aside = 0.03 * (place as f64 - 0.5 * (finished - 1) as f64).clamp(-6.0, 6.0);
                let bars =
                    climb
                        .points
                        .iter()
                        .filter(|point| point.2 > 0.0)
                        .map(|&(r, v, half)| {
                            let x = r as f64 + aside;
                            PathElement::new(
                                vec![(x, v - half), (x, v + half)],
                                paint.stroke_width(1),
                            )
                        });
                chart.draw_series(bars)?;
            }
        }
        let mut y = 20;
        for (place, climb) in all.iter().take(named).enumerate() {
            let thick = if place == 0 { 4 } else { 3 };
            legend.draw(&PathElement::new(
                vec![(0, y), (22, y)],
                colour(place).stroke_width(thick),
            ))?;
            for line in wrapped(&climb.name, 30) {
                let style = ("sans-serif", 13).into_font().color(&INK);
                legend.draw(&Text::new(line, (28, y - 7), style))?;
                y += 15;
            }
            y += 7;
        }
        if all.len() > named {
            let rest = format!("grey: {} more, dropped", all.len() - named);
            let style = ("sans-serif", 13).into_font().color(&INK.mix(0.75));
            legend.draw(&Text::new(rest, (28, y - 7), style))?;
        }
        Ok(())
    })
}
