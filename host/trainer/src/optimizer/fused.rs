//! An optimizer's step on the CPU in one pass over memory, which is what it costs: libtorch's operations would each read
//! and write all parameters anew.
//!
//! Each number is rounded where those operations round it, so that the bits are theirs (but for MKL's roots, which are not
//! always rounded right), and the same on every processor and with any number of threads.

use std::sync::OnceLock;
use std::thread;

use multiversion::multiversion;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tch::Tensor;

use crate::memory::{numbers, same_layout};

/// Numbers that one thread changes at a time. What a step takes from so many is worth a thread of its own.
const PIECE: usize = 1 << 16;

/// The numbers of one tensor, or some of them: parameters, their gradients, and the optimizer's moments.
pub(super) struct Piece<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    /// Empty where the optimizer has no second moments.
    second: &'a mut [f32],
}

/// PyTorch's SGD with momentum.
#[derive(Clone, Copy)]
pub(super) struct Momentum {
    pub(super) learning_rate: f32,
    pub(super) momentum: f32,
    pub(super) weight_decay: f32,
    pub(super) nesterov: bool,
}

/// PyTorch's Adam, and its AdamW.
#[derive(Clone, Copy)]
pub(super) struct Adam {
    /// The learning rate over the first moments' bias correction.
    pub(super) rate: f32,
    pub(super) beta1: f32,
    /// 1 - beta1, of 64 bits before it was rounded.
    pub(super) new1: f32,
    pub(super) beta2: f32,
    pub(super) new2: f32,
    /// The root of the second moments' bias correction.
    pub(super) correction: f32,
    pub(super) epsilon: f32,
    pub(super) weight_decay: f32,
    /// What AdamW keeps of a parameter before its step; Adam's 1 changes no bit.
    pub(super) kept: f32,
}

