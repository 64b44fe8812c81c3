//! Numbers of things, in words.

/// `1 run`, `2 runs`.
pub fn count(number: usize, of: &str) -> String {
    if number == 1 {
        format!("1 {of}")
    } else {
        format!("{number} {of}s")
    }
}
