//! Which split is quickest, with as few of them measured as may be.

use std::collections::BTreeSet;

use super::Split;
use crate::Error;

/// A split that takes so much longer than the quickest is as good: of those, the one with the fewest threads is taken.
/// Measured again it will most likely be the same, and so will the bits of the runs.
const ALIKE: f64 = 1.05;
/// A split that could not be quicker than the best by more than this is not measured.
const LITTLE: f64 = 1.05;

/// How quickly runs train.
pub(super) trait Paces {
    /// Steps a second of each of the runs of `split`, all of them going on at once.
    fn pace(&mut self, split: Split) -> Result<Answer, Error>;
    /// As many runs fit into memory; known from the first pace on.
    fn most_runs(&self) -> usize;
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// Steps a second.
    Pace(f64),
    /// It is not worth the time to measure any more.
    Enough,
}

/// The split of `cores` by which `left` runs end first, with so many `threads` each, or however many are good.
///
/// # Errors
/// What `paces` cannot tell.
pub(super) fn choose(
    cores: usize,
    left: usize,
    threads: Option<u32>,
    paces: &mut dyn Paces,
) -> Result<Split, Error> {
    let least = threads.unwrap_or(1);
    let alone = Split {
        runs: 1,
        threads: least,
    };
    let mut found = Found {
        left,
        measured: Vec::new(),
    };
    let Answer::Pace(pace) = paces.pace(alone)? else {
        return Ok(candidates(cores, left, threads, usize::MAX)[0]);
    };
    found.measured.push((alone, pace));
    // The soonest that a split can end its runs by: each of its threads does as much as one that is alone on the machine.
    let soonest = |split: Split| {
        let times = f64::from(split.threads) / f64::from(least);
        rounds(split, left) / (pace * times)
    };
    let candidates = candidates(cores, left, threads, paces.most_runs());
    // Numbers of runs by which nothing was won, one after the other.
    let mut worse = BTreeSet::new();
    for &split in &candidates {
        let (known, best) = (found.knows(split), found.best());
        // The first is always measured: what one run does alone tells nothing of many.
        let hopeless = split != candidates[0] && soonest(split) > best.1 / LITTLE;
        if known || hopeless {
            continue;
        }
        let Answer::Pace(pace) = paces.pace(split)? else {
            if split == candidates[0] {
                return Ok(split);
            }
            break;
        };
        found.measured.push((split, pace));
        if found.time(split, pace) > best.1 {
            worse.insert(split.runs);
        } else {
            worse.clear();
        }
        // Fewer runs of more threads go on to be worse.
        if worse.len() == 3 {
            break;
        }
    }
    // Where cores are threads of a processor that share what they compute with, or memory is what is waited for, fewer runs
    // than cores may be as quick.
    loop {
        let (best, time) = found.best();
        let half = Split {
            runs: best.runs.div_ceil(2),
            ..best
        };
        if best.runs == 1 || found.knows(half) || soonest(half) > time / LITTLE {
            break;
        }
        let Answer::Pace(pace) = paces.pace(half)? else {
            break;
        };
        found.measured.push((half, pace));
    }
    // Threads were doubled: the best may lie between.
    let (best, time) = found.best();
    let between = [best.threads * 3 / 4, best.threads * 3 / 2]
        .into_iter()
        .filter(|&count| threads.is_none() && count > 1 && count as usize <= cores)
        .map(|count| filled(cores, left, paces.most_runs(), count as usize));
    for split in between.collect::<Vec<_>>() {
        if found.knows(split) || soonest(split) > time / LITTLE {
            continue;
        }
        let Answer::Pace(pace) = paces.pace(split)? else {
            break;
        };
        found.measured.push((split, pace));
    }
    Ok(quickest(&found.measured, left))
}

/// Of the splits that were measured, the one that is taken.
pub(super) fn quickest(measured: &[(Split, f64)], left: usize) -> Split {
    let time = |&(split, pace): &(Split, f64)| rounds(split, left) / pace;
    let least = measured.iter().map(time).fold(f64::INFINITY, f64::min);
    let alike = measured.iter().filter(|one| time(one) <= least * ALIKE);
    let first = alike.min_by(|one, other| {
        let threads = one.0.threads.cmp(&other.0.threads);
        threads.then(time(one).total_cmp(&time(other)))
    });
    first.map_or(
        Split {
            runs: 1,
            threads: 1,
        },
        |&(split, _)| split,
    )
}

