//! A tracer as a process: started in a control group of its own, its output drained, measured, stopped as a person does it;
//! it must not know which tracer it is.

use std::{
    io::{BufRead as _, BufReader},
    process::ChildStdout,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use mtlsnoop_tests::{command::Launch, process::Process, wait};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{group::Group, proc_text};

/// A running tracer.
pub(crate) struct Started {
    process: Process,
    reader: JoinHandle<Said>,
    has_told: Arc<AtomicBool>,
    group: Group,
    folder: TempDir,
}

/// What is looked for in its output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// A part of the line that shows that it works.
    pub(crate) sign: Option<&'static str>,
    /// How a line tells of losses, with `#` for their number.
    pub(crate) loss: Option<&'static str>,
}

/// What it has said by its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The last line of its standard output.
    pub(crate) last: String,
    pub(crate) stderr: String,
    /// Losses that it told of.
    pub(crate) lost: u64,
}

/// What a tracer has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) sleeps: u64,
}

impl Started {
    /// Starts what `launch` makes of the folder for its files. Its standard output is a pipe that is drained, as in a log
    /// collector; with a file the disk would be measured too.
    pub(crate) fn start(launch: impl FnOnce(&TempDir) -> Result<Launch>, watch: Watch) -> Result<Self> {
        let folder = tempfile::tempdir().context("could not make a folder; is the disk full?")?;
        let group = Group::create()?;
        let mut process = launch(&folder)?.in_cgroup(group.path()).piped().start()?;
        let stdout = process.take_stdout().context("the tracer has no standard output")?;
        let has_told = Arc::<AtomicBool>::default();
        let told = Arc::clone(&has_told);
        let reader = thread::spawn(move || read(stdout, &watch, &told));
        Ok(Self { process, reader, has_told, group, folder })
    }

    /// Whether the sign was there.
    pub(crate) fn has_told(&self) -> bool {
        self.has_told.load(Ordering::Relaxed)
    }

    /// Fails with what it said if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.process.check_alive()
    }

    /// Waits for a line on standard error.
    pub(crate) fn wait_for_stderr(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        self.process.wait_for_stderr(what, wanted).map(drop)
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(Usage { cpu: self.group.cpu()?, sleeps: self.group.sleeps()? })
    }

    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        self.group.rss_bytes()
    }

    /// Stops it with SIGINT, and gives what it said.
    pub(crate) fn stop(self) -> Result<Said> {
        let Self { mut process, reader, has_told: _, group, folder } = self;
        process.signal(Signal::SIGINT)?;
        wait::until("the tracer's end", wait::LONG, || process.ended())
            .with_context(|| format!("told to end, it said {:?}", process.stderr()))?;
        // Helpers that outlive it would hold its standard output open.
        mtlsnoop_tests::cgroup::end_all(group.path())?;
        let said = reader.join().map_err(|_| anyhow!("the reader of a tracer's output panicked"))?;
        let stderr = process.stderr();
        drop(folder);
        Ok(Said { stderr, ..said })
    }
}

fn read(stdout: ChildStdout, watch: &Watch, has_told: &AtomicBool) -> Said {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    let (mut line, mut previous, mut lost) = (Vec::new(), Vec::new(), 0);
    let mut is_waiting = watch.sign.is_some();
    // Until its end, or until it cannot be read any more, which is the same here.
    while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line);
        if is_waiting && watch.sign.is_some_and(|sign| text.contains(sign)) {
            is_waiting = false;
            has_told.store(true, Ordering::Relaxed);
        }
        lost += watch.loss.and_then(|pattern| proc_text::number_in(&text, pattern)).unwrap_or(0);
        std::mem::swap(&mut line, &mut previous);
        line.clear();
    }
    Said { last: String::from_utf8_lossy(&previous).into_owned(), stderr: String::new(), lost }
}
