//! Plugins as the trainer uses them: what passes, what is refused, and what a user then reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;

use common::{body, engine, engine_of, facts, limits, rate, start, start_with};
use pixelrate_sandbox::{
    DecodedPicture, FaultKind, GuardOptions, Limits, OnFault, Pictures, Schedule, StepValues,
    TrainingValues, Value,
};

#[test]
fn a_flat_module_is_lifted_and_snake_case_is_read() {
    let mut schedule = start(&body(
        "local.get 0 f64.convert_i64_u f64.const 0.001 f64.mul",
    ))
    .unwrap();
    assert!(schedule.plugin().lifted());
    assert_eq!(rate(&mut schedule, 3), 3.0 * 0.001);
    let values = schedule.step(4, TrainingValues::NONE).unwrap();
    assert_eq!((values.momentum, values.weight_decay), (None, None));
}

#[test]
fn optional_exports_and_training_values_are_used() {
    let wat = r#"(module
        (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
        (import "pixelrate:schedule/run@1.0.0" "train-examples" (func $examples (result i64)))
        (global $base (mut f64) (f64.const 0))
        (func (export "init") call $examples f64.convert_i64_u f64.const 1e-6 f64.mul global.set $base)
        (func (export "learning-rate") (param i64) (result f64) call $loss global.get $base f64.add)
        (func (export "momentum") (param i64) (result f64) f64.const 0.5)
        (func (export "weight-decay") (param i64) (result f64) f64.const 0.25))"#;
    let mut schedule = start(wat).unwrap();
    assert!(schedule.plugin().reads_training());
    let training = TrainingValues {
        train_loss: 0.5,
        ..TrainingValues::NONE
    };
    let values = schedule.step(0, training).unwrap();
    let expected = StepValues {
        learning_rate: 0.5 + 50_000.0 * 1e-6,
        momentum: Some(0.5),
        weight_decay: Some(0.25),
    };
    assert_eq!(values, expected);
}

