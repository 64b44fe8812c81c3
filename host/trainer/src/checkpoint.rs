//! A run between two steps, kept in one safetensors file: weights, optimizer, schedule, and where it stood.
//!
//! The generators need no place of their own: what a step draws depends on the seed and the step alone (see
//! [`crate::batches`]).

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use pixelrate_sandbox::TrainingValues;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor};

use crate::model::Model;
use crate::optimizer::Optimizer;
use crate::{Error, device};

/// How many unnamed checkpoints are kept, newest first.
const KEEP: usize = 3;
const FORMAT: &str = "2";
const FORMAT_WITHOUT_CHECKSUM: &str = "1";
const CHECKSUM: &str = "crc32";
/// The name of the checkpoint that a forked run begins with.
pub const FORK: &str = "fork";
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
    /// The best accuracy of an evaluation so far; NaN before the first evaluation.
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
    // From 10^12 steps on, names are longer.
    found.sort_by(|one, other| (step_of(one), one).cmp(&(step_of(other), other)));
    Ok(found)
}

/// Writes a checkpoint, whole or not at all, and lets go of all but the newest three. One with a name is kept for ever.
///
/// # Errors
/// The disk's.
pub fn write(
    run: &Path,
    model: &Model,
    optimizer: &Optimizer,
    at: &Position,
    name: Option<&str>,
) -> Result<PathBuf, Error> {
    let folder = run.join("checkpoints");
    let path = folder.join(file_name(at.step, name));
    // Beside the folder, so that whoever lists it never meets half a file.
    let scratch = run.join(".checkpoint");
    let bytes = encode(&path, model, optimizer, at)?;
    fs::create_dir_all(&folder).map_err(|source| Error::io("make", &folder, source))?;
    File::create(&scratch)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        // Half a file would only fill the disk further.
        .inspect_err(|_| drop(fs::remove_file(&scratch)))
        .map_err(|source| Error::io("write", &scratch, source))?;
    fs::rename(&scratch, &path)
        .and_then(|()| File::open(&folder)?.sync_all())
        .map_err(|source| Error::io("write", &path, source))?;
    let mut all = list(run)?;
    all.retain(|path| !is_named(path));
    for old in &all[..all.len().saturating_sub(KEEP)] {
        fs::remove_file(old).map_err(|source| Error::io("remove", old, source))?;
    }
    Ok(path)
}

/// The file of a checkpoint: `step-000000005000.safetensors`, or `step-000000005000.NAME.safetensors`.
pub fn file_name(step: u64, name: Option<&str>) -> String {
    match name {
        None => format!("step-{step:012}.safetensors"),
        Some(name) => format!("step-{step:012}.{name}.safetensors"),
    }
}

/// The step of a checkpoint, by its file's name.
pub fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("step-")?.split('.').next()?.parse().ok()
}

/// The schedule's state in a checkpoint, if it holds any, read without a model.
///
/// # Errors
/// [`Error::Checkpoint`] if the file is damaged.
pub fn schedule_state(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| Error::Checkpoint {
        path: path.to_owned(),
        problem: format!("it is damaged ({e})"),
    })?;
    let state = tensors.tensor(SCHEDULE).ok();
    Ok(state.map(|view| view.data().to_vec()))
}

/// Seconds that training took up to a checkpoint, read without a model.
///
/// # Errors
/// [`Error::Checkpoint`] if the file is damaged.
pub fn seconds(path: &Path) -> Result<f64, Error> {
    let bytes = fs::read(path).map_err(|source| Error::io("read", path, source))?;
    let facts = SafeTensors::read_metadata(&bytes)
        .ok()
        .and_then(|(_, metadata)| metadata.metadata().clone());
    facts
        .and_then(|facts| u64::from_str_radix(facts.get("seconds")?, 16).ok())
        .map(f64::from_bits)
        .ok_or_else(|| Error::Checkpoint {
            path: path.to_owned(),
            problem: "it does not tell how long training took".to_owned(),
        })
}

