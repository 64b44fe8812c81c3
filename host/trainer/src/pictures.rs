//! Where a run's pictures come from: the study's folder, MNIST, and the built-in stand-ins, in this order.

use std::path::{Path, PathBuf};

use pixelrate_sandbox::{DecodedPicture, Limits, PictureError, Pictures};

use crate::data;
use crate::spec::{RunSpec, ScheduleSpec};

/// The post's picture of a digit: train picture 59915, labelled 4, which looks like a 7.
const BAD_MNIST: usize = 59_915;

/// The pictures that `spec`'s schedule may open.
pub fn of(spec: &RunSpec) -> Pictures {
    under(&spec.schedule, &spec.training.data_folder, &spec.limits)
}

/// The pictures that `schedule` may open, where the data sets lie in `data`.
pub fn under(schedule: &ScheduleSpec, data: &Path, limits: &Limits) -> Pictures {
    from(schedule.picture_folder.clone(), data, limits)
}

/// The pictures of `folder`, and those that there are besides, where the data sets lie in `data`.
pub fn from(folder: Option<PathBuf>, data: &Path, limits: &Limits) -> Pictures {
    let (data, limits) = (data.to_owned(), limits.clone());
    Pictures::new(folder)
        .with_fallback(move |name| fallback(name, &data, &limits))
        .offering(builtins())
}

fn fallback(
    name: &str,
    data: &Path,
    limits: &Limits,
) -> Option<Result<DecodedPicture, PictureError>> {
    if let Some(place) = name.strip_prefix("mnist:") {
        return Some(mnist(name, place, data));
    }
    if name == "bad_mnist"
        && let Ok(picture) = mnist(name, &format!("train/{BAD_MNIST}"), data)
    {
        return Some(Ok(picture));
    }
    builtin(name, limits)
}

/// The built-in picture `name`, if there is one.
pub fn builtin(name: &str, limits: &Limits) -> Option<Result<DecodedPicture, PictureError>> {
    pixelrate_images::get(name).map(|bytes| DecodedPicture::decode(name, bytes, limits))
}

/// The names of the built-in pictures, in alphabetical order.
pub fn builtins() -> impl Iterator<Item = &'static str> {
    pixelrate_images::names()
}

/// `place` is `train/INDEX` or `test/INDEX`.
fn mnist(name: &str, place: &str, data: &Path) -> Result<DecodedPicture, PictureError> {
    let fail = |problem: String| PictureError {
        name: name.to_owned(),
        problem,
    };
    let parsed = place
        .split_once('/')
        .and_then(|(split, index)| Some((split, index.parse().ok()?)));
    let Some((split @ ("train" | "test"), index)) = parsed else {
        return Err(fail(
            "a picture of MNIST is named mnist:train/INDEX or mnist:test/INDEX".to_owned(),
        ));
    };
    let values = data::mnist_picture(data, split, index).map_err(|e| fail(e.to_string()))?;
    Ok(DecodedPicture {
        width: 28,
        height: 28,
        channels: 1,
        values,
    })
}
