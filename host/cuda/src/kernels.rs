//! Operations of ResNets with kernels of our own, where CUDA computes them in bfloat16: those that take up most of a GPU on which
//! runs train side by side (`host/trainer/benches/README.md`).
//!
//! Each is what libtorch's operations come to, differentiably, and is made of those wherever there is no kernel for what it is
//! given (other devices, numbers or sizes), or it could not be made.

use std::ptr;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::native::{self, told};
use crate::{Error, made, numbered};

/// Whether there is what kernels are compiled for the CUDA device of this number and launched with, and all that were asked for so far
/// could be made: a kernel is compiled when it is first needed.
///
/// # Errors
/// CUDA's run-time compiler (NVRTC) or its driver is not there, or lacks a function; the device is older than Ampere, or newer than
/// the compiler; what the compiler or the driver says of the first kernel that could not be made.
pub fn can_compile(device: usize) -> Result<(), Error> {
    let device = numbered(device)?;
    told(|problem, room| {
        // SAFETY: the pointer leads to what is written to.
        unsafe { native::pixelrate_cuda_kernels(device, problem, room) }
    })
}

/// How many of these kernels this process has launched or recorded so far.
pub fn launches() -> u64 {
    // SAFETY: it reads a number.
    unsafe { native::pixelrate_cuda_launches() }
}

/// `conv2d(x, weight, stride = 1, padding = 1)`, and `beside`, which is of that size, added to it, if there is any. `x` is
/// `[batch, input, height, width]`, `weight` `[output, input, 3, 3]`.
///
/// There are kernels for bfloat16 with the channels side by side in memory, from 16, 32 or 64 channels to as many, and for pictures
/// that fall into whole tiles: widths that divide 256, 128 or 64, and heights that rows of so many pixels make up. Sums are of
/// 32 bits, and the convolution is rounded before `beside` is added.
///
/// # Errors
/// libtorch's, such as of sizes that do not go together.
pub fn convolution(x: &Tensor, weight: &Tensor, beside: Option<&Tensor>) -> Result<Tensor, Error> {
    let beside = beside.map_or(ptr::null(), Tensor::as_ptr);
    // SAFETY: the tensors live through the call, and the pointer leads to what is written to.
    tensor(|made, problem, room| unsafe {
        let (x, weight) = (x.as_ptr(), weight.as_ptr());
        native::pixelrate_cuda_convolution(x, weight, beside, made, problem, room)
    })
}

/// Batch norm over the channels of a `[batch, channels, height, width]`: `[channels]` each.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// What is multiplied by, gamma.
    pub weight: &'a Tensor,
    /// What is added, beta.
    pub bias: &'a Tensor,
    /// The mean of all batches so far, which takes this one's in.
    pub running_mean: &'a Tensor,
    /// And the variance, unbiased.
    pub running_var: &'a Tensor,
    /// How much of a batch's moments is taken in, as PyTorch has it.
    pub momentum: f64,
    /// What is added to the variance.
    pub eps: f64,
}

/// `relu(batch_norm(x))` as in training.
///
/// There are kernels for bfloat16 with 16, 32, 64 or 128 channels side by side in memory. Moments and sums are of 32 bits, and what
/// the rectifier is given is not rounded before.
///
/// # Errors
/// libtorch's, such as of sizes that do not go together.
pub fn norm_relu(x: &Tensor, norm: &Norm) -> Result<Tensor, Error> {
    let of = Tensor::as_ptr;
    // SAFETY: the tensors live through the call, and the pointer leads to what is written to.
    tensor(|made, problem, room| unsafe {
        native::pixelrate_cuda_norm_relu(
            of(x),
            of(norm.weight),
            of(norm.bias),
            of(norm.running_mean),
            of(norm.running_var),
            norm.momentum,
            norm.eps,
            made,
            problem,
            room,
        )
    })
}

