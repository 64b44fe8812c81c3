//! A rate that falls as a power of the time: inverse square roots.

use pixelrate_schedule::Run;

use crate::read;

/// By the parameters `timescale` (a duration), `power` and `anchor`.
#[derive(Debug, Clone, Copy)]
pub struct PowerLaw {
    timescale: f64,
    power: f64,
    from_start: bool,
}

impl PowerLaw {
    /// The law of a run; a `timescale` of 0 is `default`.
    ///
    /// # Errors
    /// A parameter is out of its range.
    pub fn read(run: &Run, default: f64) -> Result<Self, String> {
        let timescale = match read::not_negative(run, "timescale")? {
            0.0 => default,
            given => given,
        };
        if timescale == 0.0 {
            return Err(
                "`timescale` is missing: without `warmup` there is nothing that it could be".into(),
            );
        }
        Ok(Self {
            timescale,
            power: read::not_negative(run, "power")?,
            from_start: read::choice(run, "anchor", &[false, true])?,
        })
    }

    /// What is left at `time` of the run, `since` the warm-up's end: (1 + since / timescale)^-power; from the run's start,
    /// the lesser of 1 and (time / timescale)^-power.
    pub fn left(&self, time: f64, since: f64) -> f64 {
        let times = if self.from_start {
            (time / self.timescale).max(1.0)
        } else {
            (since + self.timescale) / self.timescale
        };
        if self.power == 0.5 {
            1.0 / times.sqrt()
        } else {
            times.powf(-self.power)
        }
    }
}
