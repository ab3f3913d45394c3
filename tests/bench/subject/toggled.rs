//! The tracer as one process that attaches and detaches when it is told to; it must not know what is measured meanwhile.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::wait;

use crate::subject::{
    Counted,
    agent::{ATTACH, DETACH, Mode},
    started::{Started, Usage, Watch},
    this_program,
};

/// A running tracer, attached as it starts.
pub(crate) struct Toggled {
    mode: Mode,
    started: Started,
    control: UnixStream,
}

impl Toggled {
    /// It is attached when this returns.
    pub(crate) fn start(mode: Mode) -> Result<Self> {
        let mut listener = None;
        let launch = |folder: &tempfile::TempDir| {
            let path = folder.path().join("control");
            listener = Some(UnixListener::bind(&path).context("could not make a socket for the tracer")?);
            Ok(this_program(folder, mode)?.arg_pair("--control", path))
        };
        let mut started = Started::start(launch, Watch::default())?;
        // It connects before it says so.
        started.wait_for_stderr("the tracer to be ready", |line| line.starts_with("tracing"))?;
        let listener = listener.context("the tracer was not told where to connect to")?;
        let (control, _) = listener.accept().context("the tracer did not connect")?;
        control.set_read_timeout(Some(wait::LONG)).context("could not limit the wait for the tracer")?;
        Ok(Self { mode, started, control })
    }

    pub(crate) fn attach(&mut self) -> Result<()> {
        self.tell(ATTACH)
    }

    pub(crate) fn detach(&mut self) -> Result<()> {
        self.tell(DETACH)
    }

    fn tell(&mut self, what: u8) -> Result<()> {
        let mut answer = [0];
        let told = self.control.write_all(&[what]).and_then(|()| self.control.read_exact(&mut answer));
        told.with_context(|| format!("the tracer does not answer; it says {:?}", self.started.stderr()))?;
        ensure!(answer == [what], "the tracer answered {answer:?} to {what}");
        Ok(())
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        self.started.usage()
    }

    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        self.started.rss_bytes()
    }

    /// Ends it, and gives what it has counted.
    pub(crate) fn stop(self) -> Result<Counted> {
        let said = self.started.stop()?;
        match self.mode {
            Mode::Nothing => Ok(Counted::default()),
            Mode::Sentinel | Mode::Adaptive | Mode::Always => Counted::by_tracer(&said),
        }
    }
}
