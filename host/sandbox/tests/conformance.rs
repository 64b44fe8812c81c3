//! The conformance suite against plugins that are wrong in one way each, and right ones that look like them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;

use common::{engine, facts};
use pixelrate_sandbox::conformance::{self, Examination, Trial, Verdict};
use pixelrate_sandbox::{GuardOptions, Limits, OnFault, RunFacts};

/// A stateful module: `step` and `save` are bodies, the state an i64 at 16. `save` gives those 8 bytes.
fn stateful(step: &str, save: &str, restore: &str) -> String {
    format!(
        r#"(module
            (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\08\00\00\00")
            (func $count (result f64)
                (i64.store (i32.const 16) (i64.add (i64.load (i32.const 16)) (i64.const 1)))
                (f64.div (f64.const 1) (f64.convert_i64_u (i64.load (i32.const 16)))))
            (func (export "learning-rate") (param i64) (result f64) {step})
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "save") (result i32) {save} (i32.const 0))
            (func (export "restore") (param $at i32) (param $length i32) {restore}))"#
    )
}

const COUNT: &str = "(call $count)";
const RESTORE: &str = "(i64.store (i32.const 16) (i64.load (local.get $at)))";

fn examined_in(text: &str, facts: &RunFacts) -> Examination {
    let plugin = engine().load_bytes("tried", text.as_bytes()).unwrap();
    let limits = Limits {
        init_fuel: 10_000_000,
        step_fuel: 1_000_000,
        ..Limits::default()
    };
    conformance::examine(&plugin, facts, &limits, &GuardOptions::default())
}

fn examined(text: &str) -> Examination {
    examined_in(text, &facts(&[]))
}

/// The verdict and the words of a check.
fn of(found: &Examination, name: &str) -> (Verdict, String) {
    let check = found.checks.iter().find(|check| check.name == name);
    check.map_or_else(
        || panic!("no {name} in {found:?}"),
        |check| (check.verdict, check.detail.clone()),
    )
}

fn fails(text: &str, name: &str, words: &str) {
    let found = examined(text);
    let (verdict, detail) = of(&found, name);
    assert_eq!(verdict, Verdict::Fail, "{name}: {detail}");
    assert!(detail.contains(words), "{name}: {detail}");
    assert!(!found.passed());
}

fn module(fields: &str, body: &str) -> String {
    format!(r#"(module {fields} (func (export "learning-rate") (param i64) (result f64) {body}))"#)
}

#[test]
fn state_that_comes_back_passes() {
    let found = examined(&stateful(COUNT, "", RESTORE));
    assert!(found.passed(), "{found:?}");
    let (_, detail) = of(&found, "state");
    assert!(
        detail.contains("4 steps to the same bits; 8 bytes"),
        "{detail}"
    );
    let (_, detail) = of(&found, "purity");
    assert!(detail.contains("exports by `save`"), "{detail}");
}

#[test]
fn state_that_is_kept_in_secret_or_lost_fails() {
    let secret = stateful(COUNT, "", RESTORE)
        .replace("\"save\"", "\"s\"")
        .replace("\"restore\"", "\"r\"");
    fails(
        &secret,
        "purity",
        "in a fresh instance: let it depend on the step",
    );
    fails(
        &stateful(COUNT, "", ""),
        "state",
        "`save` leaves something out",
    );
    let counts = "(drop (call $count))";
    fails(
        &stateful(COUNT, counts, RESTORE),
        "state",
        "`save` must change nothing",
    );
    let half = stateful(COUNT, "", RESTORE);
    fails(
        &half.replace("\"restore\"", "\"r\""),
        "state",
        "`save` without `restore`",
    );
    fails(
        &half.replace("\"save\"", "\"s\""),
        "state",
        "`restore` without `save`",
    );
}

#[test]
fn a_run_that_cannot_be_is_refused_and_not_trapped_in() {
    let total =
        r#"(import "pixelrate:schedule/run@1.0.0" "total-steps" (func $total (result i64)))"#;
    let traps = module(
        total,
        "(if (i64.eq (call $total) (i64.const 1)) (then unreachable)) f64.const 0.1",
    );
    fails(&traps, "one step", "unreachable");
    let over = module(
        total,
        "(select (f64.const 100) (f64.const 0.1) (i64.eq (call $total) (i64.const 1000000000000)))",
    );
    fails(&over, "10^12 steps", "max_learning_rate");
    // A table of every step is honest, and cannot be had for so many.
    let table = format!(
        r#"(module {total} (memory 1)
            (func (export "init") (local $i i64)
                (loop $more (local.set $i (i64.add (local.get $i) (i64.const 1)))
                    (br_if $more (i64.lt_u (local.get $i) (call $total)))))
            (func (export "learning-rate") (param i64) (result f64) f64.const 0.1))"#
    );
    let found = examined(&table);
    assert!(found.passed(), "{found:?}");
    let (verdict, detail) = of(&found, "10^12 steps");
    assert!(
        verdict == Verdict::Note && detail.contains("does not run so"),
        "{detail}"
    );
}

