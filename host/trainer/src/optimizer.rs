//! Momentum SGD, Adam and AdamW, with their state in our hands, so that checkpoints hold it.

mod flat;
mod fused;

use tch::{Kind, Tensor, no_grad, no_grad_guard};

use crate::precision::AtOnce;
use crate::spec::OptimizerKind;
use flat::Flat;

/// What one step is made with: exactly what the schedule said, or the study where it said nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSizes {
    /// Learning rate.
    pub learning_rate: f64,
    /// Momentum, or Adam's beta1.
    pub momentum: f64,
    /// `weight_decay * parameter` is added to each gradient, as in PyTorch's SGD and Adam (an L2 penalty); AdamW takes
    /// `learning_rate * weight_decay` of each parameter off it.
    pub weight_decay: f64,
}

/// The parameters' change.
pub struct Optimizer {
    kind: OptimizerKind,
    beta2: f64,
    epsilon: f64,
    /// Momentum buffers, or Adam's first moments, one a parameter.
    first: Vec<Tensor>,
    /// Adam's second moments; empty for momentum.
    second: Vec<Tensor>,
    /// Adam's running products of beta1 and beta2, for the bias corrections: beta1 may change from step to step.
    products: [f64; 2],
    /// All of it, where it lies in one tensor of a device, of which the moments are views.
    flat: Option<Flat>,
}

/// How Adam and AdamW decay weights in one step.
#[derive(Debug, Clone, Copy)]
struct Decay {
    /// So many times a parameter is added to its gradient.
    of_gradient: f64,
    /// What is kept of a parameter before the step.
    kept: f64,
}

impl Decay {
    fn of(kind: OptimizerKind, sizes: StepSizes) -> Self {
        if kind == OptimizerKind::AdamW {
            Self {
                of_gradient: 0.0,
                kept: 1.0 - sizes.learning_rate * sizes.weight_decay,
            }
        } else {
            Self {
                of_gradient: sizes.weight_decay,
                kept: 1.0,
            }
        }
    }
}

impl Optimizer {
    /// An optimizer at rest: all state zero. Its parameters are 32-bit floats on the CPU, each in one stretch of memory.
    pub fn new(kind: OptimizerKind, beta2: f64, epsilon: f64, parameters: &[Tensor]) -> Self {
        let zeros = || {
            parameters
                .iter()
                .map(|p| p.zeros_like().set_requires_grad(false))
                .collect()
        };
        Self {
            kind,
            beta2,
            epsilon,
            first: zeros(),
            second: match kind {
                OptimizerKind::Momentum | OptimizerKind::Nesterov => Vec::new(),
                OptimizerKind::Adam | OptimizerKind::AdamW => zeros(),
            },
            products: [1.0; 2],
            flat: None,
        }
    }

    /// An optimizer at rest whose step is a few operations on the parameters' device, the same in every step. Moves
    /// `parameters` into one tensor, of which they are views from now on.
    pub fn on_device(
        kind: OptimizerKind,
        beta2: f64,
        epsilon: f64,
        parameters: &mut [Tensor],
    ) -> Self {
        let flat = no_grad(|| Flat::new(kind, beta2, epsilon, parameters));
        Self {
            kind,
            beta2,
            epsilon,
            first: flat.first(),
            second: flat.second(),
            products: [1.0; 2],
            flat: Some(flat),
        }
    }

    /// What rounds all weights to `kind` in one operation, and what they are rounded to, where a parameter is one: gradients by
    /// that come in `kind`, too.
    ///
    /// # Panics
    /// It is not [on a device](Self::on_device).
    pub(crate) fn round_at_once(&mut self, kind: Kind) -> (AtOnce, Vec<Option<Tensor>>) {
        let Some(flat) = &mut self.flat else {
            unreachable!("only an optimizer on a device has all weights in one tensor")
        };
        let _off = no_grad_guard();
        flat.round_at_once(kind)
    }

    /// Changes `parameters` by one step along `gradients` (same order and shapes).
    ///
    /// Momentum is PyTorch's `SGD` without dampening: `v = m v + g`, `p -= lr v`, and Nesterov's `p -= lr (g + m v)`. Adam is
    /// PyTorch's `Adam` (Kingma and Ba, 2015, algorithm 1), bias-corrected by the products of the betas that
    /// were used, which is the same where they are constant. AdamW is PyTorch's `AdamW` (Loshchilov and Hutter, 2019, algorithm
    /// 2): first `p *= 1 - lr weight_decay`, then Adam's step.
    ///
    /// # Panics
    /// The parameters are not those that the optimizer was made for.
    pub fn step(&mut self, parameters: &mut [Tensor], gradients: &[Tensor], sizes: StepSizes) {
        self.write(sizes);
        // A guard, which what libtorch throws takes back, too.
        let _off = no_grad_guard();
        if self.flat.is_some() {
            let _norm = self.change(gradients);
        } else if !self.fused(parameters, gradients, sizes) {
            unreachable!("on the CPU, parameters lie as they did when the optimizer was made")
        }
    }

