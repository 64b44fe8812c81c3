//! Steps whose loss is still on the device: it is read back for many at once, so that no step waits for it.
//!
//! None of them is in the log yet, and none is lost by that: a run that ends without a word is taken up from a checkpoint,
//! before which all steps were read back and logged, and goes through those after it again.

use pixelrate_cuda::Event;
use pixelrate_runlog::StepRow;
use tch::{Device, Kind, Tensor};

use crate::{Error, device};

/// How many steps wait at the most; on a device, so many again whose losses are on their way.
const MOST: usize = 64;

/// Rows without their losses, and the losses on the device.
#[derive(Default)]
pub(super) struct Pending {
    rows: Vec<StepRow>,
    losses: Vec<Tensor>,
    norms: Vec<Tensor>,
    /// Those before them.
    sent: Option<Sent>,
}

/// Rows whose losses are on their way to the host.
struct Sent {
    rows: Vec<StepRow>,
    losses: Tensor,
    norms: Option<Tensor>,
    /// When they have come, and from where; `None` if they have.
    arrival: Option<(Event, Device)>,
}

impl Pending {
    /// Adds a step. `norm` must be given for all steps or for none.
    pub(super) fn push(&mut self, row: StepRow, loss: Tensor, norm: Option<Tensor>) {
        self.rows.push(row);
        self.losses.push(loss);
        self.norms.extend(norm);
    }

    /// Adds a step that measured nothing. All steps of a run are like this, or none.
    pub(super) fn push_unmeasured(&mut self, row: StepRow) {
        self.rows.push(row);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= MOST
    }

    /// Reads all of them back, and gives the rows, whole.
    pub(super) fn read_back(&mut self) -> Result<Vec<StepRow>, Error> {
        let mut rows = self.read_sent()?;
        self.send()?;
        rows.extend(self.read_sent()?);
        Ok(rows)
    }

    /// Gives the rows whose losses were sent for by the last call, and sends for the others: where there is a device that
    /// goes on meanwhile, nobody waits.
    pub(super) fn turn_over(&mut self) -> Result<Vec<StepRow>, Error> {
        let rows = self.read_sent()?;
        self.send()?;
        Ok(rows)
    }

    /// Forgets all of them, which come after the run's last step.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn send(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let (losses, norms) = (
            std::mem::take(&mut self.losses),
            std::mem::take(&mut self.norms),
        );
        let from = losses.first().map_or(Device::Cpu, Tensor::device);
        let _shared = device::share(from);
        // A norm is wanted or not by the schedule in force, and between two of them all steps are read back.
        let norms = (!norms.is_empty()).then(|| sent(&norms)).transpose()?;
        let losses_sent = sent(&losses)?;
        let arrival = match from {
            Device::Cuda(index) => Some((Event::record(index)?, from)),
            _ => None,
        };
        self.sent = Some(Sent {
            rows,
            losses: losses_sent,
            norms,
            arrival,
        });
        Ok(())
    }

    fn read_sent(&mut self) -> Result<Vec<StepRow>, Error> {
        let Some(mut sent) = self.sent.take() else {
            return Ok(Vec::new());
        };
        if let Some((arrival, from)) = sent.arrival {
            let _shared = device::share(from);
            arrival.wait()?;
        }
        for (row, loss) in sent.rows.iter_mut().zip(numbers(&sent.losses)?) {
            row.train_loss = Some(loss);
        }
        if let Some(norms) = &sent.norms {
            for (row, norm) in sent.rows.iter_mut().zip(numbers(norms)?) {
                row.grad_norm = Some(norm);
            }
        }
        Ok(sent.rows)
    }
}

/// Single numbers in one tensor on its way to the host, whose memory is pinned where the device writes to it by itself.
fn sent(scalars: &[Tensor]) -> Result<Tensor, Error> {
    if scalars.is_empty() {
        return Ok(Tensor::empty([0], (Kind::Float, Device::Cpu)));
    }
    Ok(Tensor::f_stack(scalars, 0)?.f_to_device_(Device::Cpu, Kind::Float, true, false)?)
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    Ok(Vec::<f64>::try_from(tensor.to_kind(Kind::Double))?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn row(step: u64) -> StepRow {
        StepRow {
            step,
            epoch: 0.0,
            learning_rate: 0.1,
            momentum: None,
            weight_decay: None,
            train_loss: None,
            grad_norm: None,
            step_ns: 0,
            schedule_ns: 0,
            schedule: Arc::from("one"),
            swaps: 0,
        }
    }

    /// Rows' steps, losses and norms.
    fn told(rows: &[StepRow]) -> Vec<(u64, Option<f64>, Option<f64>)> {
        let told = rows
            .iter()
            .map(|row| (row.step, row.train_loss, row.grad_norm));
        told.collect()
    }

    #[test]
    fn rows_come_once_in_their_order_with_their_own_losses() {
        let scalar = |number: u64| Tensor::from(number as f32 / 4.0).set_requires_grad(false);
        let expected = |steps: std::ops::Range<u64>| {
            let one = |step| (step, Some(step as f64 / 4.0), Some(step as f64 / 2.0));
            steps.map(one).collect::<Vec<_>>()
        };
        let mut pending = Pending::default();
        let mut next = 0;
        let mut push = |pending: &mut Pending, count: u64| {
            for step in next..next + count {
                pending.push(row(step), scalar(step), Some(scalar(2 * step)));
            }
            next += count;
        };
        push(&mut pending, MOST as u64 - 1);
        assert!(!pending.is_full());
        push(&mut pending, 1);
        assert!(pending.is_full());
        assert!(pending.turn_over().unwrap().is_empty());
        assert!(!pending.is_full());
        push(&mut pending, 64);
        assert_eq!(told(&pending.turn_over().unwrap()), expected(0..64));
        push(&mut pending, 3);
        assert_eq!(told(&pending.read_back().unwrap()), expected(64..131));
        assert!(pending.read_back().unwrap().is_empty());
        push(&mut pending, 3);
        drop(pending.turn_over());
        push(&mut pending, 3);
        pending.forget();
        assert!(pending.read_back().unwrap().is_empty());
    }

    #[test]
    fn a_dry_runs_rows_have_no_losses() {
        let mut pending = Pending::default();
        pending.push_unmeasured(row(0));
        drop(pending.turn_over());
        pending.push_unmeasured(row(1));
        let rows = pending.read_back().unwrap();
        assert_eq!(told(&rows), [(0, None, None), (1, None, None)]);
    }
}
