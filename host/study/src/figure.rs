//! Pictures, as SVG or PNG: the path's ending decides. Everything that knows the plotting library is here.

mod bars;
mod climbs;
pub(crate) mod palette;
mod rates;

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::Error;
pub use bars::{bars, differences, dots};
pub use climbs::{Climb, climbs};
use palette::{GRID_COLOUR as GRID, INK_COLOUR as INK, colour};
pub use rates::{Mark, Rates, rates};

/// A line, and the band around it.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What the legend or the panel calls it.
    pub name: String,
    /// Places and values, in rising order of the places.
    pub points: Vec<(f64, f64)>,
    /// The band's lower and upper edge at each point; empty for none.
    pub band: Vec<(f64, f64)>,
    /// Places where something happened, for an upright line each. Panels alone show them.
    pub marks: Vec<f64>,
}

/// Points of a line at most: each stands for the highest and the lowest of its stretch, so that spikes stay.
pub(crate) const POINTS: usize = 600;
/// Upright lines of a panel at most that go from its bottom to its top.
const UPRIGHTS: usize = 24;
/// Pixels that a legend is wide.
const LEGEND: u32 = 250;
/// Letters of a line's name beside a plot that fit into one row.
const LETTERS: usize = 20;

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
        // Wide enough for the title, too.
        ((260 * columns as u32 + 20).max(600), 180 * rows as u32 + 60),
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
                    .x_label_area_size(36)
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
                let uprights: Vec<_> = (line.marks.iter())
                    .map(|&place| upright(place, line.marks.len(), &chart.y_range()))
                    .map(|ends| PathElement::new(ends, INK.mix(0.45)))
                    .collect();
                chart.draw_series(uprights)?;
                chart.draw_series(band(line, colour(index)))?;
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
    let names: Vec<Vec<String>> = series
        .iter()
        .map(|line| wrapped(&line.name, LETTERS))
        .collect();
    let rows: usize = names.iter().map(Vec::len).sum();
    let height = 480.max(60 + 22 * rows as u32);
    draw(path, (980, height), title, |area| {
        let (plot, legend) = area.split_horizontally(810);
        let mut chart = ChartBuilder::on(&plot)
            .margin(8)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(xs, ys)?;
        axes(&mut chart, 8, 6, x, y)?;
        let mut below = 20;
        for (index, line) in series.iter().enumerate() {
            chart.draw_series(band(line, colour(index)))?;
            let style = colour(index).stroke_width(2);
            let y = below;
            match palette::DASHES[index % palette::DASHES.len()] {
                None => {
                    chart.draw_series(LineSeries::new(thinned(&line.points), style))?;
                    legend.draw(&PathElement::new(vec![(0, y), (22, y)], style))?;
                }
                Some((dash, room)) => {
                    let points = thinned(&line.points);
                    chart.draw_series(DashedLineSeries::new(points, dash, room, style))?;
                    let dashes = (0..22).step_by((dash + room) as usize);
                    for x in dashes {
                        let end = (x + dash as i32).min(22);
                        legend.draw(&PathElement::new(vec![(x, y), (end, y)], style))?;
                    }
                }
            }
            for part in &names[index] {
                legend.draw(&Text::new(
                    part.clone(),
                    (28, below - 7),
                    ("sans-serif", 14).into_font().color(&INK),
                ))?;
                below += 16;
            }
            below += 6;
        }
        Ok(())
    })
}

/// The area of a line's band, if it has one.
fn band(line: &Series, paint: RGBColor) -> Option<Polygon<(f64, f64)>> {
    if line.band.is_empty() || line.band.len() != line.points.len() {
        return None;
    }
    let edge = |of: fn(&(f64, f64)) -> f64| {
        let places = line.points.iter().zip(&line.band);
        let all: Vec<_> = places.map(|(point, band)| (point.0, of(band))).collect();
        thinned(&all)
    };
    let (lower, upper) = (edge(|band| band.0), edge(|band| band.1));
    let outline: Vec<_> = lower.into_iter().chain(upper.into_iter().rev()).collect();
    Some(Polygon::new(outline, paint.mix(0.15)))
}

