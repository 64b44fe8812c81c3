//! What the built-in schedules do that has no origin to be held against (`parity.rs`): units, noise, and what they refuse.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

mod common;

use common::{engine, facts, limits, rate};
use pixelrate_sandbox::{Engine, Error, GuardOptions, RunFacts, Schedule, TrainingValues, Value};

/// A schedule by its name and parameters, in words, as they stand on a command line.
fn start(engine: &Engine, name: &str, params: &str, seed: u64) -> Result<Schedule, Error> {
    let params = params.split_whitespace().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        let value = value
            .parse()
            .map_or_else(|_| Value::Text(value.into()), Value::Number);
        (name.to_owned(), value)
    });
    let facts = RunFacts {
        seed,
        params: params.collect(),
        ..facts(&[])
    };
    Schedule::start(
        &engine.load(name)?,
        &facts,
        &limits(),
        &GuardOptions::default(),
    )
}

fn rates(engine: &Engine, name: &str, params: &str, seed: u64) -> Vec<f64> {
    let mut schedule = start(engine, name, params, seed).unwrap();
    (0..1000).map(|step| rate(&mut schedule, step)).collect()
}

/// The rates of ABEL by epoch, from the squared norms at the epochs' ends: the first algorithm of the paper, epoch by
/// epoch as it stands there.
fn abel(squares: &[f64], factor: f64, last_decay: usize) -> Vec<f64> {
    let (mut rate, mut reached_minimum) = (0.1, false);
    let mut rates = vec![rate];
    for epoch in 0..squares.len() {
        if epoch >= 2 {
            let [before, last, now] = [2, 1, 0].map(|back| squares[epoch - back]);
            if (now - last) * (last - before) < 0.0 {
                if reached_minimum {
                    rate *= factor;
                    reached_minimum = false;
                } else {
                    reached_minimum = true;
                }
            }
        }
        if epoch + 1 == last_decay {
            rate *= factor;
        }
        rates.push(rate);
    }
    rates
}

#[test]
fn abel_decays_where_the_norm_has_bounced_and_near_the_end() {
    let engine = engine();
    let norms = [
        9.0, 8.0, 7.0, 7.5, 8.0, 7.0, 6.0, 6.5, 6.4, 6.6, 6.5, 7.0, 7.5,
    ];
    let squares = norms.map(|norm| norm * norm);
    // Ten steps an epoch.
    let at = |step: u64| TrainingValues {
        weight_norm: match step {
            0 => 10.0,
            _ => norms[(step as usize - 1) / 10],
        },
        ..TrainingValues::NONE
    };
    let run = |params: &str| {
        let mut facts = RunFacts {
            total_steps: 130,
            steps_per_epoch: 10,
            train_examples: 1_280,
            ..facts(&[])
        };
        for pair in params.split_whitespace() {
            let (name, value) = pair.split_once('=').unwrap();
            let value = value
                .parse()
                .map_or_else(|_| Value::Text(value.into()), Value::Number);
            facts.params.insert(name.to_owned(), value);
        }
        let plugin = engine.load("abel").unwrap();
        assert!(plugin.reads_weights() && !plugin.reads_training());
        let begin =
            || Schedule::start(&plugin, &facts, &limits(), &GuardOptions::default()).unwrap();
        let mut schedule = begin();
        let mut rates = Vec::new();
        for step in 0..130 {
            if step % 17 == 16 {
                let state = schedule.save().unwrap().unwrap();
                schedule = begin();
                schedule.restore(&state).unwrap();
            }
            rates.push(schedule.step(step, at(step)).unwrap().learning_rate);
        }
        rates
    };
    for (params, factor, last_decay) in [
        ("factor=0.5 last_decay=0", 0.5, 0),
        ("last_decay=12 unit=epochs", 0.1, 12),
    ] {
        let expected = abel(&squares, factor, last_decay);
        let found = run(params);
        for (step, rate) in found.iter().enumerate() {
            assert_eq!(*rate, expected[step / 10], "{params}: step {step}");
        }
        let decays = expected
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count();
        assert!(decays >= 3, "{params}: {expected:?}");
    }
}

