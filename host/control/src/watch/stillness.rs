//! How long a target must be quiet before it counts as still.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Options;

/// A wait longer than any run; it keeps sums of times within what the system can hold.
const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// That long after a time.
pub(super) fn later(time: Instant, by: Duration) -> Instant {
    time + by.min(EVER)
}

/// Waits until a target that changed is still.
#[derive(Debug)]
pub(super) struct Stillness {
    quick: Duration,
    slow: Duration,
    busy: Duration,
    burst: Option<Burst>,
    /// When the last change was noticed that really was one.
    changed: Option<Instant>,
}

/// Changes that belong together: the target wasn't still between them.
#[derive(Debug)]
struct Burst {
    /// When the last of them was noticed.
    last: Instant,
    /// The target had just changed when it began.
    again: bool,
    /// Nobody said that what was written is whole.
    unsure: bool,
    /// What was written to and is open still, as far as is known.
    open: BTreeSet<PathBuf>,
}

impl Stillness {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            quick: options.quick,
            slow: options.slow,
            busy: options.busy,
            burst: None,
            changed: None,
        }
    }

    /// Whether the target changed and isn't still yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.burst.is_some()
    }

    /// Whether a change was noticed of which no event told.
    pub(super) fn is_unsure(&self) -> bool {
        self.burst.as_ref().is_some_and(|burst| burst.unsure)
    }

    /// An event said that a file of the target was written to.
    pub(super) fn written(&mut self, path: &Path, at: Instant) {
        let burst = self.moved(at);
        burst.open.insert(path.to_owned());
        burst.unsure = false;
    }

    /// An event said that a file of the target was closed, which is no change itself.
    pub(super) fn closed(&mut self, path: &Path, at: Instant) {
        if self.is_waiting() {
            self.named(path, at);
        }
    }

    /// An event said that the name of a file of the target came, went, or means another file: what is renamed or linked
    /// was written elsewhere before.
    pub(super) fn named(&mut self, path: &Path, at: Instant) {
        let burst = self.moved(at);
        burst.open.remove(path);
        burst.unsure = false;
    }

    /// A change was found by looking, while events tell of it.
    pub(super) fn confirmed(&mut self, at: Instant) {
        self.moved(at);
    }

    /// A change was found by looking, of which no event told.
    pub(super) fn found(&mut self, at: Instant) {
        self.moved(at).unsure = true;
    }

    /// When the target will be still, if nothing more is noticed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.burst.as_ref().map(|burst| {
            let wait = if burst.again || burst.unsure || !burst.open.is_empty() {
                self.slow
            } else {
                self.quick
            };
            later(burst.last, wait)
        })
    }

    /// The target is still; returns when the last change was noticed. `other`: it holds something else than before.
    pub(super) fn end(&mut self, other: bool) -> Option<Instant> {
        let last = self.burst.take()?.last;
        if other {
            self.changed = Some(last);
        }
        Some(last)
    }

    fn moved(&mut self, at: Instant) -> &mut Burst {
        let recent = |changed| at < later(changed, self.busy);
        let again = self.changed.is_some_and(recent);
        let burst = self.burst.get_or_insert_with(|| Burst {
            last: at,
            again,
            // Until an event says how the change came about.
            unsure: true,
            open: BTreeSet::new(),
        });
        // Events and looks are noticed on two threads.
        burst.last = burst.last.max(at);
        burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/plugins/x.wasm";

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// When it will be still, in milliseconds from `start`.
    fn due(stillness: &Stillness, start: Instant) -> Option<u128> {
        stillness.due().map(|due| (due - start).as_millis())
    }

    #[test]
    fn a_file_that_was_closed_is_still_soon_and_an_open_one_later() {
        let (mut stillness, start) = (Stillness::new(&Options::default()), Instant::now());
        assert_eq!(due(&stillness, start), None);
        stillness.written(Path::new(FILE), start);
        assert_eq!(due(&stillness, start), Some(300));
        stillness.written(Path::new(FILE), start + ms(100));
        assert_eq!(due(&stillness, start), Some(400));
        stillness.closed(Path::new(FILE), start + ms(150));
        assert_eq!(due(&stillness, start), Some(170));
        assert_eq!(stillness.end(true), Some(start + ms(150)));
        assert_eq!(due(&stillness, start), None);
    }

    #[test]
    fn closing_alone_is_no_change() {
        let mut stillness = Stillness::new(&Options::default());
        stillness.closed(Path::new(FILE), Instant::now());
        assert!(!stillness.is_waiting());
    }

    #[test]
    fn a_file_that_just_changed_is_given_more_time() {
        let (mut stillness, start) = (Stillness::new(&Options::default()), Instant::now());
        stillness.named(Path::new(FILE), start);
        assert_eq!(due(&stillness, start), Some(20));
        stillness.end(true);
        stillness.named(Path::new(FILE), start + ms(900));
        assert_eq!(due(&stillness, start), Some(1_200));
        // That one turned out to be the same bytes, and so does not count as a change.
        stillness.end(false);
        stillness.named(Path::new(FILE), start + ms(1_000));
        assert_eq!(due(&stillness, start), Some(1_020));
    }

    #[test]
    fn what_was_found_by_looking_is_given_more_time_until_an_event_says_more() {
        let (mut stillness, start) = (Stillness::new(&Options::default()), Instant::now());
        stillness.found(start);
        assert_eq!(due(&stillness, start), Some(300));
        stillness.written(Path::new(FILE), start + ms(1));
        stillness.closed(Path::new(FILE), start + ms(2));
        assert_eq!(due(&stillness, start), Some(22));
        stillness.confirmed(start + ms(5));
        assert_eq!(due(&stillness, start), Some(25));
        stillness.found(start + ms(6));
        assert_eq!(due(&stillness, start), Some(306));
    }

    #[test]
    fn each_open_file_of_a_folder_holds_it_back() {
        let (mut stillness, start) = (Stillness::new(&Options::default()), Instant::now());
        stillness.written(Path::new("a"), start);
        stillness.written(Path::new("b"), start);
        stillness.closed(Path::new("a"), start);
        assert_eq!(due(&stillness, start), Some(300));
        stillness.named(Path::new("b"), start);
        assert_eq!(due(&stillness, start), Some(20));
    }

    #[test]
    fn endless_waits_are_no_trouble() {
        let mut stillness = Stillness::new(&Options {
            slow: Duration::MAX,
            ..Options::default()
        });
        stillness.found(Instant::now());
        assert!(stillness.due().is_some());
    }
}
