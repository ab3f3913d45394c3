//! How fast the core is alone: the events of one second of connections, from memory, over and over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mtlsnoop::{
    engine::{Engine, Settings},
    event::Event,
    source::kernel::{Capture, Kernel, Options},
};
use mtlsnoop_tests::interrupt;
use serde_json::{Value, json};

use crate::{
    cpus::Cpus,
    load::{Load, running::Running},
    pause::pause,
    statistic::Estimate,
};

/// The core on one processor.
pub(crate) struct Replay {
    /// How many events were recorded.
    pub(crate) events: usize,
    /// Events a second.
    pub(crate) per_s: Estimate,
}

/// How often the events are replayed, each time into a new core.
const REPETITIONS: usize = 15;
const RECORDED: Duration = Duration::from_secs(1);
/// Short against what the ring holds.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) fn measure(cpus: &Cpus) -> Result<Replay> {
    eprintln!("bench: replay");
    let events = record(cpus)?;
    let mut rates = Vec::new();
    for _ in 0..REPETITIONS {
        interrupt::check()?;
        rates.push(replay(&events));
    }
    let per_s = Estimate::of(&rates).context("nothing was measured")?;
    Ok(Replay { events: events.len(), per_s })
}

impl Replay {
    pub(crate) fn json(&self) -> Value {
        json!({ "events": self.events, "events_per_s": { "value": self.per_s.value, "error": self.per_s.error } })
    }
}

/// What a second of connections makes; the load has ended when this returns.
fn record(cpus: &Cpus) -> Result<Vec<Event>> {
    let _running = Running::start(Load::Conn, cpus)?;
    let mut kernel = Kernel::start(&Options { capture: Capture::Always, ..Options::default() })?;
    let mut events = Vec::new();
    let end = Instant::now() + RECORDED;
    while Instant::now() < end {
        pause(DRAIN_INTERVAL)?;
        kernel.drain(&mut |event| events.push(event));
    }
    Ok(events)
}

/// Events a second.
fn replay(events: &[Event]) -> f64 {
    let mut engine = Engine::new(Settings::default());
    let mut updates = Vec::new();
    let begun = Instant::now();
    for event in events {
        engine.apply(event, &mut updates);
        updates.clear();
    }
    #[expect(clippy::cast_precision_loss, reason = "the events of a second")]
    let count = events.len() as f64;
    count / begun.elapsed().as_secs_f64()
}