#[test]
fn what_is_no_plugin_is_told_apart() {
    let message = |bytes: &[u8]| engine().load_bytes("test", bytes).unwrap_err().to_string();
    assert!(message(b"").contains("it is empty"));
    assert!(message(b"\x7fELF\x01\x02").contains("neither WASM"));
    assert!(message(b"(module (oops))").contains("as WAT text it has an error"));
    assert!(message(b"\0asm\x01\0\0\0\x01\xff").contains("damaged"));
    assert!(
        message(br#"(module (func (export "rate")))"#).contains("does not export `learning-rate`")
    );
    assert!(message(br#"(module (func (export "rate")))"#).contains("it exports rate"));
    let wrong = br#"(module (func (export "learning-rate") (param i32) (result f64) f64.const 0))"#;
    assert!(
        message(wrong).contains("learning-rate"),
        "{}",
        message(wrong)
    );
    assert!(message(b"(component)").contains("a component of another world"));
    let misspelt = engine().load("cylic").unwrap_err().to_string();
    assert!(misspelt.ends_with("did you mean `cyclic`?"), "{misspelt}");
    let missing = engine().load("no/such.wasm").unwrap_err().to_string();
    assert!(
        missing.contains("no/such.wasm") && missing.contains("cyclic"),
        "{missing}"
    );
}

#[test]
fn imports_beside_the_contract_are_refused_by_name() {
    let import = |module: &str, what: &str| {
        let wat = format!(
            r#"(module (import "{module}" "x" {what}) (func (export "learning-rate") (param i64) (result f64) f64.const 0))"#
        );
        engine()
            .load_bytes("test", wat.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(import("env", "(func)").contains("imports `env.x`"));
    let two = r#"(func)) (import "env" "y" (func)"#;
    let two = import("env", two);
    assert!(
        two.contains("imports `env.x`") && two.ends_with("; so too env.y"),
        "{two}"
    );
    assert!(
        import("my", "(memory 1)")
            .contains("imports `my.x`, which a schedule may not have: it is a memory")
    );
    let run = import("pixelrate:schedule/run@1.0.0", "(func)");
    assert!(
        run.contains("imports `pixelrate:schedule/run@1.0.0 x`"),
        "{run}"
    );
    let component = r#"(component (import "wasi:http/types@0.2.0" (instance)))"#;
    let http = engine()
        .load_bytes("test", component.as_bytes())
        .unwrap_err();
    assert!(http.to_string().contains("without HTTP"), "{http}");
    let newer = r#"(component (import "pixelrate:schedule/run@1.4.0" (instance (export "epoch" (func (result u64))))))"#;
    let newer = engine()
        .load_bytes("test", newer.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(
        newer.contains("`pixelrate:schedule/run@1.4.0 epoch`")
            && newer.contains("a newer pixelrate"),
        "{newer}"
    );
    assert!(import("other:thing/api", "(func)").contains("sdk/wit/schedule.wit"));
}

#[test]
fn wrong_types_are_told_when_the_plugin_is_loaded() {
    let message = |wat: &str| {
        engine()
            .load_bytes("test", wat.as_bytes())
            .unwrap_err()
            .to_string()
    };
    let module = |export: &str| {
        message(&format!(
            r#"(module (func (export "learning_rate") (param i64) (result f64) f64.const 0) {export})"#
        ))
    };
    let momentum = module(r#"(func (export "momentum") (result f32) f32.const 0)"#);
    assert!(
        momentum
            .starts_with("test is not a schedule plugin: type mismatch for function `momentum`"),
        "{momentum}"
    );
    let save = module(r#"(func (export "save") (result i32) i32.const 0)"#);
    assert!(save.contains("must be exported"), "{save}");
    let component = |name: &str, ty: &str| {
        message(&format!(
            r#"(component (core module $m (func (export "f") (param i32) (result f64) f64.const 0))
                (core instance $i (instantiate $m))
                (func (export "{name}") (param "step" {ty}) (result f64) (canon lift (core func $i "f"))))"#
        ))
    };
    let wrong = component("learning-rate", "u32");
    assert!(
        wrong.ends_with("its export `learning-rate` must be a function (step: u64) -> f64"),
        "{wrong}"
    );
    assert!(component("rate", "u32").contains("it exports rate"));
}

#[test]
fn the_contract_s_spelling_comes_first_and_only_functions_count() {
    let wat = r#"(module (global (export "save") i32 (i32.const 1)) (memory (export "init") 1)
        (func (export "learning_rate") (param i64) (result f64) f64.const 0.25)
        (func (export "learning-rate") (param i64) (result f64) f64.const 0.5))"#;
    let mut schedule = start(wat).unwrap();
    assert_eq!(rate(&mut schedule, 0), 0.5);
    assert_eq!(
        schedule.plugin().exports(),
        pixelrate_sandbox::Exports::default()
    );
    assert_eq!(schedule.save().unwrap(), None);
}

#[test]
fn components_are_used_as_they_are() {
    let wat = r#"(component (core module $m
            (func (export "f") (param i64) (result f64) (f64.div (f64.convert_i64_u (local.get 0)) (f64.const 8))))
        (core instance $i (instantiate $m))
        (func (export "learning-rate") (param "step" u64) (result f64) (canon lift (core func $i "f"))))"#;
    let mut schedule = start(wat).unwrap();
    assert!(!schedule.plugin().lifted());
    assert_eq!(rate(&mut schedule, 3), 0.375);
}

#[test]
fn engines_and_plugins_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<pixelrate_sandbox::Engine>();
    shared::<pixelrate_sandbox::Plugin>();
    sent::<Schedule>();
    let plugin = engine().load("cyclic").unwrap();
    let rates = |plugin: &pixelrate_sandbox::Plugin| {
        let mut schedule =
            Schedule::start(plugin, &facts(&[]), &limits(), &GuardOptions::default()).unwrap();
        [0, 500, 1000].map(|step| rate(&mut schedule, step))
    };
    let here = rates(&plugin);
    let there = std::thread::spawn(move || rates(&plugin)).join().unwrap();
    assert_eq!(here, there);
}

#[test]
fn endless_loops_stop_at_the_same_step_everywhere() {
    // Loops as often as the step's number, squared: some step is the first that is too much.
    let wat = body(
        "(local $i i64) (local.set $i (i64.mul (local.get 0) (local.get 0)))
         (loop $again (local.set $i (i64.sub (local.get $i) (i64.const 1)))
            (br_if $again (i64.gt_s (local.get $i) (i64.const 0)))) f64.const 0.1",
    );
    let fails_at = || {
        let mut schedule = start(&wat).unwrap();
        (0..2000)
            .find_map(|step| schedule.step(step, TrainingValues::NONE).err())
            .unwrap()
    };
    let fault = fails_at();
    assert_eq!(fault.kind, FaultKind::OutOfFuel);
    assert!(
        fault.to_string().contains("1000000 units of fuel"),
        "{fault}"
    );
    assert_eq!(fails_at(), fault);
}

#[test]
fn time_stops_what_fuel_does_not() {
    let plugin = engine()
        .load_bytes("test", body("(loop $a (br $a)) f64.const 0").as_bytes())
        .unwrap();
    let limits = Limits {
        step_fuel: u64::MAX,
        step_ms: 50,
        ..Limits::default()
    };
    let mut schedule =
        Schedule::start(&plugin, &facts(&[]), &limits, &GuardOptions::default()).unwrap();
    let fault = schedule.step(0, TrainingValues::NONE).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert!(fault.message.contains("50 ms"));
}

#[test]
fn memory_tables_and_stack_have_limits() {
    let grows = r#"(module (memory 1)
        (func (export "learning-rate") (param i64) (result f64)
            (if (i32.eq (memory.grow (i32.const 10000)) (i32.const -1)) (then unreachable)) f64.const 0))"#;
    let fault = start(grows)
        .unwrap()
        .step(0, TrainingValues::NONE)
        .unwrap_err();
    assert!(fault.message.contains("memory_bytes"), "{fault}");
    let table = r#"(module (table 1000000 funcref)
        (func (export "learning-rate") (param i64) (result f64) f64.const 0))"#;
    assert!(start(table).unwrap_err().to_string().contains("table"));
    // Globals and what else an instance has are the host's memory.
    let instances: String = (0..150)
        .map(|number| format!("(core instance $i{number} (instantiate $m))"))
        .collect();
    let many = format!(
        r#"(component
            (core module $m (func (export "learning-rate") (param i64) (result f64) f64.const 0.1))
            {instances}
            (func (export "learning-rate") (param "step" u64) (result f64)
                (canon lift (core func $i0 "learning-rate"))))"#
    );
    let problem = start(&many).unwrap_err().to_string();
    assert!(problem.contains("instance count too high"), "{problem}");
    let deep = r#"(module (func $f (export "learning-rate") (param i64) (result f64) (call $f (local.get 0)) f64.const 1 f64.add))"#;
    let fault = start(deep)
        .unwrap()
        .step(0, TrainingValues::NONE)
        .unwrap_err();
    assert!(fault.message.contains("recursion"), "{fault}");
}

