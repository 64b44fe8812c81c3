//! WASM learning-rate schedules: load, lift, limit, call, guard.
//!
//! An [`Engine`] loads a [`Plugin`] (a component, or a core module, which it lifts into one, WASM or WAT; or a
//! [`Composition`] of these), and a [`Schedule`] is one live instance of it. A schedule reaches nothing but the contract
//! `sdk/wit/schedule.wit` and a WASI with nothing in it. Every call is bounded by fuel (the same plugin stops at the same
//! instruction everywhere), and, behind that, by time; memory, tables and stack have limits too. What a schedule answers
//! passes a guard: a value that is not finite, negative or over the ceiling is a [`Fault`].
//!
//! ```
//! use pixelrate_sandbox::{Engine, EngineOptions, GuardOptions, Limits, RunFacts, Schedule, TrainingValues};
//!
//! let engine = Engine::new(&EngineOptions::default())?;
//! let wat = r#"(module (func (export "learning-rate") (param i64) (result f64) f64.const 0.1))"#;
//! let plugin = engine.load_bytes("tenth", wat.as_bytes())?;
//! let facts = RunFacts { total_steps: 10, ..RunFacts::default() };
//! let mut schedule = Schedule::start(&plugin, &facts, &Limits::default(), &GuardOptions::default())?;
//! assert_eq!(schedule.step(0, TrainingValues::NONE)?.learning_rate, 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! `cargo bench --package pixelrate-sandbox`, release profile, one core of an AMD EPYC, the best of seven rounds; a step
//! goes through everything that a trainer's goes through, all limits on:
//!
//! | what | time |
//! | --- | --- |
//! | a step of a native closure | 3.4 ns |
//! | of a lifted module, of a component | 188 ns, 187 ns |
//! | of the built-in `cyclic`, `image` | 202 ns, 473 ns |
//! | of a cosine in Go, Python, JavaScript | 0.33 µs, 3.9 µs, 13 µs |
//! | to read and lift a module of 150 bytes, to compile it, to start it | 0.37 ms, 0.73 ms, 1.7 µs |
//! | to load a plugin of Python's (18 MB), JavaScript's (12 MB), Go's (2 MB) from the cache | 144 ms, 130 ms, 52 ms |

mod builtin;
pub mod composition;
pub mod conformance;
mod contract;
mod engine;
mod error;
mod facts;
mod fault;
mod functions;
mod guard;
mod host;
mod imports;
mod instance;
mod lift;
mod limits;
mod lines;
mod live;
mod parameters;
mod pictures;
mod plugin;
mod schedule;
mod signature;
mod turn;
mod wasi;

pub use builtin::{get as builtin_bytes, names as builtin_names};
pub use composition::Composition;
pub use engine::{CompileCache, Engine, EngineOptions};
pub use error::Error;
pub use facts::{RunFacts, TrainingValues, Value};
pub use fault::{Fault, FaultKind};
pub use limits::{GuardOptions, Limits, OnFault};
pub use parameters::{Parameter, ParameterKind};
pub use pictures::{DecodedPicture, Filter, Opened, PictureError, Pictures};
pub use plugin::{Exports, Part, Plugin};
pub use schedule::{SandboxEvent, Schedule, StepValues};
