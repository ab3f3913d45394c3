//! What a live run waits for: time to look, signals, the end of its time; must not know what is looked at.

use std::{io, pin::Pin, thread, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
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
    /// It was to last no longer: its time is over, or its input.
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
    input: Option<oneshot::Receiver<()>>,
}

impl Inputs {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen() -> io::Result<Self> {
        signals::raise_then_exit()?;
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self {
            drain: Box::pin(sleep(Duration::ZERO)),
            interrupt,
            terminate,
            hang_up: None,
            end: None,
            input: None,
        })
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

    /// The run is over when standard input is. What comes by it is thrown away.
    pub fn end_with_input(&mut self) -> io::Result<()> {
        let (over, input) = oneshot::channel();
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            // Input that cannot be read is over as well.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            // Nobody waits for it when the run is over.
            let _ = over.send(());
        })?;
        self.input = Some(input);
        Ok(())
    }

    /// Waits for what comes first; signals go before what is due all the time.
    pub async fn next(&mut self) -> Input {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Input::Interrupted,
            _ = self.terminate.recv() => Input::Interrupted,
            () = came(self.hang_up.as_mut()) => Input::HungUp,
            () = elapsed(self.end.as_mut()) => Input::Elapsed,
            () = over(self.input.as_mut()) => Input::Elapsed,
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

async fn over(input: Option<&mut oneshot::Receiver<()>>) {
    match input {
        Some(input) => input.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

async fn elapsed(end: Option<&mut Pin<Box<Sleep>>>) {
    match end {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}
