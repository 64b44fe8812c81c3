//! The thread that owns the files of a run while it is written.

use std::fs::File;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::folder::{RunFolder, remove_folder};
use crate::record::Record;
use crate::wal::Segment;
use crate::{Error, EvalRow, EventRow, Identity, Options, StepRow, SummaryRow, part, recover};

/// Step rows at most that go to the write-ahead log in one batch, where several orders wait. A batch costs the same
/// however few its rows are, so a trainer that is quick makes larger ones.
const BATCH_ROWS: usize = 4_096;
/// Bytes of events' messages that make a part, however few rows they are: a schedule may say much.
const TEXT: usize = 64 << 20;

/// What the thread is asked to do, in the order of asking.
pub(crate) enum Order {
    Steps(Vec<StepRow>),
    Eval(EvalRow),
    Event(EventRow),
    /// Answer when all that was ordered before has reached the system.
    Flush(SyncSender<()>),
    /// Answer when it has reached the disk.
    Sync(SyncSender<()>),
    /// Compact everything and write the summary.
    Finish(Box<SummaryRow>, SyncSender<()>),
}

/// The first failure, for every later call to tell.
pub(crate) type Failure = Arc<OnceLock<Arc<Error>>>;

/// A table that is being written: the rows in memory are those of the segment.
struct Table<R> {
    rows: Vec<R>,
    first: u64,
    segment: Option<Segment>,
}

impl<R: Record> Table<R> {
    fn new(first: u64) -> Self {
        let (rows, segment) = (Vec::new(), None);
        Self {
            rows,
            first,
            segment,
        }
    }

    fn append(
        &mut self,
        rows: Vec<R>,
        folder: &RunFolder,
        identity: &Identity,
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => none.insert(Segment::create::<R>(&folder.wal(), identity, self.first)?),
        };
        segment.append(&rows, identity)?;
        self.rows.extend(rows);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.segment.as_mut().map_or(Ok(()), Segment::sync)
    }

    /// Makes the rows a part and begins anew. The segment goes only when the part is on the disk.
    fn seal(&mut self, folder: &RunFolder, identity: &Identity) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let span = part::add(
            &folder.table(R::TABLE),
            &folder.scratch(),
            identity,
            self.first,
            &self.rows,
        )?;
        self.first = span.end;
        self.rows.clear();
        self.segment.take().map_or(Ok(()), Segment::remove)
    }
}

/// The state of the thread.
pub(crate) struct Writer {
    folder: RunFolder,
    identity: Identity,
    options: Options,
    steps: Table<StepRow>,
    evals: Table<EvalRow>,
    events: Table<EventRow>,
    began: Instant,
    oldest: Option<Instant>,
    /// Bytes of the messages of events that are in no part yet.
    text: usize,
    /// Held for as long as the thread lives.
    _lock: File,
}

impl Writer {
    /// `first` are the numbers of the next row of steps, evals and events.
    pub(crate) fn new(
        folder: RunFolder,
        identity: Identity,
        options: Options,
        first: [u64; 3],
        lock: File,
    ) -> Self {
        let [steps, evals, events] = first;
        Self {
            folder,
            identity,
            options,
            steps: Table::new(steps),
            evals: Table::new(evals),
            events: Table::new(events),
            began: Instant::now(),
            oldest: None,
            text: 0,
            _lock: lock,
        }
    }

    /// Works until the other side is gone. After a failure nothing more is written: a torn batch in the write-ahead
    /// log would hide what follows it. The orders are still taken, so that nobody waits for ever.
    pub(crate) fn run(mut self, orders: &Receiver<Order>, failure: &Failure) {
        let mut next = None;
        while let Some(order) = next.take().or_else(|| orders.recv().ok()) {
            let (result, reply) = match order {
                Order::Steps(_) | Order::Eval(_) | Order::Event(_) if failure.get().is_some() => {
                    continue;
                }
                Order::Steps(mut rows) => {
                    next = self.gather(&mut rows, orders);
                    (
                        self.append(|w| w.steps.append(rows, &w.folder, &w.identity)),
                        None,
                    )
                }
                Order::Eval(row) => (
                    self.append(|w| w.evals.append(vec![row], &w.folder, &w.identity)),
                    None,
                ),
                Order::Event(row) => {
                    self.text += row.message.len();
                    (
                        self.append(|w| w.events.append(vec![row], &w.folder, &w.identity)),
                        None,
                    )
                }
                Order::Flush(reply) => (Ok(()), Some(reply)), // Every batch was flushed when it came.
                Order::Sync(reply) if failure.get().is_some() => (Ok(()), Some(reply)),
                Order::Sync(reply) => (self.sync(), Some(reply)),
                Order::Finish(_, reply) if failure.get().is_some() => (Ok(()), Some(reply)),
                Order::Finish(summary, reply) => (self.finish(&summary), Some(reply)),
            };
            if let Err(error) = result {
                // Only the first failure counts; a second one follows from it.
                let _ = failure.set(Arc::new(error));
            }
            if let Some(reply) = reply {
                // Nobody may be waiting any more.
                let _ = reply.send(());
            }
        }
    }

    /// Adds the steps that wait already, up to a batch or a part. Gives the order that came instead.
    fn gather(&self, rows: &mut Vec<StepRow>, orders: &Receiver<Order>) -> Option<Order> {
        let room = self.options.part_rows.saturating_sub(self.steps.rows.len());
        while rows.len() < room.min(BATCH_ROWS) {
            match orders.try_recv().ok()? {
                Order::Steps(more) => rows.extend(more),
                other => return Some(other),
            }
        }
        None
    }

    fn append(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        write(self)?;
        let oldest = *self.oldest.get_or_insert_with(Instant::now);
        let rows = [
            self.steps.rows.len(),
            self.evals.rows.len(),
            self.events.rows.len(),
        ];
        let full = rows.iter().any(|&rows| rows >= self.options.part_rows) || self.text >= TEXT;
        if full || oldest.elapsed() >= self.patience() {
            self.seal()?;
        }
        Ok(())
    }

    /// How long rows wait to become a part: longer as the run grows old, so that a run of hours leaves some hundred
    /// parts and not thousands before they are made one.
    fn patience(&self) -> Duration {
        self.options.part_time.max(self.began.elapsed() / 16)
    }

    fn seal(&mut self) -> Result<(), Error> {
        (self.oldest, self.text) = (None, 0);
        self.steps.seal(&self.folder, &self.identity)?;
        self.evals.seal(&self.folder, &self.identity)?;
        self.events.seal(&self.folder, &self.identity)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.steps.sync()?;
        self.evals.sync()?;
        self.events.sync()
    }

    /// The summary comes last: where there is one, the tables are compacted.
    fn finish(&mut self, summary: &SummaryRow) -> Result<(), Error> {
        self.seal()?;
        recover::compact::<StepRow>(&self.folder, &self.identity)?;
        recover::compact::<EvalRow>(&self.folder, &self.identity)?;
        recover::compact::<EventRow>(&self.folder, &self.identity)?;
        remove_folder(&self.folder.wal())?;
        let (path, scratch) = (self.folder.summary(), self.folder.scratch());
        part::write_alone(
            &path,
            &scratch,
            &self.identity,
            std::slice::from_ref(summary),
        )?;
        remove_folder(&scratch)
    }
}
