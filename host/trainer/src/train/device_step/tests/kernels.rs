//! Our own kernels beside libtorch's operations, on CUDA, where there is one.

use pixelrate_runlog::StepRow;
use tch::{Device, Kind, Tensor};

use super::{WARM_UP, assert_alike, cuda, loss_of, on_cuda, rows, spec};
use crate::device::tests::BY_LIBTORCH;
use crate::precision::PrecisionChoice;
use crate::spec::OptimizerKind;

/// `ours` is no further from `exact` than `libtorchs`, relative to its size.
fn assert_near(ours: &Tensor, libtorchs: &Tensor, exact: &Tensor, what: &str) {
    let error = |it: &Tensor| {
        f64::try_from((it.to_kind(Kind::Double) - exact).norm() / exact.norm()).unwrap()
    };
    let (ours, libtorchs) = (error(ours), error(libtorchs));
    // Both are rounded to eight bits at the end, which is most of it.
    assert!(
        ours < 1.05 * libtorchs + 1e-6 && ours < 4e-3,
        "{what}: {ours} {libtorchs}"
    );
}

/// Leaves of `tensors` in `kind`.
fn leaves(tensors: &[Tensor], kind: Kind) -> Vec<Tensor> {
    let leaf = |it: &Tensor| it.to_kind(kind).set_requires_grad(true);
    tensors.iter().map(leaf).collect()
}

fn cuda_noise(size: &[i64]) -> Tensor {
    let drawn = Tensor::randn(size, (Kind::Float, Device::Cpu));
    let drawn = if size.len() == 4 {
        crate::model::channels_last(&drawn)
    } else {
        drawn
    };
    drawn.to_device(Device::Cuda(0)).to_kind(Kind::BFloat16)
}

#[test]
fn on_cuda_a_convolutions_kernels_give_what_libtorchs_do() {
    let Some(_device) = cuda() else { return };
    let _generator = crate::model::seeded(7);
    pixelrate_cuda::can_compile(0).unwrap();
    // Of 65 pictures there are more tiles than blocks that sum the gradient by weights: some sum two, and others one.
    for (pictures, channels, height, width, has_kernel) in [
        (65, 16, 32, 32, true),
        (65, 32, 16, 16, true),
        (65, 64, 8, 8, true),
        (5, 16, 16, 16, true),
        (5, 32, 32, 32, true),
        (5, 64, 24, 32, true),
        (5, 16, 28, 28, false),
        (5, 48, 16, 16, false),
    ] {
        let size = [pictures, channels, height, width];
        let weight = cuda_noise(&[channels, channels, 3, 3]) / (3.0 * (channels as f64).sqrt());
        let tensors = [cuda_noise(&size), weight, cuda_noise(&size)];
        let slope = cuda_noise(&size);
        for adds in [false, true] {
            let before = pixelrate_cuda::launches();
            let plain = |leaves: &[Tensor]| {
                let y = leaves[0].conv2d::<Tensor>(&leaves[1], None, [1, 1], [1, 1], [1, 1], 1);
                if adds { y + &leaves[2] } else { y }
            };
            let ours = |leaves: &[Tensor]| {
                let beside = adds.then_some(&leaves[2]);
                pixelrate_cuda::convolution(&leaves[0], &leaves[1], beside).unwrap()
            };
            let all = |kind, compute: &dyn Fn(&[Tensor]) -> Tensor| {
                let leaves = leaves(&tensors, kind);
                let y = compute(&leaves);
                let by = &leaves[..2 + usize::from(adds)];
                let loss = (&y * slope.to_kind(kind)).sum(kind);
                let mut found = Tensor::run_backward(&[loss], by, false, false);
                found.push(y.detach());
                found
            };
            let exact = all(Kind::Double, &plain);
            let (ours, libtorchs) = (all(Kind::BFloat16, &ours), all(Kind::BFloat16, &plain));
            for (i, exact) in exact.iter().enumerate() {
                let what = format!("{size:?}, {adds}, {i}");
                assert_near(&ours[i], &libtorchs[i], exact, &what);
            }
            let launched = pixelrate_cuda::launches() - before;
            // Forward, by the input, and two by the weight.
            assert_eq!(launched, if has_kernel { 4 } else { 0 }, "{size:?}");
        }
    }
}

