//! In which numbers a model computes.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// What a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionChoice {
    /// [`Precision::Bfloat16`] where the processor or GPU computes with it in hardware, else [`Precision::Float32`]. What was
    /// chosen when the run began holds to its end, on whatever machine that is.
    Auto,
    /// Also the value that an old `run.toml` without the key `precision` stands for.
    #[default]
    Float32,
    /// Anywhere, though it is slow where the processor has to imitate it.
    Bfloat16,
}

impl PrecisionChoice {
    /// What it comes to on `device` of this machine.
    pub fn resolve(self, device: Device) -> Precision {
        match self {
            Self::Auto => of_hardware(computes_bfloat16(device)),
            Self::Float32 => Precision::Float32,
            Self::Bfloat16 => Precision::Bfloat16,
        }
    }
}

impl std::str::FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "auto" => Ok(Self::Auto),
            "float32" => Ok(Self::Float32),
            "bfloat16" => Ok(Self::Bfloat16),
            _ => Err("use auto, float32 or bfloat16".to_owned()),
        }
    }
}

/// In which numbers convolutions and dense layers are computed, forward and backward. Parameters, the moments of batch
/// norm, the loss and the optimizer are 32-bit floats in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats, on CUDA too: not TF32, to which PyTorch lets cuDNN round what convolutions multiply.
    #[default]
    Float32,
    /// Floats of 32 bits without the last 16 of them, as `torch.autocast` has it: each weight is rounded once a step, what
    /// flows between layers is kept rounded, and sums are of 32 bits. As in PyTorch, cuBLAS may cut a long sum into parts on
    /// CUDA, and add those up rounded (`allow_bf16_reduced_precision_reduction`).
    Bfloat16,
}

impl Precision {
    /// What it computes with.
    pub fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }

    /// Whether `device` is known to only imitate it: for many times as long as it computes with 32-bit floats, on a processor
    /// without AVX-512.
    pub(crate) fn is_imitated_on(self, device: Device) -> bool {
        let known = device == Device::Cpu && cfg!(target_arch = "x86_64");
        known && self == Self::Bfloat16 && !computes_bfloat16(device)
    }

    /// `tensor` in it, differentiably; itself where it is so already.
    pub(crate) fn of(self, tensor: &Tensor) -> Tensor {
        tensor.to_kind(self.kind())
    }
}

/// Weights that lie in one tensor, rounded all at once, where a kernel of the GPU for each would take longer than what it does.
pub(crate) struct AtOnce {
    whole: Tensor,
    rounded: Tensor,
}

impl AtOnce {
    /// Of the weights in `whole`, to `kind`.
    pub(crate) fn new(whole: Tensor, kind: Kind) -> Self {
        Self {
            rounded: whole.to_kind(kind),
            whole,
        }
    }

    /// The rounded weights, as they were when they were last [refreshed](Self::refresh).
    pub(crate) fn rounded(&self) -> &Tensor {
        &self.rounded
    }

    /// Rounds the weights as they are now.
    pub(crate) fn refresh(&self) {
        // A guard, which what libtorch throws takes back, too.
        let _off = tch::no_grad_guard();
        self.rounded.shallow_clone().copy_(&self.whole);
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        })
    }
}

/// What `auto` comes to on hardware that multiplies bfloat16 itself, or not.
fn of_hardware(computes_bfloat16: bool) -> Precision {
    if computes_bfloat16 {
        Precision::Bfloat16
    } else {
        Precision::Float32
    }
}

/// Whether it multiplies bfloat16 in hardware.
fn computes_bfloat16(device: Device) -> bool {
    match device {
        Device::Cpu => processor_computes_bfloat16(),
        // From Ampere on.
        Device::Cuda(index) => pixelrate_cuda::capability(index).is_ok_and(|(major, _)| major >= 8),
        _ => false,
    }
}

/// Processors with AMX have these instructions, too.
fn processor_computes_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_resolved_by_the_processor_and_a_word_is_not() {
        assert_eq!(of_hardware(true), Precision::Bfloat16);
        assert_eq!(of_hardware(false), Precision::Float32);
        let auto = PrecisionChoice::Auto.resolve(Device::Cpu);
        if let Ok(cpuinfo) = std::fs::read_to_string("/proc/cpuinfo") {
            let has = cpuinfo.split_whitespace().any(|flag| flag == "avx512_bf16");
            assert_eq!(auto, of_hardware(has));
            let known = cfg!(target_arch = "x86_64");
            assert_eq!(
                Precision::Bfloat16.is_imitated_on(Device::Cpu),
                known && !has
            );
        }
        assert!(!Precision::Float32.is_imitated_on(Device::Cpu));
        for (choice, precision) in [
            (PrecisionChoice::Float32, Precision::Float32),
            (PrecisionChoice::Bfloat16, Precision::Bfloat16),
        ] {
            assert_eq!(choice.resolve(Device::Cpu), precision);
            assert_eq!(precision.to_string().parse(), Ok(choice));
        }
        assert!("half".parse::<PrecisionChoice>().is_err());
    }

    #[test]
    fn rounding_keeps_eight_bits_and_lets_gradients_through() {
        // libtorch starts a thread a device at its first gradient, and counts the devices then.
        crate::device::load_cuda();
        let exact = Tensor::from_slice(&[1.0_f32 + 1.0 / 512.0, -3.0]).set_requires_grad(true);
        let rounded = Precision::Bfloat16.of(&exact);
        assert_eq!(
            Vec::<f32>::try_from(rounded.to_kind(Kind::Float)).unwrap(),
            [1.0, -3.0]
        );
        let slope = Tensor::run_backward(
            &[rounded.square().sum(Kind::Float)],
            &[&exact],
            false,
            false,
        );
        assert_eq!(slope[0].kind(), Kind::Float);
        assert_eq!(Vec::<f32>::try_from(&slope[0]).unwrap(), [2.0, -6.0]);
    }
}