/// What a function of C++ makes.
fn tensor(
    call: impl FnOnce(*mut *mut C_tensor, *mut std::ffi::c_char, usize) -> std::ffi::c_int,
) -> Result<Tensor, Error> {
    let mut pointer = ptr::null_mut();
    told(|problem, room| call(&raw mut pointer, problem, room))?;
    let pointer = made(pointer)?;
    // SAFETY: C++ has made it for us alone, as libtorch's own functions do.
    Ok(unsafe { Tensor::from_ptr(pointer.as_ptr()) })
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn drawn(size: &[i64], kind: Kind) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(kind)
    }

    fn leaf(tensor: Tensor) -> Tensor {
        tensor.set_requires_grad(true)
    }

    /// The gradients of `y`'s products with numbers that all differ.
    fn slopes(y: &Tensor, by: &[&Tensor]) -> Vec<Tensor> {
        let numbers = Tensor::arange(y.numel() as i64, (Kind::Float, Device::Cpu)).cos();
        let loss = (y.to_kind(Kind::Float) * numbers.view_as(y)).sum(Kind::Float);
        Tensor::run_backward(&[loss], by, false, false)
    }

    /// On the CPU, where there are no kernels: what they share with this is what is differentiated, and by what.
    #[test]
    fn without_kernels_operations_are_libtorchs_to_the_bit_and_so_are_their_gradients() {
        let before = launches();
        for kind in [Kind::Float, Kind::BFloat16] {
            let x = leaf(drawn(&[3, 16, 8, 8], kind));
            let weight = leaf(drawn(&[16, 16, 3, 3], kind));
            let other = leaf(drawn(&[3, 16, 8, 8], kind));
            for beside in [None, Some(&other)] {
                let ours = convolution(&x, &weight, beside).unwrap();
                let plain = x.conv2d::<Tensor>(&weight, None, [1, 1], [1, 1], [1, 1], 1);
                let plain = beside.map_or_else(|| plain.shallow_clone(), |other| &plain + other);
                assert_eq!(ours, plain, "{kind:?}");
                let mut by = vec![&x, &weight];
                by.extend(beside);
                let expected = slopes(&plain, &by);
                assert_eq!(slopes(&ours, &by), expected, "{kind:?}");
                // Of the first layer, whose input is no parameter's.
                let fixed = convolution(&x.detach(), &weight, beside).unwrap();
                assert_eq!(slopes(&fixed, &[&weight]), expected[1..2], "{kind:?}");
            }
            let [weight, bias] = [0, 1].map(|_| leaf(drawn(&[16], Kind::Float)));
            let moments = || [Tensor::zeros_like(&bias), Tensor::ones_like(&bias)];
            let ([mean, var], [plain_mean, plain_var]) = (moments(), moments());
            let norm = Norm {
                weight: &weight,
                bias: &bias,
                running_mean: &mean,
                running_var: &var,
                momentum: 0.1,
                eps: 1e-5,
            };
            let ours = norm_relu(&x, &norm).unwrap();
            let plain = x.batch_norm(
                Some(&weight),
                Some(&bias),
                Some(&plain_mean),
                Some(&plain_var),
                true,
                0.1,
                1e-5,
                true,
            );
            let plain = plain.relu();
            assert_eq!(ours, plain, "{kind:?}");
            assert_eq!([mean, var], [plain_mean, plain_var], "{kind:?}");
            let by = [&x, &weight, &bias];
            assert_eq!(slopes(&ours, &by), slopes(&plain, &by), "{kind:?}");
        }
        assert_eq!(launches(), before);
    }

    #[test]
    fn sizes_that_do_not_go_together_are_told() {
        let (x, weight) = (
            drawn(&[1, 3, 4, 4], Kind::Float),
            drawn(&[2, 4, 3, 3], Kind::Float),
        );
        let told = convolution(&x, &weight, None).unwrap_err().to_string();
        assert!(told.contains("channels"), "{told}");
    }
}
