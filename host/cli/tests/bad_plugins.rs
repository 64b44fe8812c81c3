//! A corpus of bad plugins: what a user is told of each, and that none holds the program for longer than its limit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{pixelrate, said};

/// As long as any of them may hold the program: the fuel of `init` lasts for some seconds in a debug build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module whose `learning-rate` has this body (local 0 is the step), with these fields more.
fn module(fields: &str, body: &str) -> String {
    format!(r#"(module {fields} (func (export "learning-rate") (param i64) (result f64) {body}))"#)
}

/// What `pixelrate check FILE ARGUMENTS…` says, errors and table alike; it must not pass.
fn complaint(folder: &Path, file: &str, bytes: &[u8], arguments: &[&str]) -> String {
    fs::write(folder.join(file), bytes).unwrap();
    let began = Instant::now();
    let (good, out, err) = said(pixelrate(folder).args(["check", file]).args(arguments));
    assert!(!good, "{file} passed: {out}");
    assert!(
        began.elapsed() < PATIENCE,
        "{file} took {:?}",
        began.elapsed()
    );
    format!("{out}{err}")
}

/// What the table of `said` has against the schedule `name` in the row of `check`.
fn failed(said: &str, check: &str, name: &str) -> String {
    let row = said.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("FAIL")?.trim_start();
        rest.strip_prefix(check)
    });
    let row = row.unwrap_or_else(|| panic!("no row of {check}: {said}"));
    let named = format!("schedule {name} (");
    let told = row.trim_start().strip_prefix(&named);
    let (hash, told) = told.and_then(|told| told.split_once(") ")).unwrap();
    assert_eq!(hash.len(), 12, "{said}");
    told.to_owned()
}