#[test]
fn the_guard_refuses_what_no_optimizer_should_get() {
    for (value, kind) in [
        ("nan", FaultKind::NotFinite),
        ("inf", FaultKind::NotFinite),
        ("-0.5", FaultKind::Negative),
        ("1.5", FaultKind::OverCeiling),
    ] {
        let fault = start(&body(&format!("f64.const {value}")))
            .unwrap()
            .step(9, TrainingValues::NONE)
            .unwrap_err();
        assert_eq!((fault.kind, fault.step), (kind, Some(9)), "{value}");
        assert_eq!(fault.sha256.len(), 64);
    }
    let momentum = r#"(module
        (func (export "learning-rate") (param i64) (result f64) f64.const 0.1)
        (func (export "momentum") (param i64) (result f64) f64.const 1.0))"#;
    assert!(
        start(momentum)
            .unwrap()
            .step(0, TrainingValues::NONE)
            .unwrap_err()
            .message
            .contains("below 1")
    );
}

#[test]
fn hold_keeps_the_last_good_value_and_a_trap_gets_a_new_instance() {
    // Traps at step 2; counts its calls in a global, so that a new instance is seen.
    let wat = r#"(module (global $calls (mut f64) (f64.const 0))
        (func (export "learning-rate") (param i64) (result f64)
            (global.set $calls (f64.add (global.get $calls) (f64.const 0.1)))
            (if (i64.eq (local.get 0) (i64.const 2)) (then unreachable))
            global.get $calls))"#;
    let mut schedule = start_with(wat, &facts(&[]), OnFault::Hold).unwrap();
    assert_eq!(
        [0, 1, 2, 3].map(|step| rate(&mut schedule, step)),
        [0.1, 0.2, 0.2, 0.1]
    );
    let events = schedule.drain_events();
    assert_eq!(events.len(), 1);
    assert!(
        events[0].is_fault() && events[0].to_string().contains("at step 2: it trapped"),
        "{}",
        events[0]
    );
    // A new instance of a schedule that has a state would answer as another.
    let state = r#"(module (memory (export "memory") 1)
        (func (export "save") (result i32) (i32.const 0)) (func (export "restore") (param i32 i32))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))"#;
    let stateful = wat.replacen("(module", state, 1);
    let mut schedule = start_with(&stateful, &facts(&[]), OnFault::Hold).unwrap();
    assert_eq!([0, 1].map(|step| rate(&mut schedule, step)), [0.1, 0.2]);
    let fault = schedule.step(2, TrainingValues::NONE).unwrap_err();
    assert!(fault.to_string().contains("its state is lost"), "{fault}");
    // An answer that the guard refuses leaves the instance whole.
    let stateful = stateful.replace("unreachable", "(return (f64.const -1))");
    let mut schedule = start_with(&stateful, &facts(&[]), OnFault::Hold).unwrap();
    assert_eq!(
        [0, 1, 2, 3].map(|step| rate(&mut schedule, step)),
        [0.1, 0.2, 0.2, 0.4]
    );
    // Without a good value there is nothing to hold.
    let mut never = start_with(&body("f64.const nan"), &facts(&[]), OnFault::Hold).unwrap();
    assert!(never.step(0, TrainingValues::NONE).is_err());
}