#[test]
fn memory_that_grows_with_steps_fails_however_it_grows() {
    // A page more for every so many steps.
    let grows = |pages: &str| module("(memory 1)", &format!("{pages} f64.const 0.1"));
    let page = "(drop (memory.grow (i32.const 1)))";
    let every = format!("(if (i64.eqz (i64.rem_u (local.get 0) (i64.const 1000))) (then {page}))");
    fails(&grows(&every), "memory", "store something at every step");
    // By doubling, as vectors do: at steps that are powers of two.
    let doubling = "(if (i32.and (i64.gt_u (local.get 0) (i64.const 4096))
             (i64.eqz (i64.and (local.get 0) (i64.sub (local.get 0) (i64.const 1)))))
           (then (drop (memory.grow (memory.size)))))";
    fails(&grows(doubling), "memory", "store something at every step");
    // What grows at first and then no more is a cache.
    let settles = format!("(if (i64.lt_u (local.get 0) (i64.const 100)) (then {page}))");
    let (verdict, detail) = of(&examined(&grows(&settles)), "memory");
    assert!(
        verdict == Verdict::Pass && detail.contains("6464 KiB"),
        "{detail}"
    );
}

#[test]
fn what_is_beyond_the_rehearsal_is_tried_too() {
    let late = module(
        "",
        "(if (i64.ge_u (local.get 0) (i64.const 250000)) (then unreachable)) f64.const 0.1",
    );
    let long = RunFacts {
        total_steps: 300_000,
        ..facts(&[])
    };
    let (verdict, detail) = of(&examined_in(&late, &long), "values");
    assert!(
        verdict == Verdict::Fail && detail.contains("unreachable"),
        "{detail}"
    );
    let held = GuardOptions {
        on_fault: OnFault::Hold,
        ..GuardOptions::default()
    };
    let plugin = engine().load_bytes("late", late.as_bytes()).unwrap();
    let found = conformance::examine(&plugin, &long, &Limits::default(), &held);
    assert_eq!(of(&found, "values").0, Verdict::Pass);
}

#[test]
fn a_fault_that_is_sure_to_come_is_refused_where_it_would_end_the_run() {
    let loss =
        r#"(import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))"#;
    let norm = r#"(import "pixelrate:schedule/weights@1.0.0" "norm" (func $norm (result f64)))"#;
    let breaks = |imports, step| {
        let body = format!(
            "(if (i64.eq (local.get 0) (i64.const {step})) (then unreachable)) f64.const 0.1"
        );
        module(imports, &body)
    };
    let admitted = |text: &str, on_fault| {
        let plugin = engine().load_bytes("breaks", text.as_bytes()).unwrap();
        let guard = GuardOptions {
            on_fault,
            ..GuardOptions::default()
        };
        let long = RunFacts {
            total_steps: 300_000,
            ..facts(&[])
        };
        let found = conformance::admit(&plugin, &long, &Limits::default(), &guard);
        found.map_err(|problem| problem.to_string())
    };
    let refused = |text: &str, on_fault, words: &str| {
        let problem = admitted(text, on_fault).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    };
    refused(
        &breaks("", 7),
        OnFault::Abort,
        "(values): at step 7, it trapped",
    );
    // The last step is tried, however long the run is.
    refused(
        &breaks("", 299_999),
        OnFault::Abort,
        "failed at step 299999",
    );
    admitted(&breaks("", 7), OnFault::Hold).unwrap();
    // Its state goes with its instance, so that nothing is left to hold with.
    let traps = format!("(if (i64.eq (local.get 0) (i64.const 7)) (then unreachable)) {COUNT}");
    let loses = stateful(&traps, "", RESTORE);
    refused(&loses, OnFault::Hold, "(values): at step 7, it trapped");
    // What training will show is not known.
    admitted(&breaks(loss, 7), OnFault::Abort).unwrap();
    admitted(&breaks(norm, 0), OnFault::Abort).unwrap();
    for on_fault in [OnFault::Abort, OnFault::Hold] {
        refused(&breaks(loss, 0), on_fault, "(values): at step 0");
    }
}