#[test]
fn what_cannot_be_loaded_is_told_in_one_line() {
    let good = wat::parse_str(module("", "f64.const 0.1")).unwrap();
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let http = r#"(component (import "wasi:http/types@0.2.0" (instance (export "f" (func)))))"#;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "empty.wasm",
            Vec::new(),
            "empty is not a schedule plugin: it is empty",
        ),
        (
            "picture.wasm",
            b"\x89PNG\r\n\x1a\n".to_vec(),
            "picture is not a schedule plugin: it is neither WASM (which begins with \\0asm) nor WAT text: it begins with \
             [89, 50, 4e, 47, 0d, 0a, 1a, 0a]",
        ),
        (
            "truncated.wasm",
            good[..good.len() - 3].to_vec(),
            "truncated is not a schedule plugin: it is damaged: unexpected end-of-file (at offset 0x2b)",
        ),
        (
            "world.wasm",
            wat(
                r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                 (func (export "run") (canon lift (core func $i "f"))))"#,
            ),
            "world is not a schedule plugin: it does not export `learning-rate`, a function (step: u64) -> f64; it exports \
             run: is it a component of another world?",
        ),
        (
            "signature.wasm",
            wat(
                r#"(module (func (export "learning-rate") (param i32) (result f64) f64.const 0.1))"#,
            ),
            "signature is not a schedule plugin: type mismatch for function `learning-rate`: expected `[I64] -> [F64]` but found \
             `[I32] -> [F64]` (I64 is u64, F64 is f64; see sdk/wit/schedule.wit)",
        ),
        (
            "missing.wasm",
            wat(r#"(module (func (export "rate") (param i64) (result f64) f64.const 0.1))"#),
            "missing is not a schedule plugin: it does not export `learning-rate` (or `learning_rate`), a function (step: u64) \
             -> f64; it exports rate",
        ),
        (
            "memory.wasm",
            wat(&module(
                r#"(import "env" "memory" (memory 1))"#,
                "f64.const 0.1",
            )),
            "memory imports `env.memory`, which a schedule may not have: it is a memory, and a schedule brings its own \
             (wasm-ld: no --import-memory; AssemblyScript: no --importMemory)",
        ),
        (
            "http.wasm",
            wat(http),
            "http imports `wasi:http/types@0.2.0`, which a schedule may not have: build it without HTTP (componentize-js: \
             disable http and fetch-event)",
        ),
        (
            "clock.wasm",
            wat(&module(
                r#"(import "pixelrate:schedule/clock@1.0.0" "now" (func))"#,
                "f64.const 0.1",
            )),
            "clock imports `pixelrate:schedule/clock@1.0.0`, which a schedule may not have: contract 1.0.0 has the interfaces \
             images, run, training, weights; a newer pixelrate may have more",
        ),
        (
            "parameters.wasm",
            wat(&module(
                r#"(memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\04\00\00\00nope")
                   (func (export "parameters") (result i32) i32.const 0)"#,
                "f64.const 0.1",
            )),
            "parameters is not a schedule plugin: its `parameters` gave what is no JSON list of parameters: expected ident at \
             line 1 column 2",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes, told) in cases {
        let said = complaint(dir.path(), file, &bytes, &[]);
        assert_eq!(said.trim_end(), format!("error: {told}"), "{file}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}

#[test]
fn a_module_of_200_megabytes_is_not_even_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("huge.wasm")).unwrap();
    // A file with a hole: it says that it has 200 MB.
    file.set_len(200 << 20).unwrap();
    let began = Instant::now();
    let (good, _, err) = said(pixelrate(dir.path()).args(["check", "huge.wasm"]));
    assert!(!good && began.elapsed() < Duration::from_secs(20));
    assert_eq!(
        err.trim(),
        "error: the plugin huge.wasm has 209715200 bytes, over the 67108864 that a plugin may have (`plugin_bytes`)"
    );
}

/// A component that opens a socket in `init`, by WASI 0.2, and fails with a message where it is denied one.
const SOCKET: &str = r#"(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $error (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
      "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
      "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
      "permanent-resolver-failure"))
    (export "error-code" (type (eq $error)))
    (type $family (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $family)))))
  (alias export $network "error-code" (type $error))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $error (type $e0)) (export "error-code" (type $e (eq $e0)))
    (alias outer 1 $family (type $f0)) (export "ip-address-family" (type $f (eq $f0)))
    (alias outer 1 $socket (type $s0)) (export "tcp-socket" (type $s (eq $s0)))
    (export "create-tcp-socket"
      (func (param "address-family" $f) (result (result (own $s) (error $e)))))))
  (import "pixelrate:schedule/run@1.0.0" (instance $run (export "fail" (func (param "message" string)))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 8) "no network"))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (core func $create (canon lower (func $create "create-tcp-socket") (memory $m)))
  (core func $fail (canon lower (func $run "fail") (memory $m)))
  (core module $plugin
    (import "host" "create" (func $create (param i32 i32)))
    (import "host" "fail" (func $fail (param i32 i32)))
    (import "host" "memory" (memory 1))
    (func (export "init")
      (call $create (i32.const 0) (i32.const 64))
      (if (i32.load8_u (i32.const 64))
        (then
          ;; 1 is `access-denied`.
          (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))
          (call $fail (i32.const 8) (i32.const 10)))))
    (func (export "learning-rate") (param i64) (result f64) f64.const 0.1))
  (core instance $plugin (instantiate $plugin (with "host" (instance
    (export "create" (func $create)) (export "fail" (func $fail)) (export "memory" (memory $m))))))
  (func (export "init") (canon lift (core func $plugin "init")))
  (func (export "learning-rate") (param "step" u64) (result f64) (canon lift (core func $plugin "learning-rate"))))"#;

