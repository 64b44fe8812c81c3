//! Pictures that a schedule may open: from the study's folder only, decoded under limits.

mod opened;
mod resample;
mod resize;

use std::ffi::OsStr;
use std::fmt;
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use image::codecs::png::PngEncoder;
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader};

pub use opened::Opened;
pub use resize::Filter;

use crate::Limits;
use crate::error::did_you_mean;

/// The parameter that names the filter of a picture's resizing.
pub(crate) const FILTER: &str = "filter";

/// Extensions that are tried where a name has none, in this order.
const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"];

/// Names at most that who misspells one is told.
const TOLD: usize = 30;

type Fallback = dyn Fn(&str) -> Option<Result<DecodedPicture, PictureError>> + Send + Sync;

/// Where pictures come from: what the run has kept, the study's folder, then whatever the trainer has besides.
#[derive(Clone, Default)]
pub struct Pictures {
    kept: Option<PathBuf>,
    folder: Option<PathBuf>,
    fallback: Option<Arc<Fallback>>,
    /// Names that the fallback knows, for who misspells one.
    offered: Arc<[String]>,
    opened: Option<Opened>,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pictures")
            .field("kept", &self.kept)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Why a picture cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("picture \"{name}\": {problem}")]
pub struct PictureError {
    /// Its name in the study.
    pub name: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// A picture's bytes: row by row, pixel by pixel, channel by channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedPicture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 for a grey picture, 3 (red, green, blue) for any other.
    pub channels: u32,
    /// `width * height * channels` values.
    pub values: Vec<u8>,
}

impl Pictures {
    /// Pictures of `folder`, if there is one.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Looks into the folder `kept` first, which need not be there: what a run has kept of the pictures that it opened
    /// ([`Self::noting`]).
    #[must_use]
    pub fn with_kept(mut self, kept: PathBuf) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Notes in `opened` what is opened, so that it can be kept. A picture that was kept before and is another by now is
    /// refused: a run must not mean two pictures by one name.
    #[must_use]
    pub fn noting(mut self, opened: &Opened) -> Self {
        self.opened = Some(opened.clone());
        self
    }

    /// Asks `fallback` for what the folder does not hold. It answers `None` to a name that it does not know.
    #[must_use]
    pub fn with_fallback(
        mut self,
        fallback: impl Fn(&str) -> Option<Result<DecodedPicture, PictureError>> + Send + Sync + 'static,
    ) -> Self {
        self.fallback = Some(Arc::new(fallback));
        self
    }

    /// Names that the fallback knows: who asks for a name that nobody knows is told of them.
    #[must_use]
    pub fn offering(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.offered = names.into_iter().map(Into::into).collect();
        self
    }

