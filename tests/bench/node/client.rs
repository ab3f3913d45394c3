//! The process that is a pod's sidecar: connections at a rate, of which some fail, or single attempts when it is told to.
//! It must not know who watches it.

use std::{
    fs,
    io::{self, BufRead as _, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use mtlsnoop_tests::{
    interception::SIDECAR_UID,
    large_cluster::{HEADLESS, PODS, PORT, World, pod::Pod, service::Service},
    scatter::scatter,
};
use nix::{
    time::ClockId,
    unistd::{Gid, Uid, setgid, setuid},
};

use crate::{hello, load::Load, node::NODE};

/// What this process is to be.
#[derive(Args)]
pub(crate) struct Client {
    /// Healthy connections a second
    #[arg(long, default_value_t = 0)]
    healthy: u32,
    /// Connections a second that end without an answer to a hello
    #[arg(long, default_value_t = 0)]
    failing: u32,
    /// Clients with different numbers go to different servers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The control group it runs in
    #[arg(long)]
    cgroup: PathBuf,
}

/// How long a client waits for an answer to its hello: a shorter silence says nothing of a server.
const PATIENCE: Duration = Duration::from_millis(300);
/// Such attempts that one thread makes a second.
const OF_THREAD: u32 = 3;
/// Connections so far.
static DONE: AtomicU64 = AtomicU64::new(0);
/// Services that connections fail to at a time, and for how long before the next comes for one of them.
const FAILING_SERVICES: u64 = 50;
const TURN: Duration = Duration::from_secs(2);

/// Runs until standard input ends. A line with an address and a Service's host is an attempt, answered with the time of its
/// end; an empty one is answered with how much was done.
pub(crate) fn run(client: &Client) -> Result<()> {
    // cgroups(7): "0" is the writing process itself.
    fs::write(client.cgroup.join("cgroup.procs"), "0")
        .context("could not enter the container's control group")?;
    setgid(Gid::from_raw(SIDECAR_UID)).context("could not become a sidecar's group")?;
    setuid(Uid::from_raw(SIDECAR_UID)).context("could not become a sidecar's user")?;
    let seed = client.seed;
    at_rate(client.healthy, move |nth| healthy(seed.wrapping_add(nth)));
    let begun = Instant::now();
    for thread in 0..client.failing.div_ceil(OF_THREAD) {
        let seed = seed.wrapping_add(u64::from(thread) << 24);
        at_rate(OF_THREAD, move |nth| failing(seed.wrapping_add(nth), begun.elapsed()));
    }
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.context("could not read from the benchmark")?;
        match line.split_once(' ') {
            None => writeln!(out, "{}", DONE.load(Ordering::Relaxed))?,
            Some((address, host)) => {
                let address = address.parse().context("the benchmark told no address")?;
                writeln!(out, "{}", attempt(address, host)?.as_nanos())?;
            }
        }
    }
    Ok(())
}

/// Does something so many times a second on a thread of its own until the process ends. What fails would be measured as
/// little, so it ends all.
fn at_rate(per_s: u32, work: impl Fn(u64) -> Result<()> + Send + 'static) {
    if per_s == 0 {
        return;
    }
    thread::spawn(move || {
        let begun = Instant::now();
        for nth in 0.. {
            #[expect(clippy::cast_precision_loss, reason = "connections of hours")]
            let due = Duration::from_secs_f64(nth as f64 / f64::from(per_s));
            // The rate is what is asked for; there is no condition.
            thread::sleep(due.saturating_sub(begun.elapsed()));
            if let Err(error) = work(nth) {
                eprintln!("bench: a client failed: {error:#}");
                std::process::exit(1);
            }
            DONE.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// With any pod.
fn healthy(nth: u64) -> Result<()> {
    let address = elsewhere(0..PODS, scatter(nth)).address();
    let (request, answer) = Load::Conn.sizes_bytes();
    let mut stream = TcpStream::connect((address, PORT)).context("could not connect")?;
    stream.write_all(&vec![b'q'; request]).context("could not send a request")?;
    stream.read_exact(&mut vec![0; answer]).context("could not read an answer")
}

/// With a pod of a headless Service, of which there are other ones from time to time.
fn failing(nth: u64, age: Duration) -> Result<()> {
    let first = age.as_secs() / TURN.as_secs();
    let service = Service(below(first + scatter(nth) % FAILING_SERVICES, HEADLESS));
    let pod = elsewhere(service.pods(), scatter(nth + 1));
    attempt((pod.address(), PORT).into(), &service.host()).map(drop)
}

/// One of these pods that is on another node: nobody listens on this one.
fn elsewhere(pods: Range<usize>, number: u64) -> Pod {
    let first = below(number, pods.len());
    let mut all = (pods.start + first..pods.end).chain(pods.start..pods.start + first).map(World::new_pod);
    all.find(|pod| pod.node() != NODE).unwrap_or_else(|| World::new_pod(pods.start))
}

fn below(number: u64, limit: usize) -> usize {
    usize::try_from(number % limit as u64).unwrap_or(0)
}

/// Sends a hello, waits in vain, and closes. Gives when it did, by the monotonic clock.
fn attempt(address: SocketAddr, host: &str) -> Result<Duration> {
    let mut stream = TcpStream::connect(address).context("could not connect")?;
    stream.write_all(&hello::of_mesh_to(host, PORT)?).context("could not send a hello")?;
    // How long a client waits is what makes it one; there is no condition.
    thread::sleep(PATIENCE);
    let now = ClockId::CLOCK_MONOTONIC.now().context("could not read the clock")?;
    drop(stream);
    Ok(now.into())
}
