//! The process that stands for no tracer: it starts as one, attaches the sentinel, detaches it at once, and then does nothing.
//!
//! That a process is started beside a load slows the load by half a percent, whatever it does afterwards (measured with one
//! that only sleeps against no process at all). Only what a tracer costs beyond that is its own.

use anyhow::Result;
use mtlsnoop::{
    memory,
    source::kernel::{Capture, Kernel, Options},
};
use mtlsnoop_tests::interrupt;
use nix::poll::PollTimeout;

/// Runs until SIGINT.
pub(crate) fn run() -> Result<()> {
    interrupt::catch()?;
    let kernel = Kernel::start(&Options { capture: Capture::Sentinel, ..Options::default() })?;
    kernel.finish(&mut |_event| {});
    memory::give_back();
    eprintln!("tracing nothing");
    while interrupt::check().is_ok() {
        // A signal ends it at once; one that came just before it is seen a second later.
        let _ = nix::poll::poll(&mut [], PollTimeout::from(1000_u16));
    }
    Ok(())
}
