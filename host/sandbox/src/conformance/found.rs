//! What the suite finds.

use serde::Serialize;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// Allowed, and worth knowing.
    Note,
    /// The plugin is refused.
    Fail,
}

/// One check of the suite.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its name: `contract`, `imports`, `start`, `values`, `purity`, `state`, `one step`, `10^12 steps`, `memory`.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found, and where it is wrong what to do.
    pub detail: String,
}

/// What a plugin costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Bytes of the file.
    pub bytes: usize,
    /// Milliseconds to read, lift and compile it, or to fetch it compiled from the cache.
    pub compile_ms: f64,
    /// Milliseconds to make an instance and call `init`.
    pub start_ms: f64,
    /// Nanoseconds of a step's calls, the guard and the clock included: the median.
    pub call_ns_median: u64,
    /// The slowest.
    pub call_ns_worst: u64,
    /// Fuel of a step's calls, about one unit an instruction: the median.
    pub fuel_median: u64,
    /// The most.
    pub fuel_worst: u64,
    /// Bytes of linear memory after the last step.
    pub memory_bytes: usize,
    /// Steps that were called for these numbers.
    pub steps: u64,
}

/// What the suite found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// Every check, in the order of the suite; what cannot be tried after a failure is left out.
    pub checks: Vec<Check>,
    /// What the plugin costs, as far as it ran.
    pub costs: Costs,
}

impl Examination {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first check that failed.
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks
            .iter()
            .find(|check| check.verdict == Verdict::Fail)
    }

    /// Adds a check; says whether it did not fail.
    pub(super) fn add(&mut self, name: &'static str, found: Outcome) -> bool {
        let (verdict, detail) = found.unwrap_or_else(|problem| (Verdict::Fail, problem));
        self.checks.push(Check {
            name,
            verdict,
            detail,
        });
        verdict != Verdict::Fail
    }
}

/// What a check came to, in words; or why the plugin is refused.
pub(super) type Outcome = Result<(Verdict, String), String>;
