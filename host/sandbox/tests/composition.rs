//! Schedules made of schedules: what they answer, what they tell their parts, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use std::collections::BTreeMap;

use common::{body, engine, engine_of, facts, limits, rate};
use pixelrate_sandbox::composition::{Clock, Every, Leaf, Length, Link, Node};
use pixelrate_sandbox::{
    Composition, FaultKind, GuardOptions, Limits, Plugin, RunFacts, Schedule, TrainingValues,
    Value, builtin_bytes, conformance,
};

/// A tree and the plugins that it names, as they are added.
#[derive(Default)]
struct Maker {
    plugins: Vec<Vec<u8>>,
}

impl Maker {
    fn leaf(&mut self, label: &str, bytes: &[u8], params: &[(&str, Value)]) -> Node {
        let known = self.plugins.iter().position(|known| known == bytes);
        let plugin = known.unwrap_or_else(|| {
            self.plugins.push(bytes.to_vec());
            self.plugins.len() - 1
        });
        let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        Node::Plugin(Leaf {
            plugin,
            label: label.to_owned(),
            params: params.iter().map(own).collect(),
        })
    }

    fn built_in(&mut self, name: &str, params: &[(&str, f64)]) -> Node {
        let params: Vec<_> = params
            .iter()
            .map(|(n, v)| (*n, Value::Number(*v)))
            .collect();
        self.leaf(name, builtin_bytes(name).unwrap(), &params)
    }

    fn wat(&mut self, label: &str, wat: &str) -> Node {
        self.leaf(label, wat.as_bytes(), &[])
    }

    fn load(self, node: Node) -> Plugin {
        self.load_with(node, Limits::default()).unwrap()
    }

    fn load_with(self, node: Node, limits: Limits) -> Result<Plugin, pixelrate_sandbox::Error> {
        let plugins = self.plugins;
        let bytes = Composition { node, plugins }.to_bytes().unwrap();
        engine_of(limits).unwrap().load_bytes("whole", &bytes)
    }
}

fn link(length: Option<Length>, node: Node) -> Link {
    let clock = Clock::Own;
    Link {
        length,
        clock,
        node,
    }
}

fn chain(first: Length, a: Node, b: Node) -> Node {
    Node::Chain(vec![link(Some(first), a), link(None, b)])
}

fn warmup(over: Length, from: f64, clock: Clock, node: Node) -> Node {
    let node = Box::new(node);
    Node::Warmup {
        over,
        from,
        clock,
        node,
    }
}

fn start(plugin: &Plugin, facts: &RunFacts) -> Result<Schedule, pixelrate_sandbox::Error> {
    let guard = GuardOptions {
        max_learning_rate: 1e9,
        ..GuardOptions::default()
    };
    Schedule::start(plugin, facts, &limits(), &guard)
}

fn rates(plugin: &Plugin, facts: &RunFacts) -> Vec<f64> {
    let mut schedule = start(plugin, facts).unwrap();
    (0..facts.total_steps)
        .map(|step| rate(&mut schedule, step))
        .collect()
}

/// Answers its own step, and a thousandth of its own length.
const CLOCK: &str = r#"(module
    (import "pixelrate:schedule/run@1.0.0" "total-steps" (func $total (result i64)))
    (func (export "learning-rate") (param i64) (result f64)
        (f64.add (f64.convert_i64_u (local.get 0)) (f64.div (f64.convert_i64_u (call $total)) (f64.const 1000000)))))"#;

/// Counts its calls from `init` on, and saves the count.
const COUNTER: &str = r#"(module
    (memory (export "memory") 1)
    (global $count (mut i64) (i64.const -1))
    (func (export "init") (global.set $count (i64.const 0)))
    (func (export "learning-rate") (param i64) (result f64)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (f64.convert_i64_s (global.get $count)))
    (func (export "save") (result i32)
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 8))
        (i64.store (i32.const 16) (global.get $count)) (i32.const 0))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
    (func (export "restore") (param i32 i32) (global.set $count (i64.load (local.get 0)))))"#;