/// A module whose rate is a thousandth of the calls that it has had, with `more` in it.
fn calls(more: &str) -> String {
    format!(
        r#"(module {more} (memory (export "memory") 1) (global $calls (mut i64) (i64.const 0))
        (func (export "learning-rate") (param i64) (result f64)
            (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
            (f64.div (f64.convert_i64_u (global.get $calls)) (f64.const 1000))))"#
    )
}

#[test]
fn what_depends_on_the_step_alone_is_asked_ahead_in_a_row() {
    let after = |wat: &str, steps: &[u64], total_steps: u64| {
        let mut facts = facts(&[]);
        facts.total_steps = total_steps;
        let mut schedule = start_with(wat, &facts, OnFault::Abort).unwrap();
        schedule.ask_ahead();
        for &step in steps {
            rate(&mut schedule, step);
        }
        // Not what it was asked for before.
        rate(&mut schedule, 40)
    };
    assert!(after(&calls(""), &[0, 1], 100) > 0.003);
    // One step does not tell that another follows, and after the last none does.
    assert_eq!(after(&calls(""), &[1], 100), 0.002);
    assert_eq!(after(&calls(""), &[0, 1], 2), 0.003);
    let reads = r#"(import "pixelrate:schedule/training@1.0.0" "train-loss" (func (result f64)))"#;
    assert_eq!(after(&calls(reads), &[0, 1], 100), 0.003);
    let saves = r#"(func (export "save") (result i32) (i32.const 0))
        (func (export "restore") (param i32 i32))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))"#;
    let saves = calls("").replace("(global $calls", &format!("{saves} (global $calls"));
    assert_eq!(after(&saves, &[0, 1], 100), 0.003);
}

