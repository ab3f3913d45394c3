//! What a live run waits for: time to look, signals, the end of its time; must not know what is looked at.

use std::{io, pin::Pin, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Sleep, sleep},
};

use crate::signals;

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// It is time to drain the source.
    Drain,
    /// Somebody wants it to end.
    Interrupted,
    /// It was to last no longer.
    Elapsed,
    /// SIGHUP came, where it is listened for.
    HungUp,
}

/// Everything that is waited for at once.
pub struct Inputs {
    drain: Pin<Box<Sleep>>,
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
    end: Option<Pin<Box<Sleep>>>,
}

impl Inputs {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen() -> io::Result<Self> {
        signals::raise_then_exit()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { drain: Box::pin(sleep(Duration::ZERO)), interrupt, terminate, hang_up: None, end: None })
    }

    /// Listens for SIGHUP too, which ends a run that does not.
    pub fn listen_for_hang_up(&mut self) -> io::Result<()> {
        self.hang_up = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    /// It is time to drain after this long.
    pub fn drain_after(&mut self, pause: Duration) {
        self.drain.as_mut().reset(Instant::now() + pause);
    }

    /// The run is over after this long.
    pub fn end_after(&mut self, duration: Duration) {
        self.end = Some(Box::pin(sleep(duration)));
    }

    /// Waits for what comes first; signals go before what is due all the time.
    pub async fn next(&mut self) -> Input {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Input::Interrupted,
            _ = self.terminate.recv() => Input::Interrupted,
            () = came(self.hang_up.as_mut()) => Input::HungUp,
            () = elapsed(self.end.as_mut()) => Input::Elapsed,
            () = self.drain.as_mut() => Input::Drain,
        }
    }
}

async fn came(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn elapsed(end: Option<&mut Pin<Box<Sleep>>>) {
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}
