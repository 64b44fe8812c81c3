//! Compiles the C++ files against the headers of the libtorch that torch-sys found.

use std::path::{Path, PathBuf};
use std::{env, fs};

const FILES: [&str; 2] = ["src/cuda.cpp", "src/kernels.cpp"];
const HEADERS: [&str; 2] = ["src/libtorch.h", "src/sizes.h"];
/// What is compiled where it is needed, by the name that `kernels.cpp` has for it, and what goes before each.
const KERNELS: [(&str, &str); 2] = [
    ("CONVOLUTION", "src/kernels/convolution.cu"),
    ("NORM", "src/kernels/norm.cu"),
];
const BEFORE: &str = "src/kernels/instructions.cu";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for path in FILES.iter().chain(&HEADERS).chain(&["src/kernels"]) {
        println!("cargo:rerun-if-changed={path}");
    }
    // torch-sys tells where libtorch is to its direct dependants alone.
    let Ok(libraries) = env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!("cargo::error=torch-sys does not tell where libtorch is");
        return;
    };
    let written = match write_sources() {
        Ok(folder) => folder,
        Err(problem) => {
            println!("cargo::error=the kernels' sources could not be copied: {problem}");
            return;
        }
    };
    // Clippy links nothing. What cargo builds for it, it builds again for all else.
    let wrapper = env::var_os("RUSTC_WORKSPACE_WRAPPER").map(PathBuf::from);
    if wrapper.is_some_and(|it| it.file_stem().is_some_and(|name| name == "clippy-driver")) {
        return;
    }
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
            env::var("LIBTORCH_CXX11_ABI").as_deref().unwrap_or("1"),
        )
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        // They are libtorch's headers'.
        .warnings(false)
        .include(written)
        .files(FILES)
        .compile("pixelrate_cuda");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // For this crate's own tests.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libraries}");
}

/// Writes a header with the kernels' sources, and gives its folder.
fn write_sources() -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let before = fs::read_to_string(BEFORE)?;
    let mut header = String::new();
    for (name, path) in KERNELS {
        let source = fs::read_to_string(path)?;
        header += &format!("static const char {name}[] = R\"cuda({before}\n{source})cuda\";\n");
    }
    fs::write(folder.join("sources.h"), header)?;
    Ok(folder)
}

/// Where CUDA's own headers may be: beside PyTorch's wheel, and in the toolkit.
fn cuda_headers(libraries: &Path) -> impl Iterator<Item = PathBuf> {
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    let toolkit = env::var_os("CUDA_HOME").map_or_else(|| "/usr/local/cuda".into(), PathBuf::from);
    [
        libraries.join("../../nvidia/cu13/include"),
        toolkit.join("include"),
    ]
    .into_iter()
    .filter(|folder| folder.exists())
}
