//! What a step row costs: bytes on the disk and rows a second, for each candidate encoding, and the log's own calls.
//!
//! `cargo bench -p pixelrate-runlog --bench encode`; with `PIXELRATE_PYTHON` naming a Python that has pyarrow, pyarrow
//! writes the same rows for comparison. Run as a test (no `--bench`), it does the same with few rows.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark stops at the first thing that is wrong"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use pixelrate_runlog::{Identity, RunLog, RunStatus, StepRow, SummaryRow};

const FLOATS: [&str; 6] = [
    "epoch",
    "learning_rate",
    "momentum",
    "weight_decay",
    "train_loss",
    "grad_norm",
];
/// The floats that come from the schedule: often a few values, over and over.
const SCHEDULED: [&str; 3] = ["learning_rate", "momentum", "weight_decay"];
const INTEGERS: [&str; 3] = ["step", "step_ns", "schedule_ns"];
const STRINGS: [&str; 3] = ["study", "run", "schedule"];

/// A seeded generator: the numbers need only be noise.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Steps of a CIFAR-10 run at batch 128: a loss that falls with noise, as f32 widened, and jittering times.
fn rows(schedule: &str, count: u64) -> Vec<StepRow> {
    let mut noise = Noise(0x5eed);
    let sha: Arc<str> =
        Arc::from("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    let row = |step: u64| {
        let at = step as f64;
        let learning_rate = match schedule {
            "fixed" => 3e-4,
            "cyclic" => {
                let cycle = (1.0 + at / 4000.0).floor();
                let x = (at / 2000.0 - 2.0 * cycle + 1.0).abs();
                1e-5 + (3e-4 - 1e-5) * (1.0 - x).max(0.0)
            }
            "cosine" => 1.5e-4 * (1.0 + (std::f64::consts::PI * at / count as f64).cos()),
            _ => 1e-5 + (3e-4 - 1e-5) * (noise.unit() * 256.0).floor() / 255.0,
        };
        let loss = 2.3 * (-at / 40_000.0).exp() * (1.0 + 0.1 * noise.normal());
        StepRow {
            step,
            epoch: at * 128.0 / 50_000.0,
            learning_rate,
            momentum: None,
            weight_decay: None,
            train_loss: Some(f64::from(loss as f32)),
            grad_norm: Some(f64::from((1.0 + 0.2 * noise.normal()) as f32)),
            step_ns: (17_000_000.0 + 400_000.0 * noise.normal()) as u64,
            schedule_ns: (180.0 + 20.0 * noise.normal()) as u64,
            schedule: Arc::clone(&sha),
            swaps: 0,
        }
    };
    (0..count).map(row).collect()
}

fn summary() -> SummaryRow {
    SummaryRow {
        study: "seed".into(),
        run: "one".into(),
        schedule: "cyclic".into(),
        schedule_sha256: String::new(),
        seed: 1,
        dataset: "cifar10".into(),
        model: "resnet-32".into(),
        optimizer: "momentum".into(),
        batch_size: 128,
        epochs: 1.0,
        total_steps: 1,
        steps_done: 1,
        status: RunStatus::Finished,
        final_train_loss: None,
        final_eval_loss: None,
        final_eval_accuracy: None,
        best_eval_accuracy: None,
        wall_seconds: 1.0,
        started_unix_ms: 0,
        finished_unix_ms: 0,
        error: None,
        device: "cpu".into(),
        threads: 1,
        pixelrate_version: String::new(),
        git_commit: None,
    }
}

/// What the candidates differ in. `None` for an encoding means a dictionary.
#[derive(Clone, Copy)]
struct Layout {
    floats: Option<Encoding>,
    integers: Option<Encoding>,
    zstd: Option<i32>,
    statistics: EnabledStatistics,
    group: usize,
    /// Bytes of a dictionary that the schedule's values begin with; where it grows longer, `floats` takes over.
    dictionary: Option<usize>,
}

/// The one that the log uses, as `src/encoding.rs` has it; the log's own file is printed beside it.
const OURS: Layout = Layout {
    floats: Some(Encoding::BYTE_STREAM_SPLIT),
    integers: Some(Encoding::DELTA_BINARY_PACKED),
    zstd: Some(3),
    statistics: EnabledStatistics::Page,
    group: 131_072,
    dictionary: Some(64 << 10),
};

