//! A rise to the first rate.

use pixelrate_schedule::Run;

use crate::clock::Clock;
use crate::read;
use crate::shape::Shape;

/// Warm-up, by the parameters `warmup` (a duration) and `warmup_start` (a rate).
#[derive(Debug, Clone, Copy)]
pub struct Warmup {
    /// How long it takes.
    pub length: f64,
    start: f64,
    shape: Shape,
}

impl Warmup {
    /// The warm-up of a run, in a straight line.
    ///
    /// # Errors
    /// A parameter is negative or not finite.
    pub fn read(run: &Run, clock: &Clock) -> Result<Self, String> {
        Ok(Self {
            length: clock.duration(run, "warmup")?,
            start: read::not_negative(run, "warmup_start")?,
            shape: Shape::Linear,
        })
    }

    /// The same, along the mirror image of a shape that falls.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The rate at `time` on the way to `peak`, while the warm-up lasts; `peak` itself is the rate after it.
    pub fn rate(&self, time: f64, peak: f64) -> Option<f64> {
        let done = time / self.length;
        (time < self.length).then(|| self.start + (peak - self.start) * self.shape.rise(done))
    }

    /// The time since its end, or since the run's start if the parameter `warmup_counts` says that what follows has
    /// been going on meanwhile (timm's `warmup_prefix=False`).
    pub fn after(&self, time: f64, within: bool) -> f64 {
        if within {
            time
        } else {
            (time - self.length).max(0.0)
        }
    }
}

/// Whether `warmup_counts` is `within` what follows, and not `before` it.
///
/// # Errors
/// It is neither.
pub fn within(run: &Run) -> Result<bool, String> {
    read::choice(run, "warmup_counts", &[false, true])
}
