//! One line on the terminal for each piece of work that takes a while. It knows nothing of the work.
use std::{io::Write as _, time::Instant};

use anyhow::Result;

/// Says what is being done, does it, and says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    // Without a newline, so that the time lands on the same line; a terminal that cannot show it loses only the wait.
    eprint!("setup: {what} … ");
    drop(std::io::stderr().flush());
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "failed" };
    eprintln!("{verdict} after {:.1} s", begun.elapsed().as_secs_f64());
    result
}
