//! Where in a run each part of a composition is in force.

use super::{Clock, Every, Length, Link, Node};
use crate::{RunFacts, TrainingValues};

/// A tree whose lengths are steps of one run.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The leaf of this number.
    Leaf(usize),
    /// Parts, and the steps at which they begin, the first at 0.
    Chain(Vec<(u64, Clock, Plan)>),
    Multiply(Vec<Plan>),
    Repeat {
        period: f64,
        part: Box<Plan>,
    },
    Scale {
        factor: f64,
        part: Box<Plan>,
    },
    Offset {
        by: f64,
        part: Box<Plan>,
    },
    Clamp {
        min: f64,
        max: f64,
        part: Box<Plan>,
    },
    Warmup {
        steps: u64,
        from: f64,
        clock: Clock,
        /// Which of the tree's warm-ups it is.
        number: usize,
        part: Box<Plan>,
    },
}

/// A step on a part's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// Where the clock begins, as a step of the run.
    pub(super) start: u64,
    /// The step on that clock.
    pub(super) step: u64,
    /// Where what is around it was repeated last, as a step of the run; 0 where nothing is.
    pub(super) round: u64,
}

impl At {
    /// The same step on a clock that begins `by` steps later.
    pub(super) fn after(self, by: u64) -> Self {
        Self {
            start: self.start + by,
            step: self.step - by,
            ..self
        }
    }

    /// What training has shown, on this clock: nothing was evaluated before it began.
    pub(super) fn shown(self, training: TrainingValues) -> TrainingValues {
        match training.eval_step.checked_sub(self.start) {
            _ if self.start == 0 => training,
            Some(eval_step @ 1..) => TrainingValues {
                eval_step,
                ..training
            },
            _ => TrainingValues {
                eval_step: 0,
                eval_loss: f64::NAN,
                eval_accuracy: f64::NAN,
                ..training
            },
        }
    }
}

/// The step that the real number of steps `length` ends before. A float's last bit must not cost a step.
fn whole(length: f64) -> u64 {
    (length - 1e-9).ceil().max(0.0) as u64
}

/// The step at which what is repeated begins for the last time up to `step`.
pub(super) fn restart(period: f64, step: u64) -> u64 {
    let begins = |count: f64| whole(count * period);
    let count = (step as f64 / period).floor();
    // The division's last bit, and the rounding up, may tell it wrong by one.
    let candidates = [count + 1.0, count, count - 1.0];
    let mut begun = candidates.into_iter().map(begins);
    begun.find(|&start| start <= step).unwrap_or(0)
}

/// Lays a tree out on a run, and says of each leaf how long its clock is.
pub(super) struct Layout<'a> {
    pub(super) facts: &'a RunFacts,
    pub(super) names: &'a [String],
    /// `total-steps` of the leaves.
    pub(super) totals: Vec<u64>,
    pub(super) warmups: usize,
}

