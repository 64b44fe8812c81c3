//! What a study shows while it runs.

use std::io::{IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::RunEnd;

/// Bars on a terminal; a line a run elsewhere. A clone shows on the same.
#[derive(Clone)]
pub(super) struct Screen {
    bars: MultiProgress,
    whole: ProgressBar,
    terminal: bool,
}

impl Screen {
    pub(super) fn new(runs: usize) -> Self {
        let (bars, terminal) = (MultiProgress::new(), std::io::stderr().is_terminal());
        let whole = bars.add(ProgressBar::new(runs as u64));
        whole.set_style(style(
            "{bar:30} {pos}/{len} runs, {elapsed} so far, {eta} left",
        ));
        whole.tick();
        Self {
            bars,
            whole,
            terminal,
        }
    }

    pub(super) fn bar(&self, run: &str) -> ProgressBar {
        let bar = self.bars.insert_before(&self.whole, ProgressBar::new(1));
        bar.set_style(style(
            "{bar:30} {prefix}  step {pos}/{len}  {msg}  {eta} left",
        ));
        bar.set_prefix(run.to_owned());
        bar
    }

    pub(super) fn ended(&self, run: &str, end: &RunEnd) {
        self.whole.inc(1);
        let word = match end {
            RunEnd::Finished => "finished",
            RunEnd::Diverged => "diverged",
            RunEnd::Reached => "reached its rung",
            RunEnd::Stopped => "stopped",
            RunEnd::Failed(_) => "FAILED",
        };
        let line = format!(
            "{run}: {word} ({}/{})",
            self.whole.position(),
            self.whole.length().unwrap_or(0)
        );
        if !self.terminal {
            say(&line);
        } else if !matches!(end, RunEnd::Finished | RunEnd::Reached) {
            let _ = self.bars.println(line);
        }
    }

    /// Shows a line that stays.
    pub(super) fn news(&self, line: &str) {
        if self.terminal {
            let _ = self.bars.println(line);
        } else {
            say(line);
        }
    }

    pub(super) fn clear(&self) {
        self.whole.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes a line to standard error, if anybody reads it: a study goes on whoever looks.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
