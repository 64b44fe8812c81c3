//! What libtorch has against an operation, where tch's operators panic with it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::TchError;

use crate::Error;

/// What `work` gives, or what libtorch threw in it.
///
/// # Errors
/// Its own; that it panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let fixed = panic.downcast_ref::<&str>().copied();
        let words = fixed.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(TchError::Torch(told(words.unwrap_or("an operation panicked"))).into())
    })
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
        let memory = told(
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried\\nmore\")",
        );
        assert_eq!(
            memory,
            "CUDA out of memory. Tried; a smaller `batch_size`, or fewer runs at a time (`--jobs`), take less"
        );
    }
}
