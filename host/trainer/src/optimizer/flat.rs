//! An optimizer's step on a device: all parameters are views of one tensor, so that a step is a handful of operations, and
//! what it is made with lies on the device, too, so that the operations are the same ones in every step. The host writes
//! those few numbers before a step, and waits for nothing.
//!
//! Each number is rounded where [`super::fused`] rounds it: on the CPU, both give the same bits.

use tch::{Device, Kind, Tensor};

use super::{Decay, StepSizes};
use crate::precision::AtOnce;
use crate::spec::OptimizerKind;

/// Where a parameter begins, in numbers: what reads eight of them at a time may do so.
const ALIGNMENT: i64 = 8;

/// One parameter's place among all.
struct Slot {
    size: Vec<i64>,
    offset: i64,
    count: i64,
    /// Of a convolution or a dense layer, and with all of those before all others.
    is_weight: bool,
    /// Zeros up to the next one's place; `None` where that follows at once.
    padding: Option<Tensor>,
}

impl Slot {
    /// A convolution's weights lie as cuDNN and oneDNN compute with them: the channels of a pixel side by side.
    fn is_kernel(&self) -> bool {
        self.size.len() == 4
    }

    fn view(&self, whole: &Tensor) -> Tensor {
        let part = whole.narrow(0, self.offset, self.count);
        match self.size[..] {
            [output, input, height, width] => part
                .view([output, height, width, input])
                .permute([0, 3, 1, 2]),
            _ => part.view(&self.size[..]),
        }
    }

    /// The numbers of `tensor`, which is as the parameter, in the order in which they lie here.
    fn flat(&self, tensor: &Tensor) -> Tensor {
        if self.is_kernel() {
            tensor.permute([0, 2, 3, 1]).reshape([-1])
        } else {
            tensor.reshape([-1])
        }
    }
}

/// All parameters and their moments, each in one stretch.
pub(super) struct Flat {
    slots: Vec<Slot>,
    parameters: Tensor,
    /// How many numbers of it, the first, are weights.
    weights: i64,
    first: Tensor,
    rule: Rule,
}

/// How parameters change. Tensors are single numbers on the device, which a step is made with.
enum Rule {
    Momentum {
        learning_rate: Tensor,
        momentum: Tensor,
        weight_decay: Tensor,
        nesterov: bool,
    },
    Adam {
        /// The learning rate over the first moments' bias correction.
        rate: Tensor,
        beta1: Tensor,
        /// 1 - beta1.
        new1: Tensor,
        /// The root of the second moments' bias correction.
        correction: Tensor,
        weight_decay: Tensor,
        /// AdamW's, in place of `weight_decay`: what is kept of a parameter before the step.
        kept: Option<Tensor>,
        beta2: f64,
        epsilon: f64,
        /// The second moments.
        second: Tensor,
    },
}

