//! Steps whose loss is still on the device: it is read back for many at once, so that no step waits for it.

use pixelrate_runlog::StepRow;
use tch::Tensor;

use crate::Error;

/// How many steps wait at the most.
const MOST: usize = 64;

/// Rows without their losses, and the losses on the device.
#[derive(Default)]
pub(super) struct Pending {
    rows: Vec<StepRow>,
    losses: Vec<Tensor>,
    norms: Vec<Tensor>,
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

    /// Reads all of them back in one go, and gives the rows, whole.
    pub(super) fn read_back(&mut self) -> Result<Vec<StepRow>, Error> {
        let mut rows = std::mem::take(&mut self.rows);
        if self.losses.is_empty() {
            return Ok(rows);
        }
        let losses = numbers(&std::mem::take(&mut self.losses))?;
        for (row, loss) in rows.iter_mut().zip(losses) {
            row.train_loss = Some(loss);
        }
        if !self.norms.is_empty() {
            let norms = numbers(&std::mem::take(&mut self.norms))?;
            for (row, norm) in rows.iter_mut().zip(norms) {
                row.grad_norm = Some(norm);
            }
        }
        Ok(rows)
    }
}

fn numbers(scalars: &[Tensor]) -> Result<Vec<f64>, Error> {
    Ok(Vec::<f64>::try_from(
        Tensor::stack(scalars, 0).to_kind(tch::Kind::Double),
    )?)
}
