//! How each kind of row becomes columns, and columns rows again.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::columns::{
    Column, Kind, Reader, bits, counts, optional, reals, required, same, schema_of, texts, times,
    words,
};
use crate::{Error, EvalRow, EventRow, Identity, StepRow, SummaryRow};

/// A kind of row with a table of its own.
pub(crate) trait Record: Clone + Send + Sized + 'static {
    /// The table's name, which is its folder's and its WAL segments' too.
    const TABLE: &'static str;
    /// Its columns, in the order of the file.
    const COLUMNS: &'static [Column];

    /// The step that decides whether `resume` keeps the row.
    fn step(&self) -> u64;

    /// Whether a row of this step stays when a run goes on from `keep_below`.
    fn kept(step: u64, keep_below: u64) -> bool;

    /// Rows as columns. Only a number that does not fit its column is an error.
    fn to_batch(rows: &[Self], identity: &Identity) -> Result<RecordBatch, Error>;

    /// Columns as rows; the error is a sentence about the file.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String>;

    /// The Arrow schema.
    fn schema() -> SchemaRef {
        schema_of(Self::COLUMNS)
    }
}

/// Puts arrays under their schema. They were made for it, so a mismatch is our own mistake: say where.
fn batch_of<R: Record>(arrays: Vec<arrow_array::ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(R::schema(), arrays).map_err(|error: ArrowError| Error::Encode {
        path: R::TABLE.into(),
        reason: error.to_string(),
    })
}

impl Record for StepRow {
    const TABLE: &'static str = "steps";
    const COLUMNS: &'static [Column] = &[
        required("study", Kind::Word),
        required("run", Kind::Word),
        required("step", Kind::Count),
        required("epoch", Kind::Real),
        required("learning_rate", Kind::Rate),
        optional("momentum", Kind::Rate),
        optional("weight_decay", Kind::Rate),
        optional("train_loss", Kind::Real),
        optional("grad_norm", Kind::Real),
        required("step_ns", Kind::Count),
        required("schedule_ns", Kind::Count),
        required("schedule", Kind::Word),
        required("swaps", Kind::Count).since(2),
    ];

    fn step(&self) -> u64 {
        self.step
    }

    fn kept(step: u64, keep_below: u64) -> bool {
        step < keep_below
    }

    fn to_batch(rows: &[Self], identity: &Identity) -> Result<RecordBatch, Error> {
        let all = || rows.iter();
        batch_of::<Self>(vec![
            same(&identity.study, rows.len()),
            same(&identity.run, rows.len()),
            counts("step", all().map(|r| r.step))?,
            reals(all().map(|r| r.epoch)),
            reals(all().map(|r| r.learning_rate)),
            reals(all().map(|r| r.momentum)),
            reals(all().map(|r| r.weight_decay)),
            reals(all().map(|r| r.train_loss)),
            reals(all().map(|r| r.grad_norm)),
            counts("step_ns", all().map(|r| r.step_ns))?,
            counts("schedule_ns", all().map(|r| r.schedule_ns))?,
            words(all().map(|r| Some(&*r.schedule))),
            counts("swaps", all().map(|r| r.swaps))?,
        ])
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let read = Reader(batch);
        let (step, epoch, rate) = (
            read.counts("step")?,
            read.reals("epoch")?,
            read.reals("learning_rate")?,
        );
        let (momentum, decay) = (
            read.optional_reals("momentum")?,
            read.optional_reals("weight_decay")?,
        );
        let (loss, norm) = (
            read.optional_reals("train_loss")?,
            read.optional_reals("grad_norm")?,
        );
        let (step_ns, schedule_ns) = (read.counts("step_ns")?, read.counts("schedule_ns")?);
        let schedules = read.strings("schedule")?;
        // Logs of schema version 1 know no swaps.
        let swaps = read
            .has("swaps")
            .then(|| read.counts("swaps"))
            .transpose()?;
        // A schedule stays in force for thousands of rows: they share one string.
        let mut schedule: Arc<str> = Arc::from("");
        let mut row = |i| {
            let name = schedules.need(i)?;
            if *schedule != *name {
                schedule = Arc::from(name);
            }
            Ok(StepRow {
                step: step(i)?,
                epoch: epoch(i)?,
                learning_rate: rate(i)?,
                momentum: momentum(i),
                weight_decay: decay(i),
                train_loss: loss(i),
                grad_norm: norm(i),
                step_ns: step_ns(i)?,
                schedule_ns: schedule_ns(i)?,
                schedule: Arc::clone(&schedule),
                swaps: swaps.as_ref().map_or(Ok(0), |swaps| swaps(i))?,
            })
        };
        (0..batch.num_rows()).map(&mut row).collect()
    }
}