/// What changes a piece.
pub(super) trait Rule: Copy + Send {
    fn change(self, piece: Piece<'_>);
}

impl Rule for Momentum {
    fn change(self, piece: Piece<'_>) {
        let change = if self.nesterov { nesterov } else { momentum };
        change(self, piece.parameter, piece.gradient, piece.first);
    }
}

impl Rule for Adam {
    fn change(self, piece: Piece<'_>) {
        adam(
            self,
            piece.parameter,
            piece.gradient,
            piece.first,
            piece.second,
        );
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn momentum(rule: Momentum, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    for ((p, &g), v) in parameter.iter_mut().zip(gradient).zip(velocity) {
        let g = decayed(g, *p, rule.weight_decay);
        *v = *v * rule.momentum + g;
        *p -= *v * rule.learning_rate;
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn nesterov(rule: Momentum, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    for ((p, &g), v) in parameter.iter_mut().zip(gradient).zip(velocity) {
        let g = decayed(g, *p, rule.weight_decay);
        *v = *v * rule.momentum + g;
        *p -= (g + *v * rule.momentum) * rule.learning_rate;
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn adam(rule: Adam, parameter: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
    let moments = mean.iter_mut().zip(square);
    for ((p, &g), (m, v)) in parameter.iter_mut().zip(gradient).zip(moments) {
        *p *= rule.kept;
        let g = decayed(g, *p, rule.weight_decay);
        *m = *m * rule.beta1 + g * rule.new1;
        *v = *v * rule.beta2 + g * g * rule.new2;
        let denominator = v.sqrt() / rule.correction + rule.epsilon;
        *p -= *m / denominator * rule.rate;
    }
}

/// `g + p * weight_decay`. Without a decay, nothing is added: what is not finite must not spread.
#[inline(always)]
fn decayed(g: f32, p: f32, weight_decay: f32) -> f32 {
    if weight_decay == 0.0 {
        g
    } else {
        g + p * weight_decay
    }
}

/// Changes all of `parameters` by `rule`, if every tensor lies in memory as it must: on the CPU, and its moments as
/// itself. A gradient that lies otherwise is laid out anew. `second` may be empty. `false`: nothing was done.
pub(super) fn change(
    rule: impl Rule,
    parameters: &mut [Tensor],
    gradients: &[Tensor],
    first: &mut [Tensor],
    second: &mut [Tensor],
) -> bool {
    let mut gradients: Vec<Tensor> = parameters
        .iter()
        .zip(gradients)
        .map(|(parameter, gradient)| laid_out_as(parameter, gradient))
        .collect();
    let alike = |moments: &[Tensor]| {
        let mut pairs = parameters.iter().zip(moments);
        pairs.all(|(parameter, moment)| same_layout(parameter, moment))
    };
    if !(alike(first) && alike(second)) {
        return false;
    }
    let mut seconds = second.iter_mut();
    let mut pieces = Vec::new();
    let tensors = parameters.iter_mut().zip(&mut gradients).zip(first);
    for ((parameter, gradient), first) in tensors {
        let second = match seconds.next() {
            Some(second) => numbers(second),
            None => Some(&mut [][..]),
        };
        let all = (
            numbers(parameter),
            numbers(gradient),
            numbers(first),
            second,
        );
        let (Some(parameter), Some(gradient), Some(first), Some(second)) = all else {
            return false;
        };
        cut(
            Piece {
                parameter,
                gradient,
                first,
                second,
            },
            &mut pieces,
        );
    }
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    share(rule, pieces, threads);
    true
}

/// `gradient` in the memory order of `parameter`. In most steps it is so already.
fn laid_out_as(parameter: &Tensor, gradient: &Tensor) -> Tensor {
    if same_layout(parameter, gradient) {
        return gradient.shallow_clone();
    }
    let mut laid_out = parameter.empty_like().set_requires_grad(false);
    laid_out.copy_(gradient);
    laid_out
}

fn cut<'a>(whole: Piece<'a>, into: &mut Vec<Piece<'a>>) {
    let count = whole.parameter.len();
    let mut seconds = whole.second.chunks_mut(PIECE);
    let pieces = whole
        .parameter
        .chunks_mut(PIECE)
        .zip(whole.gradient.chunks(PIECE))
        .zip(whole.first.chunks_mut(PIECE));
    into.reserve(count.div_ceil(PIECE));
    for ((parameter, gradient), first) in pieces {
        into.push(Piece {
            parameter,
            gradient,
            first,
            second: seconds.next().unwrap_or_default(),
        });
    }
}

/// Threads that help, one for each other core of the machine, which sleep where they are not needed: one that was started anew
/// in each step would take longer than what it does. `None`: there are none to be had.
fn helpers() -> Option<&'static ThreadPool> {
    static HELPERS: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let started = HELPERS.get_or_init(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let pool = ThreadPoolBuilder::new().num_threads((cores - 1).max(1));
        pool.thread_name(|_| "optimizer".to_owned()).build().ok()
    });
    started.as_ref()
}

/// Deals the pieces out to at most so many threads, this one among them.
fn share<R: Rule>(rule: R, pieces: Vec<Piece<'_>>, threads: usize) {
    let numbers: usize = pieces.iter().map(|piece| piece.parameter.len()).sum();
    let threads = threads.min(numbers.div_ceil(PIECE)).max(1);
    let mut hands: Vec<Vec<Piece<'_>>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, piece) in pieces.into_iter().enumerate() {
        hands[at % threads].push(piece);
    }
    let work = move |hand: Vec<Piece<'_>>| hand.into_iter().for_each(|piece| rule.change(piece));
    match (threads > 1).then(helpers).flatten() {
        Some(helpers) => helpers.in_place_scope(|scope| {
            let own = hands.pop();
            for hand in hands {
                scope.spawn(move |_| work(hand));
            }
            own.map(work);
        }),
        None => hands.into_iter().for_each(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_gives_the_same_numbers() {
        let rule = Momentum {
            learning_rate: 0.1,
            momentum: 0.9,
            weight_decay: 2e-4,
            nesterov: true,
        };
        let count = 5 * PIECE + 3;
        let number = |at: usize| (at as f32 * 0.37).sin();
        let gradient: Vec<f32> = (0..count).map(|at| number(at + 1)).collect();
        let changed = |threads: usize| {
            let mut parameter: Vec<f32> = (0..count).map(number).collect();
            let mut first = vec![0.5; count];
            for _ in 0..3 {
                let mut pieces = Vec::new();
                let whole = Piece {
                    parameter: &mut parameter,
                    gradient: &gradient,
                    first: &mut first,
                    second: &mut [],
                };
                cut(whole, &mut pieces);
                assert_eq!(pieces.len(), 6);
                share(rule, pieces, threads);
            }
            (parameter, first)
        };
        let alone = changed(1);
        assert_ne!(alone.0[count - 1], number(count - 1));
        for threads in [2, 4, 6, 64] {
            assert!(changed(threads) == alone, "{threads}");
        }
    }
}
