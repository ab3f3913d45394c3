//! `agent`: wires the live source to standard output, metrics and the port, for as long as the node lives; must not know how any of
//! them works.

mod announcing;
mod api;
mod health;
mod output;
mod port;
mod reread;
mod running;
mod status;

use std::{fs::File, io, os::fd::AsFd as _, process, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result};
use tokio::runtime;

use crate::{
    agent::{running::Running, status::Status},
    config::Agent,
    inputs::{Input, Inputs},
    line_queue::LineQueue,
    notice,
    outcome::Outcome,
    sink::metrics::Metrics,
};

/// Reads again what an agent is asked for.
pub type Reread<'a> = &'a dyn Fn() -> Result<Agent, String>;

/// Most bytes of the run's own words that wait for a reader.
const NOTICE_BYTES: usize = 1 << 20;

/// How long a stop may take. The kubelet kills after 30 s by default (`terminationGracePeriodSeconds`).
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// Runs until it is told to end.
pub fn agent(config: &Agent, reread: Reread<'_>) -> Result<Outcome> {
    notice::set_level(config.log_level);
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned().context("standard error is closed")?);
    let words = LineQueue::start(stderr, NOTICE_BYTES).context("cannot start a thread")?;
    notice::send_through(words.clone(), config.log_format);
    let outcome = run(config, reread);
    if let Err(error) = &outcome {
        notice::error(format_args!("{error:#}"));
    }
    // Where nobody reads, the last words are lost.
    words.finish(Duration::from_secs(1));
    Ok(outcome.unwrap_or(Outcome::Incomplete))
}

fn run(config: &Agent, reread: Reread<'_>) -> Result<Outcome> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    // Before anything is attached, so that a signal during the start ends like one after it.
    let inputs = {
        let _inside = runtime.enter();
        listen().context("cannot listen for signals")?
    };
    let status = Arc::new(Status::begin());
    let metrics = Metrics::new(config.metrics);
    let address = port::open(config.listen, metrics.clone(), Arc::clone(&status))?;
    notice::say(format_args!("metrics and probes are served at {address}"));
    let mut running = Running::start(config, metrics, Arc::clone(&status))?;
    runtime.block_on(live(inputs, &mut running, reread));
    end_at_the_latest();
    status.set_not_ready(vec!["it ends".to_owned()]);
    running.finish()
}

fn listen() -> io::Result<Inputs> {
    let mut inputs = Inputs::listen()?;
    inputs.listen_for_hang_up()?;
    Ok(inputs)
}

async fn live(mut inputs: Inputs, running: &mut Running, reread: Reread<'_>) {
    loop {
        match inputs.next().await {
            Input::Drain => inputs.drain_after(running.drain(reread)),
            Input::HungUp => running.reread(reread),
            Input::Interrupted | Input::Elapsed => return,
        }
    }
}

/// A disk that hangs must not keep the process until the kubelet kills it.
fn end_at_the_latest() {
    thread::spawn(|| {
        thread::sleep(STOP_WITHIN);
        let seconds = STOP_WITHIN.as_secs();
        notice::error(format_args!("not everything was handed on within {seconds} s; it ends now"));
        // Time for that to be read, if anybody reads.
        thread::sleep(Duration::from_millis(200));
        process::exit(1);
    });
}
