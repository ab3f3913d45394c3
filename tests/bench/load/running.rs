//! A load that runs in network namespaces and a control group of its own until it is dropped; it must not know what client
//! and server do.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use mtlsnoop_tests::{netns::Netns, wait};

use crate::{
    cpus::Cpus,
    group::{self, Group},
    load::{Load, mesh::Mesh},
    window::Window,
};

/// What a client has done so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) operations: u64,
    /// Of the monotonic clock.
    pub(crate) time: Duration,
}

/// What a load has done and used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) done: Done,
    /// Of all of the load's processes.
    pub(crate) cpu: Duration,
}

impl Done {
    pub(crate) fn to_line(self) -> String {
        format!("{} {}", self.operations, self.time.as_nanos())
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        let mut number = || numbers.next().flatten();
        Some(Self { operations: number()?, time: Duration::from_nanos(number()?) })
    }
}

impl Sample {
    /// What was done and used from this one to a later one.
    pub(crate) fn until(self, end: Self) -> Window {
        Window {
            operations: end.done.operations.saturating_sub(self.done.operations),
            time: end.done.time.saturating_sub(self.done.time),
            cpu: end.cpu.saturating_sub(self.cpu),
        }
    }
}

/// A running load.
pub(crate) struct Running {
    // What runs goes before what it runs in.
    client: Worker,
    _server: Option<Worker>,
    cgroup: PathBuf,
    place: Place,
}

/// Where whoever captures packets has to be to see the load's.
pub(crate) struct Place {
    pub(crate) netns: Netns,
    pub(crate) interface: &'static str,
    /// Held for as long as the load runs.
    _held: Held,
}

enum Held {
    Loopback { _group: Group },
    Mesh { _mesh: Box<Mesh> },
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
    pub(crate) fn start(load: Load, cpus: &Cpus) -> Result<Self> {
        let mut running = match load {
            Load::Conn | Load::Rr | Load::Bulk => Self::on_loopback(load, cpus)?,
            Load::Mesh => Self::in_mesh(load, cpus)?,
        };
        wait::until_true("the load to begin", wait::LONG, || Ok(running.sample()?.done.operations > 0))?;
        Ok(running)
    }

    fn on_loopback(load: Load, cpus: &Cpus) -> Result<Self> {
        let netns = loopback()?;
        let group = Group::create()?;
        let cgroup = group.path().to_owned();
        let client = Worker::start(load, cpus, (&netns, &cgroup), Role::Both)?;
        let place = Place { netns, interface: "lo", _held: Held::Loopback { _group: group } };
        Ok(Self { client, _server: None, cgroup, place })
    }

    fn in_mesh(load: Load, cpus: &Cpus) -> Result<Self> {
        let mesh = cpus.start_on_load(Mesh::start)?;
        let mut server = Worker::start(load, cpus, mesh.server()?, Role::Listen(Mesh::LISTEN))?;
        // It listens before it answers.
        server.done()?;
        let client = Worker::start(load, cpus, mesh.client()?, Role::Connect(mesh.address()))?;
        let (netns, cgroup) = (mesh.client()?.0.clone(), mesh.cgroup().to_owned());
        // App to sidecar is one device, sidecar to sidecar another.
        let place = Place { netns, interface: "any", _held: Held::Mesh { _mesh: Box::new(mesh) } };
        Ok(Self { client, _server: Some(server), cgroup, place })
    }

    /// What it has done so far.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        Ok(Sample { done: self.client.done()?, cpu: group::cpu(&self.cgroup)? })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

/// A network namespace whose loopback can take connections for as long as one likes.
pub(crate) fn loopback() -> Result<Netns> {
    let netns = Netns::create()?;
    netns.run("ip", &["link", "set", "lo", "up"], "")?;
    netns.enter(|| {
        for (name, value) in SETTINGS {
            fs::write(format!("/proc/sys/{name}"), value).with_context(|| format!("could not set {name}"))?;
        }
        Ok(())
    })?;
    Ok(netns)
}

#[derive(Clone, Copy)]
enum Role {
    Both,
    Listen(SocketAddr),
    Connect(SocketAddr),
}

/// A process of the load.
struct Worker {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(load: Load, cpus: &Cpus, (netns, cgroup): (&Netns, &Path), role: Role) -> Result<Self> {
        let program = std::env::current_exe().context("could not find this program")?;
        let mut command = Command::new(program);
        command.args(["load", load.name(), "--cpu", &cpus.load.to_string(), "--cgroup"]).arg(cgroup);
        match role {
            Role::Both => &mut command,
            Role::Listen(address) => command.args(["--listen", &address.to_string()]),
            Role::Connect(address) => command.args(["--connect", &address.to_string()]),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = netns.enter(|| command.spawn().context("could not start the load"))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the load has no standard input and output");
        };
        Ok(Self { child, questions, answers: BufReader::new(answers) })
    }

    fn done(&mut self) -> Result<Done> {
        let mut line = String::new();
        writeln!(self.questions)
            .and_then(|()| self.answers.read_line(&mut line))
            .context("the load ended early")?;
        Done::from_line(&line).with_context(|| format!("the load ended early, or said {line:?}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