#[test]
fn a_chain_gives_each_part_its_own_clock_unless_told_otherwise() {
    let facts = facts(&[]);
    let mut maker = Maker::default();
    let (a, b) = (maker.wat("a", CLOCK), maker.wat("b", CLOCK));
    let c = maker.wat("c", CLOCK);
    let node = Node::Chain(vec![
        link(Some(Length::Epochs(1.0)), a),
        Link {
            length: Some(Length::Fraction(0.25)),
            clock: Clock::Run,
            node: b,
        },
        link(None, c),
    ]);
    // An epoch has 390.625 steps, and a quarter of the run 250.
    let (second, third) = (391_u64, 641);
    for (step, found) in (0..).zip(rates(&maker.load(node), &facts)) {
        let (own, total) = match step {
            _ if step < second => (step, 391),
            _ if step < third => (step, 1000),
            _ => (step - third, 359),
        };
        assert_eq!(found, own as f64 + total as f64 / 1e6, "step {step}");
    }
}

#[test]
fn what_is_repeated_begins_anew_every_so_often() {
    let facts = facts(&[]);
    for (every, period) in [
        (Every::Length(Length::Steps(7)), 7.0),
        (Every::Length(Length::Epochs(0.1)), 39.0625),
        (Every::Times(3), 1000.0 / 3.0),
    ] {
        let mut maker = Maker::default();
        let node = Box::new(maker.wat("a", CLOCK));
        let found = rates(&maker.load(Node::Repeat { every, node }), &facts);
        let begins = |count: u64| (count as f64 * period - 1e-9).ceil() as u64;
        let mut count = 0;
        for (step, found) in (0..).zip(found) {
            if step == begins(count + 1) {
                count += 1;
            }
            let own = (step - begins(count)) as f64;
            let total = begins(1) as f64;
            assert_eq!(found, own + total / 1e6, "every {period}, step {step}");
        }
        assert_eq!(count, (999.0 / period) as u64);
    }
}

#[test]
fn rates_are_multiplied_scaled_moved_and_bounded() {
    let facts = facts(&[]);
    let mut maker = Maker::default();
    let half = maker.built_in("fixed", &[("learning_rate", 0.5)]);
    let third = maker.built_in("fixed", &[("learning_rate", 0.3)]);
    let momentum = r#"(module (func (export "learning-rate") (param i64) (result f64) f64.const 2)
        (func (export "momentum") (param i64) (result f64) f64.const 0.7))"#;
    let carrier = maker.wat("carrier", momentum);
    let node = Node::Clamp {
        min: Some(0.1),
        max: Some(0.77),
        node: Box::new(Node::Offset {
            by: 0.1,
            node: Box::new(Node::Scale {
                factor: 2.0,
                node: Box::new(Node::Multiply(vec![half, third, carrier])),
            }),
        }),
    };
    let plugin = maker.load(node);
    assert!(plugin.exports().momentum && !plugin.exports().weight_decay);
    let values = start(&plugin, &facts)
        .unwrap()
        .step(0, TrainingValues::NONE)
        .unwrap();
    // 2 (0.5 * 0.3 * 2) + 0.1 = 0.7
    assert!((values.learning_rate - 0.7).abs() < 1e-15);
    assert_eq!(values.momentum, Some(0.7));
    let lower = {
        let mut maker = Maker::default();
        let clock = maker.wat("clock", CLOCK);
        let node = Box::new(clock);
        maker.load(Node::Clamp {
            min: Some(3.0),
            max: Some(5.0),
            node,
        })
    };
    let found = rates(&lower, &facts);
    assert_eq!((found[0], found[999]), (3.0, 5.0));
}

