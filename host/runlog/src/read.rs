//! Reading a log, be it finished, under way in another process, or left by a crash. Nothing is changed on the disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::vec::IntoIter;

use crate::folder::{RunFolder, names_in, remove_folder};
use crate::part::{self, Batches, Opened, Span};
use crate::record::Record;
use crate::{Error, EvalRow, EventRow, Identity, StepRow, SummaryRow, wal};

/// How often a reader looks again when a writer moved files under it, and how long it waits in between.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// Parts that are open at a time: a run of a hundred million steps has more than a process may have files open. A log of
/// fewer is held as it was, whatever becomes of its files.
const OPEN: usize = 64;

/// The steps of a run, one after the other.
///
/// It gives what was logged when it was made. A writer that compacts the log meanwhile does no harm: files stay open, and
/// where there are too many for that, what has become of the others is looked for.
#[derive(Debug)]
pub struct Steps(Rows<StepRow>);

impl Iterator for Steps {
    type Item = Result<StepRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// The rows of a table, part after part, then those of the write-ahead log.
#[derive(Debug)]
struct Rows<R> {
    folder: RunFolder,
    identity: Option<Identity>,
    parts: VecDeque<Opened>,
    /// Parts that are not open yet, and the number of the first row in them.
    closed: VecDeque<Span>,
    first_closed: u64,
    /// Rows of the next part that another gave.
    known: usize,
    /// Rows that parts have yet to give: one that was made of others since may hold later ones, which are in `rest`.
    due: u64,
    batches: Option<Batches>,
    now: IntoIter<R>,
    rest: Option<Vec<R>>,
}

/// The steps of a run, without loading them all at once.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn steps(folder: &Path) -> Result<Steps, Error> {
    open(&RunFolder::new(folder), None).map(Steps)
}

/// The steps of a run, in order.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn read_steps(folder: &Path) -> Result<Vec<StepRow>, Error> {
    steps(folder)?.collect()
}

/// One step of a run, if it was logged. Of a long log only the part is read that has it.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn read_step(folder: &Path, step: u64) -> Result<Option<StepRow>, Error> {
    let folder = RunFolder::new(folder);
    patiently(|| {
        let (dir, spans, rest) = listed::<StepRow>(&folder, None)?;
        if let Some(row) = rest.into_iter().find(|row| row.step == step) {
            return Ok(Some(row));
        }
        for span in spans.into_iter().rev() {
            let part = opened::<StepRow>(&dir, span, None)?;
            if part
                .steps()
                .is_some_and(|(low, high)| step < low || high < step)
            {
                continue;
            }
            let mut batches = part.batches()?;
            while let Some(batch) = batches.next() {
                let rows = part::rows_of::<StepRow>(batches.path(), &batch?)?;
                if let Some(row) = rows.into_iter().find(|row| row.step == step) {
                    return Ok(Some(row));
                }
            }
        }
        Ok(None)
    })
}

/// The evaluations of a run, in the order of logging.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn read_evals(folder: &Path) -> Result<Vec<EvalRow>, Error> {
    open(&RunFolder::new(folder), None)?.collect()
}

/// The events of a run, in the order of logging.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn read_events(folder: &Path) -> Result<Vec<EventRow>, Error> {
    open(&RunFolder::new(folder), None)?.collect()
}

