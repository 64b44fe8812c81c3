//! ABEL (Lewkowycz 2021, "How to decay your learning rate", arXiv 2103.12682): less each time that the norm of the
//! weights has bounced, and once more near the end.

use pixelrate_schedule::{Run, Schedule, export_schedule, weights};
use pixelrate_shapes::clock::{Clock, times};
use pixelrate_shapes::{read, state};

struct Abel {
    clock: Clock,
    /// Steps between two looks, a fraction for epochs that are not whole.
    every: f64,
    factor: f64,
    /// The time of the decay near the end.
    last_decay: f64,
    // What follows is the state.
    rate: f64,
    /// Looks that are over.
    looks: u64,
    /// Squared norms at the last look and the one before; NaN where there was none.
    squares: [f64; 2],
    /// Whether the norm has turned once since the last decay.
    turned: bool,
    ended: bool,
}

impl Abel {
    /// The paper's first algorithm, for the norm at the end of an epoch.
    fn look(&mut self, norm: f64) {
        let square = norm * norm;
        let [last, before] = self.squares;
        // False where any of the three is missing.
        if (square - last) * (last - before) < 0.0 {
            if self.turned {
                self.rate *= self.factor;
            }
            self.turned = !self.turned;
        }
        self.squares = [square, last];
    }
}

impl Schedule for Abel {
    fn new(run: &Run) -> Result<Self, String> {
        let clock = Clock::read(run)?;
        let epoch = run.train_examples() as f64 / f64::from(run.batch_size());
        Ok(Self {
            every: epoch * read::above_zero(run, "every_epochs")?,
            factor: read::shrinking(run, "factor")?,
            last_decay: clock.duration(run, "last_decay")?,
            clock,
            rate: read::not_negative(run, "learning_rate")?,
            looks: 0,
            squares: [f64::NAN; 2],
            turned: false,
            ended: false,
        })
    }

    fn learning_rate(&mut self, step: u64) -> f64 {
        // The step that begins an epoch sees the weights as the epoch before has left them.
        let due = times(step as f64, self.every) as u64;
        if due > self.looks {
            self.looks = due;
            self.look(weights::norm());
        }
        if !self.ended && self.last_decay > 0.0 && self.clock.at(step) >= self.last_decay {
            self.ended = true;
            self.rate *= self.factor;
        }
        self.rate
    }

    fn save(&mut self) -> Vec<u8> {
        let [last, before] = self.squares;
        state::pack(&[
            self.rate.to_bits(),
            self.looks,
            last.to_bits(),
            before.to_bits(),
            u64::from(self.turned),
            u64::from(self.ended),
        ])
    }

    fn restore(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let words = state::unpack(&bytes)?;
        let &[rate, looks, last, before, turned, ended] = words.as_slice() else {
            return Err(state::foreign(&bytes));
        };
        self.rate = f64::from_bits(rate);
        self.looks = looks;
        self.squares = [last, before].map(f64::from_bits);
        (self.turned, self.ended) = (turned != 0, ended != 0);
        Ok(())
    }
}

export_schedule!(Abel, exports: [save], parameters: [
    {"learning_rate" = 0.1, "The rate before the first decay."},
    {"factor" = 0.1, "What the rate is multiplied by at a decay."},
    {"every_epochs" = 1, "Epochs between two looks at the norm of the weights."},
    {"last_decay" = 0.85, "The time of the run at which the rate decays once more, whatever the norm does; 0: never."},
    {"unit" = 2 in ["steps", "epochs", "fraction", "whole_epochs"], "What last_decay counts."},
]);
