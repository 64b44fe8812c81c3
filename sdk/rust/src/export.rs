//! What `export_schedule!` expands to. Not for direct use.

use crate::{Run, Schedule, contract};

/// Makes the schedule; a failure or a panic reaches the user as a message.
pub fn start<S: Schedule>(defaults: &'static [(&'static str, f64)]) -> S {
    std::panic::set_hook(Box::new(|panic| fail(&panic.to_string())));
    match S::new(&Run { defaults }) {
        Ok(schedule) => schedule,
        Err(message) => fail(&message),
    }
}

/// Ends the run with a message.
pub fn fail(message: &str) -> ! {
    contract::run::fail(message);
    // The contract's `fail` does not return.
    unreachable!()
}

/// A text that never changes, as the canonical ABI returns one: where it lies, and how long it is.
#[repr(C)]
pub struct Text {
    start: *const u8,
    length: usize,
}

// SAFETY: it points to what never changes.
unsafe impl Sync for Text {}

impl Text {
    /// What tells of `text`.
    pub const fn new(text: &'static [u8]) -> Self {
        Self {
            start: text.as_ptr(),
            length: text.len(),
        }
    }
}

/// Exports a [`Schedule`](crate::Schedule) and declares its parameters.
///
/// A parameter is `{"name" = default, "what it means, and its unit"}`; a choice of words, which stand for 0, 1, …, is
/// `{"name" = 0 in ["first", "second"], "…"}`; a picture is `{"name" picture, "…"}`; and a numbered family,
/// `name_1`, `name_2`, …, is `{"name_*" family, "…"}`.
#[macro_export]
macro_rules! export_schedule {
    ($schedule:ty, parameters: [$($parameters:tt)*] $(,)?) => {
        $crate::export_schedule!($schedule, exports: [], parameters: [$($parameters)*]);
    };
    (
        $schedule:ty,
        exports: [$($export:ident),* $(,)?],
        parameters: [$({$($first:tt)*} $(, {$($rest:tt)*})*)? $(,)?] $(,)?
    ) => {
        const _: () = {
            ::std::thread_local! {
                static SCHEDULE: ::std::cell::RefCell<::std::option::Option<$schedule>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            const DEFAULTS: &[(&str, f64)] = &[
                $($crate::__default!($($first)*) $(, $crate::__default!($($rest)*))*)?
            ];

            fn with<T>(call: impl FnOnce(&mut $schedule) -> T) -> T {
                SCHEDULE.with_borrow_mut(|held| {
                    call(held.get_or_insert_with(|| $crate::export::start(DEFAULTS)))
                })
            }

            const DECLARED: &[$crate::json::Declared] = &[
                $($crate::__declared!($($first)*) $(, $crate::__declared!($($rest)*))*)?
            ];

            static JSON: [u8; $crate::json::length(DECLARED)] = $crate::json::list(DECLARED);

            static PARAMETERS: $crate::export::Text = $crate::export::Text::new(&JSON);

            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "parameters"))]
            extern "C" fn parameters() -> &'static $crate::export::Text {
                &PARAMETERS
            }

            // Natively, for a plugin's own tests, nothing calls these.
            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "init"))]
            extern "C" fn init() {
                with(|_| ());
            }

            #[allow(dead_code)]
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "learning-rate"))]
            extern "C" fn learning_rate(step: u64) -> f64 {
                with(|schedule| $crate::Schedule::learning_rate(schedule, step))
            }

            $($crate::__export!($export);)*
        };
    };
}

/// A parameter, for what `parameters` answers.
#[doc(hidden)]
#[macro_export]
macro_rules! __declared {
    ($name:literal = $default:literal $(in [$($choice:literal),+ $(,)?])?, $doc:literal $(,)?) => {
        $crate::json::Declared {
            name: $name,
            kind: "number",
            default: ::std::option::Option::Some(concat!($default)),
            doc: $doc,
            choices: &[$($($choice),+)?],
        }
    };
    ($name:literal picture, $doc:literal $(,)?) => {
        $crate::json::Declared {
            name: $name,
            kind: "picture",
            default: ::std::option::Option::None,
            doc: $doc,
            choices: &[],
        }
    };
    ($name:literal family, $doc:literal $(,)?) => {
        $crate::json::Declared {
            name: $name,
            kind: "number",
            default: ::std::option::Option::None,
            doc: $doc,
            choices: &[],
        }
    };
}

/// A parameter's name and default.
#[doc(hidden)]
#[macro_export]
macro_rules! __default {
    ($name:literal = $default:literal $($rest:tt)*) => {
        ($name, $default as f64)
    };
    ($name:literal $($rest:tt)*) => {
        ($name, f64::NAN)
    };
}

/// An optional export.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (momentum) => {
        #[allow(dead_code)]
        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "momentum"))]
        extern "C" fn momentum(step: u64) -> f64 {
            with(|schedule| $crate::Schedule::momentum(schedule, step))
        }
    };
    (weight_decay) => {
        #[allow(dead_code)]
        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "weight-decay"))]
        extern "C" fn weight_decay(step: u64) -> f64 {
            with(|schedule| $crate::Schedule::weight_decay(schedule, step))
        }
    };
    (save) => {
        /// The canonical ABI's result of a list: where it lies, and how long it is. The state leaks until the
        /// host has read it; `cabi_post_save` frees it.
        #[allow(dead_code)]
        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "save"))]
        extern "C" fn save() -> *mut [usize; 2] {
            let state = with(|schedule| $crate::Schedule::save(schedule)).into_boxed_slice();
            let length = state.len();
            let start = Box::into_raw(state).cast::<u8>();
            Box::into_raw(Box::new([start as usize, length]))
        }

        #[allow(dead_code)]
        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "cabi_post_save"))]
        unsafe extern "C" fn post_save(result: *mut [usize; 2]) {
            // SAFETY: the host hands back what `save` gave, once.
            unsafe {
                let [start, length] = *Box::from_raw(result);
                drop(Vec::from_raw_parts(start as *mut u8, length, length));
            }
        }

        #[allow(dead_code)]
        #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "restore"))]
        unsafe extern "C" fn restore(start: *mut u8, length: usize) {
            // SAFETY: the host wrote the list into memory that it took from `cabi_realloc`, and gives it away.
            let state = unsafe { Vec::from_raw_parts(start, length, length) };
            if let Err(message) = with(|schedule| $crate::Schedule::restore(schedule, state)) {
                $crate::export::fail(&message);
            }
        }
    };
}
