//! Paces by measurement: as many processes as a split has runs train at once, each what a run of the study trains.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pixelrate_trainer::spec::RunSpec;
use pixelrate_trainer::train::Stop;

use super::Split;
use super::choose::{Answer, Paces};
use super::kept::{self, Measured};
use super::machine::{self, Cores};
use super::order::{Order, Word};
use crate::Error;
use crate::complaints::Complaints;

/// Seconds that warm up, and seconds that are counted: at the least, at the most, and in steps.
const WARM_UP: f64 = 0.3;
const SECONDS: f64 = 1.0;
const SECONDS_AT_MOST: f64 = 6.0;
const STEPS: f64 = 20.0;
/// Seconds that tell whether a study is worth the measurement of a split: warming up, and counted.
const GLANCE: (f64, f64) = (0.1, 0.2);

/// A process that says nothing for so long is given up: the largest model's data are read and its steps done by then.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a stop is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Of the free memory, runs may take so much: what else goes on takes some, too.
const MEMORY: f64 = 0.9;

/// A machine that is so busy is not what the next study will find.
const BUSY: f64 = 0.1;

/// Measures, and remembers.
pub(super) struct Measuring<'a> {
    spec: &'a RunSpec,
    program: &'a Path,
    stop: &'a Stop,
    cores: usize,
    /// What is known from before, and what was measured now.
    known: kept::Paces,
    /// What was asked for.
    asked: Vec<Measured>,
    processes: Vec<Process>,
    /// When the first measurement began, and how many there were.
    began: Option<Instant>,
    count: usize,
    /// How busy the machine was just before.
    busy: f64,
    free_memory: Option<u64>,
    allowance: Option<Allowance>,
}

/// How much time may be spent.
struct Allowance {
    /// Of the study's own.
    share: f64,
    /// A study that allows no more than this allows nothing.
    least: Duration,
    /// The study's steps, of all runs.
    steps: f64,
}

impl<'a> Measuring<'a> {
    pub(super) fn new(spec: &'a RunSpec, program: &'a Path, cores: &Cores, stop: &'a Stop) -> Self {
        Self {
            spec,
            program,
            stop,
            cores: cores.count,
            known: kept::Paces::of(spec, cores),
            asked: Vec::new(),
            processes: Vec::new(),
            began: None,
            count: 0,
            busy: 0.0,
            free_memory: machine::free_memory(),
            allowance: None,
        }
    }

    /// Spends no more than `share` of the time that a study of so many steps takes, and nothing if that is less than `least`.
    pub(super) fn spend_at_most(&mut self, share: f64, least: Duration, steps: f64) {
        self.allowance = Some(Allowance {
            share,
            least,
            steps,
        });
    }

    /// What was measured before, and is in no cache.
    pub(super) fn remember(&mut self, measured: &[Measured]) {
        for one in measured {
            if self.known.get(one.split).is_none() {
                self.known.measured.push(*one);
            }
        }
    }

    /// Whether it is worth the time to measure `split`, too.
    fn may_go_on(&mut self, split: Split) -> Result<bool, Error> {
        if self.began.is_none() {
            self.busy = machine::busy(4 * LOOK);
        }
        let Some(allowance) = &self.allowance else {
            return Ok(true);
        };
        // What others leave now is not what they leave for the hours of a study.
        if self.busy > BUSY {
            return Ok(false);
        }
        let least = allowance.least.as_secs_f64();
        // What one run does alone tells how long the study will take.
        let Some(&alone) = self.asked.first() else {
            let (warm_up, seconds) = GLANCE;
            let steps_per_second = self.measure(split, warm_up, seconds)?;
            let alone = Measured {
                split,
                steps_per_second,
            };
            return Ok(self.allowed(alone) >= least);
        };
        let allowed = self.allowed(alone);
        let spent = self
            .began
            .map_or(0.0, |began| began.elapsed().as_secs_f64());
        let next = WARM_UP + self.window(alone.split.threads);
        Ok(allowed >= least && spent + next <= allowed)
    }

    /// Seconds that may be spent on a study of which one run does as `alone` says.
    fn allowed(&self, alone: Measured) -> f64 {
        let threads = f64::from(alone.split.threads);
        let quickest = alone.steps_per_second * self.cores as f64 / threads;
        self.allowance.as_ref().map_or(f64::INFINITY, |allowance| {
            allowance.share * allowance.steps / quickest
        })
    }

    /// Seconds to count steps in, of runs with so many threads.
    fn window(&self, threads: u32) -> f64 {
        let alone = self.asked.first();
        let step = alone.map_or(0.0, |alone| {
            let more = f64::from(threads) / f64::from(alone.split.threads);
            1.0 / (alone.steps_per_second * more)
        });
        (STEPS * step).clamp(SECONDS, SECONDS_AT_MOST)
    }