#[test]
fn a_warmup_rises_to_the_first_rate_and_a_plugin_sees_its_first_step_once() {
    let facts = facts(&[]);
    let mut maker = Maker::default();
    let counter = maker.wat("counter", COUNTER);
    let node = warmup(Length::Steps(10), 0.2, Clock::Own, counter);
    let plugin = maker.load(node);
    let mut schedule = start(&plugin, &facts).unwrap();
    for step in 0..30 {
        let expected = match step {
            0..10 => 0.2 + 0.8 * f64::from(step) / 10.0,
            _ => f64::from(step - 9),
        };
        let found = rate(&mut schedule, step.try_into().unwrap());
        assert!((found - expected).abs() < 1e-15, "step {step}: {found}");
    }
    let mut maker = Maker::default();
    let clock = maker.wat("clock", CLOCK);
    let over = maker.load(warmup(Length::Steps(10), 0.0, Clock::Run, clock));
    let found = rates(&over, &facts);
    assert_eq!(found[4], 0.4 * (4.0 + 0.001));
    assert_eq!(found[10], 10.0 + 0.001);
    // In the middle of a warm-up a fresh instance knows where it leads.
    let mut maker = Maker::default();
    let cyclic = maker.built_in("cyclic", &[("base_lr", 0.5), ("max_lr", 1.0)]);
    let plugin = maker.load(warmup(Length::Epochs(1.0), 0.0, Clock::Own, cyclic));
    assert_eq!(
        rate(&mut start(&plugin, &facts).unwrap(), 200),
        0.5 * (200.0 / 391.0)
    );
}

#[test]
fn a_plugin_with_state_begins_anew_where_it_is_repeated_and_comes_back_in_the_middle() {
    let facts = facts(&[]);
    let make = || {
        let mut maker = Maker::default();
        let (a, b) = (maker.wat("count", COUNTER), maker.wat("count", COUNTER));
        let again = Node::Repeat {
            every: Every::Length(Length::Steps(100)),
            node: Box::new(a),
        };
        maker.load(chain(Length::Steps(250), again, b))
    };
    let plugin = make();
    assert!(plugin.exports().save && plugin.exports().restore);
    let all = rates(&plugin, &facts);
    for (step, found) in all.iter().enumerate() {
        let own = match step {
            0..250 => step % 100,
            _ => step - 250,
        };
        assert_eq!(*found, own as f64 + 1.0, "step {step}");
    }
    for cut in [0, 1, 99, 100, 101, 249, 250, 251, 999] {
        let mut first = start(&plugin, &facts).unwrap();
        for step in 0..cut {
            rate(&mut first, step);
        }
        let state = first.save().unwrap().unwrap();
        let mut second = start(&plugin, &facts).unwrap();
        second.restore(&state).unwrap();
        for step in cut..1000 {
            assert_eq!(rate(&mut second, step), all[step as usize], "{cut} {step}");
        }
    }
    let found = conformance::examine(
        &plugin,
        &facts,
        &limits(),
        &GuardOptions {
            max_learning_rate: 1e9,
            ..GuardOptions::default()
        },
    );
    assert!(found.passed(), "{found:?}");
}

