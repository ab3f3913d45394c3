//! The tracer as it runs in production: kernel source, drained every 10 ms into the core, on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use mtlsnoop::{
    engine::{Engine, Settings},
    event::Event,
    source::kernel::{Capture, Kernel, Options},
};
use nix::time::ClockId;

use crate::{accounting::Accounting, cpus};

/// As often as `mtlsnoop trace` does it.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);

/// An attached tracer. Dropping it detaches as well.
pub(crate) struct Agent {
    thread: JoinHandle<Accounting>,
    cpu_ns: Arc<AtomicU64>,
    /// Its end tells the thread to stop.
    stop: Sender<()>,
}

impl Agent {
    /// Loads and attaches.
    pub(crate) fn start(capture: Capture, cpus: &[usize]) -> Result<Self> {
        let kernel = Kernel::start(&Options { capture, ..Options::default() })?;
        let cpu_ns = Arc::<AtomicU64>::default();
        let (stop, stopped) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        let (cpus, used) = (cpus.to_vec(), Arc::clone(&cpu_ns));
        let thread = thread::spawn(move || {
            // Fails only when nobody waits any more.
            let _ = ready.send(cpus::stay_on(&cpus));
            drain(kernel, &stopped, &used)
        });
        started.recv().context("the agent's thread ended early")??;
        Ok(Self { thread, cpu_ns, stop })
    }

    /// Processor time that draining and the core have used, up to the last drain.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    /// Detaches, takes what is left, and gives what was counted.
    pub(crate) fn stop(self) -> Result<Accounting> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow!("the agent's thread panicked"))
    }
}

fn drain(mut kernel: Kernel, stopped: &Receiver<()>, cpu_ns: &AtomicU64) -> Accounting {
    let mut engine = Engine::new(Settings::default());
    let mut updates = Vec::new();
    let mut events = 0;
    let mut take = |event: Event| {
        events += 1;
        engine.apply(&event, &mut updates);
        // A sink would write them.
        updates.clear();
    };
    while stopped.recv_timeout(DRAIN_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        kernel.drain(&mut take);
        let used = ClockId::CLOCK_THREAD_CPUTIME_ID.now().map_or(0, |time| Duration::from(time).as_nanos());
        cpu_ns.store(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    kernel.finish(&mut take);
    Accounting::of(&engine.summary(), events)
}
