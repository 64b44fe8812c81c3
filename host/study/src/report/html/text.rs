//! Words on the page.

use maud::{Markup, html};

/// A sentence whose code stands between backticks, as in Markdown. A backtick without its second stays one.
pub(super) fn prose(text: &str) -> Markup {
    let pieces: Vec<&str> = text.split('`').collect();
    let (pairs, odd) = match pieces.len() % 2 {
        1 => (pieces.as_slice(), None),
        _ => pieces
            .split_last()
            .map_or((&[][..], None), |(last, rest)| (rest, Some(last))),
    };
    html! {
        @for (place, piece) in pairs.iter().enumerate() {
            @if place % 2 == 0 { (piece) } @else { code { (piece) } }
        }
        @if let Some(last) = odd { "`" (last) }
    }
}

/// A name that may be broken after what joins its words, and so is not broken within one.
pub(super) fn name(name: &str) -> Markup {
    html! {
        @for word in name.split_inclusive(['_', '-', '.', '=', ',', '+']) { (word) wbr; }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_set_as_code_and_a_lone_backtick_stays() {
        let told = |text: &str| prose(text).into_string();
        assert_eq!(
            told("in `a.json`: <b>"),
            "in <code>a.json</code>: &lt;b&gt;"
        );
        assert_eq!(told("`a` and `b`"), "<code>a</code> and <code>b</code>");
        assert_eq!(told("a `b` c ` d"), "a <code>b</code> c ` d");
        assert_eq!(told(""), "");
    }

    #[test]
    fn names_break_between_their_words() {
        let html = name("then_dark-1").into_string();
        assert_eq!(html, "then_<wbr>dark-<wbr>1<wbr>");
    }
}