#[test]
fn a_state_lives_on_where_what_is_repeated_has_another_length_now() {
    let facts = facts(&[]);
    let of = |every: Option<u64>| {
        let mut maker = Maker::default();
        let part = maker.wat("count", COUNTER);
        maker.load(match every {
            // A composition all the same.
            None => Node::Scale {
                factor: 1.0,
                node: Box::new(part),
            },
            Some(steps) => Node::Repeat {
                every: Every::Length(Length::Steps(steps)),
                node: Box::new(part),
            },
        })
    };
    let mut first = start(&of(Some(100)), &facts).unwrap();
    (0..250).for_each(|step| assert!(rate(&mut first, step) > 0.0));
    let state = first.save().unwrap().unwrap();
    for (every, restarts) in [(None, 1_000), (Some(120), 360), (Some(100), 300)] {
        let mut second = start(&of(every), &facts).unwrap();
        second.restore(&state).unwrap();
        for step in 250..restarts {
            assert_eq!(
                rate(&mut second, step),
                (step - 199) as f64,
                "{every:?} {step}"
            );
        }
        if restarts < 1_000 {
            assert_eq!(rate(&mut second, restarts), 1.0, "{every:?}");
        }
    }
    // One that is stopped before the part has its turn goes on as it would have.
    let late = |length| {
        let mut maker = Maker::default();
        let (first, part) = (
            maker.built_in("fixed", &[("learning_rate", 7.0)]),
            maker.wat("count", COUNTER),
        );
        let again = Node::Repeat {
            every: Every::Length(Length::Steps(100)),
            node: Box::new(part),
        };
        maker.load(chain(Length::Steps(length), first, again))
    };
    let mut before = start(&late(200), &facts).unwrap();
    (0..330).for_each(|step| assert!(rate(&mut before, step) > 0.0));
    let state = before.save().unwrap().unwrap();
    let mut whole = start(&late(500), &facts).unwrap();
    whole.restore(&state).unwrap();
    let all: Vec<f64> = (330..700).map(|step| rate(&mut whole, step)).collect();
    assert_eq!(all[170], 1.0, "it begins anew with its turn");
    let mut stopped = start(&late(500), &facts).unwrap();
    stopped.restore(&state).unwrap();
    (330..400).for_each(|step| assert_eq!(rate(&mut stopped, step), 7.0));
    let state = stopped.save().unwrap().unwrap();
    let mut resumed = start(&late(500), &facts).unwrap();
    resumed.restore(&state).unwrap();
    let rest: Vec<f64> = (400..700).map(|step| rate(&mut resumed, step)).collect();
    assert_eq!(rest, all[70..]);
    // It takes over where it would begin anew, as it does.
    (250..360).for_each(|step| assert!(rate(&mut first, step) > 0.0));
    let state = first.save().unwrap().unwrap();
    let mut second = start(&of(Some(120)), &facts).unwrap();
    second.restore(&state).unwrap();
    assert_eq!(rate(&mut second, 360), 1.0);
    assert_eq!(rate(&mut second, 361), 2.0);
}

#[test]
fn a_state_is_given_to_parts_of_its_names_only() {
    let facts = facts(&[]);
    let of = |labels: [&str; 2]| {
        let mut maker = Maker::default();
        let [a, b] = labels.map(|label| maker.wat(label, COUNTER));
        maker.load(chain(Length::Steps(10), a, b))
    };
    let mut first = start(&of(["a", "b"]), &facts).unwrap();
    for step in 0..5 {
        rate(&mut first, step);
    }
    let state = first.save().unwrap().unwrap();
    let mut second = start(&of(["a", "new"]), &facts).unwrap();
    second.restore(&state).unwrap();
    assert_eq!(rate(&mut second, 5), 6.0);
    assert_eq!(rate(&mut second, 10), 1.0);
    let refused = |plugin: &Plugin, state: &[u8]| {
        let fault = start(plugin, &facts).unwrap().restore(state).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Refused);
        fault.message
    };
    let other = of(["x", "y"]);
    assert_eq!(
        refused(&other, &state),
        "the state is that of a, b, and it has no part of that name"
    );
    assert_eq!(
        refused(&other, b"\x01\0\0\0"),
        "the state is not a composition's"
    );
    let cut = &state[..state.len() - 1];
    assert_eq!(
        refused(&other, cut),
        "the state of the composition is damaged"
    );
}