/// Puts a checkpoint that cannot be used aside, so that it does not count as one of those that are kept.
///
/// # Errors
/// The disk's.
pub fn put_aside(path: &Path) -> Result<(), Error> {
    let aside = path.with_extension("safetensors.damaged");
    fs::rename(path, &aside).map_err(|source| Error::io("rename", path, source))
}

fn is_named(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.matches('.').count() > 1)
}

/// Over all facts and tensors: the format has no checksum of its own, and a flipped bit would train on unseen.
fn checksum<'a>(
    facts: &HashMap<String, String>,
    tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let mut crc = crc32fast::Hasher::new();
    let mut facts: Vec<_> = facts.iter().filter(|(name, _)| *name != CHECKSUM).collect();
    facts.sort_unstable();
    for (name, value) in facts {
        crc.update(name.as_bytes());
        crc.update(value.as_bytes());
    }
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    for (name, bytes) in tensors {
        crc.update(name.as_bytes());
        crc.update(bytes);
    }
    format!("{:08x}", crc.finalize())
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
    let shared = device::share(model.device());
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
    drop(shared);
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
    let held = held
        .iter()
        .map(|(name, _, _, bytes)| (name.as_str(), bytes.as_slice()));
    let crc = checksum(&facts, held);
    facts.insert(CHECKSUM.to_owned(), crc);
    safetensors::serialize(views, Some(facts)).map_err(|e| fail(e.to_string()))
}

/// Reads a checkpoint back into `model` and `optimizer`, which must be built as they were.
///
/// # Errors
/// [`Error::Checkpoint`] if the file is damaged; [`Error::ForeignCheckpoint`] if it is of a newer version, or of another
/// model or optimizer. `model` and `optimizer` are then undefined, and must be built anew.
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
    let foreign = |problem: String| Error::ForeignCheckpoint {
        path: path.to_owned(),
        problem,
    };
    let format = fact("pixelrate_checkpoint")?.as_str();
    // Every version after the first has the checksum, so that a newer one is told from a damaged one.
    if format != FORMAT_WITHOUT_CHECKSUM {
        let held = tensors.iter().map(|(name, view)| (name, view.data()));
        if checksum(&facts, held) != *fact(CHECKSUM)? {
            return Err(fail("it is damaged (its checksum differs)".to_owned()));
        }
    }
    if ![FORMAT, FORMAT_WITHOUT_CHECKSUM].contains(&format) {
        return Err(foreign(format!(
            "its format is {format}, and this version of pixelrate reads {FORMAT}: resume with the version that wrote it"
        )));
    }
    let fill = |name: &str, into: &mut Tensor| -> Result<(), Error> {
        let view = tensors.tensor(name).map_err(|_| {
            foreign(format!(
                "it lacks `{name}`: its model or optimizer is not the one in run.toml"
            ))
        })?;
        let size: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        if size != into.size() || view.dtype() != Dtype::F32 {
            return Err(foreign(format!(
                "`{name}` has the shape {size:?}, and {:?} in the model of run.toml",
                into.size()
            )));
        }
        let source = Tensor::f_from_data_size(view.data(), &size, Kind::Float)?;
        tch::no_grad(|| into.f_copy_(&source))?;
        Ok(())
    };
    let weights = model.tensors().map(|(name, _)| format!("model.{name}"));
    let state = optimizer.state();
    let state = state.map(|(name, _)| format!("optimizer.{name}"));
    let known: BTreeSet<String> = weights.chain(state).collect();
    let foreigner = |name: &&str| *name != SCHEDULE && !known.contains(*name);
    if let Some(name) = tensors.names().into_iter().find(foreigner) {
        return Err(foreign(format!(
            "it has `{name}`: its model or optimizer is not the one in run.toml"
        )));
    }
    let _shared = device::share(model.device());
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
            // It is measured where it is asked for.
            weight_norm: f64::NAN,
        },
        best_accuracy: float("best_accuracy")?,
        seconds: float("seconds")?,
    })
}
