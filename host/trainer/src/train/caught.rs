//! What libtorch has against an operation, where tch's operators panic with it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

use tch::TchError;

use crate::Error;

thread_local! {
    /// Whether what libtorch throws in this thread is on its way to [`caught`], which tells it.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or what libtorch threw in it. Any other panic goes on.
///
/// # Errors
/// Its own; libtorch's.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    keep_quiet();
    let before = CATCHES.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CATCHES.set(before);
    outcome.unwrap_or_else(|panic| match thrown(&*panic) {
        Some(words) => Err(TchError::Torch(told(words)).into()),
        None => resume_unwind(panic),
    })
}

/// Lets the panic hook pass over what is caught: libtorch's own trace is pages long.
fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !CATCHES.get() || thrown(info.payload()).is_none() {
                before(info);
            }
        }));
    });
}

/// The words of a panic of tch's, which has unwrapped what libtorch threw.
fn thrown(panic: &(dyn Any + Send)) -> Option<&str> {
    let words = panic.downcast_ref::<String>()?;
    words.contains("Torch(\"").then_some(words)
}

/// The first line of what libtorch said, without Rust's words around it and without its backtrace.
fn told(panic: &str) -> String {
    let said = panic.split_once("Torch(\"").map_or(panic, |(_, said)| said);
    let end = said.find("\\n").or_else(|| said.find('\n'));
    let mut line = said[..end.unwrap_or(said.len())]
        .trim_end_matches("\")")
        .to_owned();
    if line.contains("out of memory") {
        line += "; a smaller `batch_size`, or fewer runs at a time (`--jobs`), take less";
    }
    line
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::{caught, told};

    #[test]
    fn an_operation_that_cannot_be_is_an_error_of_libtorchs_in_a_line() {
        let of = |count: i64| Tensor::zeros([count], (Kind::Float, Device::Cpu));
        let problem = caught(|| Ok(of(2) + of(3))).unwrap_err().to_string();
        assert!(
            problem.contains("The size of tensor a (2) must match")
                && !problem.contains("Exception raised"),
            "{problem}"
        );
        assert_eq!(caught(|| Ok(5)).unwrap(), 5);
        let own = std::panic::catch_unwind(|| caught(|| -> Result<(), _> { panic!("our own") }));
        assert_eq!(own.unwrap_err().downcast_ref(), Some(&"our own"));
        let memory = told(
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried\\nmore\")",
        );
        assert_eq!(
            memory,
            "CUDA out of memory. Tried; a smaller `batch_size`, or fewer runs at a time (`--jobs`), take less"
        );
    }
}
