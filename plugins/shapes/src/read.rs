//! Parameters, checked; a problem is a sentence for the user.

use pixelrate_schedule::Run;

/// A rate, a length or another number that is 0 or more.
///
/// # Errors
/// It is negative or not finite.
pub fn not_negative(run: &Run, name: &str) -> Result<f64, String> {
    let value = run.param(name);
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(format!("`{name}` is {value}: must be 0 or more"))
    }
}

/// A number above 0.
///
/// # Errors
/// It is not, or not finite.
pub fn above_zero(run: &Run, name: &str) -> Result<f64, String> {
    let value = run.param(name);
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(format!("`{name}` is {value}: must be above 0"))
    }
}

/// A number in [0, 1].
///
/// # Errors
/// It is not.
pub fn share(run: &Run, name: &str) -> Result<f64, String> {
    let value = run.param(name);
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("`{name}` is {value}: must be from 0 to 1"))
    }
}

/// A momentum: from 0, below 1.
///
/// # Errors
/// It is not.
pub fn momentum(run: &Run, name: &str) -> Result<f64, String> {
    let value = run.param(name);
    if (0.0..1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("`{name}` is {value}: must be from 0 to below 1"))
    }
}

/// A factor that makes rates smaller: above 0, below 1.
///
/// # Errors
/// It is not.
pub fn shrinking(run: &Run, name: &str) -> Result<f64, String> {
    let value = run.param(name);
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(format!("`{name}` is {value}: must be above 0 and below 1"))
    }
}

/// A whole number, 0 or more.
///
/// # Errors
/// It is not.
pub fn count(run: &Run, name: &str) -> Result<u64, String> {
    let value = run.param(name);
    if value >= 0.0 && value.fract() == 0.0 && value < 9e15 {
        Ok(value as u64)
    } else {
        Err(format!(
            "`{name}` is {value}: must be a whole number, 0 or more"
        ))
    }
}

/// What the parameter's word stands for: `meanings` in the order of its declared choices.
///
/// # Errors
/// It is no word of its choices, but a number that stands for none.
pub fn choice<T: Copy>(run: &Run, name: &str, meanings: &[T]) -> Result<T, String> {
    let value = run.param(name);
    let known = value >= 0.0 && value.fract() == 0.0;
    let meaning = known.then(|| meanings.get(value as usize)).flatten();
    meaning.copied().ok_or_else(|| {
        let last = meanings.len().saturating_sub(1);
        format!("`{name}` is {value}: must be one of its words, or their places 0 to {last}")
    })
}

/// A choice of `no` and `yes`.
///
/// # Errors
/// It is neither.
pub fn yes(run: &Run, name: &str) -> Result<bool, String> {
    choice(run, name, &[false, true])
}