#[test]
fn what_is_asked_ahead_happens_at_its_own_step() {
    // It speaks at step 5, traps at 9 and 11, and gives no number at 20.
    let wat = r#"(module
        (import "pixelrate:schedule/run@1.0.0" "log" (func $log (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "five")
        (func (export "learning-rate") (param $step i64) (result f64)
            (if (i64.eq (local.get $step) (i64.const 5)) (then (call $log (i32.const 0) (i32.const 4))))
            (if (i64.eq (local.get $step) (i64.const 9)) (then unreachable))
            (if (i64.eq (local.get $step) (i64.const 11)) (then unreachable))
            (if (i64.eq (local.get $step) (i64.const 20)) (then (return (f64.const nan))))
            (f64.div (f64.convert_i64_u (local.get $step)) (f64.const 1000))))"#;
    let run = |ahead: bool, on_fault: OnFault| {
        let mut schedule = start_with(wat, &facts(&[]), on_fault).unwrap();
        if ahead {
            schedule.ask_ahead();
        }
        let mut seen = Vec::new();
        for step in 0..30 {
            let answer = schedule.step(step, TrainingValues::NONE);
            let events = schedule.drain_events();
            let over = answer.is_err();
            let told = answer.map_err(|fault| fault.to_string());
            seen.push((told, events, schedule.fuel_used(), schedule.last_good()));
            if over {
                break;
            }
        }
        seen
    };
    for (on_fault, steps) in [(OnFault::Hold, 30), (OnFault::Abort, 10)] {
        let plain = run(false, on_fault);
        assert_eq!(plain.len(), steps);
        assert_eq!(run(true, on_fault), plain);
    }
}

#[test]
fn a_resumed_run_holds_what_the_stopped_one_would_have() {
    let mut schedule = start_with(&body("f64.const nan"), &facts(&[]), OnFault::Hold).unwrap();
    assert_eq!(schedule.last_good(), None);
    let before = StepValues {
        learning_rate: 0.5,
        momentum: None,
        weight_decay: None,
    };
    schedule.set_last_good(before);
    assert_eq!(schedule.step(7, TrainingValues::NONE).unwrap(), before);
    assert!(schedule.drain_events()[0].is_fault());
}

#[test]
fn a_ceiling_that_is_no_number_lets_nothing_pass() {
    let plugin = engine()
        .load_bytes("test", body("f64.const 0.5").as_bytes())
        .unwrap();
    let guard = GuardOptions {
        max_learning_rate: f64::NAN,
        ..GuardOptions::default()
    };
    let mut schedule = Schedule::start(&plugin, &facts(&[]), &limits(), &guard).unwrap();
    assert!(schedule.step(0, TrainingValues::NONE).is_err());
}

#[test]
fn a_trap_in_restore_spoils_nothing_but_itself() {
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "learning-rate") (param i64) (result f64) f64.const 0.5)
        (func (export "restore") (param i32 i32) unreachable))"#;
    let mut schedule = start(wat).unwrap();
    assert_eq!(schedule.restore(b"old").unwrap_err().kind, FaultKind::Trap);
    assert_eq!(rate(&mut schedule, 0), 0.5);
}

