//! The sentinel alone as a process, which the command line does not offer: kernel source, drained into the core, and
//! the summary on standard output, as `mtlsnoop trace -o json` does it.

use std::{io, thread, time::Duration};

use anyhow::Result;
use mtlsnoop::{
    filter::Selection,
    memory,
    pipeline::Pipeline,
    sink::json::JsonLines,
    source::kernel::{Capture, Kernel, Options},
};
use mtlsnoop_tests::interrupt;

/// Runs until SIGINT.
pub(crate) fn run() -> Result<()> {
    interrupt::catch()?;
    let mut kernel = Kernel::start(&Options { capture: Capture::Sentinel, ..Options::default() })?;
    memory::give_back();
    let mut pipeline = Pipeline::new(Selection::default(), Box::new(JsonLines::new(io::stdout())));
    let mut written = Ok(());
    eprintln!("tracing with {} hooks", kernel.coverage().len());
    let mut pause = Duration::ZERO;
    while interrupt::check().is_ok() {
        // The length of a pause is what is asked for; there is no condition.
        thread::sleep(pause);
        pause = kernel.drain(&mut |event| take(&mut pipeline, &event, &mut written));
    }
    kernel.finish(&mut |event| take(&mut pipeline, &event, &mut written));
    written?;
    Ok(pipeline.finish()?)
}

fn take(
    pipeline: &mut Pipeline,
    event: &mtlsnoop::event::Event,
    written: &mut Result<(), mtlsnoop::outcome::OutputError>,
) {
    if written.is_ok() {
        *written = pipeline.event(event);
    }
}
