//! The files that a composition is made of.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pixelrate_sandbox::{Composition, builtin_bytes, builtin_names};

use crate::Error;

/// Files that a composition may name, so that those which name one another cannot keep this busy for ever.
const MOST: usize = 1_000;

/// Reads files, and remembers which.
pub(crate) struct Reader {
    most_bytes: u64,
    /// Every file that was named, once.
    pub(crate) files: Vec<PathBuf>,
    /// Each plugin's bytes, once, in the order of their first use.
    pub(crate) plugins: Vec<Vec<u8>>,
    /// Compositions that are being read, from the outermost.
    within: Vec<PathBuf>,
    reads: usize,
}

/// What a plugin's name leads to.
pub(crate) enum Found {
    /// A plugin, by its place in [`Reader::plugins`].
    Plugin(usize),
    /// A composition that was made one file already.
    Composition(Composition),
    /// A composition's TOML, which is to be read by [`Reader::text`].
    Toml(PathBuf),
}

impl Reader {
    pub(crate) fn new(most_bytes: u64) -> Self {
        Self {
            most_bytes,
            files: Vec::new(),
            plugins: Vec::new(),
            within: Vec::new(),
            reads: 0,
        }
    }

    /// Finds what `name` is, seen from `folder`.
    pub(crate) fn find(&mut self, name: &str, folder: &Path) -> Result<Found, Error> {
        let Some(path) = path(name, folder) else {
            return match builtin_bytes(name) {
                Some(bytes) => Ok(Found::Plugin(self.add(bytes.to_vec()))),
                None => Err(pixelrate_sandbox::Error::NotFound {
                    name: name.to_owned(),
                    builtins: builtin_names().collect::<Vec<_>>().join(", "),
                }
                .into()),
            };
        };
        if path.extension().is_some_and(|end| end == "toml") {
            return Ok(Found::Toml(path));
        }
        let bytes = self.read(&path)?;
        if !Composition::is(&bytes) {
            return Ok(Found::Plugin(self.add(bytes)));
        }
        let made = Composition::from_bytes(&bytes);
        made.map(Found::Composition).map_err(|problem| {
            let plugin = path.display().to_string();
            pixelrate_sandbox::Error::NotAPlugin { plugin, problem }.into()
        })
    }

    /// The place of a plugin among those that are used.
    pub(crate) fn add(&mut self, bytes: Vec<u8>) -> usize {
        let known = self.plugins.iter().position(|known| *known == bytes);
        known.unwrap_or_else(|| {
            self.plugins.push(bytes);
            self.plugins.len() - 1
        })
    }

    /// Reads the composition in `path`, and does `work` with its text while it counts as being read.
    pub(crate) fn text<T>(
        &mut self,
        path: &Path,
        work: impl FnOnce(&mut Self, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let bytes = self.read(path)?;
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.within.contains(&whole) {
            return Err(value(path, "it includes itself, and would never end"));
        }
        let text = String::from_utf8(bytes).map_err(|_| value(path, "it is not UTF-8 text"))?;
        self.within.push(whole);
        let done = work(self, &text);
        self.within.pop();
        done
    }

    fn read(&mut self, path: &Path) -> Result<Vec<u8>, Error> {
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
        self.reads += 1;
        if self.reads > MOST {
            return Err(value(path, "the composition names too many files"));
        }
        let failed = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(self.most_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > self.most_bytes {
            return Err(pixelrate_sandbox::Error::TooLarge {
                plugin: path.display().to_string(),
                bytes: path.metadata().map_or(bytes.len() as u64, |it| it.len()),
                most: self.most_bytes,
            }
            .into());
        }
        Ok(bytes)
    }
}

fn value(path: &Path, problem: &str) -> Error {
    Error::Value {
        path: path.to_owned(),
        line: 1,
        problem: problem.to_owned(),
    }
}

/// The file that `name` means, seen from `folder`; `None` where it is no file's name. A built-in schedule's name is that of
/// no file: `./cosine` is one.
pub(crate) fn path(name: &str, folder: &Path) -> Option<PathBuf> {
    let (path, there) = (Path::new(name), folder.join(name));
    let looks_like_file = path.components().count() > 1 || path.extension().is_some();
    let is_file = || builtin_bytes(name).is_none() && there.is_file();
    (looks_like_file || is_file()).then_some(there)
}