#[test]
fn a_module_made_to_be_compiled_for_ever_is_given_up() {
    // Some thousand loops that all share some hundred locals: minutes for the compiler's register allocation.
    let one = |i: u32| {
        let [a, b, c] = [i, 7 * i, 13 * i].map(|local| 1 + local % 1000);
        format!(
            "(loop $l{i} (br_if $l{i} (i64.eqz (local.get 0))) (local.set {c} (i64.add (local.get {a}) (local.get {b}))))"
        )
    };
    let loops: String = (0..20_000).map(one).collect();
    let locals = "i64 ".repeat(1000);
    let text = body(&format!("(local {locals}) {loops} f64.const 0"));
    let engine = engine_of(Limits {
        compile_ms: 1_000,
        ..Limits::default()
    })
    .unwrap();
    let began = std::time::Instant::now();
    let error = engine.load_bytes("bomb", text.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "compiling the plugin bomb took over 1000 ms: make it smaller, or raise `compile_ms`"
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn the_largest_stack_still_fits_on_a_thread_and_more_is_refused() {
    let with_stack = |stack_bytes| {
        engine_of(Limits {
            stack_bytes,
            ..Limits::default()
        })
    };
    let largest = with_stack(Limits::MOST_STACK).unwrap();
    let deep = r#"(module (func $f (export "learning-rate") (param i64) (result f64) (f64.add (call $f (local.get 0)) (f64.const 1))))"#;
    let plugin = largest.load_bytes("deep", deep.as_bytes()).unwrap();
    let mut schedule = Schedule::start(
        &plugin,
        &facts(&[]),
        &Limits::default(),
        &GuardOptions::default(),
    )
    .unwrap();
    let fault = schedule.step(0, TrainingValues::NONE).unwrap_err();
    assert!(fault.message.contains("recursion"), "{fault}");
    for stack_bytes in [0, Limits::MOST_STACK + 1] {
        let error = with_stack(stack_bytes).unwrap_err();
        assert!(error.to_string().contains("`stack_bytes` is"), "{error}");
    }
}

#[test]
fn state_is_saved_and_restored() {
    let wat = r#"(module (memory (export "memory") 1) (global $state (mut i32) (i32.const 1))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "learning-rate") (param i64) (result f64)
            (global.set $state (i32.add (global.get $state) (i32.const 1)))
            (f64.div (f64.convert_i32_u (global.get $state)) (f64.const 100)))
        (func (export "save") (result i32)
            (i32.store8 (i32.const 32) (global.get $state))
            (i32.store (i32.const 0) (i32.const 32)) (i32.store (i32.const 4) (i32.const 1)) i32.const 0)
        (func (export "restore") (param i32 i32) (global.set $state (i32.load8_u (local.get 0)))))"#;
    let mut one = start(wat).unwrap();
    (0..5).for_each(|step| assert!(rate(&mut one, step) > 0.0));
    let state = one.save().unwrap().unwrap();
    let mut other = start(wat).unwrap();
    other.restore(&state).unwrap();
    assert_eq!(rate(&mut one, 5), rate(&mut other, 5));
}

#[test]
fn a_guest_that_fails_is_quoted() {
    let wat = r#"(module (import "pixelrate:schedule/run@1.0.0" "fail" (func $fail (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 8) "too few steps")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "init") (call $fail (i32.const 8) (i32.const 13)))
        (func (export "learning-rate") (param i64) (result f64) f64.const 0))"#;
    let message = start(wat).unwrap_err().to_string();
    assert!(
        message.contains("failed before its first step: too few steps"),
        "{message}"
    );
}

#[test]
fn what_a_schedule_says_does_not_fill_the_disk() {
    let wat = r#"(module (import "pixelrate:schedule/run@1.0.0" "log" (func $log (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\1b[2J")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "learning-rate") (param i64) (result f64) (local $n i32)
            (loop $more
                (call $log (i32.const 0) (i32.const 4000))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $n) (i32.const 1500))))
            f64.const 0.1))"#;
    let mut schedule = start(wat).unwrap();
    let mut said = Vec::new();
    for step in 0..30 {
        assert_eq!(rate(&mut schedule, step), 0.1);
        said.extend(schedule.drain_events().iter().map(ToString::to_string));
    }
    assert!(said[0].starts_with("␛[2J␀"), "{}", &said[0][..20]);
    assert_eq!(said[1_000], "… and 500 lines more, which were not kept");
    let bytes: usize = said.iter().map(String::len).sum();
    assert!(bytes > 60 << 20 && bytes < 65 << 20, "{bytes}");
    assert_eq!(
        said.last().unwrap(),
        "it has said over 64 MiB: no more of it is kept"
    );
}

