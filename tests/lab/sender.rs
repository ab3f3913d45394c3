//! A client that sends given bytes in given pieces and tells how the other end took it; it must not know what
//! the bytes mean.
//!
//! `lab-sender ADDRESS:PORT COUNT acked|at-once WAIT_MS HEX…` opens COUNT connections at once. On each it sends each
//! HEX with a write of its own, with `acked` only when the one before has been acknowledged, then reads for at most
//! `WAIT_MS` after the last byte. It prints one JSON object a connection:
//! `{"ended":"eof"|"reset"|"open"|"refused"|"unreachable"|"timeout"|"other","received":HEX,"port":N}`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use data_encoding::HEXLOWER;
use serde_json::json;

mod request {
    //! The system call behind `acked`.
    use nix::libc;

    // tcp(7): SIOCOUTQ counts the bytes that are not acknowledged yet; it has the number of TIOCOUTQ.
    nix::ioctl_read_bad!(unacknowledged, libc::TIOCOUTQ, libc::c_int);
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when standard error is closed.
            let _ = writeln!(std::io::stderr(), "lab-sender: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, count, pace, wait_ms, pieces @ ..] = arguments.as_slice() else {
        bail!("usage: lab-sender ADDRESS:PORT COUNT acked|at-once WAIT_MS HEX…")
    };
    let address: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
    let count: usize = count.parse().with_context(|| format!("{count} is no count"))?;
    let wait = Duration::from_millis(wait_ms.parse().with_context(|| format!("{wait_ms} is no time"))?);
    let pieces = pieces
        .iter()
        .map(|piece| HEXLOWER.decode(piece.as_bytes()).with_context(|| format!("{piece} is not hexadecimal")))
        .collect::<Result<Vec<_>>>()?;

    let acked = pace == "acked";
    let reports = thread::scope(|scope| {
        let started: Vec<_> =
            (0..count).map(|_| scope.spawn(|| connection(address, &pieces, acked, wait))).collect();
        started.into_iter().map(|thread| thread.join().ok()).collect::<Option<Vec<_>>>()
    });
    let mut stdout = std::io::stdout().lock();
    for report in reports.context("a connection's thread panicked")? {
        writeln!(stdout, "{}", report?)?;
    }
    Ok(())
}

fn connection(
    address: SocketAddr,
    pieces: &[Vec<u8>],
    acked: bool,
    wait: Duration,
) -> Result<serde_json::Value> {
    let mut stream = match TcpStream::connect(address) {
        Ok(stream) => stream,
        Err(error) => return Ok(json!({ "ended": ending(&error), "received": "" })),
    };
    let port = stream.local_addr()?.port();
    let mut received = Vec::new();
    let ended = match exchange(&mut stream, pieces, acked, wait, &mut received) {
        Ok(()) => "eof",
        Err(error) => ending(&error),
    };
    Ok(json!({ "ended": ended, "received": HEXLOWER.encode(&received), "port": port }))
}

fn exchange(
    stream: &mut TcpStream,
    pieces: &[Vec<u8>],
    acked: bool,
    wait: Duration,
    received: &mut Vec<u8>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
    for piece in pieces {
        stream.write_all(piece)?;
        while acked && unacknowledged_bytes(stream)? > 0 {
            // Between two looks at the condition: no call waits for an acknowledgement.
            thread::sleep(Duration::from_millis(1));
        }
    }
    stream.read_to_end(received).map(drop)
}

fn unacknowledged_bytes(stream: &TcpStream) -> nix::Result<i32> {
    let mut count = 0;
    // SAFETY: the descriptor is open for as long as `stream` lives, and SIOCOUTQ writes one int to `count`.
    unsafe { request::unacknowledged(stream.as_raw_fd(), &raw mut count) }?;
    Ok(count)
}

fn ending(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset",
        ErrorKind::WouldBlock => "open",
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "unreachable",
        ErrorKind::TimedOut => "timeout",
        _ => "other",
    }
}
