//! Compiles the C++ file against the headers of the libtorch that torch-sys found.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/cuda.cpp");
    // torch-sys tells where libtorch is to its direct dependants alone.
    let Ok(libraries) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo::error=torch-sys does not tell where libtorch is");
        return;
    };
    let include = Path::new(&libraries).join("../include");
    let mut build = cc::Build::new();
    for headers in cuda_headers(Path::new(&libraries)) {
        build.include(headers);
    }
    build
        .cpp(true)
        .std("c++17")
        // As torch-sys, whose code is linked with this.
        .define(
            "_GLIBCXX_USE_CXX11_ABI",
            std::env::var("LIBTORCH_CXX11_ABI")
                .as_deref()
                .unwrap_or("1"),
        )
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        // They are libtorch's headers'.
        .warnings(false)
        .file("src/cuda.cpp")
        .compile("pixelrate_cuda");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // For this crate's own tests.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libraries}");
}

/// Where CUDA's own headers may be: beside PyTorch's wheel, and in the toolkit.
fn cuda_headers(libraries: &Path) -> impl Iterator<Item = PathBuf> {
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    let toolkit =
        std::env::var_os("CUDA_HOME").map_or_else(|| "/usr/local/cuda".into(), PathBuf::from);
    [
        libraries.join("../../nvidia/cu13/include"),
        toolkit.join("include"),
    ]
    .into_iter()
    .filter(|folder| folder.exists())
}
