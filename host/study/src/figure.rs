//! Pictures, as SVG or PNG: the path's ending decides. Everything that knows the plotting library is here.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Error;

/// A line, and the band around it.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What the legend or the panel calls it.
    pub name: String,
    /// Places and values, in rising order of the places.
    pub points: Vec<(f64, f64)>,
    /// The band's lower and upper edge at each point; empty for none.
    pub band: Vec<(f64, f64)>,
}

/// Colours that the colour-blind can tell apart (Paul Tol's muted scheme, and three more), in turn.
const COLOURS: [RGBColor; 12] = [
    RGBColor(51, 34, 136),
    RGBColor(204, 102, 119),
    RGBColor(17, 119, 51),
    RGBColor(170, 130, 40),
    RGBColor(68, 170, 153),
    RGBColor(136, 34, 85),
    RGBColor(80, 150, 200),
    RGBColor(153, 153, 51),
    RGBColor(170, 68, 153),
    RGBColor(230, 120, 30),
    RGBColor(120, 120, 120),
    RGBColor(100, 60, 20),
];
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Points of a line at most: each stands for the highest and the lowest of its stretch, so that spikes stay.
const POINTS: usize = 600;

/// One small panel a series, side by side, each on a vertical axis of its own: for shapes that would hide one another,
/// and that differ in size.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn panels(path: &Path, title: &str, x: &str, y: &str, series: &[Series]) -> Result<(), Error> {
    let columns = match series.len() {
        0..=1 => 1,
        2..=4 => 2,
        5..=6 => 3,
        _ => 4,
    };
    let rows = series.len().div_ceil(columns).max(1);
    let (xs, _) = bounds(series);
    draw(
        path,
        (260 * columns as u32 + 20, 170 * rows as u32 + 60),
        title,
        |area| {
            for (index, (cell, line)) in area
                .split_evenly((rows, columns))
                .iter()
                .zip(series)
                .enumerate()
            {
                let mut chart = ChartBuilder::on(cell)
                    .caption(&line.name, ("sans-serif", 15, &INK))
                    .margin(4)
                    .x_label_area_size(26)
                    .y_label_area_size(52)
                    .build_cartesian_2d(xs.clone(), bounds(std::slice::from_ref(line)).1)?;
                axes(
                    &mut chart,
                    3,
                    3,
                    if index + columns >= series.len() {
                        x
                    } else {
                        ""
                    },
                    if index % columns == 0 { y } else { "" },
                )?;
                chart.draw_series(LineSeries::new(
                    thinned(&line.points),
                    colour(index).stroke_width(1),
                ))?;
            }
            Ok(())
        },
    )
}

/// All series in one panel, with their bands, and a legend beside it.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn lines(path: &Path, title: &str, x: &str, y: &str, series: &[Series]) -> Result<(), Error> {
    let (xs, ys) = bounds(series);
    draw(path, (980, 480), title, |area| {
        let (plot, legend) = area.split_horizontally(810);
        let mut chart = ChartBuilder::on(&plot)
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(xs, ys)?;
        axes(&mut chart, 8, 6, x, y)?;
        for (index, line) in series.iter().enumerate() {
            if line.band.len() == line.points.len() && !line.band.is_empty() {
                let lower = line
                    .points
                    .iter()
                    .zip(&line.band)
                    .map(|(point, band)| (point.0, band.0));
                let upper = line
                    .points
                    .iter()
                    .zip(&line.band)
                    .rev()
                    .map(|(point, band)| (point.0, band.1));
                let outline: Vec<_> = lower.chain(upper).filter(|(_, y)| y.is_finite()).collect();
                chart.draw_series([Polygon::new(outline, colour(index).mix(0.15))])?;
            }
            chart.draw_series(LineSeries::new(
                thinned(&line.points),
                colour(index).stroke_width(2),
            ))?;
            // More series than colours: the second round is told apart by its place in the legend alone.
            let y = 20 + 22 * index as i32;
            legend.draw(&PathElement::new(
                vec![(0, y), (22, y)],
                colour(index).stroke_width(3),
            ))?;
            legend.draw(&Text::new(
                line.name.clone(),
                (28, y - 7),
                ("sans-serif", 14).into_font().color(&INK),
            ))?;
        }
        Ok(())
    })
}

/// A row of the table of dots.
#[derive(Debug, Clone)]
pub struct Dot {
    /// Its name.
    pub name: String,
    /// Its mean.
    pub mean: f64,
    /// Half of its interval, if it has one.
    pub half_width: Option<f64>,
    /// Every value.
    pub values: Vec<f64>,
}

