//! The schedules that every pixelrate carries: `plugins/dist`.

/// Each name with the bytes of its file.
macro_rules! builtins {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../plugins/dist/", $name, ".wasm")))),+]
    };
}

const BUILTINS: &[(&str, &[u8])] = builtins![
    "abel",
    "cosine",
    "cyclic",
    "cyclic_momentum",
    "exponential",
    "fixed",
    "greedy",
    "image",
    "inverse_sqrt",
    "noise",
    "onecycle",
    "piecewise",
    "plateau",
    "polynomial",
    "ramp",
    "wsd",
];

/// The built-in schedules' names, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|(name, _)| *name)
}

/// The bytes of the built-in schedule `name`.
pub fn get(name: &str) -> Option<&'static [u8]> {
    BUILTINS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, bytes)| *bytes)
}
