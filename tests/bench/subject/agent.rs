//! The tracer as a process that can be told to detach and attach again, and the sentinel alone, which the command line does
//! not offer: kernel source, drained into the core, findings and summary on standard output, as `mtlsnoop trace -o json` does it.

use std::{
    io::{self, BufWriter, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use mtlsnoop::{
    arming::Armer,
    event::{Event, time::Time},
    filter::Selection,
    memory,
    outcome::OutputError,
    pipeline::Pipeline,
    sink::json::JsonLines,
    source::kernel::{Capture, Kernel, Options},
    suspicion::arming::FIRST_PERIOD,
};
use mtlsnoop_tests::interrupt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Asks to attach; the answer is the same.
pub(crate) const ATTACH: u8 = b'a';
/// Asks to detach; the answer is the same.
pub(crate) const DETACH: u8 = b'd';

/// What this process is to be.
#[derive(Args)]
pub(crate) struct Agent {
    /// What it attaches
    mode: Mode,
    /// The socket on which it is told to attach and to detach
    #[arg(long)]
    control: Option<PathBuf>,
}

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The sentinel is loaded, and never attached.
    Nothing,
    Sentinel,
    Adaptive,
    Always,
}

impl Mode {
    /// As it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Sentinel => "sentinel",
            Self::Adaptive => "adaptive",
            Self::Always => "always",
        }
    }
}

/// Runs until SIGINT.
pub(crate) fn run(agent: &Agent) -> Result<()> {
    interrupt::catch()?;
    let mut tracer = Tracer::start(agent.mode)?;
    let mut control = agent.control.as_deref().map(UnixStream::connect).transpose()?;
    eprintln!("tracing {}", agent.mode.name());
    let mut pause = Duration::ZERO;
    while interrupt::check().is_ok() {
        if is_asked(control.as_ref(), pause)
            && let Some(control) = &mut control
        {
            let mut byte = [0];
            control.read_exact(&mut byte).context("the benchmark went away")?;
            tracer.obey(byte[0])?;
            control.write_all(&byte).context("the benchmark went away")?;
        }
        pause = tracer.drain()?;
    }
    tracer.finish()
}

/// Waits so long for a question.
fn is_asked(control: Option<&UnixStream>, pause: Duration) -> bool {
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::ZERO);
    let mut polled: Vec<_> = control.iter().map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN)).collect();
    // A signal ends it at once; one that came just before it is seen after the pause.
    poll(&mut polled, timeout).is_ok_and(|ready| ready > 0)
}

struct Tracer {
    mode: Mode,
    kernel: Kernel,
    session: Session,
    armer: Armer,
}

struct Session {
    pipeline: Pipeline,
    now: Time,
    written: Result<(), OutputError>,
}

impl Tracer {
    fn start(mode: Mode) -> Result<Self> {
        let capture = match mode {
            Mode::Nothing | Mode::Sentinel => Capture::Sentinel,
            Mode::Adaptive => Capture::Adaptive,
            Mode::Always => Capture::Always,
        };
        let mut kernel = Kernel::start(&Options { capture, ..Options::default() })?;
        if mode == Mode::Nothing {
            kernel.pause();
        }
        memory::give_back();
        let sink = Box::new(JsonLines::new(BufWriter::with_capacity(64 << 10, io::stdout())));
        let pipeline = Pipeline::with_suspects(Selection::default(), sink);
        let session = Session { pipeline, now: Time::default(), written: Ok(()) };
        Ok(Self { mode, kernel, session, armer: Armer::new(FIRST_PERIOD) })
    }

    fn obey(&mut self, question: u8) -> Result<()> {
        match question {
            ATTACH | DETACH if self.mode == Mode::Nothing => {}
            ATTACH => self.kernel.resume().context("could not attach again")?,
            DETACH => self.kernel.pause(),
            _ => bail!("the benchmark asked for {question}, which nobody knows"),
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<Duration> {
        let Self { kernel, session, armer, .. } = self;
        let pause = kernel.drain(&mut |event| session.take(&event));
        std::mem::replace(&mut session.written, Ok(()))?;
        session.pipeline.flush()?;
        armer.apply(&session.pipeline.take_suspects(), session.now, kernel);
        Ok(pause)
    }

    fn finish(self) -> Result<()> {
        let Self { kernel, mut session, armer, .. } = self;
        kernel.finish(&mut |event| session.take(&event));
        armer.finish();
        session.written?;
        Ok(session.pipeline.finish()?)
    }
}

impl Session {
    fn take(&mut self, event: &Event) {
        self.now = self.now.max(event.time());
        if self.written.is_ok() {
            self.written = self.pipeline.event(event);
        }
    }
}
