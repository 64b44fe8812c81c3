//! What a schedule costs: a call of a native closure, of a lifted module, of a component and of the built-in
//! schedules, through everything that the trainer goes through (guard, fuel, deadline, limits); and to load,
//! lift, compile and start one.
//!
//! `cargo bench --package pixelrate-sandbox`, and with `-- FILE.wasm …` what plugins of one's own cost, such as those that
//! bring an interpreter along: the first load of each, and whether the second, from the compile cache, takes under 200 ms.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use pixelrate_sandbox::composition::{Clock, Every, Leaf, Length, Link, Node};
use pixelrate_sandbox::{
    CompileCache, Composition, DecodedPicture, Engine, EngineOptions, GuardOptions, Limits,
    Pictures, Plugin, RunFacts, Schedule, TrainingValues, Value,
};

/// The post's triangle, which all contestants compute.
const MODULE: &str = r#"(module (func (export "learning_rate") (param i64) (result f64) (local $x f64)
    (local.set $x (f64.div (f64.convert_i64_u (local.get 0)) (f64.const 1000)))
    (local.set $x (f64.abs (f64.add (f64.sub (local.get $x) (f64.mul (f64.const 2) (f64.floor
        (f64.add (f64.const 1) (f64.div (local.get $x) (f64.const 2)))))) (f64.const 1))))
    (f64.add (f64.const 1e-5) (f64.mul (f64.const 0.00999) (f64.max (f64.const 0) (f64.sub (f64.const 1) (local.get $x)))))))"#;

/// As much time as each timing may take.
const PATIENCE: Duration = Duration::from_millis(300);
/// Timings of which the best counts: what disturbs one only ever makes it longer.
const ROUNDS: usize = 7;

/// Nanoseconds of one `act`, the best of several rounds.
fn best(mut act: impl FnMut(u64)) -> f64 {
    let mut times = 1_u64;
    let mut round = |times: u64| {
        let began = Instant::now();
        (0..times).for_each(&mut act);
        began.elapsed()
    };
    while round(times) < PATIENCE / 20 {
        times *= 2;
    }
    (0..ROUNDS)
        .map(|_| round(times).as_nanos() as f64 / times as f64)
        .fold(f64::INFINITY, f64::min)
}

fn cyclic(step: u64) -> f64 {
    let x = step as f64 / 1000.0;
    let x = (x - 2.0 * (1.0 + x / 2.0).floor() + 1.0).abs();
    1e-5 + 0.00999 * (1.0 - x).max(0.0)
}

fn facts() -> RunFacts {
    let picture = DecodedPicture {
        width: 300,
        height: 300,
        channels: 3,
        values: (0..270_000).map(|i| (i % 251) as u8).collect(),
    };
    RunFacts {
        total_steps: 97_656,
        steps_per_epoch: 391,
        train_examples: 50_000,
        batch_size: 128,
        pictures: Pictures::default().with_fallback(move |_| Some(Ok(picture.clone()))),
        ..RunFacts::default()
    }
}

/// Facts that suit `plugin`.
fn facts_for(plugin: &Plugin) -> RunFacts {
    let mut facts = facts();
    if plugin.name() == "image" {
        let picture = Value::Text("any".to_owned());
        facts.params.insert("image".to_owned(), picture);
    }
    facts
}

fn start(plugin: &Plugin, facts: &RunFacts) -> Schedule {
    Schedule::start(plugin, facts, &Limits::default(), &GuardOptions::default()).unwrap()
}

fn call(plugin: &Plugin) -> f64 {
    let mut schedule = start(plugin, &facts_for(plugin));
    best(|step| {
        let values = schedule.step(step % 97_656, TrainingValues::NONE);
        black_box(values.unwrap());
    })
}

/// What the module is put into, for the price of that.
fn compositions() -> [(&'static str, Node); 3] {
    let module = || {
        Node::Plugin(Leaf {
            plugin: 0,
            label: "module".to_owned(),
            params: [].into(),
        })
    };
    let link = |length| Link {
        length,
        clock: Clock::Own,
        node: module(),
    };
    let steps = Some(Length::Steps(10_000));
    let chain = Node::Chain(vec![link(steps), link(steps), link(None)]);
    let warmed = Node::Warmup {
        over: Length::Epochs(5.0),
        from: 0.0,
        clock: Clock::Own,
        node: Box::new(Node::Scale {
            factor: 0.5,
            node: Box::new(Node::Repeat {
                every: Every::Times(4),
                node: Box::new(module()),
            }),
        }),
    };
    let product = Node::Multiply(vec![module(), module(), module()]);
    [
        ("chain of three modules", chain),
        ("warmed, scaled, repeated", warmed),
        ("product of three", product),
    ]
}

/// What the second load of a plugin may take, in whatever language it is written.
const SECOND_LOAD: Duration = Duration::from_millis(200);

/// Loads `file` where no cache has it, then as the processes that follow do, each with an engine of its own, and then its next
/// version, which no cache has. Gives the plugin.
fn loads(file: &str, name: &str) -> Plugin {
    let folder = tempfile::tempdir().unwrap();
    let cache = || CompileCache::Folder(folder.path().to_owned());
    let timed = |version: &[u8], cache| {
        let options = EngineOptions {
            cache,
            ..EngineOptions::default()
        };
        let engine = Engine::new(&options).unwrap();
        let began = Instant::now();
        let plugin = engine.load_bytes(name, version).unwrap();
        (began.elapsed(), engine.cache_hits(), plugin)
    };
    let mut version = std::fs::read(file).unwrap();
    let (without, ..) = timed(&version, CompileCache::Off);
    let (first, hits, plugin) = timed(&version, cache());
    assert_eq!(hits, 0, "{name} was in an empty cache");
    let again = || {
        let (time, hits, _) = timed(&version, cache());
        assert_eq!(hits, 1, "{name} was not kept in the cache");
        time
    };
    let second = (0..ROUNDS).map(|_| again()).min().unwrap_or_default();
    // A custom section more, and the same functions: the best case. Of an edit of Python's about a thousand of 22,000 are compiled.
    version.extend(b"\0\x02\x01x");
    let (next, hits, _) = timed(&version, cache());
    assert_eq!(hits, 0, "the next version of {name} was in the cache");
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "  {name}: first load {:.0} ms (without a cache {:.0} ms), next version {:.0} ms ({:.1} times as quick); second load {:.1} ms, {} {} ms",
        ms(first),
        ms(without),
        ms(next),
        first.as_secs_f64() / next.as_secs_f64(),
        ms(second),
        if second < SECOND_LOAD {
            "under"
        } else {
            "NOT UNDER"
        },
        SECOND_LOAD.as_millis()
    );
    plugin
}

