//! The colours of all pictures.

use std::sync::LazyLock;

use plotters::style::RGBColor;

/// Colours that the colour-blind can tell apart (Paul Tol's muted scheme, and three more), in turn: on white, and lighter
/// on a dark page.
const COLOURS: [(RGBColor, RGBColor); 12] = [
    (RGBColor(51, 34, 136), RGBColor(150, 160, 245)),
    (RGBColor(204, 102, 119), RGBColor(238, 140, 155)),
    (RGBColor(17, 119, 51), RGBColor(90, 195, 120)),
    (RGBColor(170, 130, 40), RGBColor(221, 190, 110)),
    (RGBColor(68, 170, 153), RGBColor(100, 210, 190)),
    (RGBColor(136, 34, 85), RGBColor(225, 115, 170)),
    (RGBColor(80, 150, 200), RGBColor(120, 190, 240)),
    (RGBColor(153, 153, 51), RGBColor(195, 195, 90)),
    (RGBColor(170, 68, 153), RGBColor(215, 135, 205)),
    (RGBColor(230, 120, 30), RGBColor(245, 160, 80)),
    (RGBColor(120, 120, 120), RGBColor(175, 175, 175)),
    (RGBColor(100, 60, 20), RGBColor(195, 150, 105)),
];

/// How lines are drawn in turn, as style sheets name it: colours come round again.
pub(crate) const STYLES: [&str; 3] = ["solid", "dashed", "dotted"];

/// Pixels of each dash and of the room behind it, for each of [`STYLES`].
pub(super) const DASHES: [Option<(u32, u32)>; 3] = [None, Some((8, 4)), Some((2, 4))];

pub(super) const INK_COLOUR: RGBColor = RGBColor(60, 60, 60);
pub(super) const GRID_COLOUR: RGBColor = RGBColor(225, 225, 225);

/// As drawings have it: what is written, and axes.
pub(crate) static INK: LazyLock<String> = LazyLock::new(|| hex(INK_COLOUR));
/// As drawings have it: the lines behind curves.
pub(crate) static GRID: LazyLock<String> = LazyLock::new(|| hex(GRID_COLOUR));
/// As drawings have it: what is drawn on.
pub(crate) static PAPER: LazyLock<String> = LazyLock::new(|| hex(RGBColor(255, 255, 255)));

/// The colour of the series at a place, on white.
pub(super) fn colour(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()].0
}

/// All colours as drawings have them, on white and on a dark page.
pub(crate) fn colours() -> Vec<(String, String)> {
    COLOURS
        .iter()
        .map(|(light, dark)| (hex(*light), hex(*dark)))
        .collect()
}

fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}