fn properties(layout: Layout) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_statistics_enabled(layout.statistics)
        .set_max_row_group_row_count(Some(layout.group))
        .set_compression(layout.zstd.map_or(Compression::UNCOMPRESSED, |level| {
            Compression::ZSTD(ZstdLevel::try_new(level).unwrap())
        }));
    let set = |builder: WriterPropertiesBuilder, name: &str, encoding: Option<Encoding>| {
        let path = ColumnPath::from(name);
        match encoding {
            None => builder.set_column_dictionary_enabled(path, true),
            Some(encoding) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding),
        }
    };
    for name in FLOATS {
        builder = set(builder, name, layout.floats);
    }
    if let (Some(limit), Some(_)) = (layout.dictionary, layout.floats) {
        for name in SCHEDULED {
            let path = ColumnPath::from(name);
            builder = builder
                .set_column_dictionary_enabled(path.clone(), true)
                .set_column_dictionary_page_size_limit(path, limit);
        }
    }
    for name in INTEGERS {
        builder = set(builder, name, layout.integers);
    }
    for name in STRINGS {
        builder = set(builder, name, None);
    }
    builder.build()
}

/// Bytes of the file and seconds to write it into memory, the best of three.
fn write(batches: &[RecordBatch], layout: Layout) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for _ in 0..3 {
        let began = Instant::now();
        let schema = batches[0].schema();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(properties(layout))).unwrap();
        batches.iter().for_each(|b| writer.write(b).unwrap());
        let bytes = writer.into_inner().unwrap().len();
        best = (bytes, best.1.min(began.elapsed().as_secs_f64()));
    }
    best
}

fn candidates() -> Vec<(&'static str, Layout)> {
    let (words, plain) = (None, Some(Encoding::PLAIN));
    let (split, delta) = (OURS.floats, OURS.integers);
    let with = |floats, integers, zstd| Layout {
        floats,
        integers,
        zstd,
        dictionary: None,
        ..OURS
    };
    let as_it_comes = Layout {
        group: 1 << 20,
        ..with(words, words, None)
    };
    let level = |level| Layout {
        zstd: Some(level),
        ..OURS
    };
    let rates = |limit| Layout {
        dictionary: Some(limit),
        ..OURS
    };
    let group = |group| Layout { group, ..OURS };
    let chunks = Layout {
        statistics: EnabledStatistics::Chunk,
        ..OURS
    };
    let zstd = Some(3);
    vec![
        ("parquet-rs as it comes: dictionaries", as_it_comes),
        ("dictionaries, zstd 3", with(words, words, zstd)),
        ("plain numbers, zstd 3", with(plain, plain, zstd)),
        ("split floats, plain integers", with(split, plain, zstd)),
        ("split floats, split integers", with(split, split, zstd)),
        ("dictionary floats, delta ints", with(words, delta, zstd)),
        (
            "split floats, delta ints, no zstd",
            with(split, delta, None),
        ),
        ("split floats, delta ints, zstd 3", with(split, delta, zstd)),
        ("the same, rate dictionary 2 KiB", rates(2 << 10)),
        ("the same, rate dictionary 8 KiB", rates(8 << 10)),
        ("the same, 64 KiB: the log's", OURS),
        ("the same, rate dictionary 1 MiB", rates(1 << 20)),
        ("the log's, zstd 1", level(1)),
        ("the log's, zstd 9", level(9)),
        ("the log's, groups of 16,384", group(16_384)),
        ("the log's, groups of 1,048,576", group(1 << 20)),
        ("the log's, no statistics of pages", chunks),
    ]
}

fn line(name: &str, bytes: usize, rows: usize, seconds: f64) {
    let each = bytes as f64 / rows as f64;
    let speed = rows as f64 / seconds / 1e6;
    println!("  {name:<40} {each:8.2} {speed:9.2}");
}

