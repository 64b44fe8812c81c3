//! Fetches a data set's official files: resumed where they were cut, and kept only if their sum is right.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::{DataError, files, official};

const PATIENCE: Duration = Duration::from_secs(60);

/// How far a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The file.
    pub file: String,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of the whole, if the server says.
    pub total: Option<u64>,
}

/// Fetches the official files of `name` into `folder/name`. A file that is there, whole, is not fetched again.
///
/// # Errors
/// [`DataError::Fetch`] says which address, and what to do; what has come by then is kept for the next time,
/// unless its sum is wrong.
pub fn get(
    name: &str,
    folder: &Path,
    progress: &mut dyn FnMut(&Transfer),
) -> Result<(), DataError> {
    get_from(None, name, folder, progress)
}

/// As [`get`], from a mirror: `base` is the address of the folder that holds the files, ending in `/`.
///
/// # Errors
/// As [`get`].
pub fn get_from(
    base: Option<&str>,
    name: &str,
    folder: &Path,
    progress: &mut dyn FnMut(&Transfer),
) -> Result<(), DataError> {
    if official::files(name).next().is_none() {
        return Err(if super::known(name).is_some() {
            DataError::NothingToFetch(name.to_owned())
        } else {
            DataError::Unknown(name.to_owned())
        });
    }
    let folder = folder.join(name);
    fs::create_dir_all(&folder).map_err(|source| DataError::Io {
        path: folder.clone(),
        source,
    })?;
    for file in official::files(name) {
        let url = format!("{}{}", base.unwrap_or(file.base), file.file);
        fetch(&url, &folder.join(file.file), file.md5, PATIENCE, progress)?;
    }
    Ok(())
}

pub(super) fn fetch(
    url: &str,
    path: &Path,
    md5: &str,
    patience: Duration,
    progress: &mut dyn FnMut(&Transfer),
) -> Result<(), DataError> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let fail = |problem: String| DataError::Fetch {
        url: url.to_owned(),
        problem,
    };
    if path.is_file() && files::md5_of(path).map_err(io)? == md5 {
        return Ok(());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let here = fs::metadata(&part).map_or(0, |metadata| metadata.len());
    // A server that falls silent is given up; how long a transfer takes is the user's affair.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .build()
        .into();
    let mut request = agent.get(url);
    if here > 0 {
        request = request.header("Range", format!("bytes={here}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        // Nothing lies beyond what is here: it is whole, or wrong.
        Err(ureq::Error::StatusCode(416)) => return keep(&part, path, md5, url),
        Err(ureq::Error::StatusCode(404)) => {
            return Err(fail(format!(
                "the server has no such file; if it has moved, put {} into {} by hand",
                path.file_name().unwrap_or_default().to_string_lossy(),
                path.parent().unwrap_or(path).display()
            )));
        }
        Err(e) => return Err(fail(format!("{e}; try again later"))),
    };
    // A server that knows no ranges sends the file from its beginning.
    let resumed = response.status() == 206;
    let mut done = if resumed { here } else { 0 };
    let total = response.body().content_length().map(|length| length + done);
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(resumed)
        .truncate(!resumed)
        .open(&part)
        .map_err(io)?;
    let chunks = chunks(response.into_body().into_reader());
    let mut transfer = Transfer {
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        done,
        total,
    };
    loop {
        let broken = |problem: &str| {
            fail(format!(
                "{problem} after {done} bytes; the same command goes on from there"
            ))
        };
        let chunk = match chunks.recv_timeout(patience) {
            Ok(read) => read.map_err(|e| broken(&format!("the connection broke ({e})")))?,
            Err(_) => return Err(broken("the server fell silent")),
        };
        if chunk.is_empty() {
            if total.is_some_and(|total| done < total) {
                return Err(broken("the connection broke"));
            }
            break;
        }
        file.write_all(&chunk).map_err(io)?;
        done += chunk.len() as u64;
        transfer.done = done;
        progress(&transfer);
    }
    drop(file);
    keep(&part, path, md5, url)
}

/// What a body holds, piece by piece; the last is empty. It is read by a thread of its own, since a read waits for as long as
/// the server likes.
fn chunks(mut body: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
    const SIZE: usize = 64 << 10;
    const WAITING: usize = 16;
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; SIZE];
            let read = body.read(&mut chunk).map(|count| {
                chunk.truncate(count);
                chunk
            });
            let goes_on = read.as_ref().is_ok_and(|chunk| !chunk.is_empty());
            if sender.send(read).is_err() || !goes_on {
                return;
            }
        }
    });
    receiver
}

fn keep(part: &Path, path: &Path, md5: &str, url: &str) -> Result<(), DataError> {
    let io = |source| DataError::Io {
        path: part.to_owned(),
        source,
    };
    let sum = files::md5_of(part).map_err(io)?;
    if sum != md5 {
        fs::remove_file(part).map_err(io)?;
        return Err(DataError::Fetch {
            url: url.to_owned(),
            problem: format!(
                "what came has the MD5 {sum}, and the official file {md5}; it was thrown away: try again"
            ),
        });
    }
    File::open(part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(part, path))
        .map_err(io)
}

#[cfg(test)]
mod tests;
