//! The schedules that every pixelrate carries: `plugins/dist`.

const BUILTINS: [(&str, &[u8]); 5] = [
    (
        "cyclic",
        include_bytes!("../../../plugins/dist/cyclic.wasm"),
    ),
    ("fixed", include_bytes!("../../../plugins/dist/fixed.wasm")),
    ("image", include_bytes!("../../../plugins/dist/image.wasm")),
    (
        "piecewise",
        include_bytes!("../../../plugins/dist/piecewise.wasm"),
    ),
    ("ramp", include_bytes!("../../../plugins/dist/ramp.wasm")),
];

/// The built-in schedules' names, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, _)| *name)
}

pub(crate) fn get(name: &str) -> Option<&'static [u8]> {
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}