#[test]
fn on_cuda_batch_norms_kernels_give_what_libtorchs_do() {
    let Some(_device) = cuda() else { return };
    let _generator = crate::model::seeded(8);
    for (channels, has_kernel) in [(16, true), (32, true), (64, true), (128, true), (24, false)] {
        // A thread sums more than one piece.
        let size = [65, channels, 28, 36];
        // Far from zero, beside the deviation.
        let x = cuda_noise(&size) * 2.0 + 40.0;
        let [weight, bias] = [0, 1].map(|_| cuda_noise(&[channels]).to_kind(Kind::Float));
        let slope = cuda_noise(&size);
        let before = pixelrate_cuda::launches();
        let all = |kind: Kind, ours: bool| {
            let kind_of_moments = if kind == Kind::Double {
                kind
            } else {
                Kind::Float
            };
            let x = &leaves(&[x.shallow_clone()], kind)[0];
            let both = [weight.shallow_clone(), bias.shallow_clone()];
            let both = leaves(&both, kind_of_moments);
            let (mean, var) = (both[0].zeros_like().detach(), both[0].ones_like().detach());
            let y = if ours {
                let norm = pixelrate_cuda::Norm {
                    weight: &both[0],
                    bias: &both[1],
                    running_mean: &mean,
                    running_var: &var,
                    momentum: 0.1,
                    eps: 1e-5,
                };
                pixelrate_cuda::norm_relu(x, &norm).unwrap()
            } else {
                let (weight, bias) = (Some(&both[0]), Some(&both[1]));
                x.batch_norm(weight, bias, Some(&mean), Some(&var), true, 0.1, 1e-5, true)
                    .relu()
            };
            let loss = (&y * slope.to_kind(kind)).sum(kind);
            let mut found = Tensor::run_backward(&[loss], &[x, &both[0], &both[1]], false, false);
            found.extend([y.detach(), mean, var]);
            found
        };
        let exact = all(Kind::Double, false);
        let (ours, libtorchs) = (all(Kind::BFloat16, true), all(Kind::BFloat16, false));
        for (i, exact) in exact.iter().enumerate() {
            let what = format!("{channels} channels, {i}");
            assert_near(&ours[i], &libtorchs[i], exact, &what);
        }
        let launched = pixelrate_cuda::launches() - before;
        assert_eq!(launched, if has_kernel { 4 } else { 0 }, "{channels}");
    }
}

#[test]
fn on_cuda_a_resnet_of_our_kernels_learns_as_one_of_libtorchs() {
    let Some(_device) = cuda() else { return };
    let spec = spec("resnet-8", OptimizerKind::Momentum, 1e-3);
    let spec = on_cuda(&spec, PrecisionChoice::Bfloat16);
    let before = pixelrate_cuda::launches();
    BY_LIBTORCH.set(true);
    let libtorchs = rows(&spec, false);
    BY_LIBTORCH.set(false);
    assert_eq!(pixelrate_cuda::launches(), before);
    let ours = rows(&spec, false);
    // Four of each of four convolutions and seven norms, in those steps that are not repeated, and one of each convolution where
    // a batch is tested.
    let steps = u64::from(WARM_UP + 1) * 4 * (4 + 7);
    let tests = (pixelrate_cuda::launches() - before).checked_sub(steps);
    assert!(
        tests.is_some_and(|tests| tests > 0 && tests % 4 == 0),
        "{tests:?}"
    );
    assert_alike(&loss_of(&ours), &loss_of(&libtorchs));
    let norms = |rows: &[StepRow]| rows.iter().map(|row| row.grad_norm.unwrap()).collect();
    let (ours, libtorchs): (Vec<_>, Vec<_>) = (norms(&ours), norms(&libtorchs));
    assert_alike(&ours, &libtorchs);
}
