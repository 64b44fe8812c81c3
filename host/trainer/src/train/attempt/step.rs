//! One step: the schedule is asked, the model learns, and the row waits for its loss.

use std::sync::Arc;
use std::time::Instant;

use pixelrate_runlog::{EventKind, StepRow};
use pixelrate_sandbox::TrainingValues;
use tch::Tensor;

use super::{Attempt, nanoseconds};
use crate::optimizer::StepSizes;
use crate::train::Observer;
use crate::train::caught::caught;
use crate::train::device_step::{Changed, DeviceStep};
use crate::train::gradients::{Batch, gradients};
use crate::{Error, device};

impl Attempt {
    pub(super) fn step(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let step = self.at.step;
        if self.probation.is_on() {
            self.settle_probation();
        }
        let began = Instant::now();
        let said = loop {
            let shown = self.shown()?;
            match self.in_force.schedule.step(step, shown) {
                Ok(said) => break said,
                Err(fault) => {
                    // The one before may read what training has shown up to now.
                    self.flush_losses(observer)?;
                    if self.diverged() {
                        return Ok(());
                    }
                    // Asks the one before, which takes its place, or gives the fault back.
                    self.roll_back(fault, observer)?;
                }
            }
        };
        let schedule_ns = nanoseconds(began);
        let training = &self.spec.training;
        let wants_norm = self.in_force.reads_training || training.log_grad_norm;
        let sizes = StepSizes {
            learning_rate: said.learning_rate,
            momentum: said.momentum.unwrap_or(training.momentum),
            weight_decay: said.weight_decay.unwrap_or(training.weight_decay),
        };
        let measured = match self.dry {
            false => Some(caught(|| self.learn(step, sizes, wants_norm))?),
            true => None,
        };
        let row = StepRow {
            step,
            epoch: self.epoch(step),
            learning_rate: sizes.learning_rate,
            momentum: Some(sizes.momentum),
            weight_decay: Some(sizes.weight_decay),
            train_loss: None,
            grad_norm: None,
            step_ns: nanoseconds(began),
            schedule_ns,
            schedule: Arc::clone(&self.in_force.sha256),
            swaps: self.swaps,
        };
        match measured {
            Some((loss, norm)) => self.pending.push(row, loss, norm),
            None => self.pending.push_unmeasured(row),
        }
        self.at.step += 1;
        let loss = self.at.training.train_loss;
        self.desk.tell(self.at.step, sizes.learning_rate, loss);
        let on_device = self.on_device.as_mut();
        for message in on_device
            .map(DeviceStep::take_drawbacks)
            .unwrap_or_default()
        {
            self.event(observer, EventKind::Note, message, None)?;
        }
        Ok(())
    }

    /// What the schedule in force may see before the next step.
    fn shown(&self) -> Result<TrainingValues, Error> {
        let weight_norm = if self.in_force.reads_weights && !self.parameters.is_empty() {
            let _shared = device::share(self.model.device());
            let norms: Vec<_> = self.parameters.iter().map(Tensor::norm).collect();
            f64::try_from(Tensor::stack(&norms, 0).norm())?
        } else {
            f64::NAN
        };
        Ok(TrainingValues {
            weight_norm,
            ..self.at.training
        })
    }

    /// Forward, backward, and the change of the parameters. Gives the batch's loss, and the gradient's norm where it is
    /// wanted; both are still on the device.
    fn learn(
        &mut self,
        step: u64,
        sizes: StepSizes,
        wants_norm: bool,
    ) -> Result<(Tensor, Option<Tensor>), Error> {
        // Dropout is seeded by the step, so that a resumed run draws alike.
        let seed = mix(self.spec.seed, step);
        if let Some(on_device) = &mut self.on_device {
            let mut changed = Changed {
                model: &self.model,
                optimizer: &mut self.optimizer,
            };
            let (loss, norm) = on_device.learn(step, seed, sizes, &mut self.train, &mut changed)?;
            return Ok((loss, wants_norm.then_some(norm)));
        }
        let (pictures, labels) = self.train.batch(step, self.spec.training.batch_size);
        let batch = Batch {
            pictures,
            labels,
            label_smoothing: self.spec.training.label_smoothing,
            seed,
        };
        let (loss, gradients) = gradients(&self.model, &batch)?;
        let norm = wants_norm.then(|| {
            let norms: Vec<_> = gradients.iter().map(Tensor::norm).collect();
            Tensor::stack(&norms, 0).norm()
        });
        self.optimizer.step(&mut self.parameters, &gradients, sizes);
        Ok((loss, norm))
    }
}

/// One seed out of two numbers, spread over all bits: the finaliser of SplitMix64 (Steele et al., 2014).
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