fn main() {
    let options = |cache| EngineOptions {
        cache,
        ..EngineOptions::default()
    };
    let engine = Engine::new(&options(CompileCache::Off)).unwrap();
    let load = |name: &str, text: &str| engine.load_bytes(name, text.as_bytes()).unwrap();
    let core = MODULE.replacen("learning_rate", "f", 1);
    let component = format!(
        r#"(component (core {}
            (core instance $i (instantiate $m))
            (func (export "learning-rate") (param "step" u64) (result f64) (canon lift (core func $i "f"))))"#,
        core.trim_start_matches('(')
            .replacen("module", "module $m", 1)
    );
    let (module, component) = (load("module", MODULE), load("component", &component));
    assert!(module.lifted() && !component.lifted());
    let expected = cyclic(1234);
    for plugin in [&module, &component] {
        let said = start(plugin, &facts())
            .step(1234, TrainingValues::NONE)
            .unwrap();
        assert!((said.learning_rate - expected).abs() < 1e-15);
    }

    println!("one call, ns (and how many times a native closure's)");
    let closure: Box<dyn Fn(u64) -> f64> = Box::new(cyclic);
    let native = best(|step| {
        black_box(closure(black_box(step)));
    });
    let report = |name: &str, ns: f64| println!("  {name:24} {ns:10.1} {:10.1}", ns / native);
    report("native closure", native);
    report("lifted module", call(&module));
    report("component", call(&component));
    for name in pixelrate_sandbox::builtin_names() {
        report(
            &format!("built-in {name}"),
            call(&engine.load(name).unwrap()),
        );
    }

    for (name, node) in compositions() {
        let plugins = vec![MODULE.as_bytes().to_vec()];
        let bytes = Composition { node, plugins }.to_bytes().unwrap();
        report(name, call(&engine.load_bytes("composed", &bytes).unwrap()));
    }

    println!("once a plugin, µs");
    let report = |name: &str, ns: f64| println!("  {name:40} {:10.1}", ns / 1e3);
    let parts = |plugin: &dyn Fn() -> Plugin, part: &dyn Fn(&Plugin) -> Duration| {
        let once = || part(&plugin()).as_nanos() as f64;
        (0..20).map(|_| once()).fold(f64::INFINITY, f64::min)
    };
    let small = || load("module", MODULE);
    let large = || engine.load("image").unwrap();
    let cached = Engine::new(&options(CompileCache::User)).unwrap();
    for (name, plugin) in [
        ("a module of 150 bytes", &small as &dyn Fn() -> Plugin),
        ("built-in image", &large),
    ] {
        let compile = |plugin: &Plugin| plugin.compile_time() - plugin.lift_time();
        report(
            &format!("read and lift {name}"),
            parts(plugin, &Plugin::lift_time),
        );
        report(&format!("compile {name}"), parts(plugin, &compile));
    }
    report("load a module of 150 bytes", best(|_| drop(small())));
    report(
        "load it, compiled code from the cache",
        best(|_| drop(cached.load_bytes("module", MODULE.as_bytes()).unwrap())),
    );
    let given = facts();
    report("start it", best(|_| drop(start(&module, &given))));
    let image = large();
    let given = facts_for(&image);
    report(
        "start built-in image, 97,656 samples",
        best(|_| drop(start(&image, &given))),
    );
    report(
        "an engine",
        best(|_| drop(Engine::new(&options(CompileCache::Off)).unwrap())),
    );
    for file in std::env::args().filter(|argument| argument.ends_with(".wasm")) {
        let name = file.rsplit('/').next().unwrap_or(&file);
        let plugin = loads(&file, name);
        let given = facts_for(&plugin);
        report(
            &format!("start {name}"),
            best(|_| drop(start(&plugin, &given))),
        );
        println!("  {:40} {:10.1} ns", format!("call {name}"), call(&plugin));
    }
}