#[test]
fn parts_see_what_training_showed_since_they_began() {
    let wat = r#"(module
        (import "pixelrate:schedule/training@1.0.0" "eval-step" (func $step (result i64)))
        (import "pixelrate:schedule/training@1.0.0" "train-loss" (func $loss (result f64)))
        (func (export "learning-rate") (param i64) (result f64)
            (f64.add (f64.convert_i64_u (call $step)) (call $loss))))"#;
    let mut maker = Maker::default();
    let (a, b) = (maker.wat("a", wat), maker.wat("b", wat));
    let plugin = maker.load(chain(Length::Steps(100), a, b));
    assert!(plugin.reads_training());
    let mut schedule = start(&plugin, &facts(&[])).unwrap();
    let mut at = |step, eval_step| {
        let shown = TrainingValues {
            train_loss: 0.5,
            eval_loss: 1.0,
            eval_step,
            ..TrainingValues::NONE
        };
        schedule.step(step, shown).unwrap().learning_rate
    };
    assert_eq!(at(60, 50), 50.5);
    assert_eq!(at(120, 50), 0.5);
    assert_eq!(at(160, 150), 50.5);
}

#[test]
fn parameters_are_named_after_their_parts() {
    let make = || {
        let mut maker = Maker::default();
        let a = maker.built_in("fixed", &[("learning_rate", 0.5)]);
        let b = maker.built_in("cyclic", &[]);
        let c = maker.built_in("fixed", &[]);
        maker.load(Node::Chain(vec![
            link(Some(Length::Steps(10)), a),
            link(Some(Length::Steps(10)), b),
            link(None, c),
        ]))
    };
    let plugin = make();
    let names: Vec<(&str, Option<f64>)> = plugin
        .parameters()
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.default))
        .collect();
    assert_eq!(names[0], ("fixed.learning_rate", Some(0.5)));
    assert!(names.contains(&("cyclic.max_lr", Some(0.01))), "{names:?}");
    assert_eq!(names.last().unwrap().0, "fixed-2.learning_rate");
    let number = Value::Number(0.25);
    let mut schedule = start(&plugin, &facts(&[("fixed.learning_rate", number.clone())])).unwrap();
    assert_eq!(rate(&mut schedule, 0), 0.25);
    assert_ne!(rate(&mut schedule, 30), 0.25);
    let message = |name: &str, value: Value| {
        start(&plugin, &facts(&[(name, value)]))
            .unwrap_err()
            .to_string()
    };
    for (name, part) in [
        (
            "max_lr",
            "whole has no parameter `max_lr`: did you mean `cyclic.max_lr`?",
        ),
        ("cyclc.max_lr", "did you mean `cyclic.max_lr`?"),
        (
            "cyclic.max_l",
            "whole, part `cyclic`, has no parameter `cyclic.max_l`: did you mean `cyclic.max_lr`?",
        ),
        ("nothing.at_all", "it has "),
    ] {
        let found = message(name, number.clone());
        assert!(found.contains(part), "{found}");
    }
    assert_eq!(
        message("cyclic.max_lr", Value::Text("much".to_owned())),
        "whole: parameter `cyclic.max_lr` is \"much\", and must be a number"
    );
    // A single plugin's keep their names.
    let mut maker = Maker::default();
    let fixed = maker.built_in("fixed", &[]);
    let plugin = maker.load(warmup(Length::Steps(2), 0.0, Clock::Own, fixed));
    let mut schedule = start(&plugin, &facts(&[("learning_rate", number)])).unwrap();
    assert_eq!(rate(&mut schedule, 5), 0.25);
}

