//! Which schedules may have to come back: those that were replaced by one that has not yet lasted long enough.

use pixelrate_control::Takeover;

/// How many may wait at the most: each holds an instance, and its memory.
const MOST: usize = 8;

/// A stack of what was replaced, the newest on top. While there is something on it, the schedule in force is on probation:
/// a fault brings the top back, which then is on probation for as long as it was before.
#[derive(Debug)]
pub(super) struct Probation<T>(Vec<Waiting<T>>);

#[derive(Debug)]
struct Waiting<T> {
    replaced: T,
    /// The first step at which the one that replaced it is no longer on probation.
    until: u64,
}

impl<T> Default for Probation<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Probation<T> {
    /// `takeover` replaced `before`. Gives what need not come back any more.
    pub(super) fn took_over(&mut self, before: T, takeover: &Takeover) -> Vec<T> {
        if !takeover.may_roll_back() {
            let mut gone = self.clear();
            gone.push(before);
            return gone;
        }
        let mut gone = self.settle(takeover.step);
        self.0.push(Waiting {
            replaced: before,
            until: takeover
                .step
                .saturating_add(takeover.schedule.rollback_steps),
        });
        if self.0.len() > MOST {
            gone.push(self.0.remove(0).replaced);
        }
        gone
    }

    /// What comes back for a schedule that faults at `step`.
    pub(super) fn roll_back(&mut self, step: u64) -> Option<T> {
        let top = self.0.pop_if(|top| step < top.until)?;
        Some(top.replaced)
    }

    /// Ends the probation of a schedule that has lasted until `step`. Gives what need not come back any more.
    pub(super) fn settle(&mut self, step: u64) -> Vec<T> {
        if self.0.last().is_some_and(|top| top.until <= step) {
            self.clear()
        } else {
            Vec::new()
        }
    }

    /// What would come back first.
    pub(super) fn top(&self) -> Option<&T> {
        self.0.last().map(|top| &top.replaced)
    }

    /// Whether the schedule in force is on probation.
    pub(super) fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// The same, with each of the replaced made anew.
    ///
    /// # Errors
    /// The first of `make`.
    pub(super) fn try_map<U, E>(
        self,
        mut make: impl FnMut(T) -> Result<U, E>,
    ) -> Result<Probation<U>, E> {
        let made = self.0.into_iter().map(|waiting| {
            Ok(Waiting {
                replaced: make(waiting.replaced)?,
                until: waiting.until,
            })
        });
        made.collect::<Result<_, _>>().map(Probation)
    }

    fn clear(&mut self) -> Vec<T> {
        self.0.drain(..).map(|waiting| waiting.replaced).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pixelrate_control::{Cause, ScheduleSpec, Takeover};
    use pixelrate_sandbox::OnFault;

    use super::{MOST, Probation};

    fn at(step: u64, rollback_steps: u64) -> Takeover {
        Takeover {
            step,
            cause: Cause::Swap,
            schedule: ScheduleSpec {
                plugin: "fixed".to_owned(),
                params: BTreeMap::new(),
                picture_folder: None,
                max_learning_rate: 1.0,
                on_fault: OnFault::Abort,
                rollback_steps,
            },
            sha256: String::new(),
            state: None,
            left: None,
            request: None,
            time_unix_ms: 0,
        }
    }

    #[test]
    fn one_after_the_other_comes_back_while_each_is_on_probation() {
        let mut probation = Probation::default();
        assert!(probation.took_over('a', &at(10, 100)).is_empty());
        assert!(probation.took_over('b', &at(60, 100)).is_empty());
        assert_eq!(probation.roll_back(109), Some('b'));
        assert_eq!(probation.roll_back(109), Some('a'));
        assert_eq!(probation.roll_back(109), None);
    }

    #[test]
    fn what_has_lasted_long_enough_needs_none_to_come_back() {
        let mut probation = Probation::default();
        probation.took_over('a', &at(10, 100));
        assert!(probation.settle(109).is_empty());
        assert_eq!(probation.roll_back(110), None);
        assert_eq!(probation.settle(110), ['a']);
        probation.took_over('b', &at(120, 100));
        probation.took_over('c', &at(130, 100));
        // `b` came back, and its own probation is over: it is not to blame for what came after.
        assert_eq!(probation.roll_back(225), Some('c'));
        assert_eq!(probation.settle(225), ['b']);
    }

    #[test]
    fn a_takeover_without_a_way_back_lets_go_of_all() {
        let mut probation = Probation::default();
        probation.took_over('a', &at(10, 100));
        assert_eq!(probation.took_over('b', &at(20, 0)), ['a', 'b']);
        assert!(!probation.is_on());
    }

    #[test]
    fn no_more_wait_than_memory_allows() {
        let mut probation = Probation::default();
        for step in 0..MOST as u64 {
            assert!(probation.took_over(step, &at(step, 100)).is_empty());
        }
        assert_eq!(probation.took_over(99, &at(50, 100)), [0]);
    }
}
