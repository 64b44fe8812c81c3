//! Where each key of a file of TOML stands, so that what is wrong can be told with its line.

use toml::de::{DeTable, DeValue};

/// A file's text, and the places of its keys.
#[derive(Debug)]
pub struct Places<'a> {
    text: &'a str,
    table: DeTable<'a>,
}

impl<'a> Places<'a> {
    /// Looks at `text`, which is good TOML; of anything else no key is found.
    pub fn of(text: &'a str) -> Self {
        let (table, _) = DeTable::parse_recoverable(text);
        Self {
            text,
            table: table.into_inner(),
        }
    }

    /// The line, from 1, of the key that `path` leads to through tables and lists (`schedule`, `2`, `params`,
    /// `max_lr`). An item of a list stands where the item begins.
    pub fn line(&self, path: &[&str]) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let (key, value) = self.table.get_key_value(*first)?;
        let at = walk(
            value.get_ref(),
            rest,
            (key.span().start, value.span().start),
        )?;
        let before = self.text.get(..at)?;
        Some(before.matches('\n').count() + 1)
    }

    /// The line of the first of `paths` that is in the file; 1 if none is.
    pub fn first_line(&self, paths: &[&[&str]]) -> usize {
        let found = paths.iter().find_map(|path| self.line(path));
        found.unwrap_or(1)
    }
}

/// `here` is where the key of `value` stands, and where `value` does.
fn walk(value: &DeValue<'_>, path: &[&str], here: (usize, usize)) -> Option<usize> {
    let Some((next, rest)) = path.split_first() else {
        return Some(here.0);
    };
    match value {
        DeValue::Table(table) => {
            let (key, value) = table.get_key_value(*next)?;
            walk(
                value.get_ref(),
                rest,
                (key.span().start, value.span().start),
            )
        }
        DeValue::Array(list) => {
            let item = list.get(next.parse::<usize>().ok()?)?;
            walk(item.get_ref(), rest, (item.span().start, item.span().start))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn keys_are_found_in_tables_lists_and_inline_tables() {
        let text = "# a = 1\n[study]\nseeds = [0]\n\n[[schedule]]\nplugin = \"fixed\"\n\n[[schedule]]\nplugin = \"a\"\n\
                    params = { x = 1,\n  b = 2 }\n[schedule.training]\nmomentum = 0.5\n";
        let places = Places::of(text);
        assert_eq!(places.line(&["study", "seeds"]), Some(3));
        assert_eq!(places.line(&["schedule", "0", "plugin"]), Some(6));
        assert_eq!(places.line(&["schedule", "1"]), Some(8));
        assert_eq!(places.line(&["schedule", "1", "params", "b"]), Some(11));
        assert_eq!(
            places.line(&["schedule", "1", "training", "momentum"]),
            Some(13)
        );
        assert_eq!(places.line(&["schedule", "0", "params", "b"]), None);
        assert_eq!(places.line(&["schedule", "7"]), None);
        assert_eq!(places.first_line(&[&["grid"], &["study"]]), 2);
    }
}