#[test]
fn faults_and_lines_name_the_part() {
    let facts = facts(&[]);
    let loud = r#"(module
        (import "pixelrate:schedule/run@1.0.0" "log" (func $log (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "hello")
        (func (export "learning-rate") (param i64) (result f64)
            (call $log (i32.const 0) (i32.const 5)) (f64.const 1)))"#;
    let fails = body("(if (i64.eq (local.get 0) (i64.const 3)) (then unreachable)) f64.const 1");
    let mut maker = Maker::default();
    let (a, b) = (maker.wat("loud", loud), maker.wat("weak", &fails));
    let plugin = maker.load(chain(Length::Steps(10), a, b));
    let mut schedule = start(&plugin, &facts).unwrap();
    assert_eq!(rate(&mut schedule, 0), 1.0);
    assert_eq!(schedule.drain_events()[0].to_string(), "loud: hello");
    let fault = schedule.step(13, TrainingValues::NONE).unwrap_err();
    assert_eq!(
        (fault.plugin.as_str(), fault.sha256.as_str()),
        ("whole", plugin.sha256())
    );
    assert_eq!((fault.step, fault.kind), (Some(13), FaultKind::Trap));
    let begins = "part `weak`, at its step 3: it trapped: wasm `unreachable`";
    assert!(fault.message.starts_with(begins), "{}", fault.message);
    for (text, kind, message) in [
        (
            "f64.const nan",
            FaultKind::NotFinite,
            "part `bad`: its learning rate is NaN: must be finite",
        ),
        (
            "f64.const -1",
            FaultKind::Negative,
            "part `bad`: its learning rate is -1: must not be negative",
        ),
    ] {
        let mut maker = Maker::default();
        let (a, b) = (
            maker.wat("bad", &body(text)),
            maker.wat("minus", &body("f64.const 1")),
        );
        let fault = start(&maker.load(Node::Multiply(vec![a, b])), &facts)
            .unwrap()
            .step(0, TrainingValues::NONE)
            .unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, message));
    }
    // One that does not load is named too.
    let mut maker = Maker::default();
    let bad = maker.wat("bad", r#"(module (import "env" "abort" (func)) (func (export "learning-rate") (param i64) (result f64) f64.const 0))"#);
    let problem = maker
        .load_with(bad, Limits::default())
        .unwrap_err()
        .to_string();
    assert!(
        problem.starts_with("whole, part `bad`, imports `env.abort`"),
        "{problem}"
    );
}

#[test]
fn parts_that_do_not_fit_into_the_run_are_told() {
    let facts = facts(&[]);
    let refused = |make: &dyn Fn(&mut Maker) -> Node| {
        let mut maker = Maker::default();
        let node = make(&mut maker);
        match start(&maker.load(node), &facts).unwrap_err() {
            pixelrate_sandbox::Error::Start(fault) => fault.message,
            other => panic!("{other}"),
        }
    };
    let two = |maker: &mut Maker| (maker.wat("first", CLOCK), maker.wat("second", CLOCK));
    assert_eq!(
        refused(&|maker| {
            let (a, b) = two(maker);
            chain(Length::Epochs(4.0), a, b)
        }),
        "the parts before `second` take all of the 1000 steps that there are"
    );
    assert_eq!(
        refused(&|maker| {
            let (a, b) = two(maker);
            let c = maker.wat("third", CLOCK);
            let short = Some(Length::Fraction(0.0004));
            Node::Chain(vec![link(short, a), link(short, b), link(None, c)])
        }),
        "`second` would be in force for less than a step"
    );
    assert_eq!(
        refused(&|maker| warmup(
            Length::Epochs(5.0),
            0.0,
            Clock::Own,
            maker.wat("mine", CLOCK)
        )),
        "the warm-up takes 1954 steps of 1000: none are left for `mine`"
    );
    assert_eq!(
        refused(&|maker| Node::Repeat {
            every: Every::Times(3000),
            node: Box::new(maker.wat("mine", CLOCK)),
        }),
        "`mine` would be repeated every 0.3333333333333333 steps: must be 1 at least"
    );
}