/// A row of the table of dots.
#[derive(Debug, Clone)]
pub struct Dot {
    /// Its name.
    pub name: String,
    /// Its place in the palette: that of its curves.
    pub colour: usize,
    /// Its mean.
    pub mean: f64,
    /// Half of its interval, if it has one.
    pub half_width: Option<f64>,
    /// Every value.
    pub values: Vec<f64>,
}

/// From where to where one of `count` upright lines goes: many would hide what they mark, and shrink to ticks.
fn upright(place: f64, count: usize, ys: &Range<f64>) -> Vec<(f64, f64)> {
    let share = if count > UPRIGHTS { 0.12 } else { 1.0 };
    vec![
        (place, ys.start),
        (place, ys.start + share * (ys.end - ys.start)),
    ]
}

/// One trunk and what was forked from it, for two panels over one axis of steps.
#[derive(Debug, Clone, Default)]
pub struct Family {
    /// What the panels call it.
    pub title: String,
    /// What it came to: the trunk's line first.
    pub upper: Vec<Series>,
    /// Learning rates.
    pub lower: Vec<Series>,
    /// Where branches begin: the step, and the value there, if it is known.
    pub forks: Vec<(f64, Option<f64>)>,
}

/// A line of a legend. Series of its name have its colour.
#[derive(Debug, Clone)]
pub struct Legend {
    /// What is named.
    pub name: String,
    /// What stands below it, in small print.
    pub note: String,
}

/// Families beside and below one another: `value` against the step, and the learning rates beneath, on a logarithmic
/// axis where they differ much. The first of the legend's names is that of the trunks.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn families(path: &Path, value: &str, all: &[Family], legend: &[Legend]) -> Result<(), Error> {
    let columns = match all.len() {
        0 | 1 => 1,
        2 | 4 => 2,
        _ => 3,
    };
    let (width, height) = if columns == 1 { (720, 580) } else { (420, 440) };
    let rows = all.len().div_ceil(columns).max(1);
    let plots = width * columns as u32;
    let size = (
        plots + LEGEND,
        (height * rows as u32).max(40 * legend.len() as u32) + 40,
    );
    let title = match all {
        [only] => format!("{} and its branches", only.title),
        _ => "Branches beside their trunks".to_owned(),
    };
    draw(path, size, &title, |area| {
        let (left, right) = area.split_horizontally(plots);
        for (cell, family) in left.split_evenly((rows, columns)).iter().zip(all) {
            let cell = match all {
                [_] => cell.clone(),
                _ => cell.titled(&family.title, ("sans-serif", 15).into_font().color(&INK))?,
            };
            one_family(&cell, value, family, legend)?;
        }
        let mut y = 24;
        for (index, entry) in legend.iter().enumerate() {
            let (paint, thick) = kin(index);
            right.draw(&PathElement::new(
                vec![(12, y), (36, y)],
                paint.stroke_width(thick + 1),
            ))?;
            for line in wrapped(&entry.name, 26) {
                let style = ("sans-serif", 14).into_font().color(&INK);
                right.draw(&Text::new(line, (44, y - 8), style))?;
                y += 16;
            }
            let style = ("sans-serif", 12).into_font().color(&INK.mix(0.75));
            right.draw(&Text::new(entry.note.clone(), (44, y - 7), style))?;
            y += 26;
        }
        Ok(())
    })
}

