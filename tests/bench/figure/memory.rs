//! Memory of the agent when nothing happens, and with many connections open.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mtlsnoop_tests::netns::Netns;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::{accounting::Accounting, load::running, pause::pause, subject::Subject};

/// The agent's memory in each mode.
pub(crate) struct Memory {
    /// Connection ends that were open.
    pub(crate) ends: usize,
    pub(crate) runs: Vec<Run>,
}

/// One mode.
pub(crate) struct Run {
    pub(crate) subject: Subject,
    pub(crate) idle_bytes: u64,
    pub(crate) busy_bytes: u64,
}

/// Many drains and ticks of the agent.
const IDLE: Duration = Duration::from_secs(1);
/// What a process has open beside the connections that it holds.
const OTHER_FILES: u64 = 64;

/// Opens so many connection ends, once for each mode.
pub(crate) fn measure(ends: usize) -> Result<Memory> {
    let runs = Subject::each_mode().map(|subject| run(subject, ends)).collect::<Result<_>>()?;
    Ok(Memory { ends, runs })
}

fn run(subject: Subject, ends: usize) -> Result<Run> {
    eprintln!("bench: memory, {}", subject.name());
    let started = subject.start()?;
    pause(IDLE)?;
    let idle_bytes = started.rss_bytes()?;
    let held = Held::start(ends / 2)?;
    pause(IDLE)?;
    let busy_bytes = started.rss_bytes()?;
    let Accounting { open, .. } = Accounting::parse(&started.stop()?.last)?;
    drop(held);
    let is_known = open >= ends as u64;
    ensure!(is_known || !subject.follows_connections(), "{ends} ends were open, but it knew only of {open}");
    Ok(Run { subject, idle_bytes, busy_bytes })
}

impl Memory {
    pub(crate) fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({
                "attached": run.subject.name(),
                "idle_rss_bytes": run.idle_bytes,
                "busy_rss_bytes": run.busy_bytes,
            })
        };
        json!({ "connection_ends": self.ends, "runs": self.runs.iter().map(run).collect::<Vec<_>>() })
    }
}

/// Processes that hold connections until this is dropped; several, as each may open only so many files.
struct Held {
    processes: Vec<Child>,
    _netns: Netns,
}

impl Held {
    fn start(connections: usize) -> Result<Self> {
        let (_, most_files) = getrlimit(Resource::RLIMIT_NOFILE).context("could not ask for limits")?;
        let most = usize::try_from(most_files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX);
        // No more than there are ports for a client of one server.
        let most = most.clamp(1, 30_000);
        let netns = running::loopback()?;
        let mut held = Self { processes: Vec::new(), _netns: netns.clone() };
        let mut left = connections;
        while left > 0 {
            let now = left.min(most);
            left -= now;
            held.processes.push(netns.enter(|| hold(now))?);
        }
        for process in &mut held.processes {
            let mut line = String::new();
            let stdout = process.stdout.as_mut().context("no standard output")?;
            BufReader::new(stdout).read_line(&mut line).context("connections could not be opened")?;
            ensure!(line == "open\n", "connections could not be opened");
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // Both fail only when it has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn hold(connections: usize) -> Result<Child> {
    let this = std::env::current_exe().context("could not find this program")?;
    Command::new(this)
        .args(["hold", &connections.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start a process that holds connections")
}

/// The process that holds connections, both ends of each, until standard input ends.
pub(crate) fn hold_open(connections: usize) -> Result<()> {
    let (_, most_files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most_files, most_files)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
    let address = listener.local_addr()?;
    let mut held = Vec::new();
    for _ in 0..connections {
        let client = TcpStream::connect(address).context("could not connect")?;
        held.push((client, listener.accept().context("could not accept")?.0));
    }
    writeln!(io::stdout(), "open")?;
    io::stdin().read_to_end(&mut Vec::new()).context("could not wait for the end")?;
    Ok(())
}