/// pyarrow on the same rows, for comparison.
fn pyarrow(file: &Path, rows: usize) {
    let Some(python) = std::env::var_os("PIXELRATE_PYTHON") else {
        println!("  (pyarrow: PIXELRATE_PYTHON names no Python)");
        return;
    };
    let program = "
import io, sys, time, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1]).replace_schema_metadata(None)
for name, options in [('as it comes', {}), ('zstd', {'compression': 'zstd'})]:
    best = 1e9
    for _ in range(3):
        out, began = io.BytesIO(), time.perf_counter()
        pq.write_table(table, out, **options)
        best = min(best, time.perf_counter() - began)
    print(f'pyarrow {name}\\t{len(out.getvalue())}\\t{best}')
";
    let output = Command::new(python)
        .args(["-c", program])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for found in text.lines() {
        let mut fields = found.split('\t');
        let mut next = || fields.next().unwrap();
        let (name, bytes, seconds) = (next(), next().parse().unwrap(), next().parse().unwrap());
        line(name, bytes, rows, seconds);
    }
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        println!("  (pyarrow: {})", errors.trim());
    }
}

/// Bytes a row of each column of a file.
fn columns(file: &Path, rows: usize) {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            *sizes.entry(column.column_path().string()).or_default() += column.compressed_size();
        }
    }
    let each = |(name, size): (&String, &i64)| format!("{name} {:.3}", *size as f64 / rows as f64);
    let text: Vec<_> = sizes.iter().map(each).collect();
    println!("  by column: {}", text.join(", "));
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let count: u64 = if full { 200_000 } else { 2_000 };
    let dir = tempfile::tempdir().unwrap();
    for schedule in ["fixed", "cyclic", "cosine", "image"] {
        let run = dir.path().join(schedule);
        let identity = Identity {
            study: "seed".into(),
            run: format!("{schedule}-1"),
            facts: BTreeMap::new(),
        };
        let rows = rows(schedule, count);
        let mut log = RunLog::create(&run, identity).unwrap();
        let began = Instant::now();
        rows.into_iter().for_each(|row| log.step(row).unwrap());
        log.flush().unwrap();
        let flushed = count as f64 / began.elapsed().as_secs_f64() / 1e6;
        log.finish(&summary()).unwrap();
        let finished = count as f64 / began.elapsed().as_secs_f64() / 1e6;
        let file = run.join(format!("steps/part-{:012}-{count:012}.parquet", 0));
        let bytes = fs::metadata(&file).unwrap().len();
        println!("{schedule}: {count} rows; bytes a row, million rows a second");
        let read = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap();
        let batches: Vec<_> = read.build().unwrap().map(Result::unwrap).collect();
        for (name, layout) in candidates() {
            let (bytes, seconds) = write(&batches, layout);
            line(name, bytes, count as usize, seconds);
        }
        pyarrow(&file, count as usize);
        let each = bytes as f64 / count as f64;
        println!("  the log's file itself: {each:.2} bytes a row");
        columns(&file, count as usize);
        println!(
            "  RunLog, all rows at once: {flushed:.2} million rows a second to the flush, \
             {finished:.2} to the end of finish"
        );
    }
    calls(dir.path(), if full { 2000 } else { 20 });
}

/// What the calls cost that a trainer waits for.
fn calls(dir: &Path, times: u32) {
    let mut log = RunLog::create(&dir.join("calls"), Identity::default()).unwrap();
    let mut rows = rows("cyclic", u64::from(times) * 130).into_iter();
    let mut measure = |name: &str, call: fn(&mut RunLog)| {
        let (mut steps, mut spent) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..times {
            let began = Instant::now();
            let some = rows.by_ref().take(63);
            some.for_each(|row| log.step(row).unwrap());
            steps += began.elapsed();
            let began = Instant::now();
            call(&mut log);
            spent += began.elapsed();
        }
        let each = spent.as_secs_f64() * 1e6 / f64::from(times);
        let step = steps.as_secs_f64() * 1e9 / f64::from(times) / 63.0;
        println!("{name} of 63 rows: {each:.1} us; each step before it {step:.0} ns");
    };
    measure("flush", |log| log.flush().unwrap());
    measure("sync", |log| log.sync().unwrap());
}
