//! airbench's network, held against PyTorch's own modules: by what PyTorch 2.11.0 gave, and, where `PIXELRATE_PYTHON` has a
//! PyTorch, by what that one gives.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

use std::process::Command;

use pixelrate_trainer::data::{Dataset, Origin, Split};
use pixelrate_trainer::model::{Architecture, Model};
use pixelrate_trainer::precision::Precision;
use tch::{Device, Kind, Reduction, Tensor};

/// What `airbench.py` printed.
const GOLDEN: &str = include_str!("golden/airbench.txt");

/// Sines of places, as in `airbench.py`.
fn waves(size: &[i64], phase: f64, scale: f64) -> Tensor {
    let count: i64 = size.iter().product();
    let values: Vec<f64> = (0..count)
        .map(|place| scale * (0.7 * place as f64 + phase).sin())
        .collect();
    Tensor::from_slice(&values).view(size)
}

/// The network with the parameters and buffers of `airbench.py`.
fn model() -> Model {
    let dataset = Dataset {
        name: "none".into(),
        classes: 10,
        shape: [3, 32, 32],
        train: Split::default(),
        test: Split::default(),
        sha256: String::new(),
        origin: Origin::Unread,
        augment: false,
        channels: None,
    };
    let (on, precision) = (Device::Cpu, Precision::Float32);
    let model = Model::new(Architecture::Airbench, &dataset, 0, on, precision);
    let mut named: Vec<_> = model.tensors().collect();
    named.sort_by_key(|&(name, _)| name);
    for (phase, (name, tensor)) in named.into_iter().enumerate() {
        if name.contains("norm") && name.ends_with("weight") {
            continue;
        }
        let size = tensor.size();
        let scale = match size.len() {
            1 => 0.1,
            _ => 1.0 / (size[1..].iter().product::<i64>() as f64).sqrt(),
        };
        let mut values = waves(&size, phase as f64, scale);
        if name.ends_with("running_var") {
            values += 1.0;
        }
        tch::no_grad(|| tensor.shallow_clone().copy_(&values));
    }
    model
}

/// What the network gives, under the words that `airbench.py` prints it with.
fn given() -> Vec<(String, Vec<f64>)> {
    tch::set_num_threads(1);
    let model = model();
    let pictures = waves(&[4, 3, 32, 32], 0.5, 1.0).to_kind(Kind::Float);
    let labels = Tensor::from_slice(&[1_i64, 0, 9, 4]);
    let numbers = |tensor: &Tensor| Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1));
    let tested = || tch::no_grad(|| numbers(&model.forward(&pictures)).unwrap());
    let mut given = vec![("testing".to_owned(), tested())];
    let logits = model.forward_train(&pictures, 0);
    given.push(("training".into(), numbers(&logits).unwrap()));
    let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.2);
    given.push(("loss".into(), numbers(&loss.view([1])).unwrap()));
    let gradients = Tensor::run_backward(&[loss], &model.parameters(), false, false);
    for ((name, tensor), gradient) in model.tensors().zip(&gradients) {
        assert!(tensor.requires_grad(), "{name}");
        given.push((
            name.to_owned(),
            numbers(&gradient.norm().view([1])).unwrap(),
        ));
    }
    given.push(("tested".into(), tested()));
    given
}

fn assert_agrees(printed: &str) {
    let given = given();
    assert_eq!(printed.lines().count(), given.len());
    for (line, (word, found)) in printed.lines().zip(given) {
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some(&word[..]));
        let expected: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
        assert_eq!(found.len(), expected.len(), "{word}");
        for (found, expected) in found.iter().zip(expected) {
            let error = (found - expected).abs();
            assert!(error < 1e-4 * expected.abs() + 2e-5, "{line}: {found}");
        }
    }
}

#[test]
fn the_network_agrees_with_what_pytorch_gave() {
    assert_agrees(GOLDEN);
}

#[test]
fn the_network_agrees_with_the_pytorch_that_is_here() {
    let python = std::env::var_os("PIXELRATE_PYTHON");
    let has_torch = |python: &std::ffi::OsString| {
        let import = Command::new(python).args(["-c", "import torch"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    let Some(python) = python.filter(has_torch) else {
        println!(
            "skipped: PIXELRATE_PYTHON names no Python with PyTorch; the golden file was held"
        );
        return;
    };
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/airbench.py");
    let output = Command::new(python)
        .args(["-W", "ignore", program])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_agrees(&String::from_utf8(output.stdout).unwrap());
}
