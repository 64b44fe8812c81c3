//! What a schedule may export: the functions of the contract's world `full-schedule`.

use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

/// The functions and their types, as WIT has them.
pub(crate) const FUNCTIONS: [(&str, &str); 7] = [
    ("init", "func()"),
    ("parameters", "func() -> string"),
    ("learning-rate", "func(step: u64) -> f64"),
    ("momentum", "func(step: u64) -> f64"),
    ("weight-decay", "func(step: u64) -> f64"),
    ("save", "func() -> list<u8>"),
    ("restore", "func(state: list<u8>)"),
];

/// The type of the contract's function `name`, as a user reads it.
pub(crate) fn of(name: &str) -> &'static str {
    FUNCTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("func()", |(_, ty)| ty)
        .trim_start_matches("func")
}

/// What is wrong where `name` is exported as something else.
pub(crate) fn demand(name: &str) -> String {
    format!("its export `{name}` must be a function {}", of(name))
}

/// Whether a component's export is what the contract says of `name`.
pub(crate) fn fits(name: &str, function: &ComponentFunc) -> bool {
    let params: Vec<Type> = function.params().map(|(_, ty)| ty).collect();
    let results: Vec<Type> = function.results().collect();
    let bytes = |types: &[Type]| matches!(types, [Type::List(list)] if list.ty() == Type::U8);
    match name {
        "init" => params.is_empty() && results.is_empty(),
        "parameters" => params.is_empty() && matches!(results[..], [Type::String]),
        "save" => params.is_empty() && bytes(&results),
        "restore" => bytes(&params) && results.is_empty(),
        _ => matches!(params[..], [Type::U64]) && matches!(results[..], [Type::Float64]),
    }
}
