//! The curves of one run at a bounded number of places: what a report reads of its steps and tests. Of a run that has
//! ended they are kept in the study's index, and its Parquet files are not opened again.

use std::path::Path;

use pixelrate_runlog::{read_evals, steps};
use rayon::prelude::*;

use super::gather::{Run, cannot_be_read};
use super::stretches::{RunLosses, RunRates};
use crate::Error;
use crate::index::{Index, Stamp};

/// The version of what is kept: how curves are thinned, and how they are written down.
const VERSION: u32 = 1;

/// What the curves are read from. A folder's stamp is another once a file in it came or went; those in these folders are
/// never written over.
const FILES: [&str; 5] = ["summary.parquet", "run.toml", "steps", "evals", "wal"];

/// Places at most at which the accuracy of a run is kept: of more tests, the last in each stretch.
const TESTS: u64 = 1_000;

/// A test of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Test {
    /// Steps done.
    pub(super) step: u64,
    /// The share that was right.
    pub(super) accuracy: f64,
    /// What the steps before it took, in nanoseconds, tests not counted.
    pub(super) nanoseconds: u64,
}

/// The curves of a run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Curves {
    /// Steps of the run that the stretches divide.
    pub(super) total: u64,
    /// [`RunRates::cells`].
    pub(super) rates: Vec<Option<[f64; 2]>>,
    /// [`RunLosses::cells`].
    pub(super) losses: Vec<Option<f64>>,
    /// Its tests with a finite accuracy.
    pub(super) tests: Vec<Test>,
}

impl Curves {
    /// Reads the run's log. The stretches are those of `total` steps.
    pub(super) fn read(run: &Run, total: u64) -> Result<Self, Error> {
        let mut tests = tested(run)?;
        let (mut rates, mut losses) = (RunRates::over(total), RunLosses::over(total));
        let mut nanoseconds = 0_u64;
        let mut due = tests.iter_mut().peekable();
        // A branch's log may begin with its trunk's last steps.
        let begins = run.first_step();
        for row in steps(&run.folder)? {
            let row = row?;
            if row.step < begins {
                continue;
            }
            rates.add(row.step, row.learning_rate);
            losses.add(row.step, row.train_loss);
            while let Some(test) = due.next_if(|test| test.step <= row.step) {
                test.nanoseconds = nanoseconds;
            }
            nanoseconds = nanoseconds.saturating_add(row.step_ns);
        }
        due.for_each(|test| test.nanoseconds = nanoseconds);
        Ok(Self {
            total,
            rates: rates.cells(),
            losses: losses.cells(),
            tests,
        })
    }

    /// As they are kept: four counts, then all numbers, in little endian. A stretch without a value has NaN, which no
    /// schedule may say and no mean of finite losses is.
    fn to_bytes(&self) -> Vec<u8> {
        let counts = [
            self.total,
            self.rates.len() as u64,
            self.losses.len() as u64,
            self.tests.len() as u64,
        ];
        let rates = self
            .rates
            .iter()
            .flat_map(|cell| cell.unwrap_or([f64::NAN; 2]));
        let losses = self.losses.iter().map(|cell| cell.unwrap_or(f64::NAN));
        let tests = self
            .tests
            .iter()
            .flat_map(|test| [test.step, test.accuracy.to_bits(), test.nanoseconds]);
        let numbers = rates.chain(losses).map(f64::to_bits).chain(tests);
        counts
            .into_iter()
            .chain(numbers)
            .flat_map(u64::to_le_bytes)
            .collect()
    }

