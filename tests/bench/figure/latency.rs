//! How long it takes from the event that decides to the finding that a reader of the tracer's output has.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{
    cluster::Cluster,
    interrupt,
    netns::Netns,
    tracer::{Line, Tracer},
    wait,
};
use serde_json::{Value, json};

use crate::{hello, load::running, statistic::percentile};

/// From event to finding.
pub(crate) struct Latency {
    pub(crate) findings: usize,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
}

/// What a server that speaks lines makes of a hello.
const ANSWER: &[u8] = b"-ERR unknown command\r\n";
/// Two attempts in a row fall into different parts of the tracer's interval.
const BETWEEN: Duration = Duration::from_micros(2300);

/// Makes as many findings, one after the other: each has a destination of its own.
pub(crate) fn measure(findings: u16) -> Result<Latency> {
    eprintln!("bench: latency of {findings} findings");
    let cluster = Cluster::start()?;
    let netns = running::loopback()?;
    let tracer = Tracer::start(&cluster, &["-o", "json"])?;
    let decided = attempts(&netns, findings)?;
    let mut latencies_ms = Vec::new();
    let found = wait::until("the last finding", wait::LONG, || {
        let found = found(&tracer.lines());
        Ok((found.len() >= decided.len()).then_some(found))
    })?;
    for (address, decided) in decided {
        let at = found.iter().find(|(server, _)| *server == address).map(|(_, at)| *at);
        let at = at.with_context(|| format!("there was no finding for {address}"))?;
        latencies_ms.push((at - decided).as_secs_f64() * 1e3);
    }
    tracer.stop()?;
    let nothing = "there were no findings";
    Ok(Latency {
        findings: latencies_ms.len(),
        median_ms: percentile(&latencies_ms, 50).context(nothing)?,
        p99_ms: percentile(&latencies_ms, 99).context(nothing)?,
    })
}

/// Attempts of a mesh's client with a server that speaks plaintext, and when each was decided: when its client closed.
fn attempts(netns: &Netns, count: u16) -> Result<Vec<(IpAddr, Instant)>> {
    let hello = hello::of_mesh()?;
    netns.enter(|| {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).context("could not listen")?;
        let port = listener.local_addr()?.port();
        let mut decided = Vec::new();
        for nth in 0..count {
            interrupt::check()?;
            let [high, low] = nth.to_be_bytes();
            let address = Ipv4Addr::new(127, 1, high, low);
            decided.push((IpAddr::V4(address), attempt(&listener, (address, port).into(), &hello)?));
            // Attempts come at their own pace; there is no condition.
            thread::sleep(BETWEEN);
        }
        Ok(decided)
    })
}

/// The server closes first, so that the client's close is the connection's end.
fn attempt(listener: &TcpListener, address: SocketAddr, hello: &[u8]) -> Result<Instant> {
    let mut client = TcpStream::connect(address).context("could not connect")?;
    client.write_all(hello).context("could not send a hello")?;
    let (mut server, _) = listener.accept().context("could not accept")?;
    server.read_exact(&mut vec![0; hello.len()]).context("the hello did not come")?;
    server.write_all(ANSWER).context("could not answer")?;
    drop(server);
    client.read_to_end(&mut Vec::new()).context("the answer did not come")?;
    let decided = Instant::now();
    drop(client);
    Ok(decided)
}

/// The destination of each finding, and when its line came.
fn found(lines: &[Line]) -> Vec<(IpAddr, Instant)> {
    let finding = |line: &Line| {
        let object: Value = serde_json::from_str(&line.text).ok()?;
        let address = object["server"]["address"].as_str()?.parse().ok()?;
        (object["kind"] == "finding").then_some((address, line.at))
    };
    lines.iter().filter_map(finding).collect()
}

impl Latency {
    pub(crate) fn json(&self) -> Value {
        json!({ "findings": self.findings, "median_ms": self.median_ms, "p99_ms": self.p99_ms })
    }
}
