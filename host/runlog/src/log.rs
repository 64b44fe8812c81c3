//! [`RunLog`]: what a trainer writes its log with.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::folder::{RunFolder, create_folder, names_in, remove_file, sync_folder};
use crate::record::Record;
use crate::recover::recover;
use crate::writer::{Failure, Order, Writer};
use crate::{Error, EvalRow, EventRow, Identity, StepRow, SummaryRow};

/// The tables that have a folder.
pub(crate) const TABLES: [&str; 3] = [StepRow::TABLE, EvalRow::TABLE, EventRow::TABLE];

/// Orders that may wait for the writer's thread. A disk that stands still for longer holds the trainer up, rather than
/// filling the memory.
const BACKLOG: usize = 1024;

/// How often rows move on. The defaults suit training; tests and tools may want others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Step rows that are gathered before they go to the write-ahead log in one batch. Default 64. Where steps come quicker
    /// than that, its thread makes one batch of those that wait.
    pub batch_rows: usize,
    /// A row that is older than this takes the gathered ones along when the next is logged. Default 0.5 s.
    pub batch_time: Duration,
    /// Rows of a table that make a part. Default 65,536. Events of 64 MiB of messages make one, too.
    pub part_rows: usize,
    /// Rows older than this become a part however few they are, so that other programs see a run that is under way.
    /// Grows to a sixteenth of the run's age. Default 30 s.
    pub part_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch_rows: 64,
            batch_time: Duration::from_millis(500),
            part_rows: 65_536,
            part_time: Duration::from_secs(30),
        }
    }
}

/// What [`RunLog::resume`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Step rows that the log goes on from.
    pub steps_kept: u64,
    /// Step rows that were logged after the checkpoint, and dropped.
    pub steps_dropped: u64,
    /// Evaluations that were dropped.
    pub evals_dropped: u64,
    /// Events that were dropped.
    pub events_dropped: u64,
}

/// The log of a run, open for writing. One at a time: the run folder is locked.
///
/// The calls gather rows and hand them to a thread that owns the files, so that a step never waits for the disk (unless
/// the disk falls 65,536 rows behind). A failure of that thread is told by every later call.
///
/// # What is lost when
/// * [`flush`](Self::flush) has returned: nothing, whatever happens to the process.
/// * [`sync`](Self::sync) has returned: nothing, even if the power goes.
/// * Otherwise the process' sudden end loses the rows still in memory: less than 64 steps or half a second of them
///   (see [`Options`]), and what waits for the thread. Dropping a `RunLog` writes them.
/// * The power's loss also loses what was not synced: at most what came since the last `sync` or part.
///
/// What is lost is always the newest; no row is damaged, doubled, or missing in between.
#[derive(Debug)]
pub struct RunLog {
    folder: RunFolder,
    options: Options,
    gathered: Vec<StepRow>,
    oldest: Option<Instant>,
    next_step: Option<u64>,
    recovery: Recovery,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    failure: Failure,
}

impl RunLog {
    /// Begins a log in a folder that has none; the folder is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a log, [`Error::Locked`] if another process is writing there.
    pub fn create(folder: &Path, identity: Identity) -> Result<Self, Error> {
        Self::create_with(folder, identity, Options::default())
    }

    /// [`create`](Self::create) with other [`Options`].
    ///
    /// # Errors
    /// As `create`.
    pub fn create_with(folder: &Path, identity: Identity, options: Options) -> Result<Self, Error> {
        create_folder(folder)?;
        let folder = RunFolder::new(folder);
        let lock = folder.lock()?;
        let mut used = vec![folder.wal()];
        used.extend(TABLES.map(|table| folder.table(table)));
        used.extend(TABLES.map(|table| folder.parked(table)));
        let filled =
            |path: &std::path::PathBuf| names_in(path).is_ok_and(|names| !names.is_empty());
        if folder.summary().exists() || used.iter().any(filled) {
            let folder = folder.root().to_owned();
            return Err(Error::Exists { folder });
        }
        folder.heal(&TABLES)?;
        for table in TABLES {
            create_folder(&folder.table(table))?;
        }
        create_folder(&folder.wal())?;
        sync_folder(folder.root())?;
        Self::start(
            Writer::new(folder.clone(), identity, options, [0; 3], lock),
            folder,
            options,
        )
    }

    /// Goes on with a log from a checkpoint that was taken when `keep_below_step` steps were done.
    ///
    /// Recovers what a crash left in the write-ahead log; drops step rows with `step >= keep_below_step`, evaluations
    /// and events with `step > keep_below_step` (theirs counts steps done), and the summary. A crash at any moment of
    /// this leaves a log that can be resumed again. With 0 it starts the run's log anew.
    ///
    /// Log what belongs to a checkpoint and [`sync`](Self::sync) before the checkpoint is written.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no log, [`Error::OtherRun`] if it is another run's, [`Error::Locked`] if another
    /// process is writing it, [`Error::MissingSteps`] if the log ends before the checkpoint.
    pub fn resume(folder: &Path, identity: Identity, keep_below_step: u64) -> Result<Self, Error> {
        Self::resume_with(folder, identity, keep_below_step, Options::default())
    }

