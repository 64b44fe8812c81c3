//! TensorBoard's event files: `Event` messages of TensorFlow's `event.proto` and `summary.proto` in TFRecord framing.

use std::io::Write;
use std::path::Path;

use prost::Message;

use crate::Error;
use crate::draft::Draft;
use crate::run::Run;

/// TensorFlow's `Event`, as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// In the first event of a file.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

pub(crate) fn write(run: &Run, out: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), Error> {
    // The name that TensorBoard looks for; the same run's is the same.
    let name = format!(
        "events.out.tfevents.{:010}.pixelrate",
        run.started_ms().div_euclid(1000)
    );
    let folder = out.join(&run.study).join(&run.run);
    let mut file = Draft::create(folder.join(&name))?;
    let refused = file.refused();
    let first = Event {
        wall_time: run.started_ms() as f64 / 1e3,
        file_version: Some("brain.Event:2".to_owned()),
        ..Event::default()
    };
    record(&mut file, &first.encode_to_vec()).map_err(&refused)?;
    run.walk(tell, |point| {
        let values = point.values.iter().map(|(tag, value)| Value {
            tag: (*tag).to_owned(),
            simple_value: Some(*value as f32),
        });
        let event = Event {
            wall_time: point.time_ms as f64 / 1e3,
            step: i64::try_from(point.step).unwrap_or(i64::MAX),
            file_version: None,
            summary: Some(Summary {
                value: values.collect(),
            }),
        };
        record(&mut file, &event.encode_to_vec()).map_err(&refused)
    })?;
    file.finish()?;
    remove_others(&folder, &name)
}

/// Removes what older exports of the run called otherwise: TensorBoard would read them beside this one.
fn remove_others(folder: &Path, name: &str) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let found = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = found.starts_with("events.out.tfevents.") && found.ends_with(".pixelrate");
        if ours && found != name {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// A TFRecord: length, its checksum, the bytes, their checksum (tensorflow/core/lib/io/record_writer.h).
fn record(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&masked(bytes).to_le_bytes())
}

/// CRC-32C, rotated and offset, so that the checksum of bytes that hold checksums means something
/// (tensorflow/core/lib/hash/crc32c.h).
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
