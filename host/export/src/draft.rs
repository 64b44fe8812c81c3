//! A file that is written beside its place, and renamed into it when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// A file under way. One that is dropped before [`finish`](Self::finish) leaves nothing.
pub(crate) struct Draft {
    path: PathBuf,
    draft: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Draft {
    /// Begins a file; its folder is made.
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".tmp");
        let draft = folder.join(name);
        let file = File::create(&draft).map_err(Error::io("write", &draft))?;
        Ok(Self {
            path,
            draft,
            file: Some(BufWriter::new(file)),
        })
    }

    /// Puts the file in its place, over an older one.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if let Some(mut file) = self.file.take() {
            let done = file
                .flush()
                .and_then(|()| fs::rename(&self.draft, &self.path));
            done.map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    /// An error of writing it.
    pub(crate) fn refused(&self) -> impl Fn(io::Error) -> Error + use<> {
        let path = self.path.clone();
        move |source| Error::io("write", &path)(source)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It was given up on the way.
            let _ = fs::remove_file(&self.draft);
        }
    }
}

/// Writes a small file whole.
pub(crate) fn write(path: PathBuf, bytes: &[u8]) -> Result<(), Error> {
    let mut draft = Draft::create(path)?;
    draft.write_all(bytes).map_err(draft.refused())?;
    draft.finish()
}
