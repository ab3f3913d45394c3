//! What it costs to wake a thread that sleeps on another processor, for the one that wakes it; it must not know why it sleeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
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
    let (is_over, woken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
    let (over, count) = (Arc::clone(&is_over), Arc::clone(&woken));
    // It inherits the processors of this thread: those that tracers run on.
    let sleeper = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            thread::park();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let cpu = cpus.load;
    let target = sleeper.thread().clone();
    let waker = thread::spawn(move || {
        cpus::stay_on(&[cpu])?;
        (0..WAKEUPS).map(|_| wake(&target, &woken)).collect::<Result<Vec<f64>>>()
    });
    let costs = waker.join();
    is_over.store(true, Ordering::Relaxed);
    sleeper.thread().unpark();
    sleeper.join().map_err(|_| anyhow!("the thread that sleeps panicked"))?;
    let costs = costs.map_err(|_| anyhow!("the thread that wakes panicked"))??;
    Estimate::of(&costs).context("nothing was measured")
}

/// Wakes the sleeper, and waits until it has been awake and is asleep again: busy processors let it wait.
fn wake(sleeper: &thread::Thread, woken: &AtomicU32) -> Result<f64> {
    let before = woken.load(Ordering::Relaxed);
    let begun = Instant::now();
    sleeper.unpark();
    let cost_us = begun.elapsed().as_secs_f64() * 1e6;
    while woken.load(Ordering::Relaxed) == before {
        interrupt::check()?;
        std::hint::spin_loop();
    }
    let awake = Instant::now();
    while awake.elapsed() < ASLEEP {
        std::hint::spin_loop();
    }
    Ok(cost_us)
}
