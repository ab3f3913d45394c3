//! A load that runs in a network namespace of its own until it is dropped; it must not know what client and server do.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use mtlsnoop_tests::{netns::Netns, wait};

use crate::load::Load;

/// What a load has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) operations: u64,
    /// Of the monotonic clock.
    pub(crate) time: Duration,
    /// Of all of the load's threads.
    pub(crate) cpu: Duration,
}

impl Sample {
    pub(crate) fn to_line(self) -> String {
        format!("{} {} {}", self.operations, self.time.as_nanos(), self.cpu.as_nanos())
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        let mut number = || numbers.next().flatten();
        Some(Self {
            operations: number()?,
            time: Duration::from_nanos(number()?),
            cpu: Duration::from_nanos(number()?),
        })
    }
}

/// A running load.
pub(crate) struct Running {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Held for as long as the load runs.
    _netns: Netns,
}

/// Settings of the load's own network namespace. The client never runs out of ports: TIME-WAIT sockets are few, so that
/// their number is the same all the time, and their ports are taken again.
const SETTINGS: [(&str, &str); 3] = [
    ("net/ipv4/ip_local_port_range", "1024 65535"),
    ("net/ipv4/tcp_tw_reuse", "1"),
    ("net/ipv4/tcp_max_tw_buckets", "8192"),
];

impl Running {
    /// Starts the load on one processor. It is not put ahead of others (nice): the kernel's own threads, which attaching waits
    /// for, would starve.
    pub(crate) fn start(load: Load, cpu: usize) -> Result<Self> {
        let netns = Netns::create()?;
        netns.run("ip", &["link", "set", "lo", "up"], "")?;
        let program = std::env::current_exe().context("could not find this program")?;
        let mut child = netns.enter(|| {
            for (name, value) in SETTINGS {
                fs::write(format!("/proc/sys/{name}"), value)
                    .with_context(|| format!("could not set {name}"))?;
            }
            Command::new(program)
                .args(["load", load.name(), &cpu.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("could not start the load")
        })?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the load has no standard input and output");
        };
        let mut running = Self { child, questions, answers: BufReader::new(answers), _netns: netns };
        wait::until_true("the load to begin", wait::LONG, || Ok(running.sample()?.operations > 0))?;
        Ok(running)
    }

    /// What it has done so far.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        let mut line = String::new();
        writeln!(self.questions)
            .and_then(|()| self.answers.read_line(&mut line))
            .context("the load ended early")?;
        Sample::from_line(&line).with_context(|| format!("the load ended early, or said {line:?}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
