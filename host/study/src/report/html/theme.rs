//! Drawn pictures in the page's colours, be they light, dark or on paper.

use std::fmt::Write;

use crate::figure::palette;

/// The page's own colours in place of those of drawn pictures, and the curves' colours by number.
pub(super) fn rules() -> String {
    let colours = palette::colours();
    let mut rules = String::from(":root{");
    for (number, (light, _)) in colours.iter().enumerate() {
        let _ = write!(rules, "--c{number}:{light};");
    }
    rules.push_str("}@media screen and (prefers-color-scheme:dark){:root{");
    for (number, (_, dark)) in colours.iter().enumerate() {
        let _ = write!(rules, "--c{number}:{dark};");
    }
    rules.push_str("}}");
    let mut recoloured = |drawn: &str, name: &str| {
        for attribute in ["fill", "stroke"] {
            let _ = write!(
                rules,
                ".drawn [{attribute}=\"{drawn}\"]{{{attribute}:var({name})}}"
            );
        }
    };
    recoloured(&palette::PAPER, "--paper");
    recoloured(&palette::INK, "--ink");
    recoloured(&palette::GRID, "--line");
    for (number, (light, _)) in colours.iter().enumerate() {
        recoloured(light, &format!("--c{number}"));
    }
    rules
}

/// A drawing's text without what belongs to a file alone, that takes the width that it is given.
pub(super) fn scalable(svg: &str) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    svg[start..].replacen("<svg ", "<svg aria-hidden=\"true\" ", 1)
}