impl Flat {
    /// Moves `parameters` into one tensor, of which they are views from now on, wherever they are held.
    pub(super) fn new(
        kind: OptimizerKind,
        beta2: f64,
        epsilon: f64,
        parameters: &mut [Tensor],
    ) -> Self {
        let device = parameters.first().map_or(Device::Cpu, Tensor::device);
        let options = (Kind::Float, device);
        let mut slots: Vec<Slot> = parameters
            .iter()
            .map(|parameter| {
                let count = parameter.numel() as i64;
                let padding = (count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - count;
                Slot {
                    size: parameter.size(),
                    offset: 0,
                    count,
                    is_weight: parameter.dim() > 1,
                    padding: (padding > 0).then(|| Tensor::zeros([padding], options)),
                }
            })
            .collect();
        let mut next = 0;
        let mut place = |are_weights: bool| {
            for slot in slots
                .iter_mut()
                .filter(|slot| slot.is_weight == are_weights)
            {
                slot.offset = next;
                next += slot.count + slot.padding.as_ref().map_or(0, |it| it.numel() as i64);
            }
            next
        };
        let weights = place(true);
        let whole = Tensor::zeros([place(false)], options);
        for (slot, parameter) in slots.iter().zip(parameters) {
            let mut view = slot.view(&whole);
            view.copy_(&parameter.detach());
            parameter.set_data(&view);
        }
        let number = || Tensor::zeros([] as [i64; 0], options);
        let rule = match kind {
            OptimizerKind::Momentum | OptimizerKind::Nesterov => Rule::Momentum {
                learning_rate: number(),
                momentum: number(),
                weight_decay: number(),
                nesterov: kind == OptimizerKind::Nesterov,
            },
            OptimizerKind::Adam | OptimizerKind::AdamW => Rule::Adam {
                rate: number(),
                beta1: number(),
                new1: number(),
                correction: number(),
                weight_decay: number(),
                kept: (kind == OptimizerKind::AdamW).then(number),
                beta2,
                epsilon,
                second: whole.zeros_like(),
            },
        };
        Self {
            slots,
            first: whole.zeros_like(),
            parameters: whole,
            weights,
            rule,
        }
    }

    /// What rounds all weights to `kind` in one operation, and what they are rounded to, where a parameter is one: gradients by
    /// that come in `kind`, too.
    pub(super) fn round_at_once(&mut self, kind: Kind) -> (AtOnce, Vec<Option<Tensor>>) {
        let at_once = AtOnce::new(self.parameters.narrow(0, 0, self.weights), kind);
        let leaves = self.slots.iter_mut().map(|slot| {
            if !slot.is_weight {
                return None;
            }
            slot.padding = slot.padding.take().map(|zeros| zeros.to_kind(kind));
            Some(slot.view(at_once.rounded()).set_requires_grad(true))
        });
        let leaves = leaves.collect();
        (at_once, leaves)
    }

    /// Views of the first moments, one a parameter.
    pub(super) fn first(&self) -> Vec<Tensor> {
        self.views(&self.first)
    }

    /// Views of the second moments; none for momentum.
    pub(super) fn second(&self) -> Vec<Tensor> {
        match &self.rule {
            Rule::Momentum { .. } => Vec::new(),
            Rule::Adam { second, .. } => self.views(second),
        }
    }

    fn views(&self, whole: &Tensor) -> Vec<Tensor> {
        self.slots.iter().map(|slot| slot.view(whole)).collect()
    }

    /// Writes what the next step is made with. `products` are Adam's, this step's betas among them.
    pub(super) fn write(&mut self, sizes: StepSizes, products: [f64; 2]) {
        let write = |numbers: &mut [(&mut Tensor, f64)]| {
            for (tensor, number) in numbers {
                let _ = tensor.fill_(*number);
            }
        };
        match &mut self.rule {
            Rule::Momentum {
                learning_rate,
                momentum,
                weight_decay,
                ..
            } => write(&mut [
                (learning_rate, sizes.learning_rate),
                (momentum, sizes.momentum),
                (weight_decay, sizes.weight_decay),
            ]),
            Rule::Adam {
                rate,
                beta1,
                new1,
                correction,
                weight_decay,
                kept,
                ..
            } => {
                write(&mut [
                    (rate, sizes.learning_rate / (1.0 - products[0])),
                    (beta1, sizes.momentum),
                    (new1, 1.0 - sizes.momentum),
                    (correction, (1.0 - products[1]).sqrt()),
                ]);
                match kept {
                    Some(kept) => {
                        let decay = Decay::of(OptimizerKind::AdamW, sizes);
                        write(&mut [(kept, decay.kept)]);
                    }
                    None => write(&mut [(weight_decay, sizes.weight_decay)]),
                }
            }
        }
    }

    /// Changes the parameters along `gradients` (same order and shapes), by operations on the device alone. Gives the
    /// gradient's norm, a number on the device.
    pub(super) fn change(&mut self, gradients: &[Tensor]) -> Tensor {
        let mut gradient = self.gather(gradients);
        let norm = gradient.norm();
        let Self {
            parameters, first, ..
        } = self;
        match &mut self.rule {
            Rule::Momentum {
                learning_rate,
                momentum,
                weight_decay,
                nesterov,
            } => {
                let _ = gradient.g_add_(&(&*parameters * &*weight_decay));
                let _ = first.g_mul_(momentum).g_add_(&gradient);
                if *nesterov {
                    let _ = gradient.g_add_(&(&*first * &*momentum));
                    let _ = parameters.g_sub_(&(&gradient * &*learning_rate));
                } else {
                    let _ = parameters.g_sub_(&(&*first * &*learning_rate));
                }
            }
            Rule::Adam {
                rate,
                beta1,
                new1,
                correction,
                weight_decay,
                kept,
                beta2,
                epsilon,
                second,
            } => {
                if let Some(kept) = kept {
                    let _ = parameters.g_mul_(kept);
                } else {
                    let _ = gradient.g_add_(&(&*parameters * &*weight_decay));
                }
                let _ = first.g_mul_(beta1).g_add_(&(&gradient * &*new1));
                let _ = second
                    .g_mul_scalar_(*beta2)
                    .g_add_(&(gradient.square() * (1.0 - *beta2)));
                let denominator = second.sqrt() / &*correction + *epsilon;
                let _ = parameters.g_sub_(&(&*first / denominator * &*rate));
            }
        }
        norm
    }

    /// One tensor of all gradients, as the parameters lie.
    fn gather(&self, gradients: &[Tensor]) -> Tensor {
        let whole = self.parameters.empty_like();
        // Weights, which may come in 16 bits, and all others, one after the other: a GPU gives each piece that it joins as many
        // blocks as the longest needs, so that many short ones are not to be joined with a long one.
        let others = whole.numel() as i64 - self.weights;
        let parts = [(true, 0, self.weights), (false, self.weights, others)];
        for (are_weights, offset, count) in parts.into_iter().filter(|part| part.2 > 0) {
            let mut pieces = Vec::with_capacity(2 * gradients.len());
            let slots = self.slots.iter().zip(gradients);
            for (slot, gradient) in slots.filter(|(slot, _)| slot.is_weight == are_weights) {
                pieces.push(slot.flat(gradient));
                pieces.extend(slot.padding.as_ref().map(Tensor::shallow_clone));
            }
            whole
                .narrow(0, offset, count)
                .copy_(&Tensor::cat(&pieces, 0));
        }
        whole
    }
}
