//! The process that is the load: a client and a server thread, and an answer to each line: how much was done so far.
//!
//! A process of its own, because the tracer leaves out the sockets of its own process.

use std::{
    io::{self, BufRead as _, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::time::ClockId;

use crate::{
    cpus,
    load::{Load, running::Sample},
};

/// Operations done so far.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Runs until standard input ends, which it also does when whoever started this process is killed.
pub(crate) fn run(load: Load, cpu: usize) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
    let address = listener.local_addr().context("no address to connect to")?;
    on_cpu(cpu, move || serve(load, &listener));
    on_cpu(cpu, move || ask(load, address));
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        line.context("could not read from the benchmark")?;
        writeln!(out, "{}", sample()?.to_line()).context("could not answer the benchmark")?;
    }
    Ok(())
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

fn sample() -> Result<Sample> {
    let now = |clock: ClockId| clock.now().map(Duration::from).context("could not read a clock");
    Ok(Sample {
        operations: OPERATIONS.load(Ordering::Relaxed),
        time: now(ClockId::CLOCK_MONOTONIC)?,
        cpu: now(ClockId::CLOCK_PROCESS_CPUTIME_ID)?,
    })
}
