//! Tables without lines, as wide as the terminal.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// Characters that a column keeps which is wrapped, if it has as many.
const LEAST: u16 = 24;

/// An empty table.
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

/// Wraps these columns, counted from 0, where the table is wider than the terminal. What stands in others stays whole, so that it
/// can be copied. What is written to no terminal is not wrapped at all.
pub(crate) fn wrap(table: &mut Table, columns: &[usize]) {
    let widths = table.column_max_content_widths();
    for ((place, column), width) in table.column_iter_mut().enumerate().zip(widths) {
        column.set_constraint(if columns.contains(&place) {
            // A space on each side.
            ColumnConstraint::LowerBoundary(Width::Fixed(width.saturating_add(2).min(LEAST)))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
}

/// Columns of the terminal that standard output is.
pub(crate) fn width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|size| size.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_to_be_wrapped_stays_whole_in_a_narrow_terminal() {
        let run = "runs/demo/bad_mnist-seed0";
        let mut table = table();
        table.set_width(70).add_row([
            run,
            "piecewise (boundary_1 = 0.4, boundary_2 = 0.6)",
            "1125/1125",
        ]);
        wrap(&mut table, &[1]);
        let told = table.to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines.len() > 1, "{told}");
        assert!(
            lines[0].contains(run) && lines[0].contains("1125/1125"),
            "{told}"
        );
        assert!(
            lines.iter().all(|line| line.chars().count() <= 70),
            "{told}"
        );
    }
}
