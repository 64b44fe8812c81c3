//! Bringing a table into order: after a crash, before going on from a checkpoint, and when a run ends.

use std::fs;
use std::path::Path;

use crate::folder::{RunFolder, remove_file, sync_folder};
use crate::part::{self, Span};
use crate::record::Record;
use crate::{Error, Identity, wal};

/// What recovery found and did to one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Rows that are in the parts now.
    pub(crate) kept: u64,
    /// Rows that were dropped.
    pub(crate) dropped: u64,
    /// `step` of the last row kept.
    pub(crate) last_step: Option<u64>,
}

/// Makes the write-ahead log a part, then drops the rows that `R::kept` does not keep below `keep_below`.
///
/// Each stage leaves a log that is whole, and can be repeated:
/// 1. the rows of the write-ahead log that no part has become a part (its name tells their numbers, so that a crash
///    before stage 2 does not double them);
/// 2. the write-ahead log goes, and its going is synced, so that stage 3 cannot be followed by its return;
/// 3. if rows must go, a folder with the parts that stay (links) and the part that is cut (written anew) replaces the
///    table's folder in one step.
pub(crate) fn recover<R: Record>(
    folder: &RunFolder,
    identity: &Identity,
    keep_below: u64,
) -> Result<Recovered, Error> {
    let dir = folder.table(R::TABLE);
    let mut parts = part::list(&dir)?;
    for span in &parts {
        part::open_part::<R>(&dir, *span)?.check_run(identity)?;
    }
    let mut segments = Vec::new();
    for (path, first) in wal::list(&folder.wal(), R::TABLE)? {
        let rows = wal::read::<R>(&path, Some(identity))?.unwrap_or_default();
        segments.push((path, first, rows));
    }
    let end = parts.last().map_or(0, |span| span.end);
    let rows = wal::rows_after(&segments, end)?;
    if !rows.is_empty() {
        parts.push(part::add(&dir, &folder.scratch(), identity, end, &rows)?);
    }
    for (path, ..) in &segments {
        remove_file(path)?;
    }
    if folder.wal().exists() {
        // Also what a process before this one removed, and did not come to sync.
        sync_folder(&folder.wal())?;
    }
    cut::<R>(folder, identity, &parts, keep_below)
}

/// What becomes of a part when rows are dropped.
enum Fate {
    Stays,
    Goes,
    /// So many rows of it stay.
    Cut(u64),
}

fn cut<R: Record>(
    folder: &RunFolder,
    identity: &Identity,
    parts: &[Span],
    keep_below: u64,
) -> Result<Recovered, Error> {
    let dir = folder.table(R::TABLE);
    let mut done = Recovered::default();
    let mut fates: Vec<(Span, Fate)> = Vec::new();
    for span in parts {
        let (fate, last) = fate_of::<R>(&dir, *span, keep_below)?;
        let kept = match &fate {
            Fate::Stays => span.rows(),
            Fate::Goes => 0,
            Fate::Cut(kept) => *kept,
        };
        done.kept += kept;
        done.dropped += span.rows() - kept;
        done.last_step = last.or(done.last_step);
        fates.push((*span, fate));
    }
    if done.dropped == 0 {
        return Ok(done);
    }
    let prepared = folder.prepare_table(R::TABLE)?;
    let mut first = 0;
    for (span, fate) in fates {
        match fate {
            Fate::Goes => {}
            Fate::Stays => {
                let moved = Span {
                    first,
                    end: first + span.rows(),
                };
                link(
                    &dir.join(span.file_name()),
                    &prepared.join(moved.file_name()),
                )?;
                first = moved.end;
            }
            Fate::Cut(kept) => {
                // Read once more, and not held: it may be the whole log.
                let batches = kept_of::<R>(&dir, span, keep_below)?
                    .map(|rows| rows.and_then(|rows| R::to_batch(&rows, identity)));
                let scratch = folder.scratch();
                let cut =
                    part::add_batches::<R>(&prepared, &scratch, identity, first, kept, batches)?;
                first = cut.end;
            }
        }
    }
    folder.replace_table(R::TABLE, &prepared)?;
    Ok(done)
}

/// What must happen to a part, and the `step` of its last row that stays.
fn fate_of<R: Record>(
    dir: &Path,
    span: Span,
    keep_below: u64,
) -> Result<(Fate, Option<u64>), Error> {
    let opened = part::open_part::<R>(dir, span)?;
    // The statistics spare most parts a reading.
    if let Some((low, high)) = opened.steps() {
        if R::kept(high, keep_below) {
            return Ok((Fate::Stays, Some(high)));
        }
        if !R::kept(low, keep_below) {
            return Ok((Fate::Goes, None));
        }
    }
    let (mut kept, mut last) = (0, None);
    for rows in kept_of::<R>(dir, span, keep_below)? {
        let rows = rows?;
        kept += rows.len() as u64;
        last = rows.last().map(Record::step).or(last);
    }
    let fate = if kept == span.rows() {
        Fate::Stays
    } else {
        Fate::Cut(kept)
    };
    Ok((fate, last))
}

/// The rows of a part that stay, some thousand at a time.
fn kept_of<R: Record>(
    dir: &Path,
    span: Span,
    keep_below: u64,
) -> Result<impl Iterator<Item = Result<Vec<R>, Error>>, Error> {
    let batches = part::open_part::<R>(dir, span)?.batches()?;
    let path = batches.path().to_owned();
    Ok(batches.map(move |batch| {
        let mut rows = part::rows_of::<R>(&path, &batch?)?;
        rows.retain(|row| R::kept(row.step(), keep_below));
        Ok(rows)
    }))
}

/// Links a part into another folder, or copies it where links are not to be had.
fn link(from: &Path, to: &Path) -> Result<(), Error> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).map_err(Error::io("copy to", to))?;
        let copy = fs::File::open(to).map_err(Error::io("open", to))?;
        copy.sync_all().map_err(Error::io("sync", to))?;
    }
    Ok(())
}

/// Makes all parts of a table one, replacing them in one step. A table without rows gets a part without rows, so that
/// a query over it finds its columns.
pub(crate) fn compact<R: Record>(folder: &RunFolder, identity: &Identity) -> Result<(), Error> {
    let dir = folder.table(R::TABLE);
    let parts = part::list(&dir)?;
    let end = match parts.as_slice() {
        [_] => return Ok(()),
        [] => {
            part::add::<R>(&dir, &folder.scratch(), identity, 0, &[])?;
            return Ok(());
        }
        [.., last] => last.end,
    };
    let prepared = folder.prepare_table(R::TABLE)?;
    let whole = prepared.join(Span { first: 0, end }.file_name());
    part::write_joined::<R>(&whole, identity, &dir, &parts)?;
    folder.replace_table(R::TABLE, &prepared)
}
