//! What a plugin may import, and what to do where it imports more.

/// Interfaces of the contract, without their version.
const CONTRACT: [&str; 3] = [
    "pixelrate:schedule/run",
    "pixelrate:schedule/training",
    "pixelrate:schedule/images",
];

/// Parts of WASI that are there, with nothing in them.
const EMPTY_WASI: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// `None` if the import `name` may be had, else what to do about it.
pub(crate) fn refuse(name: &str) -> Option<String> {
    let interface = name
        .split_once('@')
        .map_or(name, |(interface, _)| interface);
    if CONTRACT.contains(&interface) || EMPTY_WASI.iter().any(|part| name.starts_with(part)) {
        return None;
    }
    let fix = match name {
        "env" | "env.memory" => {
            "link its memory in and keep it (wasm-ld: no --import-memory; AssemblyScript: no --importMemory), \
             and turn off runtime hooks (AssemblyScript: --use abort=)"
        }
        _ if name.starts_with("wasi:http") => {
            "build it without HTTP (componentize-js: disable http and fetch-event)"
        }
        _ if name.starts_with("wasi") => "build it for wasm32-unknown-unknown, or for WASI 0.2",
        _ if name.starts_with("pixelrate:schedule") => {
            "this pixelrate knows run, training and images of contract 1; a newer pixelrate may know more"
        }
        _ => {
            "a schedule may import pixelrate:schedule/run, training and images, and a WASI with nothing in it: see sdk/wit/schedule.wit"
        }
    };
    Some(fix.to_owned())
}
