//! A run as trackers think of it: what it is, and points of named numbers along its steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pixelrate_runlog::{
    EvalRow, EventRow, StepRow, SummaryRow, read_evals, read_events, read_summary, steps,
};

use crate::{Error, params};

/// Steps between two calls that tell the progress.
const TELL_STEPS: u64 = 10_000;

/// What is known of a run beside its steps.
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) study: String,
    pub(crate) run: String,
    /// Its [`params`].
    pub(crate) config: BTreeMap<String, toml::Value>,
    pub(crate) summary: Option<SummaryRow>,
    pub(crate) evals: Vec<EvalRow>,
    pub(crate) events: Vec<EventRow>,
}

/// Numbers that belong to a step.
pub(crate) struct Point<'a> {
    /// The step; of an evaluation the steps done.
    pub(crate) step: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub(crate) time_ms: i64,
    /// Names and values.
    pub(crate) values: &'a [(&'a str, f64)],
}

impl Run {
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let config = params(folder)?;
        let summary = read_summary(folder)?;
        let whole = std::path::absolute(folder).map_err(Error::io("find", folder))?;
        let name = |key: &str, told: Option<&String>, path: Option<&Path>| {
            let configured = config.get(key).and_then(|value| value.as_str());
            let named = path.and_then(Path::file_name).unwrap_or_default();
            configured
                .or(told.map(String::as_str))
                .map_or_else(|| named.to_string_lossy().into_owned(), str::to_owned)
        };
        let told = summary.as_ref();
        Ok(Self {
            study: name("study", told.map(|s| &s.study), whole.parent()),
            run: name("run", told.map(|s| &s.run), Some(&whole)),
            folder: folder.to_owned(),
            config,
            summary,
            evals: read_evals(folder)?,
            events: read_events(folder)?,
        })
    }

    /// When it began, in milliseconds since 1970: the same before its end and after, and however often it was taken up.
    pub(crate) fn started_ms(&self) -> i64 {
        let told = self.summary.as_ref().map(|it| it.started_unix_ms);
        let first = self.events.first().map(|event| event.time_unix_ms);
        first.or(told).unwrap_or(0)
    }

    /// Goes through the run's points, in the order of their steps; an evaluation after so many steps comes before the next
    /// step. `tell` hears how many steps are done.
    ///
    /// The log has a step's duration and not its time. It is the time of the last event before it, and the durations since.
    pub(crate) fn walk(
        &self,
        tell: &mut dyn FnMut(u64),
        mut each: impl FnMut(Point<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut clock = Clock {
            now_ms: self.started_ms() as f64,
            events: &self.events,
        };
        let mut evals = self.evals.as_slice();
        let mut done = 0;
        for row in steps(&self.folder)? {
            let row = row?;
            clock.reach(row.step);
            evaluations(&mut evals, row.step, &clock, &mut each)?;
            clock.now_ms += row.step_ns as f64 / 1e6;
            each(Point {
                step: row.step,
                time_ms: clock.now_ms as i64,
                values: &numbers(&row),
            })?;
            done += 1;
            if done % TELL_STEPS == 0 {
                tell(done);
            }
        }
        clock.reach(u64::MAX);
        evaluations(&mut evals, u64::MAX, &clock, &mut each)?;
        tell(done);
        Ok(())
    }
}

/// The numbers of a step that are there, by their names.
fn numbers(row: &StepRow) -> Vec<(&'static str, f64)> {
    let always = [
        ("schedule/learning_rate", Some(row.learning_rate)),
        ("schedule/momentum", row.momentum),
        ("schedule/weight_decay", row.weight_decay),
        ("train/loss", row.train_loss),
        ("train/grad_norm", row.grad_norm),
        ("train/epoch", Some(row.epoch)),
        ("time/step_seconds", Some(row.step_ns as f64 / 1e9)),
        ("time/schedule_seconds", Some(row.schedule_ns as f64 / 1e9)),
    ];
    always
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Gives the evaluations after up to `step` steps.
fn evaluations(
    evals: &mut &[EvalRow],
    step: u64,
    clock: &Clock<'_>,
    each: &mut impl FnMut(Point<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some((eval, rest)) = evals.split_first()
        && eval.step <= step
    {
        *evals = rest;
        let (loss, accuracy) = (
            format!("eval/{}/loss", eval.split),
            format!("eval/{}/accuracy", eval.split),
        );
        each(Point {
            step: eval.step,
            time_ms: clock.now_ms as i64,
            values: &[(&loss, eval.loss), (&accuracy, eval.accuracy)],
        })?;
    }
    Ok(())
}

/// What time it was in the run.
struct Clock<'a> {
    now_ms: f64,
    events: &'a [EventRow],
}

impl Clock<'_> {
    /// Goes on to the events up to `step`. It never goes back.
    fn reach(&mut self, step: u64) {
        while let Some((event, rest)) = self.events.split_first()
            && event.step <= step
        {
            self.events = rest;
            self.now_ms = self.now_ms.max(event.time_unix_ms as f64);
        }
    }
}