    /// The names of all pictures in `folder`, in alphabetical order: of files whose names differ in their extension alone
    /// the whole names, of others the names without.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(folder: &Path) -> std::io::Result<Vec<String>> {
        let mut found: std::collections::BTreeMap<String, Vec<String>> = Default::default();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let extension = path.extension().and_then(|end| end.to_str());
            let (stem, name) = (path.file_stem(), path.file_name());
            let known = extension.is_some_and(is_known);
            if let (true, true, Some(stem), Some(name)) = (known, path.is_file(), stem, name) {
                let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
                found.entry(text(stem)).or_default().push(text(name));
            }
        }
        let names = found
            .into_iter()
            .flat_map(|(stem, files)| match files.len() {
                1 => vec![stem],
                _ => files,
            });
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// The picture `name`: a file of the folder (whose extension may be left out), or else the fallback's; before both,
    /// what was kept.
    ///
    /// # Errors
    /// [`PictureError`], if there is none, or it lies outside the folder, or is too large or damaged.
    pub fn open(&self, name: &str, limits: &Limits) -> Result<DecodedPicture, PictureError> {
        let fail = |problem: String| PictureError {
            name: name.to_owned(),
            problem,
        };
        let path = Path::new(name);
        if name.is_empty()
            || !path
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(fail("name a picture by its path inside the study's picture folder: relative, and without `..`".to_owned()));
        }
        if let Some(kept) = &self.kept
            && let Some(file) = find(kept, name).map_err(fail)?
        {
            let bytes = read(&file, limits).map_err(fail)?;
            let picture = DecodedPicture::decode(name, &bytes, limits)?;
            if self.opened.is_some() && self.changed(name, &picture, limits) {
                return Err(fail(
                    "it has changed since the run kept it: give the new one another name"
                        .to_owned(),
                ));
            }
            return Ok(picture);
        }
        if let Some(folder) = &self.folder
            && let Some(file) = find(folder, name).map_err(fail)?
        {
            let bytes = read(&file, limits).map_err(fail)?;
            // What a run has kept is what it trained on, whole or not.
            if breaks_off(&bytes) {
                return Err(fail("its file breaks off: is it whole?".to_owned()));
            }
            let picture = DecodedPicture::decode(name, &bytes, limits)?;
            if let Some(opened) = &self.opened
                && let Ok(place) = file.strip_prefix(folder)
            {
                opened.note(place, || bytes);
            }
            return Ok(picture);
        }
        if let Some(answer) = self.fallback.as_ref().and_then(|fallback| fallback(name)) {
            let picture = answer?;
            if let Some(opened) = &self.opened {
                let png = picture.to_png()?;
                opened.note(Path::new(&format!("{name}.png")), || png);
            }
            return Ok(picture);
        }
        let unknown = match &self.folder {
            Some(folder) => format!(
                "{} does not hold it, and it is no built-in picture",
                folder.display()
            ),
            None => "it is no built-in picture, and no folder of pictures is named (`--pictures FOLDER`; in a study, \
                     `pictures = \"…\"`)"
                .to_owned(),
        };
        Err(fail(unknown + &self.instead_of(name)))
    }

    /// What there is in place of a name that nobody knows; empty for nothing.
    fn instead_of(&self, name: &str) -> String {
        let folder = self.folder.as_deref();
        let mut names = folder.map_or_else(Vec::new, |it| Self::names(it).unwrap_or_default());
        names.extend(self.offered.iter().cloned());
        names.sort();
        names.dedup();
        let nearest = did_you_mean(name, &names.join(", "));
        let more = names.len().saturating_sub(TOLD);
        names.truncate(TOLD);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        match names.is_empty() {
            true => String::new(),
            false => format!("; there are {}{nearest}", names.join(", ")),
        }
    }

    /// Whether the study's own picture of this name is another than `kept`. One that is gone has not changed, whatever would
    /// stand in for it now.
    fn changed(&self, name: &str, kept: &DecodedPicture, limits: &Limits) -> bool {
        let study = Self {
            kept: None,
            opened: None,
            fallback: None,
            ..self.clone()
        };
        study.open(name, limits).is_ok_and(|now| now != *kept)
    }
}

fn read(file: &Path, limits: &Limits) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > limits.picture_bytes {
        return Err(format!(
            "its file has {size} bytes, over the {} of `picture_bytes`",
            limits.picture_bytes
        ));
    }
    std::fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// The file that `name` stands for, if `folder` holds one.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>, String> {
    let exact = folder.join(name);
    let with_extensions = EXTENSIONS
        .iter()
        .map(|extension| folder.join(format!("{name}.{extension}")));
    let there = std::iter::once(exact)
        .chain(with_extensions)
        .find(|path| path.is_file());
    let Some(file) = there.or_else(|| find_in_capitals(folder, name)) else {
        return Ok(None);
    };
    let inside = |path: &Path| {
        path.canonicalize()
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    if inside(&file)?.starts_with(inside(folder)?) {
        Ok(Some(file))
    } else {
        Err(format!(
            "{} leads out of the study's picture folder",
            file.display()
        ))
    }
}

/// A file whose ending is known but for its case, as cameras write it; `name` is with or without one.
fn find_in_capitals(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    let (own, wanted) = (path.extension().and_then(OsStr::to_str), path.file_name()?);
    let place = |file: &Path| {
        let ending = file.extension()?.to_str()?;
        let place = EXTENSIONS
            .iter()
            .position(|known| known.eq_ignore_ascii_case(ending))?;
        let alike = own.is_some_and(|own| own.eq_ignore_ascii_case(ending))
            && file.file_stem() == path.file_stem();
        (alike || file.file_stem() == Some(wanted)).then_some(place)
    };
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|file| Some((place(&file)?, file)))
        .filter(|(_, file)| file.is_file())
        .collect();
    found.sort();
    Some(found.into_iter().next()?.1)
}

fn is_known(extension: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

/// Whether `bytes` are a JPEG that ends before its end of image: what is missing would be decoded as grey. What comes behind
/// that end, as phones put a film there, is not looked at (ITU-T T.81, B.1).
fn breaks_off(bytes: &[u8]) -> bool {
    const FILL: u8 = 0xff;
    let Some(mut rest) = bytes.strip_prefix(&[FILL, 0xd8]) else {
        return false;
    };
    let mut scans = false;
    loop {
        // In a scan, an FF is followed by a 00, or by the number of a restart.
        let is_marker = |pair: &[u8]| {
            let within = matches!(pair[1], 0x00 | 0xd0..=0xd7);
            pair[0] == FILL && pair[1] != FILL && !(scans && within)
        };
        let Some(place) = rest.windows(2).position(is_marker) else {
            return true;
        };
        let (marker, after) = (rest[place + 1], &rest[place + 2..]);
        if marker == 0xd9 {
            return false;
        }
        scans = marker == 0xda;
        // Those without a length: restarts, and two that are of no use.
        let alone = matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8);
        let length = match after.first_chunk() {
            _ if alone => 0,
            Some(length) => usize::from(u16::from_be_bytes(*length)),
            None => return true,
        };
        let Some(next) = after.get(length..) else {
            return true;
        };
        rest = next;
    }
}