#[test]
fn a_member_of_a_family_that_is_never_read_is_refused() {
    let number = |name: &'static str, value| (name, Value::Number(value));
    let plugin = engine().load("piecewise").unwrap();
    let of = |params: &[(&str, Value)]| {
        Schedule::start(&plugin, &facts(params), &limits(), &GuardOptions::default())
    };
    // The official boundaries with factors of one's own.
    let params = [number("factor_1", 0.5), number("factor_3", 0.25)];
    let mut schedule = of(&params).unwrap();
    let epoch = facts(&[]).steps_per_epoch;
    let rates = [50, 120, 170, 220].map(|at| rate(&mut schedule, at * epoch));
    let scale = f64::from(facts(&[]).batch_size) / 128.0;
    assert_eq!(rates, [0.1, 0.05, 0.001, 0.025].map(|rate| rate * scale));
    for (params, name) in [
        (
            vec![number("boundary_1", 1.0), number("boundary_3", 2.0)],
            "boundary_3",
        ),
        (vec![number("boundary_0", 1.0)], "boundary_0"),
        (vec![number("boundary_+1", 1.0)], "boundary_+1"),
    ] {
        let problem = of(&params).unwrap_err().to_string();
        assert!(
            problem.contains(&format!(
                "`{name}`: members of `boundary_*` must be numbered 1, 2, 3"
            )),
            "{problem}"
        );
    }
    // What is wrong with one that is read comes before what is not read.
    let params = [number("boundary_1", -1.0), number("factor_2", 0.5)];
    let problem = of(&params).unwrap_err().to_string();
    assert!(problem.contains("`boundary_1` is -1"), "{problem}");
}

#[test]
fn the_limits_of_a_study_hold_while_parameters_are_asked_for_too() {
    let asked = |limits: Limits, body: &str| {
        let wat = format!(
            r#"(module (memory (export "memory") 1) (data (i32.const 0) "\08\00\00\00\02\00\00\00[]")
                (func (export "parameters") (result i32) {body} i32.const 0)
                (func (export "learning-rate") (param i64) (result f64) f64.const 0.1))"#
        );
        let loaded = engine_of(limits)
            .unwrap()
            .load_bytes("test", wat.as_bytes());
        loaded.map(drop).map_err(|e| e.to_string())
    };
    let loops = "(local $i i32) (loop $more (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 100000))))";
    let grows = "(if (i32.lt_s (memory.grow (i32.const 100)) (i32.const 0)) (then unreachable))";
    let less_fuel = Limits {
        init_fuel: 10_000,
        ..Limits::default()
    };
    let less_memory = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let cannot = "test is not a schedule plugin: its `parameters` cannot be asked: it";
    for (limits, body, problem) in [
        (
            less_fuel,
            loops,
            "used up its 10000 units of fuel (`init_fuel`)",
        ),
        (less_memory, grows, "trapped"),
    ] {
        assert_eq!(asked(Limits::default(), body), Ok(()));
        let told = asked(limits, body).unwrap_err();
        assert!(told.starts_with(&format!("{cannot} {problem}")), "{told}");
    }
}

#[test]
fn built_in_schedules_say_which_parameters_they_have() {
    let engine = engine();
    for name in pixelrate_sandbox::builtin_names() {
        let plugin = engine.load(name).unwrap();
        assert!(!plugin.parameters().is_empty(), "{name}");
        assert!(
            plugin
                .parameters()
                .iter()
                .all(|parameter| !parameter.doc.is_empty()),
            "{name}"
        );
    }
    let cyclic = engine.load("cyclic").unwrap();
    let misspelt = facts(&[("max_rl", Value::Number(0.1))]);
    let error = Schedule::start(&cyclic, &misspelt, &limits(), &GuardOptions::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "cyclic has no parameter `max_rl`: did you mean `max_lr`? \
         It has max_lr, base_lr, mode, gamma, step_size, step_size_down"
    );
}

