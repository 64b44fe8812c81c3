//! What `parameters` answers: JSON, made while the plugin is compiled.

/// A parameter, as `export_schedule!` is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// `number` or `picture`.
    pub kind: &'static str,
    /// The literal of its default, if it has one.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// Words that stand for 0, 1, 2, …
    pub choices: &'static [&'static str],
}

/// How many bytes the list of `parameters` has.
pub const fn length(parameters: &[Declared]) -> usize {
    // Nothing fits, and all is counted.
    Writer::<0>::of(parameters).length
}

/// The list of `parameters`, whose [`length`] is `N`.
pub const fn list<const N: usize>(parameters: &[Declared]) -> [u8; N] {
    Writer::of(parameters).bytes
}

/// Keeps the first `N` bytes, and counts all.
struct Writer<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Writer<N> {
    const fn of(parameters: &[Declared]) -> Self {
        let mut writer = Self {
            bytes: [0; N],
            length: 0,
        };
        writer.raw("[");
        let mut place = 0;
        while place < parameters.len() {
            if place > 0 {
                writer.raw(",");
            }
            writer.parameter(&parameters[place]);
            place += 1;
        }
        writer.raw("]");
        writer
    }

    const fn parameter(&mut self, parameter: &Declared) {
        self.raw("{\"name\":");
        self.text(parameter.name);
        self.raw(",\"kind\":");
        self.text(parameter.kind);
        if let Some(default) = parameter.default {
            self.raw(",\"default\":");
            self.number(default);
        }
        self.raw(",\"doc\":");
        self.text(parameter.doc);
        if !parameter.choices.is_empty() {
            self.raw(",\"choices\":[");
            let mut place = 0;
            while place < parameter.choices.len() {
                if place > 0 {
                    self.raw(",");
                }
                self.text(parameter.choices[place]);
                place += 1;
            }
            self.raw("]");
        }
        self.raw("}");
    }

    /// A number as Rust writes it. Of what Rust takes, JSON only wants a digit after each point.
    const fn number(&mut self, literal: &str) {
        self.raw(literal);
        if let [.., b'.'] = literal.as_bytes() {
            self.byte(b'0');
        }
    }

    /// A string.
    const fn text(&mut self, text: &str) {
        let hex = b"0123456789abcdef";
        self.byte(b'"');
        let bytes = text.as_bytes();
        let mut place = 0;
        while place < bytes.len() {
            let byte = bytes[place];
            match byte {
                b'"' | b'\\' => {
                    self.byte(b'\\');
                    self.byte(byte);
                }
                0..0x20 => {
                    self.raw("\\u00");
                    self.byte(hex[(byte >> 4) as usize]);
                    self.byte(hex[(byte & 15) as usize]);
                }
                _ => self.byte(byte),
            }
            place += 1;
        }
        self.byte(b'"');
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut place = 0;
        while place < bytes.len() {
            self.byte(bytes[place]);
            place += 1;
        }
    }

    const fn byte(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Declared] = &[
        crate::__declared!("whole" = 1., "Of \"one\", a \\ and\na line."),
        crate::__declared!("negative" = -2., "Below 0."),
        crate::__declared!("small" = 1e-2, "µ"),
        crate::__declared!("large" = 1_000_000, "A million."),
        crate::__declared!("shape" = 0 in ["a \"line\"", "cosine"], "The shape."),
        crate::__declared!("image" picture, "The picture."),
        crate::__declared!("stage_*" family, "The stages."),
    ];

    #[test]
    fn any_literal_and_any_text_give_json() {
        const LENGTH: usize = length(PARAMETERS);
        const JSON: [u8; LENGTH] = list(PARAMETERS);
        let lines = [
            r#"[{"name":"whole","kind":"number","default":1.0,"doc":"Of \"one\", a \\ and\u000aa line."}"#,
            r#"{"name":"negative","kind":"number","default":-2.0,"doc":"Below 0."}"#,
            r#"{"name":"small","kind":"number","default":1e-2,"doc":"µ"}"#,
            r#"{"name":"large","kind":"number","default":1000000,"doc":"A million."}"#,
            r#"{"name":"shape","kind":"number","default":0,"doc":"The shape.","choices":["a \"line\"","cosine"]}"#,
            r#"{"name":"image","kind":"picture","doc":"The picture."}"#,
            r#"{"name":"stage_*","kind":"number","doc":"The stages."}]"#,
        ];
        assert_eq!(std::str::from_utf8(&JSON), Ok(lines.join(",").as_str()));
    }

    #[test]
    fn no_parameters_are_a_list_too() {
        assert_eq!(list::<{ length(&[]) }>(&[]), *b"[]");
    }
}