    /// Begins a step: an optimizer [on a device](Self::on_device) is told there what the next [`change`](Self::change) is
    /// made with.
    pub(crate) fn write(&mut self, sizes: StepSizes) {
        if !self.second.is_empty() {
            self.products[0] *= sizes.momentum;
            self.products[1] *= self.beta2;
        }
        if let Some(flat) = &mut self.flat {
            let _off = no_grad_guard();
            flat.write(sizes, self.products);
        }
    }

    /// Changes the parameters by operations that are the same in every step, and gives the gradient's norm, on the device.
    ///
    /// # Panics
    /// It is not [on a device](Self::on_device).
    pub(crate) fn change(&mut self, gradients: &[Tensor]) -> Tensor {
        let Some(flat) = &mut self.flat else {
            unreachable!("an optimizer that is not on a device changes parameters by `step`")
        };
        let _off = no_grad_guard();
        flat.change(gradients)
    }

    /// The step in one pass over memory, where the tensors are on the CPU; else `false`.
    fn fused(&mut self, parameters: &mut [Tensor], gradients: &[Tensor], sizes: StepSizes) -> bool {
        let (first, second) = (&mut self.first, &mut self.second);
        match self.kind {
            OptimizerKind::Momentum | OptimizerKind::Nesterov => {
                let rule = fused::Momentum {
                    learning_rate: sizes.learning_rate as f32,
                    momentum: sizes.momentum as f32,
                    weight_decay: sizes.weight_decay as f32,
                    nesterov: self.kind == OptimizerKind::Nesterov,
                };
                fused::change(rule, parameters, gradients, first, second)
            }
            OptimizerKind::Adam | OptimizerKind::AdamW => {
                let decay = Decay::of(self.kind, sizes);
                let rule = fused::Adam {
                    rate: (sizes.learning_rate / (1.0 - self.products[0])) as f32,
                    beta1: sizes.momentum as f32,
                    new1: (1.0 - sizes.momentum) as f32,
                    beta2: self.beta2 as f32,
                    new2: (1.0 - self.beta2) as f32,
                    correction: (1.0 - self.products[1]).sqrt() as f32,
                    epsilon: self.epsilon as f32,
                    weight_decay: decay.of_gradient as f32,
                    kept: decay.kept as f32,
                };
                fused::change(rule, parameters, gradients, first, second)
            }
        }
    }

    /// The state, by name: `first.0`, …, `second.0`, ….
    pub fn state(&self) -> impl Iterator<Item = (String, &Tensor)> {
        let first = self
            .first
            .iter()
            .enumerate()
            .map(|(i, t)| (format!("first.{i}"), t));
        let second = self
            .second
            .iter()
            .enumerate()
            .map(|(i, t)| (format!("second.{i}"), t));
        first.chain(second)
    }

    /// Adam's running products of the betas.
    pub fn products(&self) -> [f64; 2] {
        self.products
    }

