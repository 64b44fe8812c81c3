//! A run between two steps, kept in one safetensors file: weights, optimizer, schedule, and where it stood.
//!
//! The generators need no place of their own: what a step draws depends on the seed and the step alone (see
//! [`crate::batches`]).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use pixelrate_sandbox::TrainingValues;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::model::Model;
use crate::optimizer::Optimizer;

/// The newest so many are kept.
const KEEP: usize = 3;
const FORMAT: &str = "1";
const SCHEDULE: &str = "schedule.state";

/// What a checkpoint holds besides tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Steps done; the next one has this number.
    pub step: u64,
    /// SHA-256 of the schedule in force.
    pub schedule: String,
    /// What the schedule's `save` gave, where it exports it.
    pub schedule_state: Option<Vec<u8>>,
    /// What the schedule would be shown next.
    pub training: TrainingValues,
    /// The best test accuracy so far; NaN before the first evaluation.
    pub best_accuracy: f64,
    /// Seconds that training took so far.
    pub seconds: f64,
}

/// The checkpoints of a run folder, oldest first.
///
/// # Errors
/// The folder cannot be listed. One that is not there holds none.
pub fn list(run: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = run.join("checkpoints");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("list", &folder, source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|source| Error::io("list", &folder, source))?
            .path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("step-") && name.ends_with(".safetensors") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a checkpoint, whole or not at all, and lets go of all but the newest three.
///
/// # Errors
/// The disk's.
pub fn write(
    run: &Path,
    model: &Model,
    optimizer: &Optimizer,
    at: &Position,
) -> Result<PathBuf, Error> {
    let folder = run.join("checkpoints");
    let path = folder.join(format!("step-{:012}.safetensors", at.step));
    // Beside the folder, so that whoever lists it never meets half a file.
    let scratch = run.join(".checkpoint");
    let bytes = encode(&path, model, optimizer, at)?;
    fs::create_dir_all(&folder).map_err(|source| Error::io("make", &folder, source))?;
    File::create(&scratch)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .map_err(|source| Error::io("write", &scratch, source))?;
    fs::rename(&scratch, &path)
        .and_then(|()| File::open(&folder)?.sync_all())
        .map_err(|source| Error::io("write", &path, source))?;
    let all = list(run)?;
    for old in &all[..all.len().saturating_sub(KEEP)] {
        fs::remove_file(old).map_err(|source| Error::io("remove", old, source))?;
    }
    Ok(path)
}

fn encode(
    path: &Path,
    model: &Model,
    optimizer: &Optimizer,
    at: &Position,
) -> Result<Vec<u8>, Error> {
    let fail = |problem: String| Error::Checkpoint {
        path: path.to_owned(),
        problem,
    };
    let named = model
        .tensors()
        .map(|(name, tensor)| (format!("model.{name}"), tensor));
    let state = optimizer
        .state()
        .map(|(name, tensor)| (format!("optimizer.{name}"), tensor));
    let mut held = Vec::new();
    for (name, tensor) in named.chain(state) {
        let tensor = tensor.to_device(Device::Cpu).contiguous();
        if tensor.kind() != Kind::Float {
            return Err(fail(format!(
                "{name} is {:?}, not 32-bit floats",
                tensor.kind()
            )));
        }
        let mut bytes = vec![0; tensor.numel() * 4];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
        held.push((name, Dtype::F32, shape, bytes));
    }
    if let Some(state) = &at.schedule_state {
        held.push((
            SCHEDULE.to_owned(),
            Dtype::U8,
            vec![state.len()],
            state.clone(),
        ));
    }
    let mut views = Vec::with_capacity(held.len());
    for (name, dtype, shape, bytes) in &held {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(|e| fail(e.to_string()))?));
    }
    let [beta1, beta2] = optimizer.products();
    let t = at.training;
    // Bits, not decimals: NaN stands for "none yet", and nothing may be rounded.
    let bits = [
        ("beta1_product", beta1),
        ("beta2_product", beta2),
        ("train_loss", t.train_loss),
        ("grad_norm", t.grad_norm),
        ("eval_loss", t.eval_loss),
        ("eval_accuracy", t.eval_accuracy),
        ("best_accuracy", at.best_accuracy),
        ("seconds", at.seconds),
    ];
    let mut facts: HashMap<String, String> = bits
        .into_iter()
        .map(|(name, value)| (name.to_owned(), format!("{:016x}", value.to_bits())))
        .collect();
    facts.insert("pixelrate_checkpoint".to_owned(), FORMAT.to_owned());
    facts.insert("step".to_owned(), at.step.to_string());
    facts.insert("eval_step".to_owned(), t.eval_step.to_string());
    facts.insert("schedule".to_owned(), at.schedule.clone());
    safetensors::serialize(views, Some(facts)).map_err(|e| fail(e.to_string()))
}

/// Reads a checkpoint back into `model` and `optimizer`, which must be built as they were.
///
/// # Errors
/// [`Error::Checkpoint`] if the file is damaged, or of another model or optimizer; both are then as undefined
/// as the file, and must be built anew.
pub fn read(path: &Path, model: &Model, optimizer: &mut Optimizer) -> Result<Position, Error> {
    let fail = |problem: String| Error::Checkpoint {
        path: path.to_owned(),
        problem,
    };
    let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let damaged = |e: safetensors::SafeTensorError| fail(format!("it is damaged ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let facts = metadata.metadata().clone().unwrap_or_default();
    let fact = |name: &str| {
        facts
            .get(name)
            .ok_or_else(|| fail(format!("it lacks `{name}`")))
    };
    let whole = |name: &str| -> Result<u64, Error> {
        fact(name)?
            .parse()
            .map_err(|_| fail(format!("`{name}` is not a number")))
    };
    let float = |name: &str| -> Result<f64, Error> {
        let bits = u64::from_str_radix(fact(name)?, 16);
        Ok(f64::from_bits(
            bits.map_err(|_| fail(format!("`{name}` is not a number")))?,
        ))
    };
    if fact("pixelrate_checkpoint")? != FORMAT {
        return Err(fail("another version of pixelrate wrote it".to_owned()));
    }
    let fill = |name: &str, into: &mut Tensor| -> Result<(), Error> {
        let view = tensors.tensor(name).map_err(|_| {
            fail(format!(
                "it lacks `{name}`: another model or optimizer wrote it"
            ))
        })?;
        let size: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        if size != into.size() || view.dtype() != Dtype::F32 {
            return Err(fail(format!(
                "`{name}` is {size:?}, and the model's is {:?}",
                into.size()
            )));
        }
        let source = Tensor::f_from_data_size(view.data(), &size, Kind::Float)?;
        tch::no_grad(|| into.f_copy_(&source))?;
        Ok(())
    };
    for (name, tensor) in model.tensors() {
        fill(&format!("model.{name}"), &mut tensor.shallow_clone())?;
    }
    let products = [float("beta1_product")?, float("beta2_product")?];
    optimizer.restore(products, |name, tensor| {
        fill(&format!("optimizer.{name}"), tensor)
    })?;
    Ok(Position {
        step: whole("step")?,
        schedule: fact("schedule")?.clone(),
        schedule_state: tensors
            .tensor(SCHEDULE)
            .ok()
            .map(|view| view.data().to_vec()),
        training: TrainingValues {
            train_loss: float("train_loss")?,
            grad_norm: float("grad_norm")?,
            eval_loss: float("eval_loss")?,
            eval_accuracy: float("eval_accuracy")?,
            eval_step: whole("eval_step")?,
        },
        best_accuracy: float("best_accuracy")?,
        seconds: float("seconds")?,
    })
}