fn one_family(
    cell: &Area<'_>,
    value: &str,
    family: &Family,
    legend: &[Legend],
) -> Result<(), Failure> {
    let (_, height) = cell.dim_in_pixel();
    let (upper, lower) = cell.split_vertically(height * 3 / 5);
    let (xs, ys) = bounds(&family.upper);
    let (places, rates) = bounds(&family.lower);
    let xs = xs.start.min(places.start)..xs.end.max(places.end);
    let mut chart = ChartBuilder::on(&upper)
        .margin(8)
        .margin_top(22)
        .x_label_area_size(8)
        .y_label_area_size(60)
        .build_cartesian_2d(xs.clone(), ys.clone())?;
    axes(&mut chart, 6, 6, "", value)?;
    forked(&mut chart, family)?;
    kindred(&mut chart, &family.upper, legend)?;
    for &(place, value) in &family.forks {
        if let Some(value) = value {
            chart.draw_series([
                Circle::new((place, value), 5, WHITE.filled()),
                Circle::new((place, value), 5, INK.stroke_width(2)),
            ])?;
        }
    }
    // Names of forks that stand close to one another would cover one another.
    let mut free = f64::NEG_INFINITY;
    let mut forks: Vec<f64> = family.forks.iter().map(|fork| fork.0).collect();
    forks.sort_by(f64::total_cmp);
    for place in forks {
        if place < free {
            continue;
        }
        let (x, y) = chart.backend_coord(&(place, ys.end));
        let (left, top) = upper.get_base_pixel();
        let style = ("sans-serif", 12).into_font().color(&INK);
        let name = format!("step {place}");
        let middle = x - left - 3 * name.len() as i32;
        upper.draw(&Text::new(name, (middle, y - top - 15), style))?;
        free = place + 0.13 * (xs.end - xs.start);
    }
    let mut below = ChartBuilder::on(&lower);
    below.margin(8).x_label_area_size(40).y_label_area_size(60);
    match logarithmic(&family.lower) {
        Some(rates) => {
            let mut chart = below.build_cartesian_2d(xs, rates.clone().log_scale())?;
            axes(&mut chart, 6, 4, "step", "learning rate")?;
            forked(&mut chart, family)?;
            // What an axis of powers cannot show lies on its lowest line.
            let mut raised = family.lower.clone();
            for point in raised.iter_mut().flat_map(|line| line.points.iter_mut()) {
                point.1 = point.1.max(rates.start);
            }
            kindred(&mut chart, &raised, legend)
        }
        None => {
            let mut chart = below.build_cartesian_2d(xs, rates)?;
            axes(&mut chart, 6, 4, "step", "learning rate")?;
            forked(&mut chart, family)?;
            kindred(&mut chart, &family.lower, legend)
        }
    }
}

/// The axis for values that differ by more than a factor of 20, over four powers of ten at the most; `None` for others.
fn logarithmic(series: &[Series]) -> Option<Range<f64>> {
    let values = series.iter().flat_map(|line| line.points.iter());
    let Range { start, end } = span(values.map(|point| point.1).filter(|value| *value > 0.0));
    let start = start.max(end * 1e-4);
    if !(start > 0.0 && end > 20.0 * start) {
        return None;
    }
    // A power of ten just above the highest line gives it a number to be read against.
    let power = 10_f64.powf(end.log10().ceil());
    let top = if power < 3.0 * end { power } else { end };
    Some(start / 1.3..top * 1.3)
}

/// Upright, broken lines where branches begin.
fn forked<Y>(chart: &mut Chart<'_, '_, Y>, family: &Family) -> Result<(), Failure>
where
    Y: Ranged<ValueType = f64>,
{
    let ends = chart.y_range();
    for (place, _) in &family.forks {
        chart.draw_series(DashedLineSeries::new(
            [(*place, ends.start), (*place, ends.end)],
            4,
            4,
            INK.mix(0.6).stroke_width(1),
        ))?;
    }
    Ok(())
}