impl DecodedPicture {
    /// The value at `index`, in [0, 1], as a schedule reads it: the post divided in 32-bit floats.
    pub fn value(&self, index: u64) -> Option<f64> {
        let byte = self.values.get(usize::try_from(index).ok()?)?;
        Some(f64::from(f32::from(*byte) / 255.0))
    }

    /// Decodes PNG, JPEG, WebP, BMP, GIF or TIFF.
    ///
    /// A grey picture keeps its one channel, as in the post's code; palette and alpha become red, green and blue
    /// as by Pillow's `convert("RGB")`, which drops alpha. Of 16 bits the upper eight are kept, as Pillow does
    /// when it opens a picture in colour; it leaves a grey one at 16, whose values would not lie in [0, 1].
    ///
    /// # Errors
    /// [`PictureError`], if it is damaged, or larger than `limits` allow: that is seen before it is unpacked.
    pub fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<Self, PictureError> {
        let fail = |problem: String| PictureError {
            name: name.to_owned(),
            problem,
        };
        let damaged = |e: image::ImageError| fail(format!("cannot be decoded: {e}"));
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| fail(e.to_string()))?;
        let mut allowed = image::Limits::default();
        // Eight bytes a pixel (16 bits, four channels), and what a decoder needs besides.
        allowed.max_alloc = Some(limits.picture_pixels.saturating_mul(16).max(1 << 20));
        reader.limits(allowed);
        let decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > limits.picture_pixels {
            return Err(fail(format!(
                "it has {width} x {height} pixels, over the {} of `picture_pixels`",
                limits.picture_pixels
            )));
        }
        if pixels == 0 {
            return Err(fail("it has no pixels".to_owned()));
        }
        let grey =
            matches!(decoder.color_type(), ColorType::L8 | ColorType::L16) || is_grey_png(bytes);
        let decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        let (channels, values) = if grey {
            (1, bytes_of_grey(decoded))
        } else {
            (3, bytes_of_colour(decoded))
        };
        Ok(Self {
            width,
            height,
            channels,
            values,
        })
    }

    /// The picture as a PNG, of which [`Self::decode`] makes the same again.
    fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut png = Vec::new();
        let colour = if self.channels == 1 {
            ExtendedColorType::L8
        } else {
            ExtendedColorType::Rgb8
        };
        PngEncoder::new(&mut png)
            .write_image(&self.values, self.width, self.height, colour)
            .map_err(|e| PictureError {
                name: "kept".to_owned(),
                problem: e.to_string(),
            })?;
        Ok(png)
    }

    /// The picture resized as the post did, so that it has about `samples` values if it is a colour picture:
    /// f = sqrt(width * height * 3 / samples), each side divided by f and truncated. 0 leaves it as it is.
    ///
    /// # Errors
    /// [`PictureError`], if a side would vanish, or the result would be over `limits`.
    pub fn resized(
        self,
        samples: u64,
        filter: Filter,
        limits: &Limits,
    ) -> Result<Self, PictureError> {
        if samples == 0 {
            return Ok(self);
        }
        resize::resize(&self, samples, filter, limits).map_err(|problem| PictureError {
            name: "resized".to_owned(),
            problem,
        })
    }
}

/// Whether a PNG says that it is grey, in the colour type of its first chunk. The decoder makes grey and alpha of
/// grey with one transparent shade; to Pillow it is grey.
fn is_grey_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(25) == Some(&0)
}

fn bytes_of_grey(picture: DynamicImage) -> Vec<u8> {
    match picture {
        wide @ (DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_)) => {
            upper_bytes(wide.into_luma16().into_raw())
        }
        other => other.into_luma8().into_raw(),
    }
}

fn bytes_of_colour(picture: DynamicImage) -> Vec<u8> {
    match picture {
        wide @ (DynamicImage::ImageRgb16(_)
        | DynamicImage::ImageRgba16(_)
        | DynamicImage::ImageLumaA16(_)) => upper_bytes(wide.into_rgb16().into_raw()),
        other => other.into_rgb8().into_raw(),
    }
}

fn upper_bytes(values: Vec<u16>) -> Vec<u8> {
    values.into_iter().map(|value| (value >> 8) as u8).collect()
}
