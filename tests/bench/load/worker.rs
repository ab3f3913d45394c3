//! The process that is the load: a client thread, a server thread or both, and an answer to each line: how much was done.
//!
//! A process of its own, because the tracer leaves out the sockets of its own process.

use std::{
    fs,
    io::{self, BufRead as _, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use nix::time::ClockId;

use crate::{
    cpus,
    load::{Load, running::Done},
};

/// What this process is to be.
#[derive(Args)]
pub(crate) struct Worker {
    /// Which load
    load: Load,
    /// The processor it runs on
    #[arg(long)]
    cpu: usize,
    /// The control group it runs in
    #[arg(long)]
    cgroup: PathBuf,
    /// Be only the server, at this address
    #[arg(long, conflicts_with = "connect")]
    listen: Option<SocketAddr>,
    /// Be only the client of the server at this address
    #[arg(long)]
    connect: Option<SocketAddr>,
}

/// Operations done so far.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Runs until standard input ends, which it also does when whoever started this process is killed.
pub(crate) fn run(worker: &Worker) -> Result<()> {
    // cgroups(7): "0" is the writing process itself.
    fs::write(worker.cgroup.join("cgroup.procs"), "0").context("could not enter the load's control group")?;
    let Worker { load, cpu, .. } = *worker;
    let server = match worker.connect {
        Some(address) => address,
        None => serve_on(worker)?,
    };
    if worker.listen.is_none() {
        on_cpu(cpu, move || ask(load, server));
    }
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        line.context("could not read from the benchmark")?;
        writeln!(out, "{}", done()?.to_line()).context("could not answer the benchmark")?;
    }
    Ok(())
}

/// Starts the server, and gives its address.
fn serve_on(worker: &Worker) -> Result<SocketAddr> {
    let address = worker.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let listener = TcpListener::bind(address).with_context(|| format!("could not listen on {address}"))?;
    let address = listener.local_addr().context("no address to connect to")?;
    let load = worker.load;
    on_cpu(worker.cpu, move || serve(load, &listener));
    Ok(address)
}

/// Starts a thread that works until the process ends. A load that fails would be measured as a fast one, so it ends all.
fn on_cpu(cpu: usize, work: impl FnOnce() -> Result<()> + Send + 'static) {
    thread::spawn(move || {
        if let Err(error) = cpus::stay_on(&[cpu]).and_then(|()| work()) {
            eprintln!("bench: the load failed: {error:#}");
            std::process::exit(1);
        }
    });
}

fn serve(load: Load, listener: &TcpListener) -> Result<()> {
    let (request, answer) = load.sizes_bytes();
    let mut request = vec![0; request];
    let answer = vec![b'a'; answer];
    loop {
        let (mut stream, _) = listener.accept().context("could not accept")?;
        // Until the client closes, which it does first.
        while read_or_end(&mut stream, &mut request).context("could not read a request")? {
            stream.write_all(&answer).context("could not answer")?;
        }
    }
}

/// `false` at the end of the stream.
fn read_or_end(stream: &mut TcpStream, request: &mut [u8]) -> io::Result<bool> {
    let first = stream.read(request)?;
    if first > 0 {
        stream.read_exact(&mut request[first..])?;
    }
    Ok(first > 0)
}

fn ask(load: Load, address: SocketAddr) -> Result<()> {
    let (request, answer) = load.sizes_bytes();
    let request = vec![b'q'; request];
    let mut answer = vec![0; answer];
    loop {
        let mut stream = TcpStream::connect(address).context("could not connect")?;
        loop {
            stream.write_all(&request).context("could not send a request")?;
            stream.read_exact(&mut answer).context("could not read an answer")?;
            OPERATIONS.fetch_add(1, Ordering::Relaxed);
            if load == Load::Conn {
                break;
            }
        }
    }
}

fn done() -> Result<Done> {
    let time = ClockId::CLOCK_MONOTONIC.now().context("could not read the clock")?;
    Ok(Done { operations: OPERATIONS.load(Ordering::Relaxed), time: Duration::from(time) })
}
