//! The drawing of a scan.

use std::fmt::Write as _;

use pixelrate_scan::{Pixels, Scan, Settings, path};

use super::pixels::Sheet;
use crate::figure::{POINTS, extremes, short, span};

/// How wide the drawing is, in its own units.
pub const WIDTH: u32 = 760;

/// Pictures: how large each may be, where they begin, and what lies between them.
const SIDE: f64 = 360.0;
const TALLEST: f64 = 340.0;
const TOP: f64 = 78.0;
const GAP: f64 = 24.0;
/// The learning rate: its frame.
const LEFT: f64 = 64.0;
const CURVE: f64 = 150.0;
/// Cells across or down that the way is drawn on at most: the whole way of a large picture would cover it.
const CELLS: u32 = 22;
/// Shades of the way and the curve.
const SHADES: usize = 48;
/// Stretches that the mean of the rates is drawn over.
const STRETCHES: u64 = 120;

const INK: &str = "#3c3c3c";
const GRID: &str = "#e1e1e1";

/// The text of the drawing.
pub(super) fn svg<P: Pixels>(scan: &Scan<P>, title: &str, notes: &str) -> Result<String, String> {
    let (width, height) = (scan.width(), scan.picture().height());
    let scale = (SIDE / f64::from(width)).min(TALLEST / f64::from(height));
    let (wide, high) = (f64::from(width) * scale, f64::from(height) * scale);
    let curve_top = TOP + high + 40.0;
    let whole = curve_top + CURVE + 46.0;
    let (first, second) = (
        (SIDE - wide) / 2.0 + 10.0,
        SIDE + GAP + (SIDE - wide) / 2.0 + 6.0,
    );
    let mut out = String::new();
    let mut write = |text: std::fmt::Arguments<'_>| {
        // A string takes whatever is written to it.
        let _ = out.write_fmt(text);
    };
    write(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {whole:.0}\" width=\"{WIDTH}\" height=\"{whole:.0}\" \
         font-family=\"sans-serif\" fill=\"{INK}\" role=\"img\" aria-label=\"{}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"20\">{}</text>\
         <text x=\"{LEFT}\" y=\"47\" font-size=\"13\">{}</text>",
        escaped(&format!(
            "{title}: a picture, its scan and its learning rates"
        )),
        escaped(title),
        escaped(notes),
    ));
    let cells = cells(width, height);
    let way = if (cells.0, cells.1) == (width, height) {
        "the way of the scan".to_owned()
    } else {
        format!("the way of the scan, on {} x {} cells", cells.0, cells.1)
    };
    for (left, sheet, caption) in [
        (first, Sheet::of(scan.picture()), way.as_str()),
        (second, Sheet::read_by(scan), "what the steps read there"),
    ] {
        write(format_args!(
            "<text x=\"{left:.1}\" y=\"{:.1}\" font-size=\"12\">{caption}</text>\
             <image x=\"{left:.1}\" y=\"{TOP}\" width=\"{wide:.1}\" height=\"{high:.1}\" preserveAspectRatio=\"none\" \
             image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\" href=\"{}\"/>",
            TOP - 6.0,
            sheet.address()?
        ));
    }
    let place = |(x, y): (u32, u32)| {
        let at = |at: u32, of: u32, length: f64| (f64::from(at) + 0.5) / f64::from(of) * length;
        (first + at(x, cells.0, wide), TOP + at(y, cells.1, high))
    };
    write(format_args!("{}", way_of(scan.settings(), cells, place)));
    write(format_args!("{}</svg>", curve(scan, curve_top)));
    Ok(out)
}

/// Cells across and down that the way is drawn on, about square, at most as many as there are pixels.
fn cells(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    let cells = |length: u32| match longest {
        0..=CELLS => length,
        _ => ((f64::from(length * CELLS) / f64::from(longest)).round() as u32).max(1),
    };
    (cells(width), cells(height))
}

/// The way over the cells: a line from each to the next, and a thin broken one where it jumps.
fn way_of(
    settings: &Settings,
    cells: (u32, u32),
    place: impl Fn((u32, u32)) -> (f64, f64),
) -> String {
    let points = path(settings, cells.0, cells.1);
    let mut lines = vec![(String::new(), String::new()); SHADES];
    for (at, pair) in points.windows(2).enumerate() {
        let near = pair[0].0.abs_diff(pair[1].0) <= 1 && pair[0].1.abs_diff(pair[1].1) <= 1;
        let shade = at * SHADES / (points.len() - 1);
        let (steps, jumps) = &mut lines[shade];
        let (from, to) = (place(pair[0]), place(pair[1]));
        let line = if near { steps } else { jumps };
        let _ = write!(line, "M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1);
    }
    let mut out =
        String::from("<g fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">");
    let near: String = lines.iter().map(|line| line.0.as_str()).collect();
    let _ = write!(
        out,
        "<path d=\"{near}\" stroke=\"white\" stroke-width=\"4\" stroke-opacity=\"0.55\"/>"
    );
    for (shade, (steps, jumps)) in lines.iter().enumerate() {
        let colour = colour(shade as f64 / (SHADES - 1) as f64);
        if !jumps.is_empty() {
            let _ = write!(
                out,
                "<path d=\"{jumps}\" stroke=\"{colour}\" stroke-width=\"0.7\" stroke-opacity=\"0.7\" stroke-dasharray=\"2 2\"/>"
            );
        }
        if !steps.is_empty() {
            let _ = write!(
                out,
                "<path d=\"{steps}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
        }
    }
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        for (point, share) in [(first, 0.0), (last, 1.0)] {
            let (x, y) = place(*point);
            let _ = write!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{}\" stroke=\"white\" stroke-width=\"1.5\"/>",
                colour(share)
            );
        }
    }
    out + "</g>"
}

/// Steps and their rates, so many at a time.
fn stretches<P: Pixels>(scan: &Scan<P>, length: u64) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let steps = scan.settings().steps;
    let begins = (0..steps.div_ceil(length)).map(move |stretch| stretch * length);
    begins.map(move |begin| {
        let end = steps.min(begin + length);
        let points = (begin..end).map(|step| (step as f64, scan.rate(step)));
        points.collect()
    })
}