#[test]
fn limits_hold_for_the_whole() {
    let facts = facts(&[]);
    // Each takes 40 pages, of which 100 are allowed.
    let large = r#"(module (memory 40) (func (export "learning-rate") (param i64) (result f64) f64.const 1))"#;
    let of = |count: usize, wat: &str| {
        let mut maker = Maker::default();
        let nodes = (0..count).map(|_| maker.wat("part", wat)).collect();
        maker.load(Node::Multiply(nodes))
    };
    let narrow = Limits {
        memory_bytes: 100 << 16,
        step_fuel: 10_000,
        init_fuel: 10_000,
        ..Limits::default()
    };
    let guard = GuardOptions::default();
    let schedule = Schedule::start(&of(2, large), &facts, &narrow, &guard).unwrap();
    assert_eq!(schedule.memory_bytes(), 80 << 16);
    let problem = Schedule::start(&of(3, large), &facts, &narrow, &guard)
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("part `part-3`") && problem.contains("memory_bytes"),
        "{problem}"
    );
    // Each burns about 3,000 units a step, or in `init`.
    let work = "(local $n i32) (local.set $n (i32.const 500)) (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let busy = body(&format!("{work} f64.const 1"));
    let mut three = Schedule::start(&of(3, &busy), &facts, &narrow, &guard).unwrap();
    three.step(0, TrainingValues::NONE).unwrap();
    let used = three.fuel_used();
    assert!((3_000..=10_000).contains(&used), "{used}");
    let mut many = Schedule::start(&of(40, &busy), &facts, &narrow, &guard).unwrap();
    let fault = many.step(0, TrainingValues::NONE).unwrap_err();
    assert_eq!(fault.kind, FaultKind::OutOfFuel);
    assert!(many.fuel_used() <= 10_000);
    let slow = format!(
        r#"(module (func (export "init") {work}) (func (export "learning-rate") (param i64) (result f64) f64.const 1))"#
    );
    assert!(Schedule::start(&of(3, &slow), &facts, &narrow, &guard).is_ok());
    let problem = Schedule::start(&of(40, &slow), &facts, &narrow, &guard)
        .unwrap_err()
        .to_string();
    assert!(problem.contains("`init_fuel`"), "{problem}");
    // The file counts as a whole.
    let mut maker = Maker::default();
    let node = maker.wat("a", large);
    let tight = Limits {
        plugin_bytes: 100,
        ..Limits::default()
    };
    let problem = maker.load_with(node, tight).unwrap_err().to_string();
    assert!(problem.contains("`plugin_bytes`"), "{problem}");
}

#[test]
fn plugins_of_several_languages_make_one_schedule() {
    let file = |name: &str| {
        let path = format!(
            "{}/fuzz/corpus/bytes/{name}.wasm",
            env!("CARGO_MANIFEST_DIR")
        );
        std::fs::read(path).unwrap()
    };
    let mut facts = facts(&[]);
    facts.total_steps = 3000;
    let mut maker = Maker::default();
    let languages = ["zig", "assemblyscript", "c"];
    let mut links = Vec::new();
    for language in languages {
        let node = maker.leaf(language, &file(&format!("{language}-cosine")), &[]);
        let length = (language != "c").then_some(Length::Steps(1000));
        links.push(link(length, node));
    }
    let plugin = maker.load(Node::Chain(links));
    let found = rates(&plugin, &facts);
    // Each by itself, in a run as long as its part.
    facts.total_steps = 1000;
    for (index, language) in languages.into_iter().enumerate() {
        let alone = engine()
            .load_bytes(language, &file(&format!("{language}-cosine")))
            .unwrap();
        assert_eq!(
            found[index * 1000..][..1000],
            rates(&alone, &facts),
            "{language}"
        );
    }
    // With state, too.
    let mut maker = Maker::default();
    let [zig, c] = ["zig-plateau", "c-plateau"].map(|name| maker.leaf(name, &file(name), &[]));
    let plugin = maker.load(warmup(
        Length::Steps(100),
        0.1,
        Clock::Own,
        chain(Length::Steps(400), zig, c),
    ));
    let guard = GuardOptions::default();
    let found = conformance::examine(&plugin, &facts, &Limits::default(), &guard);
    assert!(found.passed(), "{found:?}");
    assert_eq!(plugin.parts().len(), 2);
    let same: BTreeMap<_, _> = plugin
        .parts()
        .iter()
        .map(|part| (part.name, part.plugin.sha256()))
        .collect();
    assert_eq!(same.len(), 2);
}