    /// Lets as many processes as the split has runs train with its threads, for so many seconds that warm up and so many
    /// that are counted.
    fn measure(&mut self, split: Split, warm_up: f64, seconds: f64) -> Result<f64, Error> {
        self.began.get_or_insert_with(Instant::now);
        let fresh = self.processes.len();
        while self.processes.len() < split.runs {
            let process = Process::start(self.spec, self.program)?;
            self.processes.push(process);
        }
        // All of them read their data at once.
        for process in &mut self.processes[fresh..] {
            process.hear(self.stop)?;
        }
        let order = Order::Train {
            threads: split.threads,
            warm_up,
            seconds,
        };
        let used = &mut self.processes[..split.runs];
        used.iter_mut()
            .try_for_each(|process| process.say(&order))?;
        let mut sum = 0.0;
        for process in used.iter_mut() {
            if let Word::Pace { steps, memory } = process.hear(self.stop)? {
                sum += steps;
                self.known.memory = self.known.memory.max(memory);
            }
        }
        used.iter_mut()
            .try_for_each(|process| process.say(&Order::Rest))?;
        for process in used {
            process.hear(self.stop)?;
        }
        self.count += 1;
        Ok(sum / split.runs as f64)
    }

    /// What `split` came to, and how that is known. Keeps what was measured.
    pub(super) fn told(&self, split: Split) -> String {
        let batch = f64::from(self.spec.training.batch_size);
        let Some(pace) = self.asked.iter().find(|one| one.split == split) else {
            return if self.busy > BUSY {
                format!(
                    "not measured: the machine is {:.0} % busy with other work",
                    100.0 * self.busy
                )
            } else {
                super::TOO_SHORT.to_owned()
            };
        };
        let images = pace.steps_per_second * batch * split.runs as f64;
        let mut text = format!("{images:.0} images a second");
        let count = self.asked.len();
        text += &match self.began {
            None => format!(", the quickest of {count} splits that were measured before"),
            Some(began) => format!(
                ", the quickest of {count} splits, found in {:.0} s",
                began.elapsed().as_secs_f64()
            ),
        };
        let most = self.most_runs();
        if most < self.cores {
            text += &format!("; memory holds {most} runs");
        }
        if self.busy > BUSY {
            text += &format!(
                "; not remembered, since the machine was busy with other work ({:.0} %)",
                100.0 * self.busy
            );
        } else if self.count > 0 {
            self.known.keep();
        }
        text
    }

    /// All splits that were looked at.
    pub(super) fn all(&self) -> Vec<Measured> {
        self.asked.clone()
    }
}

impl Paces for Measuring<'_> {
    fn pace(&mut self, split: Split) -> Result<Answer, Error> {
        let steps_per_second = match self.known.get(split) {
            Some(pace) => pace,
            None if !self.may_go_on(split)? => return Ok(Answer::Enough),
            None => {
                let seconds = self.window(split.threads);
                let steps_per_second = self.measure(split, WARM_UP, seconds)?;
                let measured = Measured {
                    split,
                    steps_per_second,
                };
                self.known.measured.push(measured);
                steps_per_second
            }
        };
        self.asked.push(Measured {
            split,
            steps_per_second,
        });
        Ok(Answer::Pace(steps_per_second))
    }

    fn most_runs(&self) -> usize {
        let room = self.free_memory.zip(self.known.memory);
        room.map_or(usize::MAX, |(free, one)| {
            ((free as f64 * MEMORY / one.max(1) as f64) as usize).max(1)
        })
    }
}

/// A process that trains when it is told to.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    words: Receiver<Word>,
    complaints: Option<Complaints>,
}

impl Process {
    fn start(spec: &RunSpec, program: &Path) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .arg("pace")
            .env("OMP_NUM_THREADS", spec.training.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::io("start", program, source))?;
        let (give, words) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                for word in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                    if give.send(word).is_err() {
                        return;
                    }
                }
            });
        }
        let complaints = Some(Complaints::of(&mut child));
        let mut process = Self {
            input: child.stdin.take(),
            child,
            words,
            complaints,
        };
        process.say(spec)?;
        Ok(process)
    }

    fn say(&mut self, what: &impl serde::Serialize) -> Result<(), Error> {
        let line = serde_json::to_string(what).map_err(|e| Error::Pace(e.to_string()))?;
        let written = self.input.as_mut().map(|input| writeln!(input, "{line}"));
        match written {
            Some(Ok(())) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    /// What it says next.
    fn hear(&mut self, stop: &Stop) -> Result<Word, Error> {
        let began = Instant::now();
        loop {
            match self.words.recv_timeout(LOOK) {
                Ok(word) => return Ok(word),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if stop.asked() => {
                    return Err(Error::Pace("it was stopped".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) if began.elapsed() > PATIENCE => {
                    let seconds = PATIENCE.as_secs();
                    return Err(Error::Pace(format!("no step was done in {seconds} s")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Why it is no more.
    fn ended(&mut self) -> Error {
        let _ = self.child.kill();
        let status = self.child.wait();
        let told = self.complaints.take().map(|all| all.told(status));
        Error::Pace(told.unwrap_or_else(|| "its process has ended".to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing that could be lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
