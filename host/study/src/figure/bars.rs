//! Rows of means: as bars from zero, and as differences around it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use super::palette::{GRID_COLOUR as GRID, INK_COLOUR as INK, colour};
use super::{Area, Dot, Failure, draw, padded, short};
use crate::Error;

/// Pixels of a row, and of the widest letters of a name.
const ROW: u32 = 34;
const LETTER: f64 = 8.0;
/// Letters of a name at most.
const LETTERS: usize = 40;

/// A bar from zero for each row, its error bar, and each single value as a dot over it.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn bars(path: &Path, title: &str, x: &str, rows: &[Dot]) -> Result<(), Error> {
    let ends = Range {
        start: 0.0,
        end: 1.04 * ends(rows).fold(f64::MIN_POSITIVE, f64::max),
    };
    rows_of(path, title, x, rows, ends, |chart, at, _, row| {
        let paint = colour(row.colour);
        chart.draw_series([Rectangle::new(
            [(0.0, at - 0.32), (row.mean.max(0.0), at + 0.32)],
            paint.mix(0.45).filled(),
        )])?;
        whisker(chart, at, row, &INK)?;
        let values = apart(chart, row).into_iter();
        chart.draw_series(values.map(|value| Circle::new((value, at), 3, INK.stroke_width(1))))?;
        Ok(())
    })
}

/// A dot with its error bar for each row, and each single value beside it, on an axis as close as they allow.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn dots(path: &Path, title: &str, x: &str, rows: &[Dot]) -> Result<(), Error> {
    rows_of(
        path,
        title,
        x,
        rows,
        padded(ends(rows)),
        |chart, at, _, row| {
            let paint = colour(row.colour);
            values(chart, at, row, paint)?;
            whisker(chart, at, row, &paint)?;
            chart.draw_series([Circle::new((row.mean, at), 5, paint.filled())])?;
            Ok(())
        },
    )
}

/// A dot with its error bar for each row around an upright line at zero, with each single value beside it. Rows in
/// `clear` have a full dot, the others an empty one.
///
/// # Errors
/// [`Error::Figure`], if the file cannot be written.
pub fn differences(
    path: &Path,
    title: &str,
    x: &str,
    rows: &[Dot],
    clear: &[bool],
) -> Result<(), Error> {
    let ends = padded(ends(rows).chain([0.0]));
    rows_of(path, title, x, rows, ends, |chart, at, index, row| {
        let paint = colour(row.colour);
        if index == 0 {
            let line = vec![(0.0, 0.0), (0.0, rows.len() as f64)];
            chart.draw_series([PathElement::new(line, INK.stroke_width(1))])?;
        }
        values(chart, at, row, paint)?;
        whisker(chart, at, row, &paint)?;
        let inside = if clear.get(index) == Some(&true) {
            paint
        } else {
            WHITE
        };
        chart.draw_series([
            Circle::new((row.mean, at), 5, inside.filled()),
            Circle::new((row.mean, at), 5, paint.stroke_width(2)),
        ])?;
        Ok(())
    })
}

type Chart<'a, 'b> = super::Chart<'a, 'b>;

/// Each single value, a little below its row.
fn values(chart: &mut Chart<'_, '_>, at: f64, row: &Dot, paint: RGBColor) -> Result<(), Failure> {
    let values = apart(chart, row).into_iter();
    chart.draw_series(values.map(|value| Circle::new((value, at - 0.25), 2, paint.filled())))?;
    Ok(())
}

/// A row's values, and one alone of those that come to lie on the same pixel: hundreds of seeds would be hundreds of dots
/// on a few dozen places.
fn apart(chart: &Chart<'_, '_>, row: &Dot) -> Vec<f64> {
    let mut places = BTreeSet::new();
    let place = |value: f64| chart.backend_coord(&(value, 0.0)).0;
    let values = row.values.iter().copied();
    values
        .filter(|&value| places.insert(place(value)))
        .collect()
}

/// An error bar with its ends; none for a mean without an interval.
fn whisker(chart: &mut Chart<'_, '_>, at: f64, row: &Dot, paint: &RGBColor) -> Result<(), Failure> {
    let Some(half) = row.half_width else {
        return Ok(());
    };
    let (low, high) = (row.mean - half, row.mean + half);
    let lines = [
        vec![(low, at), (high, at)],
        vec![(low, at - 0.14), (low, at + 0.14)],
        vec![(high, at - 0.14), (high, at + 0.14)],
    ];
    chart.draw_series(lines.map(|line| PathElement::new(line, paint.stroke_width(2))))?;
    Ok(())
}

/// All that rows reach to.
fn ends(rows: &[Dot]) -> impl Iterator<Item = f64> + '_ {
    rows.iter().flat_map(|row| {
        let half = row.half_width.unwrap_or(0.0);
        let values = row.values.iter().copied();
        values.chain([row.mean - half, row.mean + half])
    })
}

/// A chart of rows from the top, each with its name at the left.
fn rows_of(
    path: &Path,
    title: &str,
    x: &str,
    rows: &[Dot],
    ends: Range<f64>,
    mut row_of: impl FnMut(&mut Chart<'_, '_>, f64, usize, &Dot) -> Result<(), Failure>,
) -> Result<(), Error> {
    let names: Vec<String> = rows.iter().map(|row| fitting(&row.name)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let left = (LETTER * longest.unwrap_or(0) as f64) as u32 + 24;
    let count = rows.len() as f64;
    let size = (left + 700, 90 + ROW * rows.len().max(1) as u32);
    draw(path, size, title, |area: &Area<'_>| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(24)
            .x_label_area_size(40)
            .y_label_area_size(left)
            .build_cartesian_2d(ends, 0.0..count)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(8)
            .x_desc(x)
            .x_label_formatter(&|value| short(*value))
            .label_style(("sans-serif", 13, &INK))
            .draw()?;
        for (index, row) in rows.iter().enumerate() {
            let at = count - index as f64 - 0.5;
            row_of(&mut chart, at, index, row)?;
            let (_, top) = chart.backend_coord(&(row.mean, at));
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

/// A name that is not too long.
fn fitting(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let start: String = name.chars().take(LETTERS - 1).collect();
    format!("{start}…")
}