/// Lines in their legend's colours; the trunk's lies below the others.
fn kindred<Y>(
    chart: &mut Chart<'_, '_, Y>,
    lines: &[Series],
    legend: &[Legend],
) -> Result<(), Failure>
where
    Y: Ranged<ValueType = f64>,
{
    for line in lines {
        let index = legend.iter().position(|entry| entry.name == line.name);
        let (paint, thick) = kin(index.unwrap_or(0));
        let style = paint.stroke_width(thick);
        chart.draw_series(LineSeries::new(thinned(&line.points), style))?;
    }
    Ok(())
}

/// Colour and thickness of a legend's line: the trunk is black, and thicker than its branches.
fn kin(index: usize) -> (RGBColor, u32) {
    match index.checked_sub(1) {
        None => (INK, 3),
        Some(branch) => (colour(branch), 2),
    }
}

/// A name in lines of at most about `width` letters, broken after what joins its words.
fn wrapped(name: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_inclusive(['-', ' ', ',', '_', '+']) {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() || line.chars().count() + word.chars().count() <= width {
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure = Box<dyn std::error::Error>;
type Chart<'a, 'b, Y = RangedCoordf64> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;

fn draw(
    path: &Path,
    size: (u32, u32),
    title: &str,
    inside: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Result<(), Error> {
    draw_under(path, size, title, "", inside)
}

/// As [`draw`], with more elements of SVG on top: what the plotting library cannot draw.
fn draw_under(
    path: &Path,
    size: (u32, u32),
    title: &str,
    over: &str,
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
        if let Some(end) = svg.rfind("</svg>") {
            svg.insert_str(end, over);
        }
        save(path, svg)
    };
    write().map_err(|e| Error::Figure {
        path: path.to_owned(),
        problem: e.to_string(),
    })
}

/// Writes a drawing's text to a file, as SVG or PNG: the path's ending decides.
pub(crate) fn write(path: &Path, svg: &str) -> Result<(), Error> {
    save(path, svg.to_owned()).map_err(|e| Error::Figure {
        path: path.to_owned(),
        problem: e.to_string(),
    })
}

fn save(path: &Path, svg: String) -> Result<(), Failure> {
    let bytes = match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("svg") => svg.into_bytes(),
        Some("png") => crate::raster::png(&svg)?,
        _ => return Err("a picture's name ends in .svg or .png".into()),
    };
    Ok(std::fs::write(path, bytes)?)
}

fn axes<Y>(
    chart: &mut Chart<'_, '_, Y>,
    x_labels: usize,
    y_labels: usize,
    x: &str,
    y: &str,
) -> Result<(), Failure>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
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

/// A number as an axis shows it: few digits, thousands as `k`, millions as `M`, and powers of ten where it is very small.
pub fn short(value: f64) -> String {
    let size = value.abs();
    // What adding up an axis' steps leaves of 0 is no number that anybody meant.
    if size < 1e-15 {
        "0".to_owned()
    } else if size >= 1e7 {
        format!("{}M", (value / 1e5).round() / 10.0)
    } else if size >= 1e4 {
        format!("{}k", (value / 100.0).round() / 10.0)
    } else if size < 1e-2 {
        format!("{value:.1e}").replace(".0e", "e")
    } else {
        format!("{}", (value * 1e4).round() / 1e4)
    }
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
            let room = if low == 0.0 { 1e-3 } else { low.abs() };
            low - 0.5 * room..high + 0.5 * room
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
    points.chunks(stretch).flat_map(extremes).collect()
}

/// The lowest and the highest of some points, in their order; one where all are alike, none of none.
pub fn extremes(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    let ends = [
        points.iter().min_by(by_value),
        points.iter().max_by(by_value),
    ];
    let mut ends: Vec<_> = ends.into_iter().flatten().copied().collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    ends.dedup();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_short_numbers() {
        let numbers = [0.0, 0.00025, 0.3, 9_765.0, 97_656.0, 2.5e7, 1e8];
        let told = numbers.map(short);
        assert_eq!(told, ["0", "2.5e-4", "0.3", "9765", "97.7k", "25M", "100M"]);
    }

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