#[test]
fn what_fails_when_it_runs_is_stopped_and_told() {
    let forever = "(loop $again (br $again)) f64.const 0";
    let cases = [
        (
            "start",
            module(
                r#"(func $init (loop $again (br $again))) (export "init" (func $init))"#,
                "f64.const 0",
            ),
            "failed before its first step: it used up its 5000000000 units of fuel (`init_fuel`); is there an endless loop?",
        ),
        (
            "values",
            module("", forever),
            "failed at step 0: it used up the 100000000 units of fuel that one call may use (`step_fuel`); is there an endless loop?",
        ),
        (
            "values",
            module("(func $down (call $down))", "(call $down) f64.const 0"),
            "failed at step 0: its stack ran over (`stack_bytes`); is there an endless recursion?",
        ),
        (
            "start",
            module(r#"(memory 8192)"#, "f64.const 0"),
            "failed before its first step: memory minimum size of 8192 pages exceeds memory limits (it asked for 536870912 more \
             bytes of memory where 268435456 were left of `memory_bytes`)",
        ),
        (
            "values",
            module(
                r#"(memory 1)"#,
                "(if (i32.lt_s (memory.grow (i32.const 8192)) (i32.const 0)) (then unreachable)) f64.const 0",
            ),
            "failed at step 0: it trapped: wasm `unreachable` instruction executed (it asked for 536870912 more bytes of memory \
             where 268369920 were left of `memory_bytes`)",
        ),
        (
            "start",
            module("(table 10000000 funcref)", "f64.const 0"),
            "failed before its first step: table minimum size of 10000000 elements exceeds table limits (it asked for 10000000 \
             more elements of a table where 100000 were left of `table_elements`)",
        ),
        (
            "values",
            module("", "f64.const nan"),
            "failed at step 0: its learning rate is NaN: must be finite (and 9999 faults more)",
        ),
        (
            "values",
            module("", "f64.const inf"),
            "failed at step 0: its learning rate is inf: must be finite (and 9999 faults more)",
        ),
        (
            "values",
            module("", "f64.const -0.1"),
            "failed at step 0: its learning rate is -0.1: must not be negative (and 9999 faults more)",
        ),
        (
            "values",
            module("", "f64.const 11"),
            "failed at step 0: its learning rate is 11: the study's `max_learning_rate` is 10 (and 9999 faults more)",
        ),
        (
            "start",
            module(
                r#"(import "wasi_snapshot_preview1" "path_open"
                     (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
                   (import "pixelrate:schedule/run@1.0.0" "fail" (func $fail (param i32 i32)))
                   (memory (export "memory") 1) (data (i32.const 8) "/etc/passwd") (data (i32.const 32) "no file")
                   (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                   (func (export "init")
                     (if (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 11) (i32.const 0) (i64.const 2)
                         (i64.const 0) (i32.const 0) (i32.const 64))
                       (then (call $fail (i32.const 32) (i32.const 7)))))"#,
                "f64.const 0.1",
            ),
            "failed before its first step: no file",
        ),
        (
            "start",
            module(
                r#"(import "wasi_snapshot_preview1" "sock_send"
                     (func $send (param i32 i32 i32 i32 i32) (result i32)))
                   (import "pixelrate:schedule/run@1.0.0" "fail" (func $fail (param i32 i32)))
                   (memory (export "memory") 1) (data (i32.const 8) "no network")
                   (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
                   (func (export "init")
                     (if (call $send (i32.const 3) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 96))
                       (then (call $fail (i32.const 8) (i32.const 10)))))"#,
                "f64.const 0.1",
            ),
            "failed before its first step: no network",
        ),
        (
            "start",
            SOCKET.to_owned(),
            "failed before its first step: no network",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (check, text, told) in cases {
        let said = complaint(dir.path(), "bad.wat", text.as_bytes(), &[]);
        assert_eq!(failed(&said, check, "bad"), told, "{text}\n{said}");
    }
}

#[test]
fn a_trap_after_a_million_steps_names_its_step() {
    let dir = tempfile::tempdir().unwrap();
    let late = module(
        "",
        "(if (i64.ge_u (local.get 0) (i64.const 1000000)) (then unreachable)) f64.const 0.1",
    );
    fs::write(dir.path().join("late.wat"), late).unwrap();
    let (good, _, err) =
        said(pixelrate(dir.path()).args(["preview", "late.wat", "--steps", "1000002"]));
    assert!(!good);
    let told = err.strip_prefix("error: schedule late.wat: schedule late (");
    assert_eq!(
        told.and_then(|told| told.get(12..)),
        Some(") failed at step 1000000: it trapped: wasm `unreachable` instruction executed\n"),
        "{err}"
    );
}

const OUTSIDE: &str =
    "name a picture by its path inside the study's picture folder: relative, and without `..`";

/// A PNG of this size in 1-bit grey whose data are a few bytes.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    // An empty zlib stream.
    png(
        width,
        height,
        &[],
        &[0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01],
    )
}

/// A PNG of 1-bit grey with `text` as its compressed comment, if there is any.
fn png(width: u32, height: u32, text: &[u8], data: &[u8]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [&kind[..], data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&body);
        png.extend(crc32fast::hash(&body).to_be_bytes());
    };
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[1, 0, 0, 0, 0],
    ]
    .concat();
    chunk(b"IHDR", &header);
    if !text.is_empty() {
        chunk(b"zTXt", &[b"Comment\0\0", text].concat());
    }
    chunk(b"IDAT", data);
    chunk(b"IEND", &[]);
    png
}

