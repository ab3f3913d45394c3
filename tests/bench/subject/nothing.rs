//! The process that stands for no tracer: started, measured and stopped like one, it does nothing.
//!
//! That a process is started beside a load slows the load by half a percent, whatever the process does (measured with this
//! one against no process at all). Only what a tracer costs beyond that is its own.

use std::convert::Infallible;

/// How it says that it is there.
pub(crate) const READY: &str = "tracing nothing";

/// Sleeps until a signal ends it.
pub(crate) fn run() -> anyhow::Result<Infallible> {
    eprintln!("{READY}");
    loop {
        nix::unistd::pause();
    }
}
