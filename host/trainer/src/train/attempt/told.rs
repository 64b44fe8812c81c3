//! What a run tells: rows of its log, in their order, and whoever looks on.

use pixelrate_runlog::{EventKind, EventRow, RunStatus, StepRow, SummaryRow};

use super::{Attempt, unix_ms};
use crate::Error;
use crate::train::{Observer, Progress, setup};

impl Attempt {
    /// Logs all steps whose losses were waiting, up to the first that is not finite.
    pub(in crate::train) fn flush_losses(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        let rows = self.pending.read_back()?;
        self.log_steps(rows, observer)
    }

    /// Logs steps, up to the first whose loss is not finite, which ends the run.
    pub(super) fn log_steps(
        &mut self,
        rows: Vec<StepRow>,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let loss = row.train_loss.unwrap_or(f64::NAN);
            self.at.training.train_loss = loss;
            self.at.training.grad_norm = row.grad_norm.unwrap_or(f64::NAN);
            self.log.step(row.clone())?;
            observer.step(&row);
            // A dry run measures none.
            let diverged = row.train_loss.is_some() && !loss.is_finite();
            let next = row.step + 1;
            self.last = Some(row);
            if diverged {
                self.at.step = next;
                self.pending.forget();
                break;
            }
        }
        if let Some(row) = &self.last {
            observer.progress(&Progress {
                step: row.step + 1,
                total_steps: self.found.total_steps,
                epoch: self.epoch(row.step + 1),
                learning_rate: row.learning_rate,
                train_loss: row.train_loss,
            });
        }
        Ok(())
    }

    pub(in crate::train) fn drain_schedule(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<(), Error> {
        for event in self.in_force.schedule.drain_events() {
            let kind = if event.is_fault() {
                EventKind::Fault
            } else {
                EventKind::Log
            };
            self.event(observer, kind, event.to_string(), None)?;
        }
        Ok(())
    }

    pub(in crate::train) fn event(
        &mut self,
        observer: &mut dyn Observer,
        kind: EventKind,
        message: String,
        duration_ns: Option<u64>,
    ) -> Result<(), Error> {
        let row = self.event_row(kind, message, duration_ns);
        self.log.event(row.clone())?;
        observer.event(&row);
        Ok(())
    }

    /// Something that happens now, about the schedule in force.
    pub(in crate::train) fn event_row(
        &self,
        kind: EventKind,
        message: String,
        duration_ns: Option<u64>,
    ) -> EventRow {
        EventRow {
            step: self.at.step,
            time_unix_ms: unix_ms(),
            kind,
            schedule: Some(self.in_force.sha256.to_string()),
            message,
            duration_ns,
        }
    }

    pub(super) fn summary(&self, status: RunStatus, error: Option<String>) -> SummaryRow {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        SummaryRow {
            steps_done: self.at.step,
            final_train_loss: self.last.as_ref().and_then(|row| row.train_loss),
            final_eval_loss: known(self.at.training.eval_loss),
            final_eval_accuracy: known(self.at.training.eval_accuracy),
            best_eval_accuracy: known(self.at.best_accuracy),
            wall_seconds: self.seconds(),
            started_unix_ms: self.started_unix_ms,
            ..setup::summary(&self.spec, &self.found, status, error)
        }
    }
}