#[test]
fn pictures_stay_in_their_folder_and_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    fs::write(dir.path().join("outside.png"), bomb(8, 8)).unwrap();
    fs::write(pictures.join("bomb.png"), bomb(60_000, 60_000)).unwrap();
    std::os::unix::fs::symlink("../outside.png", pictures.join("link.png")).unwrap();
    let image = pixelrate_sandbox_image();
    for (name, told) in [
        ("../outside.png", OUTSIDE),
        ("/etc/hostname", OUTSIDE),
        (
            "link.png",
            "pictures/link.png leads out of the study's picture folder",
        ),
        (
            "bomb.png",
            "it has 60000 x 60000 pixels, over the 100000000 of `picture_pixels`",
        ),
        (
            "nowhere",
            "pictures does not hold it, and it is no built-in picture; there are alexnet, ",
        ),
    ] {
        let param = format!("image={name}");
        let arguments = ["--pictures", "pictures", "--param", &param];
        let said = complaint(dir.path(), "scan.wasm", image, &arguments);
        let told =
            format!("failed before its first step: parameter `image`: picture \"{name}\": {told}");
        assert!(failed(&said, "start", "scan").starts_with(&told), "{said}");
    }
}

#[test]
fn a_small_picture_that_inflates_to_gigabytes_is_read_no_further_than_it_is_large() {
    let dir = tempfile::tempdir().unwrap();
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut zeros).unwrap();
    let zeros = zeros.finish().unwrap();
    let few = [
        0x78, 0x9c, 0x63, 0x60, 0x20, 0x0c, 0x00, 0x00, 0x10, 0x00, 0x01,
    ];
    for (name, bytes) in [
        ("data", png(8, 8, &[], &zeros)),
        ("text", png(8, 8, &zeros, &few)),
    ] {
        fs::write(dir.path().join(format!("{name}.png")), bytes).unwrap();
        let param = format!("image={name}");
        let began = Instant::now();
        let (good, out, err) = said(pixelrate(dir.path()).args([
            "check",
            "image",
            "--pictures",
            ".",
            "--param",
            &param,
        ]));
        // Its 64 pixels are black, and what comes after them is not waited for.
        let black = "learning rates from 1e-5 to 1e-5 over 10000 steps, the ceiling is 10";
        assert!(good && out.contains(black), "{name}: {out}{err}");
        assert!(
            began.elapsed() < PATIENCE,
            "{name} took {:?}",
            began.elapsed()
        );
    }
}

/// The built-in schedule that opens a picture, as a file of one's own.
fn pixelrate_sandbox_image() -> &'static [u8] {
    include_bytes!("../../../plugins/dist/image.wasm")
}
