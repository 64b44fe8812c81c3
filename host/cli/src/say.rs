//! What the program says. Here `println!` and `eprintln!` are not the standard library's, which panic once nobody listens
//! any more: a reader such as `head` may go when it has seen enough.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process;

/// What a shell sees of a program whose reader has gone: that signal 13, SIGPIPE, has ended it.
pub(crate) const UNREAD: u8 = 128 + 13;

/// Prints a line to standard output; ends the program, without a word, if nobody reads it any more.
macro_rules! println {
    ($($line:tt)*) => {
        $crate::say::line(format_args!($($line)*))
    };
}

/// Prints a line to standard error, if anybody reads it: what trains goes on whoever looks.
macro_rules! eprintln {
    ($($line:tt)*) => {
        $crate::say::aside(format_args!($($line)*))
    };
}

/// What `println!` does.
pub(crate) fn line(line: Arguments<'_>) {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => {}
        Err(problem) if problem.kind() == ErrorKind::BrokenPipe => process::exit(UNREAD.into()),
        Err(problem) => {
            aside(format_args!(
                "error: cannot write to standard output: {problem}"
            ));
            process::exit(1);
        }
    }
}

/// What `eprintln!` does.
pub(crate) fn aside(line: Arguments<'_>) {
    // Nobody is left to be told.
    let _ = writeln!(io::stderr(), "{line}");
}