    /// [`resume`](Self::resume) with other [`Options`].
    ///
    /// # Errors
    /// As `resume`.
    pub fn resume_with(
        folder: &Path,
        identity: Identity,
        keep_below_step: u64,
        options: Options,
    ) -> Result<Self, Error> {
        let folder = RunFolder::new(folder);
        let missing = |table| Error::Missing {
            folder: folder.root().to_owned(),
            table,
        };
        if !TABLES
            .iter()
            .any(|table| folder.table(table).exists() || folder.parked(table).exists())
        {
            return Err(missing(TABLES[0]));
        }
        let lock = folder.lock()?;
        folder.heal(&TABLES)?;
        for table in TABLES {
            // The crash may have come while the folders were made; an emptied table would show in the steps.
            create_folder(&folder.table(table))?;
        }
        // Dropping rows is the caller's decision only if they are there to go on from: look before touching them.
        let logged = crate::read::logged_steps_of(&folder, Some(&identity))?;
        if logged < keep_below_step {
            let (folder, wanted) = (folder.root().to_owned(), keep_below_step);
            return Err(Error::MissingSteps {
                folder,
                logged,
                wanted,
            });
        }
        remove_file(&folder.summary())?;
        sync_folder(folder.root())?;
        let steps = recover::<StepRow>(&folder, &identity, keep_below_step)?;
        let evals = recover::<EvalRow>(&folder, &identity, keep_below_step)?;
        let events = recover::<EventRow>(&folder, &identity, keep_below_step)?;
        let first = [steps.kept, evals.kept, events.kept];
        let mut log = Self::start(
            Writer::new(folder.clone(), identity, options, first, lock),
            folder,
            options,
        )?;
        log.next_step = steps.last_step.map(|step| step + 1);
        log.recovery = Recovery {
            steps_kept: steps.kept,
            steps_dropped: steps.dropped,
            evals_dropped: evals.dropped,
            events_dropped: events.dropped,
        };
        Ok(log)
    }

    fn start(writer: Writer, folder: RunFolder, options: Options) -> Result<Self, Error> {
        let (orders, inbox) = sync_channel(BACKLOG);
        let failure = Failure::default();
        let seen = Arc::clone(&failure);
        let thread = std::thread::Builder::new()
            .name("runlog".into())
            .spawn(move || writer.run(&inbox, &seen))
            .map_err(Error::io("start a thread for", folder.root()))?;
        Ok(Self {
            folder,
            options,
            gathered: Vec::with_capacity(options.batch_rows),
            oldest: None,
            next_step: None,
            recovery: Recovery::default(),
            orders: Some(orders),
            thread: Some(thread),
            failure,
        })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        self.folder.root()
    }

    /// What [`resume`](Self::resume) kept and dropped; all zero after [`create`](Self::create).
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Logs a step. Steps come complete and in order; the first may have any number.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`], or [`Error::Stopped`] with an earlier failure to write.
    pub fn step(&mut self, row: StepRow) -> Result<(), Error> {
        if let Some(expected) = self.next_step.filter(|due| *due != row.step) {
            let step = row.step;
            return Err(Error::OutOfOrder { step, expected });
        }
        let now = Instant::now();
        self.next_step = Some(row.step.saturating_add(1));
        self.gathered.push(row);
        let oldest = *self.oldest.get_or_insert(now);
        if self.gathered.len() >= self.options.batch_rows || now - oldest >= self.options.batch_time
        {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Logs an evaluation, after the steps before it.
    ///
    /// # Errors
    /// [`Error::Stopped`] with an earlier failure to write.
    pub fn eval(&mut self, row: EvalRow) -> Result<(), Error> {
        self.hand_over()?;
        self.order(Order::Eval(row))
    }

    /// Logs an event, after the steps before it.
    ///
    /// # Errors
    /// [`Error::Stopped`] with an earlier failure to write.
    pub fn event(&mut self, row: EventRow) -> Result<(), Error> {
        self.hand_over()?;
        self.order(Order::Event(row))
    }

    /// Returns when all rows logged so far are with the operating system: they survive the process.
    ///
    /// # Errors
    /// The failure to write them.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.hand_over()?;
        self.ask(Order::Flush)
    }

    /// Returns when all rows logged so far are on the disk: they survive the power.
    ///
    /// # Errors
    /// The failure to write them.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.hand_over()?;
        self.ask(Order::Sync)
    }

    /// Ends the log: one part a table, the summary, no write-ahead log. All of it is synced.
    ///
    /// # Errors
    /// The failure to write it. The rows are safe then, and `resume` goes on from them.
    pub fn finish(mut self, summary: &SummaryRow) -> Result<(), Error> {
        self.hand_over()?;
        let summary = Box::new(summary.clone());
        self.ask(|reply| Order::Finish(summary, reply))
    }

    /// Gives the gathered steps to the thread.
    fn hand_over(&mut self) -> Result<(), Error> {
        self.oldest = None;
        if self.gathered.is_empty() {
            return self.check();
        }
        let next = Vec::with_capacity(self.options.batch_rows);
        let rows = std::mem::replace(&mut self.gathered, next);
        self.order(Order::Steps(rows))
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        self.check()?;
        let orders = self.orders.as_ref().ok_or(Error::WriterGone)?;
        orders.send(order).map_err(|_| Error::WriterGone)
    }

    fn ask(&self, order: impl FnOnce(SyncSender<()>) -> Order) -> Result<(), Error> {
        let (reply, answer) = sync_channel(1);
        self.order(order(reply))?;
        answer.recv().map_err(|_| Error::WriterGone)?;
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        self.failure
            .get()
            .map_or(Ok(()), |error| Err(Error::Stopped(Arc::clone(error))))
    }
}

impl Drop for RunLog {
    /// Writes what is gathered and frees the lock. Failures have no one to go to here: `flush` first to hear of them.
    fn drop(&mut self) {
        let _ = self.hand_over();
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
