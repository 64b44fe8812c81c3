//! WASM schedules: load, lift, limit, call, guard.
