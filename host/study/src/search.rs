//! Searches: which parameters, or which picture, a schedule is best with.
//!
//! Successive halving (Jamieson and Talwalkar, 2016): all candidates train for a small budget, the best of them go on to
//! a budget `eta` times as large, and so on; the budgets are those of a bracket of Hyperband (Li et al., 2018, algorithm
//! 1). A rung is a stop on the way of one and the same run, whose schedule keeps its full length: nothing is trained
//! twice, and a run that was never dropped is, bit for bit, the run that a study would have trained.
//!
//! Every candidate runs with all seeds of the search at every rung, so that candidates are compared over the same
//! seeds; they are ranked by the mean of the metric.
//!
//! The search's folder holds its runs, and
//!
//! - `search.json`: what was asked for, resolved: the candidates, rungs and seeds ([`Search`]).
//! - `choices.jsonl`: a line a candidate and rung, what it came to and what followed ([`Choice`]).
//! - `tuning.json`: what the search cost and found ([`Tuning`]), once it has ended.
//! - `search.svg`, `search.md`, `winner.toml`: for people.

mod candidates;
mod confirm;
pub mod file;
mod judge;
mod planner;
mod record;
mod report;
mod run;
mod rungs;
pub mod space;

pub use candidates::{Candidate, Refused, Search};
pub use confirm::confirm;
pub use file::{Metric, SearchFile};
pub use judge::Choice;
pub use planner::{plan, read};
pub use record::{Best, Confirmed, Cost, FILE, Tuning, tuning};
pub use report::{Told, report};
pub use run::{End, run};
pub use rungs::Rung;
