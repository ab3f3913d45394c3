//! What it costs to wake a thread that sleeps on another processor, for the one that wakes it; it must not know why it sleeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use mtlsnoop_tests::interrupt;

use crate::{
    cpus::{self, Cpus},
    statistic::Estimate,
};

const WAKEUPS: u32 = 5000;
/// Long enough for the woken thread to be asleep again, and its processor idle.
const ASLEEP: Duration = Duration::from_micros(100);

/// In microseconds, from the load's processor to a thread on the others.
pub(crate) fn cost_us(cpus: &Cpus) -> Result<Estimate> {
    let is_over = Arc::<AtomicBool>::default();
    let over = Arc::clone(&is_over);
    // It inherits the processors of this thread: those that tracers run on.
    let sleeper = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            thread::park();
        }
    });
    let cpu = cpus.load;
    let target = sleeper.thread().clone();
    let waker = thread::spawn(move || {
        cpus::stay_on(&[cpu])?;
        (0..WAKEUPS).map(|_| wake(&target)).collect::<Result<Vec<f64>>>()
    });
    let costs = waker.join();
    is_over.store(true, Ordering::Relaxed);
    sleeper.thread().unpark();
    sleeper.join().map_err(|_| anyhow!("the thread that sleeps panicked"))?;
    let costs = costs.map_err(|_| anyhow!("the thread that wakes panicked"))??;
    Estimate::of(&costs).context("nothing was measured")
}

fn wake(sleeper: &thread::Thread) -> Result<f64> {
    interrupt::check()?;
    let begun = Instant::now();
    while begun.elapsed() < ASLEEP {
        std::hint::spin_loop();
    }
    let begun = Instant::now();
    sleeper.unpark();
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