impl Record for EvalRow {
    const TABLE: &'static str = "evals";
    const COLUMNS: &'static [Column] = &[
        required("study", Kind::Word),
        required("run", Kind::Word),
        required("step", Kind::Count),
        required("epoch", Kind::Real),
        required("split", Kind::Word),
        required("loss", Kind::Real),
        required("accuracy", Kind::Real),
        required("examples", Kind::Count),
    ];

    fn step(&self) -> u64 {
        self.step
    }

    fn kept(step: u64, keep_below: u64) -> bool {
        step <= keep_below
    }

    fn to_batch(rows: &[Self], identity: &Identity) -> Result<RecordBatch, Error> {
        let all = || rows.iter();
        batch_of::<Self>(vec![
            same(&identity.study, rows.len()),
            same(&identity.run, rows.len()),
            counts("step", all().map(|r| r.step))?,
            reals(all().map(|r| r.epoch)),
            words(all().map(|r| Some(r.split.as_str()))),
            reals(all().map(|r| r.loss)),
            reals(all().map(|r| r.accuracy)),
            counts("examples", all().map(|r| r.examples))?,
        ])
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let read = Reader(batch);
        let (step, epoch, split) = (
            read.counts("step")?,
            read.reals("epoch")?,
            read.strings("split")?,
        );
        let (loss, accuracy) = (read.reals("loss")?, read.reals("accuracy")?);
        let examples = read.counts("examples")?;
        let row = |i| {
            Ok(EvalRow {
                step: step(i)?,
                epoch: epoch(i)?,
                split: split.need(i)?.to_owned(),
                loss: loss(i)?,
                accuracy: accuracy(i)?,
                examples: examples(i)?,
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}

impl Record for EventRow {
    const TABLE: &'static str = "events";
    const COLUMNS: &'static [Column] = &[
        required("study", Kind::Word),
        required("run", Kind::Word),
        required("step", Kind::Count),
        required("time", Kind::Time),
        required("kind", Kind::Word),
        optional("schedule", Kind::Word),
        required("message", Kind::Text),
        optional("duration_ns", Kind::Count),
    ];

    fn step(&self) -> u64 {
        self.step
    }

    fn kept(step: u64, keep_below: u64) -> bool {
        step <= keep_below
    }

    fn to_batch(rows: &[Self], identity: &Identity) -> Result<RecordBatch, Error> {
        let all = || rows.iter();
        batch_of::<Self>(vec![
            same(&identity.study, rows.len()),
            same(&identity.run, rows.len()),
            counts("step", all().map(|r| r.step))?,
            times(all().map(|r| r.time_unix_ms)),
            words(all().map(|r| Some(r.kind.as_str()))),
            words(all().map(|r| r.schedule.as_deref())),
            texts(all().map(|r| Some(r.message.as_str()))),
            counts("duration_ns", all().map(|r| r.duration_ns))?,
        ])
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let read = Reader(batch);
        let (step, time, kind) = (
            read.counts("step")?,
            read.times("time")?,
            read.strings("kind")?,
        );
        let (schedule, message) = (read.strings("schedule")?, read.strings("message")?);
        let duration = read.optional_counts("duration_ns")?;
        let row = |i| {
            Ok(EventRow {
                step: step(i)?,
                time_unix_ms: time(i),
                kind: kind.need(i)?.parse()?,
                schedule: schedule.get(i).map(str::to_owned),
                message: message.need(i)?.to_owned(),
                duration_ns: duration(i)?,
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}

impl Record for SummaryRow {
    const TABLE: &'static str = "summary";
    const COLUMNS: &'static [Column] = &[
        required("study", Kind::Word),
        required("run", Kind::Word),
        required("schedule", Kind::Word),
        required("schedule_sha256", Kind::Word),
        required("seed", Kind::Bits),
        required("dataset", Kind::Word),
        required("model", Kind::Word),
        required("optimizer", Kind::Word),
        required("batch_size", Kind::Count),
        required("epochs", Kind::Real),
        required("total_steps", Kind::Count),
        required("steps_done", Kind::Count),
        required("status", Kind::Word),
        optional("final_train_loss", Kind::Real),
        optional("final_eval_loss", Kind::Real),
        optional("final_eval_accuracy", Kind::Real),
        optional("best_eval_accuracy", Kind::Real),
        required("wall_seconds", Kind::Real),
        required("started_at", Kind::Time),
        required("finished_at", Kind::Time),
        optional("error", Kind::Text),
        required("device", Kind::Word),
        required("threads", Kind::Count),
        required("pixelrate_version", Kind::Word),
        optional("git_commit", Kind::Word),
    ];

    fn step(&self) -> u64 {
        self.steps_done
    }

    // A run that goes on has not ended: `resume` removes the whole table.
    fn kept(_: u64, _: u64) -> bool {
        false
    }

    fn to_batch(rows: &[Self], _: &Identity) -> Result<RecordBatch, Error> {
        let all = || rows.iter();
        batch_of::<Self>(vec![
            words(all().map(|r| Some(r.study.as_str()))),
            words(all().map(|r| Some(r.run.as_str()))),
            words(all().map(|r| Some(r.schedule.as_str()))),
            words(all().map(|r| Some(r.schedule_sha256.as_str()))),
            bits(all().map(|r| r.seed)),
            words(all().map(|r| Some(r.dataset.as_str()))),
            words(all().map(|r| Some(r.model.as_str()))),
            words(all().map(|r| Some(r.optimizer.as_str()))),
            counts("batch_size", all().map(|r| u64::from(r.batch_size)))?,
            reals(all().map(|r| r.epochs)),
            counts("total_steps", all().map(|r| r.total_steps))?,
            counts("steps_done", all().map(|r| r.steps_done))?,
            words(all().map(|r| Some(r.status.as_str()))),
            reals(all().map(|r| r.final_train_loss)),
            reals(all().map(|r| r.final_eval_loss)),
            reals(all().map(|r| r.final_eval_accuracy)),
            reals(all().map(|r| r.best_eval_accuracy)),
            reals(all().map(|r| r.wall_seconds)),
            times(all().map(|r| r.started_unix_ms)),
            times(all().map(|r| r.finished_unix_ms)),
            texts(all().map(|r| r.error.as_deref())),
            words(all().map(|r| Some(r.device.as_str()))),
            counts("threads", all().map(|r| u64::from(r.threads)))?,
            words(all().map(|r| Some(r.pixelrate_version.as_str()))),
            words(all().map(|r| r.git_commit.as_deref())),
        ])
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, String> {
        let read = Reader(batch);
        let text = |name| {
            let column = read.strings(name)?;
            Ok::<_, String>(move |i| column.need(i).map(str::to_owned))
        };
        let small = |name: &'static str| {
            let column = read.counts(name)?;
            Ok::<_, String>(move |i| {
                let value = column(i)?;
                u32::try_from(value).map_err(|_| format!("its column `{name}` holds {value}"))
            })
        };
        let (study, run, schedule) = (text("study")?, text("run")?, text("schedule")?);
        let (sha256, seed, dataset) = (
            text("schedule_sha256")?,
            read.bits("seed")?,
            text("dataset")?,
        );
        let (model, optimizer) = (text("model")?, text("optimizer")?);
        let (batch_size, epochs) = (small("batch_size")?, read.reals("epochs")?);
        let (total, done, status) = (
            read.counts("total_steps")?,
            read.counts("steps_done")?,
            read.strings("status")?,
        );
        let train_loss = read.optional_reals("final_train_loss")?;
        let eval_loss = read.optional_reals("final_eval_loss")?;
        let accuracy = read.optional_reals("final_eval_accuracy")?;
        let best = read.optional_reals("best_eval_accuracy")?;
        let (wall, started, finished) = (
            read.reals("wall_seconds")?,
            read.times("started_at")?,
            read.times("finished_at")?,
        );
        let (error, device, threads) = (read.strings("error")?, text("device")?, small("threads")?);
        let (version, commit) = (text("pixelrate_version")?, read.strings("git_commit")?);
        let row = |i| {
            Ok(SummaryRow {
                study: study(i)?,
                run: run(i)?,
                schedule: schedule(i)?,
                schedule_sha256: sha256(i)?,
                seed: seed(i),
                dataset: dataset(i)?,
                model: model(i)?,
                optimizer: optimizer(i)?,
                batch_size: batch_size(i)?,
                epochs: epochs(i)?,
                total_steps: total(i)?,
                steps_done: done(i)?,
                status: status.need(i)?.parse()?,
                final_train_loss: train_loss(i),
                final_eval_loss: eval_loss(i),
                final_eval_accuracy: accuracy(i),
                best_eval_accuracy: best(i),
                wall_seconds: wall(i)?,
                started_unix_ms: started(i),
                finished_unix_ms: finished(i),
                error: error.get(i).map(str::to_owned),
                device: device(i)?,
                threads: threads(i)?,
                pixelrate_version: version(i)?,
                git_commit: commit.get(i).map(str::to_owned),
            })
        };
        (0..batch.num_rows()).map(row).collect()
    }
}
