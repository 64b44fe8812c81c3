//! A search: what every candidate came to at every rung.

use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters::prelude::*;

use super::{GRID, INK, LEGEND, colour, draw_under, padded, short, wrapped};
use crate::Error;

/// Pixels that the title takes.
const TITLE: i32 = 26;
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
    /// A small picture of it, as PNG, with its width and height.
    pub thumbnail: Option<(Vec<u8>, u32, u32)>,
}

/// Pixels of the legend's small pictures, across the longer side.
const THUMBNAIL: u32 = 64;

/// What the legend says of a candidate: where, and in which lines, and where its small picture is.
struct Entry {
    y: i32,
    lines: Vec<String>,
}

/// The legend's entries, and its small pictures as SVG, `left` pixels from the drawing's left.
fn legend(all: &[Climb], left: u32) -> (Vec<Entry>, String) {
    let (mut entries, mut pictures) = (Vec::new(), String::new());
    let mut y = 20;
    for climb in all {
        let lines = wrapped(&climb.name, 30);
        let next = y + 15 * lines.len() as i32;
        entries.push(Entry { y, lines });
        y = next + 7;
        if let Some((png, width, height)) = &climb.thumbnail {
            let scale = f64::from(THUMBNAIL) / f64::from((*width).max(*height).max(1));
            let (wide, high) = (f64::from(*width) * scale, f64::from(*height) * scale);
            // The title takes some of the drawing's top.
            let (x, top) = (left + 28, next + TITLE - 8);
            let _ = writeln!(
                pictures,
                "<image x=\"{x}\" y=\"{top}\" width=\"{wide:.0}\" height=\"{high:.0}\" \
                 href=\"data:image/png;base64,{}\"/>",
                STANDARD.encode(png)
            );
            y += high as i32 + 8;
        }
    }
    (entries, pictures)
}

/// Values against budgets, a line a candidate, the best first: grey, but for the nine that came furthest. Budgets stand at
/// equal distances: each is a multiple of the one before.
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
    let named = NAMED.min(all.len());
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
    let (entries, pictures) = legend(&all[..named], 980 - LEGEND);
    let bottom = entries.last().map_or(0, |entry| entry.y);
    let height = 500.max(bottom as u32 + THUMBNAIL + 80);
    draw_under(path, (980, height), title, &pictures, |area| {
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
            .x_labels(budgets.len())
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
        for (place, entry) in entries.iter().enumerate() {
            let (thick, mut y) = (if place == 0 { 4 } else { 3 }, entry.y);
            legend.draw(&PathElement::new(
                vec![(0, y), (22, y)],
                colour(place).stroke_width(thick),
            ))?;
            for line in &entry.lines {
                let style = ("sans-serif", 13).into_font().color(&INK);
                legend.draw(&Text::new(line.clone(), (28, y - 7), style))?;
                y += 15;
            }
        }
        if all.len() > named {
            let rest = format!("grey: the {} others", all.len() - named);
            let style = ("sans-serif", 13).into_font().color(&INK.mix(0.75));
            let (_, height) = legend.dim_in_pixel();
            legend.draw(&Text::new(rest, (28, height as i32 - 30), style))?;
        }
        Ok(())
    })
}