    /// `None`: it is not what [`to_bytes`](Self::to_bytes) gave.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let (counts, numbers) = words.split_first_chunk::<4>()?;
        let [total, rates, losses, tests] = counts.map(u64::from_le_bytes);
        let size = |count: u64, each: usize| usize::try_from(count).ok()?.checked_mul(each);
        let (rates, numbers) = numbers.split_at_checked(size(rates, 2)?)?;
        let (losses, tests_words) = numbers.split_at_checked(size(losses, 1)?)?;
        if tests_words.len() != size(tests, 3)? {
            return None;
        }
        let real = |word: &[u8; 8]| f64::from_le_bytes(*word);
        let known = |value: f64| (!value.is_nan()).then_some(value);
        let (pairs, triples) = (rates.as_chunks::<2>().0, tests_words.as_chunks::<3>().0);
        Some(Self {
            total,
            rates: pairs
                .iter()
                .map(|[low, high]| Some([known(real(low))?, known(real(high))?]))
                .collect(),
            losses: losses.iter().map(|word| known(real(word))).collect(),
            tests: triples
                .iter()
                .map(|[step, accuracy, nanoseconds]| Test {
                    step: u64::from_le_bytes(*step),
                    accuracy: real(accuracy),
                    nanoseconds: u64::from_le_bytes(*nanoseconds),
                })
                .collect(),
        })
    }
}

/// The run's accuracies by steps done, on what it is evaluated on.
fn tested(run: &Run) -> Result<Vec<Test>, Error> {
    let begins = run.first_step();
    let rows = read_evals(&run.folder)?;
    let own = rows
        .iter()
        .filter(|row| row.split != "train" && row.accuracy.is_finite())
        .filter(|row| begins == 0 || row.step > begins);
    let mut curve: Vec<Test> = own
        .map(|row| Test {
            step: row.step,
            accuracy: row.accuracy,
            nanoseconds: 0,
        })
        .collect();
    if curve.len() as u64 > TESTS {
        let total = run.total_steps();
        let stretch = |step: u64| step * TESTS / total;
        let mut last: Vec<Test> = Vec::new();
        for test in curve {
            match last.last_mut() {
                Some(before) if stretch(before.step) == stretch(test.step) => *before = test,
                _ => last.push(test),
            }
        }
        curve = last;
    }
    Ok(curve)
}

/// The curves of a study's runs.
pub(crate) struct KeptCurves {
    index: Index,
}

impl KeptCurves {
    /// Those of the runs in the folder `study`.
    pub(crate) fn of(study: &Path) -> Self {
        Self {
            index: Index::open(study, "curves", VERSION),
        }
    }

    /// The run's curves over stretches of `total` steps: as they are kept, where the run has ended, its files are what
    /// they were, and it has as many steps.
    pub(super) fn get(&self, run: &Run, total: u64) -> Result<Curves, Error> {
        let name = run.folder.file_name().and_then(|name| name.to_str());
        let (Some(name), Some(_)) = (name, &run.summary) else {
            return Curves::read(run, total);
        };
        let stamps = FILES.map(|file| Stamp::of(&run.folder.join(file)));
        let kept = self.index.get(name, &stamps);
        let kept = kept.and_then(|bytes| Curves::from_bytes(&bytes));
        if let Some(curves) = kept.filter(|curves| curves.total == total) {
            return Ok(curves);
        }
        let curves = Curves::read(run, total)?;
        // Another number of steps than the run's own is that of a label whose runs differ in it.
        if total == run.total_steps() {
            self.index.add(name, &stamps, &curves.to_bytes());
        }
        Ok(curves)
    }

    /// Takes out those of `runs` whose logs cannot be read, and gives their folders, each with why.
    pub(super) fn take_unread(&self, runs: &mut Vec<Run>) -> Vec<String> {
        let told = |run: &Run| {
            let problem = self.get(run, run.total_steps()).err()?;
            Some(cannot_be_read(&run.folder, &problem))
        };
        let mut problems: Vec<Option<String>> = runs.par_iter().map(told).collect();
        let mut damaged = problems.iter().map(Option::is_some);
        runs.retain(|_| !damaged.next().unwrap_or(false));
        problems.iter_mut().filter_map(Option::take).collect()
    }

    /// Keeps the curves of the run in `folder`, if it has ended. That they cannot be read or written is for the report to
    /// find out.
    pub(crate) fn keep(&self, folder: &Path) {
        if let Ok(Some(run)) = Run::read(folder)
            && run.summary.is_some()
        {
            let _ = self.get(&run, run.total_steps());
            self.index.save();
        }
    }
}