#[test]
fn a_parameter_that_is_asked_for_late_is_no_misspelling() {
    let wat = r#"(module (import "pixelrate:schedule/run@1.0.0" "param" (func $param (param i32 i32 f64) (result f64)))
        (memory (export "memory") 1) (data (i32.const 8) "peak")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
        (func (export "learning-rate") (param i64) (result f64) (call $param (i32.const 8) (i32.const 4) (f64.const 0.5))))"#;
    let given = facts(&[("peak", Value::Number(0.25))]);
    assert_eq!(
        rate(&mut start_with(wat, &given, OnFault::Abort).unwrap(), 0),
        0.25
    );
    let misspelt = facts(&[("paek", Value::Number(0.25))]);
    let error = start_with(wat, &misspelt, OnFault::Abort)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("no parameter `paek`: it has peak"),
        "{error}"
    );
}

#[test]
fn the_image_schedule_scans_a_picture_and_holds_its_last_value() {
    let picture = DecodedPicture {
        width: 2,
        height: 2,
        channels: 3,
        values: (0..12).map(|i| i * 20).collect(),
    };
    let mut facts = facts(&[
        ("image", Value::Text("mine".into())),
        ("base_lr", Value::Number(0.0)),
        ("max_lr", Value::Number(1.0)),
        ("samples", Value::Number(12.0)),
        ("order", Value::Text("spiral".into())),
    ]);
    facts.pictures = Pictures::default()
        .with_fallback(move |name| (name == "mine").then(|| Ok(picture.clone())));
    let plugin = engine().load("image").unwrap();
    let mut schedule =
        Schedule::start(&plugin, &facts, &limits(), &GuardOptions::default()).unwrap();
    let bytes = [0, 1, 2, 3, 4, 5, 9, 10, 11, 6, 7, 8, 8, 8]
        .map(|i: u8| f64::from(f32::from(i * 20) / 255.0));
    assert_eq!(
        (0..14)
            .map(|step| rate(&mut schedule, step))
            .collect::<Vec<_>>(),
        bytes
    );
    facts
        .params
        .insert("order".into(), Value::Text("sideways".into()));
    let error = Schedule::start(&plugin, &facts, &limits(), &GuardOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("must be one of raster, serpentine, hilbert, spiral"),
        "{error}"
    );
    facts.params = BTreeMap::new();
    let error = Schedule::start(&plugin, &facts, &limits(), &GuardOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("`image` is missing"), "{error}");
}

#[test]
fn the_committed_plugins_do_what_their_sources_say() {
    let Some(built) = std::env::var_os("PIXELRATE_BUILT_PLUGINS") else {
        println!("skipped: PIXELRATE_BUILT_PLUGINS names no folder of freshly built plugins");
        return;
    };
    let engine = engine();
    let picture = DecodedPicture {
        width: 31,
        height: 17,
        channels: 3,
        values: (0..31 * 17 * 3).map(|i| (i * 7 % 256) as u8).collect(),
    };
    for name in pixelrate_sandbox::builtin_names() {
        let path = std::path::Path::new(&built).join(format!("pixelrate_{name}.wasm"));
        let (committed, fresh) = (
            engine.load(name).unwrap(),
            engine.load(path.to_str().unwrap()).unwrap(),
        );
        assert_eq!(
            committed.parameters(),
            fresh.parameters(),
            "{name}: run `cargo xtask plugins`"
        );
        assert_eq!(
            (committed.exports(), committed.imports()),
            (fresh.exports(), fresh.imports()),
            "{name}"
        );
        let mut facts = facts(&[]);
        if name == "image" {
            facts
                .params
                .insert("image".into(), Value::Text("mine".into()));
            facts
                .params
                .insert("order".into(), Value::Text("hilbert".into()));
            // What has the most to it: a spectrum, chance, and a bound.
            facts
                .params
                .insert("control".into(), Value::Text("phase_randomised".into()));
        }
        let picture = picture.clone();
        facts.pictures = Pictures::default().with_fallback(move |_| Some(Ok(picture.clone())));
        let rates = |plugin| {
            let mut schedule =
                Schedule::start(plugin, &facts, &limits(), &GuardOptions::default()).unwrap();
            (0..50_000)
                .step_by(7)
                .map(|step| rate(&mut schedule, step).to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rates(&committed),
            rates(&fresh),
            "{name}: run `cargo xtask plugins`, and commit plugins/dist"
        );
    }
}