/// How often a split's places are filled until `left` runs are done.
fn rounds(split: Split, left: usize) -> f64 {
    left.div_ceil(split.runs) as f64
}

/// What has been measured.
struct Found {
    left: usize,
    measured: Vec<(Split, f64)>,
}

impl Found {
    fn knows(&self, split: Split) -> bool {
        self.measured.iter().any(|(known, _)| *known == split)
    }

    /// In seconds a step of each run.
    fn time(&self, split: Split, pace: f64) -> f64 {
        rounds(split, self.left) / pace
    }

    /// The quickest, and its time.
    fn best(&self) -> (Split, f64) {
        let times = self
            .measured
            .iter()
            .map(|&(split, pace)| (split, self.time(split, pace)));
        let least = times.min_by(|(_, one), (_, other)| one.total_cmp(other));
        least.unwrap_or((
            Split {
                runs: 1,
                threads: 1,
            },
            f64::INFINITY,
        ))
    }
}

/// Splits that are worth a look, the fewest threads first: as many runs as the cores, the runs that are left and memory
/// allow, with one thread each, two, four and so on, up to all; and with as many as there are where all runs are done in one
/// to four rounds, for all cores and for half of them.
fn candidates(cores: usize, left: usize, threads: Option<u32>, most: usize) -> Vec<Split> {
    let mut counts: Vec<usize> = match threads {
        Some(threads) => vec![threads as usize],
        None => {
            let doubled =
                std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|&n| n <= cores);
            // A core that is two threads of a processor is often as good as one of them.
            let whole = [cores / 2, cores].into_iter().flat_map(|cores| {
                let places = move |rounds| left.div_ceil(rounds).min(most).clamp(1, cores.max(1));
                (1..=4)
                    .map(move |rounds| cores / places(rounds))
                    .chain([cores])
            });
            doubled.chain(whole).filter(|&count| count > 0).collect()
        }
    };
    counts.sort_unstable();
    counts.dedup();
    let of = |threads| filled(cores, left, most, threads);
    counts.into_iter().map(of).collect()
}