/// Learning rate against step, in the colours of the way, and the mean over stretches of it.
fn curve<P: Pixels>(scan: &Scan<P>, top: f64) -> String {
    let settings = scan.settings();
    let steps = settings.steps;
    // A run has more steps than there is room for, in memory as in the picture.
    let thin: Vec<(f64, f64)> = match steps <= POINTS as u64 {
        true => stretches(scan, POINTS as u64).flatten().collect(),
        false => stretches(scan, steps.div_ceil(POINTS as u64 / 2))
            .flat_map(|points| extremes(&points))
            .collect(),
    };
    let ends = [settings.base, settings.base + settings.span];
    let all = thin.iter().map(|point| point.1).chain(ends);
    let range = span(all);
    let wide = f64::from(WIDTH) - LEFT - 16.0;
    let x = |step: f64| LEFT + wide * step / steps.max(1) as f64;
    let y = |rate: f64| top + CURVE * (range.end - rate) / (range.end - range.start);
    let mut out = String::from("<g font-size=\"12\">");
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let (step, rate) = (
            (share * steps as f64).round(),
            range.start + share * (range.end - range.start),
        );
        let _ = write!(
            out,
            "<path d=\"M{LEFT} {:.1}h{wide:.1}\" stroke=\"{GRID}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y(rate),
            x(step),
            top + CURVE + 16.0,
            short(step)
        );
        if quarter % 2 == 0 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y(rate) + 4.0,
                short(rate)
            );
        }
    }
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">step</text>\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">learning rate</text>\
         </g><g fill=\"none\" stroke-linejoin=\"round\">",
        LEFT + wide / 2.0,
        top + CURVE + 34.0,
        top + CURVE / 2.0,
    );
    let last = (scan.len().max(2) - 1) as f64;
    let shade = |step: f64| {
        let share = scan.index(step as u64) as f64 / last;
        (share * (SHADES - 1) as f64) as usize
    };
    let mut lines = vec![String::new(); SHADES];
    for pair in thin.windows(2) {
        let [(from, a), (to, b)] = [pair[0], pair[1]];
        let line = &mut lines[shade(from)];
        let _ = write!(line, "M{:.1} {:.1}L{:.1} {:.1}", x(from), y(a), x(to), y(b));
    }
    for (shade, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let colour = colour(shade as f64 / (SHADES - 1) as f64);
        let _ = write!(out, "<path d=\"{line}\" stroke=\"{colour}\"/>");
    }
    let means = stretches(scan, steps.div_ceil(STRETCHES).max(1)).map(|points| {
        let sum = points
            .iter()
            .fold((0.0, 0.0), |sum, at| (sum.0 + at.0, sum.1 + at.1));
        let count = points.len() as f64;
        format!("{:.1},{:.1} ", x(sum.0 / count), y(sum.1 / count))
    });
    let means: String = means.collect();
    let _ = write!(
        out,
        "<polyline points=\"{means}\" stroke=\"white\" stroke-width=\"3.5\" stroke-opacity=\"0.8\"/>\
         <polyline points=\"{means}\" stroke=\"{INK}\" stroke-width=\"1.5\"/></g>"
    );
    out
}

/// From the first step to the last: matplotlib's plasma, without its palest end, at seven places.
fn colour(share: f64) -> String {
    const STOPS: [[f64; 3]; 7] = [
        [13.0, 8.0, 135.0],
        [84.0, 2.0, 163.0],
        [139.0, 10.0, 165.0],
        [185.0, 50.0, 137.0],
        [219.0, 92.0, 104.0],
        [244.0, 136.0, 73.0],
        [254.0, 188.0, 43.0],
    ];
    let place = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let (below, rest) = (place as usize, place.fract());
    let (from, to) = (STOPS[below], STOPS[(below + 1).min(STOPS.len() - 1)]);
    let mixed = [0, 1, 2].map(|part| (from[part] + rest * (to[part] - from[part])).round() as u8);
    format!("#{:02x}{:02x}{:02x}", mixed[0], mixed[1], mixed[2])
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
