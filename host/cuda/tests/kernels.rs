//! The kernels themselves, without a GPU: compiled as C++ and run by what stands for one (`emulated/gpu.h`), thread by thread,
//! beside the definition of what they compute.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// A program of `emulated`, and what it is compiled with.
struct Case {
    program: &'static str,
    options: &'static [(&'static str, u32)],
}

/// Widths that one row of a tile, several, and a whole picture have; those of a ResNet on pictures of 32x32 come first.
const CASES: [Case; 9] = [
    convolution(&[("C", 16), ("W", 32), ("TILE", 256)]),
    convolution(&[("C", 32), ("W", 16), ("TILE", 128)]),
    convolution(&[("C", 64), ("W", 8), ("TILE", 64)]),
    convolution(&[("C", 16), ("W", 256), ("TILE", 256)]),
    convolution(&[("C", 32), ("W", 4), ("TILE", 128)]),
    norm(&[("C", 16)]),
    norm(&[("C", 32)]),
    norm(&[("C", 64)]),
    norm(&[("C", 128)]),
];

const fn convolution(options: &'static [(&'static str, u32)]) -> Case {
    let program = "convolution";
    Case { program, options }
}

const fn norm(options: &'static [(&'static str, u32)]) -> Case {
    let program = "norm";
    Case { program, options }
}

impl Case {
    fn words(&self) -> Vec<String> {
        let of = |(name, value): &(&str, u32)| format!("-D{name}={value}");
        self.options.iter().map(of).collect()
    }

    fn compile(&self, kernels: &Path, to: &Path) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulated");
        let program = to.join(format!("{}{}", self.program, self.words().concat()));
        // The one that the build script's `cc` takes, too.
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        let out = Command::new(compiler)
            .args(["-std=c++17", "-O2", "-w", "-I"])
            .arg(kernels)
            .arg("-I")
            .arg(&here)
            .args(self.words())
            .arg(here.join(self.program).with_extension("cpp"))
            .arg("-o")
            .arg(&program)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}: {told}", program.display());
        program
    }

    /// What it says, and whether it is content.
    fn run(&self, kernels: &Path, to: &Path) -> (bool, String) {
        let out = Command::new(self.compile(kernels, to)).output().unwrap();
        let told = [out.stdout, out.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        (out.status.success(), format!("{:?}\n{told}", self.options))
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn kernels_compute_what_they_are_defined_as() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let run = |case: &'static Case| {
            let folder = folder.path();
            scope.spawn(move || case.run(&sources(), folder))
        };
        let running: Vec<_> = CASES.iter().map(run).collect();
        for case in running {
            let (content, told) = case.join().unwrap();
            println!("{told}");
            assert!(content, "{told}");
        }
    });
}

/// What stands for a GPU finds what goes wrong on one: a wrong tap, and a barrier that is missing.
#[test]
fn kernels_with_a_fault_are_found_out() {
    for (case, file, right, wrong, found) in [
        (
            &CASES[4],
            "convolution.cu",
            "(8 - tap) * OUT",
            "tap * OUT",
            "too far from what it should be",
        ),
        (
            &CASES[4],
            "convolution.cu",
            "  fetched();\n  __syncthreads();\n\n",
            "  __syncthreads();\n\n",
            "too far from what it should be",
        ),
        (
            &CASES[8],
            "norm.cu",
            "    total[column] = sum;\n  }\n  __syncthreads();",
            "    total[column] = sum;\n  }",
            "too far from what it should be",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copied = folder.path().join("kernels");
        std::fs::create_dir(&copied).unwrap();
        for name in ["convolution.cu", "norm.cu"] {
            let mut source = std::fs::read_to_string(sources().join("kernels").join(name)).unwrap();
            if name == file {
                assert_eq!(source.matches(right).count(), 1, "{right}");
                source = source.replace(right, wrong);
            }
            std::fs::write(copied.join(name), source).unwrap();
        }
        std::fs::copy(sources().join("sizes.h"), folder.path().join("sizes.h")).unwrap();
        let (content, told) = case.run(folder.path(), folder.path());
        assert!(!content && told.contains(found), "{wrong}: {told}");
    }
}
