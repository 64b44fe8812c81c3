//! What a guest said, line by line, within limits: it must not fill the host's memory or a run's event log.

/// Lines that are kept of one call; more are counted, not kept.
const LINES: usize = 1_000;
/// Characters that are kept of a line.
const LENGTH: usize = 4_000;

/// Lines that a guest logged or printed, and that nobody took yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    kept: Vec<String>,
    dropped: u64,
}

impl Lines {
    pub(crate) fn push(&mut self, line: &str) {
        if self.kept.len() < LINES {
            self.kept.push(clipped(line));
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.kept);
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            lines.push(format!("… and {dropped} lines more, which were not kept"));
        }
        lines
    }

    /// What a guest that trapped said of its reason: an exception of Python's, a panic of Go's or Rust's with its place,
    /// or else its last line.
    pub(crate) fn last_words(&self) -> Option<String> {
        let said = |line: &&String| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE")
        };
        // Python's comes before the panic of its interpreter; its frames are indented. Go's place comes after many lines.
        let traceback = (self.kept.iter())
            .rposition(|line| line.starts_with("Traceback (most recent call last):"));
        let exception = traceback.and_then(|place| {
            let mut lines = self.kept[place + 1..].iter();
            lines.find(|line| !line.starts_with(' ') && !line.is_empty())
        });
        let go = |line: &&String| line.starts_with("panic: ") || line.starts_with("fatal error: ");
        if let Some(words) = exception.or_else(|| self.kept.iter().rfind(go)) {
            return Some(words.clone());
        }
        let panic = self
            .kept
            .iter()
            .rposition(|line| line.contains("panicked at"));
        match panic {
            Some(place) => {
                let words: Vec<&str> = self.kept[place..]
                    .iter()
                    .filter(said)
                    .map(|line| line.trim())
                    .collect();
                Some(clipped(&words.join(" ")))
            }
            None => self.kept.iter().rev().find(said).cloned(),
        }
    }
}

/// As much of `line` as is kept. Characters that steer a terminal are shown as what they are.
pub(crate) fn clipped(line: &str) -> String {
    line.chars().take(LENGTH).map(shown).collect()
}

/// A character that steers a terminal, as a sign that does not: those of ASCII have pictures (Unicode 2400).
fn shown(character: char) -> char {
    match character {
        '\t' | '\n' => character,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_limit_are_counted_only() {
        let mut lines = Lines::default();
        (0..LINES + 5).for_each(|i| lines.push(&i.to_string()));
        let taken = lines.take();
        assert_eq!(taken.len(), LINES + 1);
        assert_eq!(taken[LINES], "… and 5 lines more, which were not kept");
        assert!(lines.is_empty() && lines.take().is_empty());
        lines.push(&"x".repeat(LENGTH + 1));
        assert_eq!(lines.take()[0].len(), LENGTH);
        lines.push("\x1b[2J\tstep 90: done\u{9b}");
        assert_eq!(lines.take(), ["␛[2J\tstep 90: done\u{fffd}"]);
    }

    #[test]
    fn a_panic_is_found_among_what_was_printed() {
        let mut lines = Lines::default();
        assert_eq!(lines.last_words(), None);
        for line in [
            "loading",
            "thread '<unnamed>' panicked at src/lib.rs:7:9:",
            "too few steps",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "",
        ] {
            lines.push(line);
        }
        assert_eq!(
            lines.last_words().as_deref(),
            Some("thread '<unnamed>' panicked at src/lib.rs:7:9: too few steps")
        );
        lines.take();
        lines.push("Traceback:");
        lines.push("ValueError: too few steps");
        lines.push("");
        assert_eq!(
            lines.last_words().as_deref(),
            Some("ValueError: too few steps")
        );
    }
}