/// A dot with its error bar for each row, the single values beside it, from the top in the rows' order.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn dots(path: &Path, title: &str, x: &str, rows: &[Dot]) -> Result<(), Error> {
    let ends = rows.iter().flat_map(|row| {
        let half = row.half_width.unwrap_or(0.0);
        row.values
            .iter()
            .copied()
            .chain([row.mean - half, row.mean + half])
    });
    let xs = padded(ends);
    let count = rows.len() as f64;
    draw(path, (820, 90 + 34 * rows.len() as u32), title, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(40)
            .y_label_area_size(130)
            .build_cartesian_2d(xs, 0.0..count)?;
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(8)
            .x_desc(x)
            .label_style(("sans-serif", 13, &INK))
            .draw()?;
        for (index, row) in rows.iter().enumerate() {
            let y = count - index as f64 - 0.5;
            let paint = colour(index);
            chart.draw_series(
                row.values
                    .iter()
                    .map(|&value| Circle::new((value, y - 0.22), 2, paint.mix(0.5).filled())),
            )?;
            if let Some(half) = row.half_width {
                let bar = vec![(row.mean - half, y), (row.mean + half, y)];
                chart.draw_series([PathElement::new(bar, paint.stroke_width(2))])?;
            }
            chart.draw_series([Circle::new((row.mean, y), 5, paint.filled())])?;
            let (_, top) = chart.backend_coord(&(row.mean, y));
            let (_, origin) = area.get_base_pixel();
            area.draw(&Text::new(
                names[index].clone(),
                (8, top - origin - 8),
                ("sans-serif", 14).into_font().color(&INK),
            ))?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure = Box<dyn std::error::Error>;
type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw(
    path: &Path,
    size: (u32, u32),
    title: &str,
    inside: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<(), Error> {
    let write = || -> Result<(), Failure> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            area.fill(&WHITE)?;
            let area = area.titled(title, ("sans-serif", 20).into_font().color(&INK))?;
            inside(&area)?;
            area.present()?;
        }
        let bytes = match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("svg") => svg.into_bytes(),
            Some("png") => crate::raster::png(&svg)?,
            _ => return Err("a picture's name ends in .svg or .png".into()),
        };
        Ok(std::fs::write(path, bytes)?)
    };
    write().map_err(|e| Error::Figure {
        path: path.to_owned(),
        problem: e.to_string(),
    })
}

fn axes(
    chart: &mut Chart<'_, '_>,
    x_labels: usize,
    y_labels: usize,
    x: &str,
    y: &str,
) -> Result<(), Failure> {
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_labels(x_labels)
        .y_labels(y_labels)
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 12, &INK))
        .draw()?;
    Ok(())
}

/// A number as an axis shows it: few digits, and powers of ten where it is far from 1.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if size >= 1e4 {
        format!("{}k", (value / 100.0).round() / 10.0)
    } else if size < 1e-2 {
        format!("{value:.0e}")
    } else {
        format!("{}", (value * 1e4).round() / 1e4)
    }
}

fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

fn bounds(series: &[Series]) -> (Range<f64>, Range<f64>) {
    let points = || series.iter().flat_map(|line| line.points.iter());
    let bands = series
        .iter()
        .flat_map(|line| line.band.iter())
        .flat_map(|band| [band.0, band.1]);
    let xs = span(points().map(|point| point.0));
    (xs, padded(points().map(|point| point.1).chain(bands)))
}

/// The range of the finite values, of which there may be none; never empty.
pub fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    match low.partial_cmp(&high) {
        Some(std::cmp::Ordering::Less) => low..high,
        Some(std::cmp::Ordering::Equal) => {
            low - 0.5 * low.abs().max(1e-3)..high + 0.5 * high.abs().max(1e-3)
        }
        _ => 0.0..1.0,
    }
}

fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let Range { start, end } = span(values);
    let room = 0.04 * (end - start);
    start - room..end + room
}

/// At most 600 points: of each stretch the lowest and the highest, in their order.
pub fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let points: Vec<_> = points
        .iter()
        .copied()
        .filter(|point| point.1.is_finite())
        .collect();
    if points.len() <= POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(POINTS / 2);
    points
        .chunks(stretch)
        .flat_map(|chunk| {
            let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
            let ends = [chunk.iter().min_by(by_value), chunk.iter().max_by(by_value)];
            let mut ends: Vec<_> = ends.into_iter().flatten().copied().collect();
            ends.sort_by(|a, b| a.0.total_cmp(&b.0));
            ends.dedup();
            ends
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_spikes() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 0.0)).collect();
        points[54_321].1 = 7.0;
        points[54_322].1 = f64::NAN;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS);
        assert!(thin.contains(&(54_321.0, 7.0)));
        assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
