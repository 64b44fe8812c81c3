//! Tables without lines, as wide as the terminal.

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table. What does not fit into a terminal's width is wrapped within its column; what is written elsewhere has no width.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width() {
        table.set_width(width);
    }
    table
}

/// Columns of the terminal that standard output is.
pub(crate) fn width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|size| size.1)
}