#[test]
fn a_duration_is_the_same_in_every_unit() {
    let engine = engine();
    // The run has 1000 steps, and 390.625 of them in an epoch: 250 steps are 0.64 epochs.
    let steps = rates(&engine, "cosine", "warmup=250 length=500", 0);
    let epochs = rates(&engine, "cosine", "warmup=0.64 length=1.28 unit=epochs", 0);
    let fractions = rates(&engine, "cosine", "warmup=0.25 length=0.5 unit=fraction", 0);
    for step in 0..1000 {
        assert!((steps[step] - epochs[step]).abs() < 1e-15, "{step}");
        assert!((steps[step] - fractions[step]).abs() < 1e-15, "{step}");
    }
    let whole = rates(
        &engine,
        "exponential",
        "every=1 factor=0.5 unit=whole_epochs",
        0,
    );
    assert_eq!(
        [0, 390, 391, 781, 782, 999].map(|step| whole[step]),
        [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    );
}

#[test]
fn noise_is_the_seed_s_and_keeps_its_limits() {
    let engine = engine();
    let params = "learning_rate=1 std=0.3 limit=0.5 from=200 to=900";
    let one = rates(&engine, "noise", params, 1);
    assert_eq!(one, rates(&engine, "noise", params, 1));
    assert_ne!(one, rates(&engine, "noise", params, 2));
    assert!(
        one[..200]
            .iter()
            .chain(&one[900..])
            .all(|rate| *rate == 1.0)
    );
    let noise: Vec<f64> = one[200..900].iter().map(|rate| rate - 1.0).collect();
    assert!(noise.iter().all(|noise| noise.abs() < 0.5));
    let mean = noise.iter().sum::<f64>() / 700.0;
    let deviation = (noise.iter().map(|noise| noise * noise).sum::<f64>() / 700.0).sqrt();
    // A normal distribution of 0.3 that is cut off at 0.5 has 0.2388; 700 draws tell it to within 0.02.
    assert!(
        mean.abs() < 0.04 && (deviation - 0.2388).abs() < 0.02,
        "{mean} {deviation}"
    );
    let uniform = rates(
        &engine,
        "noise",
        "learning_rate=1 distribution=uniform limit=0.5",
        1,
    );
    let spread = |from: f64, to: f64| {
        uniform
            .iter()
            .filter(|rate| (from..to).contains(*rate))
            .count()
    };
    let quarters = [
        spread(0.5, 0.75),
        spread(0.75, 1.0),
        spread(1.0, 1.25),
        spread(1.25, 1.5),
    ];
    assert!(
        quarters.iter().all(|count| (200..300).contains(count)),
        "{quarters:?}"
    );
}

#[test]
fn what_cannot_be_meant_is_refused_in_the_user_s_words() {
    let engine = engine();
    for (name, params, words) in [
        ("cosine", "max_lr=-1", "`max_lr` is -1: must be 0 or more"),
        ("cosine", "max_lr=nan", "`max_lr` is NaN: must be 0 or more"),
        (
            "cosine",
            "cycles=1.5",
            "`cycles` is 1.5: must be a whole number, 0 or more",
        ),
        (
            "cosine",
            "cycles=0",
            "`length` is missing: with `cycles` 0 there is no end",
        ),
        (
            "cosine",
            "cycles=0 length=9 cycle_mul=0.5",
            "so `cycles` must be above 0",
        ),
        (
            "cosine",
            "tanh_from=4",
            "`tanh_from` is 4: must be below `tanh_to`, which is 3",
        ),
        ("cosine", "shape=sine", "must be one of cosine, tanh"),
        (
            "cosine",
            "shape=7",
            "`shape` is 7: must be one of its words",
        ),
        (
            "cosine",
            "unit=fraction warmup=500",
            "a fraction of the run is at most 1",
        ),
        ("cyclic", "step_size=0", "`step_size` is 0: must be above 0"),
        (
            "cyclic_momentum",
            "max_momentum=1",
            "`max_momentum` is 1: must be from 0 to below 1",
        ),
        ("exponential", "factor=0", "`factor` is 0: must be above 0"),
        (
            "greedy",
            "min_lr=2",
            "`min_lr` is 2: must not be above `max_lr`, which is 1",
        ),
        ("inverse_sqrt", "warmup=0", "`timescale` is missing"),
        ("noise", "limit=2", "`limit` is 2: must be from 0 to 1"),
        (
            "onecycle",
            "phases=three pct_final=0.2",
            "`pct_final` is 0.2: must be above `pct_start`",
        ),
        (
            "piecewise",
            "boundary_1=-1",
            "`boundary_1` is -1: must be 0 or more",
        ),
        (
            "piecewise",
            "warmup_epochs=-5",
            "`warmup_epochs` is -5: must be 0 or more",
        ),
        (
            "plateau",
            "factor=1.5",
            "`factor` is 1.5: must be above 0 and below 1",
        ),
        (
            "plateau",
            "patience=-1",
            "`patience` is -1: must be a whole number, 0 or more",
        ),
        ("polynomial", "power=0", "`power` is 0: must be above 0"),
        (
            "wsd",
            "decay_ratio=1",
            "`decay_ratio` is 1: must be above 0 and below 1",
        ),
    ] {
        let error = start(&engine, name, params, 0).unwrap_err().to_string();
        assert!(error.contains(words), "{name} {params}: {error}");
    }
}

#[test]
fn the_first_steps_of_a_long_warm_up_keep_their_digits() {
    let mut wsd = start(
        &engine(),
        "wsd",
        "warmup=1e6 decay=0 unit=steps max_lr=0.1",
        0,
    )
    .unwrap();
    for step in [1, 7, 199] {
        let exact = 0.1 * (step as f64 / 1e6);
        let error = (rate(&mut wsd, step) - exact).abs() / exact;
        assert!(error < 1e-15, "step {step}: {error:e}");
    }
}

#[test]
fn greedy_averages_over_its_own_window_though_a_wider_one_left_its_state() {
    let engine = engine();
    let ask = |schedule: &mut Schedule, step: u64| {
        let shown = TrainingValues {
            train_loss: 1.0 + step as f64,
            ..TrainingValues::NONE
        };
        schedule.step(step, shown).unwrap();
    };
    let words = |schedule: &mut Schedule| -> Vec<u64> {
        let state = schedule.save().unwrap().unwrap();
        let words = state.chunks_exact(8);
        words
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect()
    };
    let mut wide = start(&engine, "greedy", "metric=train_loss window=50", 0).unwrap();
    (0..60).for_each(|step| ask(&mut wide, step));
    let mut narrow = start(&engine, "greedy", "metric=train_loss window=10", 0).unwrap();
    narrow.restore(&wide.save().unwrap().unwrap()).unwrap();
    ask(&mut narrow, 60);
    // Nine words before the values, of which the last is their sum.
    let state = words(&mut narrow);
    let values: Vec<f64> = state[9..]
        .iter()
        .map(|word| f64::from_bits(*word))
        .collect();
    assert_eq!(values, (52..=61).map(f64::from).collect::<Vec<_>>());
    assert_eq!(f64::from_bits(state[8]), values.iter().sum::<f64>());
}

#[test]
fn plateau_goes_on_from_the_sdk_s_example_and_from_no_other_schedule() {
    let engine = engine();
    // The rate, the best loss, bad evaluations and the newest one's step: the whole state of every SDK's `plateau`.
    let words = [0.025_f64.to_bits(), 1.5_f64.to_bits(), 2, 10];
    let state: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    let mut plateau = start(&engine, "plateau", "patience=2 factor=0.5", 0).unwrap();
    plateau.restore(&state).unwrap();
    let mut after = |eval_step, eval_loss| {
        let shown = TrainingValues {
            eval_step,
            eval_loss,
            ..TrainingValues::NONE
        };
        plateau.step(eval_step, shown).unwrap().learning_rate
    };
    assert_eq!(
        [after(10, 2.0), after(20, 2.0), after(30, 1.0)],
        [0.025, 0.0125, 0.0125]
    );

    let foreign = start(&engine, "greedy", "", 0)
        .unwrap()
        .save()
        .unwrap()
        .unwrap();
    let refused = plateau.restore(&foreign).unwrap_err().to_string();
    assert!(
        refused.contains("the state has 72 bytes: it is another schedule's"),
        "{refused}"
    );
}