impl Layout<'_> {
    /// `around`: steps of the clock that `node` is on.
    ///
    /// # Errors
    /// What does not fit into the run, as a sentence.
    pub(super) fn plan(&mut self, node: &Node, around: u64) -> Result<Plan, String> {
        Ok(match node {
            Node::Plugin(_) => {
                self.totals.push(around);
                Plan::Leaf(self.totals.len() - 1)
            }
            Node::Chain(links) => self.chain(links, around)?,
            Node::Multiply(nodes) => {
                let parts = nodes.iter().map(|node| self.plan(node, around));
                Plan::Multiply(parts.collect::<Result<_, _>>()?)
            }
            Node::Repeat { every, node } => {
                let period = match every {
                    Every::Length(length) => self.steps(*length, around),
                    Every::Times(times) => around as f64 / *times as f64,
                };
                if period < 1.0 {
                    let name = self.next();
                    return Err(format!(
                        "`{name}` would be repeated every {period} steps: must be 1 at least"
                    ));
                }
                Plan::Repeat {
                    period,
                    part: Box::new(self.plan(node, whole(period))?),
                }
            }
            Node::Scale { factor, node } => Plan::Scale {
                factor: *factor,
                part: Box::new(self.plan(node, around)?),
            },
            Node::Offset { by, node } => Plan::Offset {
                by: *by,
                part: Box::new(self.plan(node, around)?),
            },
            Node::Clamp { min, max, node } => Plan::Clamp {
                min: min.unwrap_or(f64::NEG_INFINITY),
                max: max.unwrap_or(f64::INFINITY),
                part: Box::new(self.plan(node, around)?),
            },
            Node::Warmup {
                over,
                from,
                clock,
                node,
            } => {
                let steps = whole(self.steps(*over, around)).max(1);
                let left = match clock {
                    Clock::Run => around,
                    Clock::Own => around.saturating_sub(steps),
                };
                if left == 0 {
                    let name = self.next();
                    return Err(format!(
                        "the warm-up takes {steps} steps of {around}: none are left for `{name}`"
                    ));
                }
                let number = self.warmups;
                self.warmups += 1;
                Plan::Warmup {
                    steps,
                    from: *from,
                    clock: *clock,
                    number,
                    part: Box::new(self.plan(node, left)?),
                }
            }
        })
    }

    fn chain(&mut self, links: &[Link], around: u64) -> Result<Plan, String> {
        let (mut parts, mut begun) = (Vec::new(), 0.0);
        for link in links {
            let start = whole(begun);
            let end = match link.length {
                None => around,
                Some(length) => {
                    begun += self.steps(length, around);
                    whole(begun)
                }
            };
            if start >= around {
                let name = self.next();
                return Err(format!(
                    "the parts before `{name}` take all of the {around} steps that there are"
                ));
            }
            if end <= start {
                let name = self.next();
                return Err(format!("`{name}` would be in force for less than a step"));
            }
            let own = match link.clock {
                Clock::Own => end - start,
                Clock::Run => around,
            };
            parts.push((start, link.clock, self.plan(&link.node, own)?));
        }
        Ok(Plan::Chain(parts))
    }

    fn steps(&self, length: Length, around: u64) -> f64 {
        match length {
            Length::Steps(steps) => steps as f64,
            Length::Epochs(epochs) => {
                epochs * self.facts.train_examples as f64 / f64::from(self.facts.batch_size.max(1))
            }
            Length::Fraction(fraction) => fraction * around as f64,
        }
    }

    /// What the next leaf is called.
    fn next(&self) -> &str {
        self.names.get(self.totals.len()).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{At, restart, whole};
    use crate::TrainingValues;

    #[test]
    fn restarts_come_at_the_first_step_after_each_period() {
        for period in [1.0, 2.0, 3.5, 390.625, 1000.0 / 3.0, 1e9 + 0.1] {
            let (mut count, mut begun) = (0.0, 0);
            for step in 0..2_000 {
                while whole((count + 1.0) * period) <= step {
                    count += 1.0;
                    begun = whole(count * period);
                }
                assert_eq!(restart(period, step), begun, "{period} {step}");
            }
        }
        assert_eq!(whole(5.0 * 390.625), 1954);
        assert_eq!(restart(0.1 + 0.9, 1_000_000_000_000), 1_000_000_000_000);
    }

    #[test]
    fn evaluations_from_before_a_part_are_not_shown() {
        let training = TrainingValues {
            eval_loss: 2.0,
            eval_accuracy: 0.5,
            eval_step: 100,
            train_loss: 1.0,
            grad_norm: 3.0,
            weight_norm: 4.0,
        };
        let at = |start| {
            At {
                start,
                step: 7,
                round: 0,
            }
            .shown(training)
        };
        assert_eq!(at(0), training);
        assert_eq!((at(90).eval_step, at(90).eval_loss), (10, 2.0));
        for start in [100, 101] {
            let shown = at(start);
            assert!(shown.eval_loss.is_nan() && shown.eval_accuracy.is_nan());
            assert_eq!(
                (shown.eval_step, shown.train_loss, shown.grad_norm),
                (0, 1.0, 3.0)
            );
        }
    }
}
