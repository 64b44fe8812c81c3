//! Versions of compilers, as they tell them.

use std::fmt;

/// A version from which on a compiler does: its first numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least(pub &'static [u64]);

impl Least {
    /// Whether `version`, such as 18.20.8, is older.
    pub(crate) fn is_over(self, version: &str) -> bool {
        // A number that is not told is a 0.
        let told = version.split('.').map(|number| number.parse().unwrap_or(0));
        told.chain(std::iter::repeat(0))
            .take(self.0.len())
            .lt(self.0.iter().copied())
    }
}

/// As it is written: 20, 1.24.
impl fmt::Display for Least {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// The first version in what a program says of itself: numbers with dots between them.
pub(crate) fn told(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| word.trim_matches('.'))
        .find(|word| word.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_compilers_say() {
        for (text, version) in [
            ("v18.20.8\n", "18.20.8"),
            ("go version go1.22.2 linux/amd64\n", "1.22.2"),
            ("go version devel go1.25-7b263895 Mon", "1.25"),
            ("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"),
            ("componentize-py 0.25.1", "0.25.1"),
            ("0.16.0-dev.1484+d0ba6642b\n", "0.16.0"),
            (
                "LDC - the LLVM D compiler (1.30.0):\n  based on DMD v2.100.1",
                "1.30.0",
            ),
        ] {
            assert_eq!(told(text), Some(version), "{text}");
        }
        assert_eq!(told("version 7 ..."), None);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let least = Least(&[1, 24]);
        assert_eq!(least.to_string(), "1.24");
        for old in ["1.23.9", "1.9", "0.99", "1"] {
            assert!(least.is_over(old), "{old}");
        }
        for new in ["1.24", "1.24.0", "1.100", "2.0"] {
            assert!(!least.is_over(new), "{new}");
        }
        assert!(Least(&[20]).is_over("18.20.8") && !Least(&[20]).is_over("20.0.0"));
    }
}