/// As many runs with so many threads as the cores, the runs that are left and memory allow, and no more than fill the last
/// round: they would hinder each other for nothing.
fn filled(cores: usize, left: usize, most: usize, threads: usize) -> Split {
    let runs = (cores / threads).min(left).min(most).max(1);
    Split {
        runs: left.div_ceil(left.div_ceil(runs)).max(1),
        threads: threads as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is known: what a split's runs do there.
    struct Known<F> {
        law: F,
        most: usize,
        asked: Vec<Split>,
    }

    impl<F: Fn(Split) -> f64> Paces for Known<F> {
        fn pace(&mut self, split: Split) -> Result<Answer, Error> {
            assert!(!self.asked.contains(&split), "{split} is asked for twice");
            assert!(split.runs <= self.most, "{split} is more than memory holds");
            self.asked.push(split);
            Ok(Answer::Pace((self.law)(split)))
        }

        fn most_runs(&self) -> usize {
            self.most
        }
    }

    /// The quickest of all splits there are.
    fn best(cores: usize, left: usize, most: usize, law: &dyn Fn(Split) -> f64) -> f64 {
        let all = (1..=cores.min(left).min(most)).flat_map(|runs| {
            (1..=cores / runs).map(move |threads| Split {
                runs,
                threads: threads as u32,
            })
        });
        all.map(|split| rounds(split, left) / law(split))
            .fold(f64::INFINITY, f64::min)
    }

    /// Amdahl's: a share of a step is done by one thread.
    fn serial(share: f64) -> impl Fn(u32) -> f64 {
        move |threads| 1.0 / (share + (1.0 - share) / f64::from(threads))
    }

    #[test]
    fn the_chosen_split_is_within_a_tenth_of_the_best_on_any_machine() {
        type Law = (&'static str, fn(usize, Split) -> f64);
        let laws: [Law; 6] = [
            ("threads help little", |_, s| serial(0.3)(s.threads)),
            ("threads help much", |_, s| serial(0.01)(s.threads)),
            ("threads are in each other's way", |_, s| {
                serial(0.1)(s.threads) / (1.0 + 0.02 * f64::from(s.threads - 1).powi(2))
            }),
            ("two threads a core, which give a fifth more", |cores, s| {
                let busy = (s.runs * s.threads as usize) as f64;
                let (half, all) = (cores as f64 / 2.0, cores as f64);
                let speed = if busy <= half {
                    1.0
                } else {
                    (half + 0.2 * (busy - half) * half / (all - half).max(1.0)) / busy
                };
                speed * serial(0.05)(s.threads)
            }),
            ("memory feeds a quarter of the cores", |cores, s| {
                let busy = (s.runs * s.threads as usize) as f64;
                (cores as f64 / 4.0 / busy).min(1.0) * serial(0.05)(s.threads)
            }),
            ("a cache holds four runs", |_, s| {
                serial(0.05)(s.threads) / (1.0 + 0.5 * (s.runs as f64 / 4.0).max(1.0).ln())
            }),
        ];
        for (name, law) in laws {
            for cores in [1, 2, 3, 4, 6, 8, 12, 16, 48, 64, 128] {
                for left in [1, 2, 3, 5, 6, 11, 20, 33, 60, 64, 65, 100, 200, 10_000] {
                    for most in [usize::MAX, 5] {
                        let law = |split| law(cores, split);
                        let asked = Vec::new();
                        let mut paces = Known { law, most, asked };
                        let chosen = choose(cores, left, None, &mut paces).unwrap();
                        let took = rounds(chosen, left) / law(chosen);
                        let least = best(cores, left, most, &law);
                        let what = format!(
                            "{name}: {cores} cores, {left} runs, {most} at most: {chosen} takes {:.2} times the best; asked {:?}",
                            took / least,
                            paces.asked
                        );
                        assert!(took <= least * 1.10, "{what}");
                        assert!(paces.asked.len() <= 18, "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn runs_that_do_not_hinder_each_other_are_known_after_two_paces() {
        let mut paces = Known {
            law: |split: Split| serial(0.05)(split.threads),
            most: usize::MAX,
            asked: Vec::new(),
        };
        let split = |runs, threads| Split { runs, threads };
        assert_eq!(choose(64, 6_400, None, &mut paces).unwrap(), split(64, 1));
        assert_eq!(paces.asked, [split(1, 1), split(64, 1)]);
    }

    #[test]
    fn threads_that_are_given_stay_and_memory_bounds_the_runs() {
        let mut paces = Known {
            law: |split: Split| serial(0.05)(split.threads),
            most: 3,
            asked: Vec::new(),
        };
        let chosen = choose(16, 100, Some(2), &mut paces).unwrap();
        assert_eq!((chosen.runs, chosen.threads), (3, 2));
        assert!(paces.asked.iter().all(|split| split.threads == 2));
    }

    #[test]
    fn of_splits_that_are_alike_the_one_with_the_fewest_threads_is_taken() {
        let split = |runs, threads| Split { runs, threads };
        let measured = [
            (split(1, 1), 1.0),
            (split(2, 1), 0.97),
            (split(1, 2), 2.0 * 0.99),
        ];
        assert_eq!(quickest(&measured, 100), split(2, 1));
        let measured = [(split(2, 1), 0.8), (split(1, 2), 2.0 * 0.99)];
        assert_eq!(quickest(&measured, 100), split(1, 2));
    }

    #[test]
    fn where_little_or_nothing_is_measured_each_core_has_a_run() {
        /// Gives so many paces, and no more.
        struct Few(usize);
        impl Paces for Few {
            fn pace(&mut self, _: Split) -> Result<Answer, Error> {
                let more = self.0.checked_sub(1);
                self.0 = more.unwrap_or_default();
                Ok(more.map_or(Answer::Enough, |_| Answer::Pace(1.0)))
            }
            fn most_runs(&self) -> usize {
                usize::MAX
            }
        }
        for few in [0, 1] {
            let of = |left, threads| choose(8, left, threads, &mut Few(few)).unwrap();
            assert_eq!((of(100, None).runs, of(100, None).threads), (8, 1));
            assert_eq!((of(3, None).runs, of(3, Some(4)).runs), (3, 2));
        }
    }
}
