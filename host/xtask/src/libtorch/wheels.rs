//! libtorch out of PyTorch's own wheels, in a cache folder of the user's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::folder::Libtorch;
use crate::cache::{self, Scratch};
use crate::python::Python;

const TORCH: &str = "torch==2.11.0";
/// The two libraries of CUDA that even libtorch_cpu.so is linked against.
const CUDA_FOR_CPU: [&str; 2] = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"];
/// The Pythons that there are wheels of it for. libtorch is the same in all of them.
const PYTHONS: std::ops::RangeInclusive<u32> = 10..=14;

/// What libtorch is to run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Device {
    Cpu,
    Cuda,
}

impl Device {
    /// CUDA where there is an NVIDIA driver.
    pub(super) fn here() -> Self {
        let driver = Path::new("/proc/driver/nvidia/version").exists()
            || Command::new("nvidia-smi")
                .arg("-L")
                .output()
                .is_ok_and(|output| output.status.success());
        if driver { Self::Cuda } else { Self::Cpu }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

/// The libtorch in the user's cache folder; fetched first if it is not there.
///
/// # Errors
/// There is no pip, or the wheels cannot be fetched or unpacked.
pub(super) fn fetch(python: Option<&Python>, device: Device) -> Result<PathBuf> {
    let home = cache::folder()?.join(format!("libtorch-2.11.0-{}", device.name()));
    let folder = home.join("torch");
    if Libtorch::read(&folder).is_ok() {
        return Ok(folder);
    }
    if env::consts::OS != "linux" {
        bail!("the wheels are unpacked on Linux alone: set LIBTORCH to a libtorch 2.11");
    }
    let python = python.filter(|python| python.has_pip()).context(
        "there is no python3 with pip to fetch libtorch with: on Debian or Ubuntu, `apt-get install python3-pip`; \
         in a virtual environment, `python3 -m ensurepip`; or set LIBTORCH to a libtorch 2.11",
    )?;
    let size = match device {
        Device::Cpu => "a download of 530 MB, 0.6 GB on the disk",
        Device::Cuda => {
            "a download of 2.5 GB, 4 GB on the disk; `cargo xtask setup --cpu` does with less"
        }
    };
    eprintln!(
        "libtorch: fetching {TORCH} for {} once ({size}) into {}",
        device.name(),
        home.display()
    );
    // Whole or not at all: what is half unpacked never has the final name.
    let scratch = Scratch::new(&home)?;
    let wheels = scratch.path().join("wheels");
    download(python, device, &wheels)?;
    for wheel in sorted(&wheels)? {
        let unpacked = python.ask(
            UNPACK,
            &[
                wheel.as_os_str(),
                scratch.path().as_os_str(),
                device.name().as_ref(),
            ],
        );
        unpacked.with_context(|| format!("{} cannot be unpacked", wheel.display()))?;
    }
    fs::remove_dir_all(&wheels)?;
    if device == Device::Cpu {
        // The wheel's own only names its parts, those of CUDA among them.
        std::os::unix::fs::symlink(
            "libtorch_cpu.so",
            scratch.path().join("torch/lib/libtorch.so"),
        )?;
    }
    Libtorch::read(&scratch.path().join("torch"))?;
    scratch.keep()?;
    Ok(folder)
}

fn download(python: &Python, device: Device, into: &Path) -> Result<()> {
    let mut pip = python.command();
    pip.args(["-m", "pip", "download", "--only-binary=:all:", "--dest"])
        .arg(into);
    // Named, since pip looks at the running Python, and any wheel's libtorch serves.
    let minor = python
        .minor()
        .filter(|minor| PYTHONS.contains(minor))
        .unwrap_or(12);
    pip.args(["--python-version", &format!("3.{minor}")]);
    // Every glibc up to the one that PyTorch asks for: pip does not count down from there by itself.
    for glibc in (17..=28).rev() {
        pip.args([
            "--platform",
            &format!("manylinux_2_{glibc}_{}", env::consts::ARCH),
        ]);
    }
    pip.args([
        "--platform",
        &format!("manylinux2014_{}", env::consts::ARCH),
    ]);
    match device {
        Device::Cpu => pip.arg("--no-deps").arg(TORCH).args(CUDA_FOR_CPU),
        Device::Cuda => pip.arg(TORCH),
    };
    let status = pip.status().context("cannot start python3")?;
    if !status.success() {
        bail!(
            "pip could not fetch {TORCH} (its reason is above): mend that, or set LIBTORCH to a libtorch 2.11"
        );
    }
    Ok(())
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Unpacks of a wheel what libtorch needs, and the licences. For the CPU, leaves what is for CUDA alone.
const UNPACK: &str = r#"
import os, sys, zipfile
wheel, folder, device = sys.argv[1:]
CUDA = ("libtorch_cuda", "libc10_cuda", "libtorch_nvshmem", "libcaffe2_nvrtc", "libtorch_global_deps", "libtorch.so")
PYTHON = ("libtorch_python", "libshm")
def wanted(path):
    name = os.path.basename(path)
    if ".dist-info/" in path:
        return "/licenses/" in path and os.path.basename(wheel).startswith(("torch-", "nvidia_"))
    if path.startswith("torch/lib/"):
        return not name.startswith(PYTHON + (CUDA if device == "cpu" else ()))
    if path.startswith("nvidia/"):
        return not name.endswith((".a", ".py"))
    return path == "torch/version.py" or path.startswith("torch/include/")
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(folder, [path for path in archive.namelist() if not path.endswith("/") and wanted(path)])
"#;

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use tempfile::TempDir;

    use super::*;

    /// What is left of a wheel of the given files.
    fn unpacked(files: &[&str], device: Device) -> Vec<String> {
        let home = TempDir::new().unwrap();
        let wheel = home.path().join("torch-2.11.0-cp312-cp312-linux.whl");
        let into = home.path().join("into");
        let python = Python::find().unwrap();
        let pack = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n for n in sys.argv[2:]: z.writestr(n, n)";
        let mut arguments = vec![wheel.as_os_str()];
        arguments.extend(files.iter().map(OsStr::new));
        python.ask(pack, &arguments).unwrap();
        python
            .ask(
                UNPACK,
                &[wheel.as_os_str(), into.as_os_str(), device.name().as_ref()],
            )
            .unwrap();
        let kept = files.iter().filter(|file| into.join(file).exists());
        kept.map(|&file| file.to_owned()).collect()
    }

    #[test]
    fn the_cpus_part_of_a_wheel_has_nothing_of_cuda_or_python() {
        let files = [
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_cuda_linalg.so",
            "torch/lib/libc10_cuda.so",
            "torch/lib/libtorch_python.so",
            "torch/include/ATen/ATen.h",
            "torch/version.py",
            "torch/nn/__init__.py",
            "torch-2.11.0.dist-info/licenses/LICENSE",
            "torch-2.11.0.dist-info/RECORD",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cu13/lib/libcudart_static.a",
            "triton/_C/libtriton.so",
        ];
        let both = [
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libc10.so",
            "torch/lib/libgomp.so.1",
            "torch/include/ATen/ATen.h",
            "torch/version.py",
            "torch-2.11.0.dist-info/licenses/LICENSE",
            "nvidia/cu13/lib/libcudart.so.13",
        ];
        assert_eq!(unpacked(&files, Device::Cpu), both);
        let cuda = unpacked(&files, Device::Cuda);
        assert!(both.iter().all(|file| cuda.iter().any(|kept| kept == file)));
        assert_eq!(cuda.len(), both.len() + 4, "{cuda:?}");
        assert!(cuda.iter().any(|file| file == "torch/lib/libtorch_cuda.so"));
        assert!(cuda.iter().any(|file| file == "torch/lib/libtorch.so"));
    }
}
