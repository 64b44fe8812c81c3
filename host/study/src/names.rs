//! Names that are made of schedules and their parameters, after which folders are called.

/// Bytes of such a name at the most. File systems take 255, and a seed and the like are added.
pub(crate) const MOST: usize = 120;

/// Digits of the checksum that stands for what is left out.
const DIGITS: usize = 8;

/// `text` with `_` for all that a name may not hold.
pub fn plain(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.+=,".contains(c);
    let letters = text.chars().map(|c| if plain(c) { c } else { '_' });
    letters.collect()
}

/// `name` in at most so many bytes: of a longer one, its beginning and its checksum.
pub(crate) fn within(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let end = name.floor_char_boundary(most - 1 - DIGITS);
    let checksum = crc32fast::hash(name.as_bytes());
    format!("{}-{checksum:0DIGITS$x}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_told_from_others() {
        assert_eq!(plain("a b/c=0.1,d"), "a_b_c=0.1,d");
        assert_eq!(within("short", MOST), "short");
        let long = "\u{e9}".repeat(MOST);
        let cut = within(&long, MOST);
        assert!(cut.len() <= MOST && cut.len() > MOST - 3, "{cut}");
        assert_ne!(cut, within(&format!("{long}x"), MOST));
    }
}
