//! What people are told about the run itself, on standard error; must not know findings.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// Says something about the run. That standard error is gone is no reason to stop.
pub fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Says something that the user should look at.
pub fn warn(message: impl Display) {
    say(format_args!("mtlsnoop: {message}"));
}

/// Lets the log of the kernel side, and of what serves it, go to standard error.
pub fn show_kernel_log() {
    // Fails only when there is a log already; then that one shows it.
    let _ = env_logger::Builder::new().filter_module("mtlsnoop", log::LevelFilter::Trace).try_init();
}