#[test]
fn a_candidate_for_a_long_run_is_tried_on_from_where_the_run_is() {
    // One step of a million at which none of the samples falls.
    let once = module(
        "",
        "(if (i64.eq (local.get 0) (i64.const 602003)) (then unreachable)) f64.const 0.1",
    );
    let plugin = engine().load_bytes("once", once.as_bytes()).unwrap();
    let long = RunFacts {
        total_steps: 1_000_000,
        ..facts(&[])
    };
    let admitted = |step| {
        let (limits, guard) = (Limits::default(), GuardOptions::default());
        conformance::admit_from(&plugin, &long, &limits, &guard, step)
    };
    let problem = admitted(600_000).unwrap_err().to_string();
    assert!(
        problem.contains("step 602003") && problem.contains("unreachable"),
        "{problem}"
    );
    // What is over is nobody's concern.
    admitted(602_004).unwrap();
}

#[test]
fn a_flood_of_lines_does_not_pile_up() {
    let log = r#"(import "pixelrate:schedule/run@1.0.0" "log" (func $log (param i32 i32)))"#;
    let line = "(local $i i32) (loop $more (call $log (i32.const 2048) (i32.const 4000))
        (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))";
    let floods = stateful(&format!("{line} {COUNT}"), "", RESTORE).replacen(
        "(module",
        &format!("(module {log}"),
        1,
    );
    let plugin = engine().load_bytes("floods", floods.as_bytes()).unwrap();
    let short = RunFacts {
        total_steps: 100,
        ..facts(&[])
    };
    conformance::admit(
        &plugin,
        &short,
        &Limits::default(),
        &GuardOptions::default(),
    )
    .unwrap();
    // Two rehearsals of it and four futures are some 2 GB of lines.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 1 << 20, "{kib} KiB");
    }
}

#[test]
fn known_rates_are_held_without_asking_for_all_before_them() {
    let halves = module(
        "",
        "(f64.div (f64.const 1) (f64.convert_i64_u (local.get 0)))",
    );
    let plugin = engine().load_bytes("halves", halves.as_bytes()).unwrap();
    let far = 999_999_999_999;
    let held = |rates: &[(u64, f64)], tolerance: f64| {
        let trial = Trial {
            facts: RunFacts {
                total_steps: far + 1,
                ..facts(&[])
            },
            rates: rates.iter().copied().collect::<BTreeMap<_, _>>(),
            tolerance,
        };
        let check = conformance::rates(
            &plugin,
            &trial,
            &Limits::default(),
            &GuardOptions::default(),
        );
        (check.verdict, check.detail)
    };
    assert_eq!(held(&[(2, 0.5), (far, 1e-12)], 1e-9).0, Verdict::Pass);
    let (verdict, detail) = held(&[(2, 0.5), (4, 0.26)], 0.01);
    assert_eq!(
        (verdict, detail.as_str()),
        (
            Verdict::Fail,
            "step 4 of 1000000000000 gives 0.25, and must give 0.26"
        )
    );
    assert_eq!(held(&[(4, f64::NAN)], 1.0).0, Verdict::Fail);
}