/// How a run ended; `None` if it has not.
///
/// # Errors
/// If the summary cannot be read.
pub fn read_summary(folder: &Path) -> Result<Option<SummaryRow>, Error> {
    let path = RunFolder::new(folder).summary();
    match read_summaries(&path) {
        Ok(mut rows) if rows.len() == 1 => Ok(rows.pop()),
        Ok(rows) => Err(Error::damaged(
            &path,
            format!("it holds {} rows where one belongs", rows.len()),
        )),
        Err(error) if error.vanished() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The summaries of a study's runs that have one: those of the folders in `study_folder`, ordered by folder name.
///
/// # Errors
/// If the folder or a summary cannot be read.
pub fn summaries(study_folder: &Path) -> Result<Vec<SummaryRow>, Error> {
    let mut found = Vec::new();
    for name in names_in(study_folder)? {
        let run = study_folder.join(&name);
        if run.is_dir() {
            found.extend(read_summary(&run)?);
        }
    }
    Ok(found)
}

/// The rows of one file of summaries.
///
/// # Errors
/// If it is missing or cannot be read.
pub fn read_summaries(path: &Path) -> Result<Vec<SummaryRow>, Error> {
    let mut rows = Vec::new();
    for batch in part::open::<SummaryRow>(path)?.batches()? {
        rows.extend(part::rows_of::<SummaryRow>(path, &batch?)?);
    }
    Ok(rows)
}

/// Writes summaries of many runs into one file, whole or not at all, over an older one.
///
/// # Errors
/// If it cannot be written.
pub fn write_summaries(path: &Path, rows: &[SummaryRow]) -> Result<(), Error> {
    // The file's own facts name the study if there is just one, and no run.
    let mut identity = Identity::default();
    if let Some(first) = rows.first()
        && rows.iter().all(|row| row.study == first.study)
    {
        identity.study.clone_from(&first.study);
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let scratch = folder.join(format!(".tmp-{}", std::process::id()));
    part::write_alone(
        &folder.join(path.file_name().unwrap_or_default()),
        &scratch,
        &identity,
        rows,
    )?;
    remove_folder(&scratch)
}

/// One past the last step that a run has logged; 0 if there is none. No row of the log's parts is read for it.
///
/// # Errors
/// If the folder holds no log, or a damaged one.
pub fn logged_steps(folder: &Path) -> Result<u64, Error> {
    logged_steps_of(&RunFolder::new(folder), None)
}

/// The same. The log must be this run's, if that is named.
pub(crate) fn logged_steps_of(
    folder: &RunFolder,
    identity: Option<&Identity>,
) -> Result<u64, Error> {
    patiently(|| {
        let (dir, spans, rest) = listed::<StepRow>(folder, identity)?;
        if let Some(last) = rest.last() {
            return Ok(last.step + 1);
        }
        for span in spans.iter().rev() {
            if let Some((_, high)) = opened::<StepRow>(&dir, *span, identity)?.steps() {
                return Ok(high + 1);
            }
        }
        Ok(0)
    })
}

fn open<R: Record>(folder: &RunFolder, identity: Option<&Identity>) -> Result<Rows<R>, Error> {
    patiently(|| try_open(folder, identity))
}

/// Looks again while a writer may be between two steps; a fault that stays is told.
pub(crate) fn patiently<T>(mut look: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match look() {
            Err(error @ (Error::Damaged { .. } | Error::Io { .. } | Error::Missing { .. })) => {
                let moving = error.vanished() || matches!(error, Error::Damaged { .. });
                tries += 1;
                if !moving || tries >= TRIES {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

/// The folder of a table, and the parts in it.
pub(crate) fn parts(
    folder: &RunFolder,
    table: &'static str,
) -> Result<(PathBuf, Vec<Span>), Error> {
    let mut dir = folder.table(table);
    if !dir.exists() {
        // Where folders cannot be exchanged at once, a crash may leave the table parked.
        dir = folder.parked(table);
        if !dir.exists() {
            let folder = folder.root().to_owned();
            return Err(Error::Missing { folder, table });
        }
    }
    let spans = part::list(&dir)?;
    Ok((dir, spans))
}

/// The folder of a table's parts, these parts, and the rows that are in none of them yet.
type Listed<R> = (PathBuf, Vec<Span>, Vec<R>);

fn listed<R: Record>(folder: &RunFolder, identity: Option<&Identity>) -> Result<Listed<R>, Error> {
    // The write-ahead log first: rows that leave it after this are in a part by then, and the numbers tell.
    let mut segments: Vec<(PathBuf, u64, Vec<R>)> = Vec::new();
    for (path, first) in wal::list(&folder.wal(), R::TABLE)? {
        if let Some(rows) = wal::read::<R>(&path, identity)? {
            segments.push((path, first, rows));
        }
    }
    let (dir, spans) = parts(folder, R::TABLE)?;
    let rest = wal::rows_after(&segments, spans.last().map_or(0, |span| span.end))?;
    Ok((dir, spans, rest))
}

fn opened<R: Record>(dir: &Path, span: Span, identity: Option<&Identity>) -> Result<Opened, Error> {
    let part = part::open_part::<R>(dir, span)?;
    identity.map_or(Ok(()), |identity| part.check_run(identity))?;
    Ok(part)
}

fn try_open<R: Record>(folder: &RunFolder, identity: Option<&Identity>) -> Result<Rows<R>, Error> {
    let (dir, spans, rest) = listed::<R>(folder, identity)?;
    let mut closed = VecDeque::from(spans);
    let due = closed.back().map_or(0, |span| span.end);
    let now = closed.drain(..closed.len().min(OPEN));
    let parts = now
        .map(|span| opened::<R>(&dir, span, identity))
        .collect::<Result<_, _>>()?;
    Ok(Rows {
        folder: folder.clone(),
        identity: identity.cloned(),
        parts,
        first_closed: closed.front().map_or(due, |span| span.first),
        closed,
        known: 0,
        due,
        batches: None,
        now: Vec::new().into_iter(),
        rest: Some(rest),
    })
}

impl<R: Record> Rows<R> {
    /// The part that comes next; opened, if it was not.
    fn next_part(&mut self) -> Result<Option<Opened>, Error> {
        if let Some(part) = self.parts.pop_front() {
            return Ok(Some(part));
        }
        let Some(&span) = self.closed.front() else {
            return Ok(None);
        };
        let next = self.first_closed;
        let identity = self.identity.as_ref();
        let (span, part) = patiently(|| {
            let (dir, spans) = parts(&self.folder, R::TABLE)?;
            // One that was made of it and others has its rows as well.
            let holds = |one: &&Span| one.first <= next && next < one.end;
            let span = spans.iter().find(holds).copied().unwrap_or(span);
            Ok((span, opened::<R>(&dir, span, identity)?))
        })?;
        self.known = usize::try_from(next - span.first).unwrap_or(usize::MAX);
        self.first_closed = span.end;
        self.closed.retain(|one| one.end > span.end);
        Ok(Some(part))
    }

    fn advance(&mut self) -> Result<Option<R>, Error> {
        loop {
            if let Some(row) = self.now.next() {
                return Ok(Some(row));
            }
            if let Some(batches) = &mut self.batches
                && let Some(batch) = batches.next()
            {
                let mut rows = part::rows_of::<R>(batches.path(), &batch?)?;
                let known = self.known.min(rows.len());
                rows.drain(..known);
                self.known -= known;
                rows.truncate(usize::try_from(self.due).unwrap_or(usize::MAX));
                self.due -= rows.len() as u64;
                self.now = rows.into_iter();
            } else if let Some(part) = self.next_part()? {
                self.batches = Some(part.batches()?);
            } else if let Some(rest) = self.rest.take() {
                self.batches = None;
                self.now = rest.into_iter();
            } else {
                return Ok(None);
            }
        }
    }
}

impl<R: Record> Iterator for Rows<R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
