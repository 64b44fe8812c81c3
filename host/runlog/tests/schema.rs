//! The page for analysts says of every column what the code says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

use pixelrate_runlog::{EventKind, RunStatus, SCHEMA_VERSION, Table};

const PAGE: &str = include_str!("../SCHEMA.md");

/// The cells of the table below a heading, less its header.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE
        .split("\n## ")
        .find_map(|section| section.strip_prefix(heading))
        .unwrap_or_else(|| panic!("the page has no section {heading}"));
    let lines = section.lines().filter(|line| line.starts_with('|'));
    lines
        .skip(2)
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(str::trim).collect()
        })
        .collect()
}

#[test]
fn the_page_names_every_column_with_its_type() {
    for table in Table::ALL {
        let page = rows(&format!("`{table}`\n"));
        let told: Vec<_> = page
            .iter()
            .map(|row| (row[0], row[1], row[3], row[4].to_owned()))
            .collect();
        let held: Vec<_> = table
            .columns()
            .map(|column| {
                let null = if column.nullable { "yes" } else { "no" };
                (column.name, column.parquet, null, column.since.to_string())
            })
            .collect();
        assert_eq!(told, held, "{table}");
        assert!(page.iter().all(|row| !row[5].is_empty()), "{table}");
    }
}

#[test]
fn the_page_tells_every_version_and_every_word() {
    let versions: Vec<_> = rows("The version\n")
        .iter()
        .map(|row| row[0].to_owned())
        .collect();
    let held: Vec<_> = (1..=SCHEMA_VERSION)
        .map(|version| version.to_string())
        .collect();
    assert_eq!(versions, held);
    assert!(PAGE.contains(&format!("It is **{SCHEMA_VERSION}** now")));
    // A column says when it came; so each version but the first brought one.
    for version in 2..=SCHEMA_VERSION {
        let mut columns = Table::ALL.into_iter().flat_map(Table::columns);
        assert!(columns.any(|column| column.since == version), "{version}");
    }

    let meaning = |heading: &str, name: &str| {
        let rows = rows(heading);
        let row = rows.iter().find(|row| row[0] == name).unwrap();
        row[5]
    };
    let kinds = meaning("`events`\n", "kind");
    for kind in EventKind::ALL {
        assert!(kinds.contains(&format!("`{kind}`")), "{kind}");
    }
    let statuses = meaning("`summary`\n", "status");
    for status in RunStatus::ALL {
        assert!(statuses.contains(&format!("`{status}`")), "{status}");
    }
}