    /// Takes back what [`Self::state`] and [`Self::products`] gave. `find` looks a tensor up by its name.
    ///
    /// # Errors
    /// Whatever `find` says of a tensor that is missing.
    pub fn restore<E>(
        &mut self,
        products: [f64; 2],
        mut find: impl FnMut(&str, &mut Tensor) -> Result<(), E>,
    ) -> Result<(), E> {
        self.products = products;
        for (name, list) in [("first", &mut self.first), ("second", &mut self.second)] {
            for (index, tensor) in list.iter_mut().enumerate() {
                find(&format!("{name}.{index}"), tensor)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    const STEPS: u32 = 100;
    const SIZES: StepSizes = StepSizes {
        learning_rate: 0.01,
        momentum: 0.9,
        weight_decay: 2e-4,
    };

    impl Optimizer {
        /// The step by libtorch's operations, which all ways of doing it must agree with.
        fn by_operations(
            &mut self,
            parameters: &mut [Tensor],
            gradients: &[Tensor],
            sizes: StepSizes,
        ) {
            match self.kind {
                OptimizerKind::Momentum | OptimizerKind::Nesterov => {
                    self.momentum(parameters, gradients, sizes);
                }
                OptimizerKind::Adam | OptimizerKind::AdamW => {
                    self.adam(parameters, gradients, sizes);
                }
            }
        }

        fn momentum(&mut self, parameters: &mut [Tensor], gradients: &[Tensor], sizes: StepSizes) {
            for ((parameter, gradient), velocity) in
                parameters.iter_mut().zip(gradients).zip(&mut self.first)
            {
                let gradient = decayed(gradient, parameter, sizes.weight_decay);
                let _ = velocity.g_mul_scalar_(sizes.momentum).g_add_(&gradient);
                let along = if self.kind == OptimizerKind::Nesterov {
                    gradient + &*velocity * sizes.momentum
                } else {
                    velocity.shallow_clone()
                };
                let _ = parameter.g_sub_(&(along * sizes.learning_rate));
            }
        }

        fn adam(&mut self, parameters: &mut [Tensor], gradients: &[Tensor], sizes: StepSizes) {
            let beta1 = sizes.momentum;
            let rate = sizes.learning_rate / (1.0 - self.products[0]);
            let correction = (1.0 - self.products[1]).sqrt();
            let decay = Decay::of(self.kind, sizes);
            let moments = self.first.iter_mut().zip(&mut self.second);
            for ((parameter, gradient), (mean, square)) in
                parameters.iter_mut().zip(gradients).zip(moments)
            {
                let _ = parameter.g_mul_scalar_(decay.kept);
                let gradient = decayed(gradient, parameter, decay.of_gradient);
                let _ = mean
                    .g_mul_scalar_(beta1)
                    .g_add_(&(&gradient * (1.0 - beta1)));
                let _ = square
                    .g_mul_scalar_(self.beta2)
                    .g_add_(&(gradient.square() * (1.0 - self.beta2)));
                let denominator = square.sqrt() / correction + self.epsilon;
                let _ = parameter.g_sub_(&(&*mean / denominator * rate));
            }
        }
    }

    fn decayed(gradient: &Tensor, parameter: &Tensor, weight_decay: f64) -> Tensor {
        if weight_decay == 0.0 {
            gradient.shallow_clone()
        } else {
            gradient + parameter * weight_decay
        }
    }

    /// The gradient of a bowl that is steeper in each direction.
    fn gradient(at: f64, direction: usize) -> f64 {
        (direction + 1) as f64 * (at - 0.3)
    }

    fn trained(kind: OptimizerKind) -> Vec<f64> {
        let start = Tensor::from_slice(&[1.0_f32, -2.0, 0.5]);
        let slopes = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]);
        let mut parameters = vec![start];
        let mut optimizer = Optimizer::new(kind, 0.999, 1e-8, &parameters);
        for _ in 0..STEPS {
            let gradients = [(&parameters[0] - 0.3) * &slopes];
            optimizer.step(&mut parameters, &gradients, SIZES);
        }
        Vec::try_from(parameters[0].to_kind(Kind::Double).to_device(Device::Cpu)).unwrap()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    /// To the bit, but for Adam's root, which MKL's vectors do not always round right.
    fn alike(kind: OptimizerKind, a: &Tensor, b: &Tensor) -> bool {
        match kind {
            OptimizerKind::Momentum | OptimizerKind::Nesterov => a == b,
            OptimizerKind::Adam | OptimizerKind::AdamW => a.allclose(b, 1e-6, 1e-7, false),
        }
    }

    #[test]
    fn one_pass_gives_what_libtorchs_operations_do() {
        // More numbers than one piece, a memory order of its own, and a gradient in another.
        let shapes: [&[i64]; 4] = [&[100_003], &[16, 8, 3, 3], &[7], &[64, 300]];
        let _generator = crate::model::seeded(11);
        let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        for kind in OptimizerKind::ALL {
            let mut fused: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
            fused[1] = crate::model::channels_last(&fused[1]);
            let mut stepped: Vec<Tensor> = fused.iter().map(Tensor::copy).collect();
            let mut one = Optimizer::new(kind, 0.999, 1e-8, &fused);
            let mut other = Optimizer::new(kind, 0.999, 1e-8, &stepped);
            for step in 0..20 {
                let gradients: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
                let sizes = StepSizes {
                    learning_rate: 0.01 + 1e-4 * f64::from(step),
                    momentum: 0.85 + 1e-3 * f64::from(step),
                    weight_decay: if step % 3 == 0 { 0.0 } else { 2e-4 },
                };
                if !one.second.is_empty() {
                    for optimizer in [&mut one, &mut other] {
                        optimizer.products[0] *= sizes.momentum;
                        optimizer.products[1] *= 0.999;
                    }
                }
                assert!(one.fused(&mut fused, &gradients, sizes));
                other.by_operations(&mut stepped, &gradients, sizes);
                let mut pairs = fused.iter().zip(&stepped);
                assert!(pairs.all(|(a, b)| alike(kind, a, b)), "{kind}, step {step}");
            }
            let mut state = one.state().zip(other.state());
            assert!(state.all(|((_, a), (_, b))| alike(kind, a, b)), "{kind}");
        }
    }

    #[test]
    fn a_devices_few_operations_give_what_one_pass_does() {
        // Views of one tensor with gaps between them, a memory order of its own, and sizes that change from step to step.
        let shapes: [&[i64]; 4] = [&[1003], &[16, 8, 3, 3], &[7], &[64, 30]];
        let _generator = crate::model::seeded(12);
        let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        for kind in OptimizerKind::ALL {
            let mut passed: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
            passed[1] = crate::model::channels_last(&passed[1]);
            let mut operated: Vec<Tensor> = passed.iter().map(Tensor::copy).collect();
            let held: Vec<Tensor> = operated.iter().map(Tensor::shallow_clone).collect();
            let mut one = Optimizer::new(kind, 0.999, 1e-8, &passed);
            let mut other = Optimizer::on_device(kind, 0.999, 1e-8, &mut operated);
            for step in 0..20 {
                let gradients: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
                let sizes = StepSizes {
                    learning_rate: 0.01 + 1e-4 * f64::from(step),
                    momentum: 0.85 + 1e-3 * f64::from(step),
                    weight_decay: if step % 3 == 0 { 0.0 } else { 2e-4 },
                };
                one.step(&mut passed, &gradients, sizes);
                other.write(sizes);
                let norm = f64::try_from(other.change(&gradients)).unwrap();
                let all: Vec<_> = gradients.iter().map(|g| g.flatten(0, -1)).collect();
                let expected = f64::try_from(Tensor::cat(&all, 0).norm()).unwrap();
                assert!((norm / expected - 1.0).abs() < 1e-5, "{norm} {expected}");
                let mut pairs = passed.iter().zip(&held);
                assert!(pairs.all(|(a, b)| alike(kind, a, b)), "{kind}, step {step}");
            }
            for ((a, one), (b, other)) in one.state().zip(other.state()) {
                assert!(a == b && alike(kind, one, other), "{kind}, {a}");
            }
            // What a checkpoint gives back reaches the one tensor that they are views of.
            let mut again = Optimizer::on_device(kind, 0.999, 1e-8, &mut operated);
            let from: Vec<_> = other.state().map(|(_, tensor)| tensor.copy()).collect();
            let mut next = from.iter();
            again
                .restore(other.products(), |_, tensor| {
                    tensor.copy_(next.next().unwrap());
                    Ok::<_, ()>(())
                })
                .unwrap();
            let gradients: Vec<Tensor> = shapes.iter().map(|shape| draw(shape)).collect();
            one.step(&mut passed, &gradients, SIZES);
            again.step(&mut operated, &gradients, SIZES);
            let mut pairs = passed.iter().zip(&operated);
            assert!(pairs.all(|(a, b)| alike(kind, a, b)), "{kind}, taken back");
        }
    }

    #[test]
    fn momentum_is_the_formula_of_pytorchs_sgd() {
        // torch.optim.SGD's documented algorithm, in 64 bits, one number at a time.
        let mut expected = [1.0, -2.0, 0.5];
        for (direction, p) in expected.iter_mut().enumerate() {
            let mut velocity = 0.0;
            for _ in 0..STEPS {
                let g = gradient(*p, direction) + SIZES.weight_decay * *p;
                velocity = SIZES.momentum * velocity + g;
                *p -= SIZES.learning_rate * velocity;
            }
        }
        assert_close(&trained(OptimizerKind::Momentum), &expected);
    }

    #[test]
    fn adam_is_the_formula_of_pytorchs_adam() {
        let mut expected = [1.0, -2.0, 0.5];
        for (direction, p) in expected.iter_mut().enumerate() {
            let (mut m, mut v) = (0.0, 0.0);
            for step in 1..=STEPS as i32 {
                let g = gradient(*p, direction) + SIZES.weight_decay * *p;
                m = 0.9 * m + 0.1 * g;
                v = 0.999 * v + 0.001 * g * g;
                let (mean, square) = (
                    m / (1.0 - 0.9_f64.powi(step)),
                    v / (1.0 - 0.999_f64.powi(step)),
                );
                *p -= SIZES.learning_rate * mean / (square.sqrt() + 1e-8);
            }
        }
        assert_close(&trained(OptimizerKind::Adam), &expected);
    }
}
