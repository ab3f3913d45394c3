//! Being in a situation: what a client can do there; it must not know what is found.

use std::{cell::RefCell, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use mtlsnoop_tests::{
    capture::Capture,
    client::{self, Reply, Sending},
    container::Container,
    envoy::{Outbound, Sidecar},
    pod::Pod,
    process::{Output, Process},
    server::Server,
    wait,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{place::Place, situation::Situation};

/// Longer than any client here waits by itself.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// How long a client waits for an answer that must not come.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(400);

/// A situation while it lasts.
pub(crate) struct At<'a> {
    pub(crate) situation: &'a Situation,
    pub(crate) place: &'a Place<'a>,
    /// What the client's sidecar makes of the connection, if there is one.
    pub(crate) outbound: Option<Outbound>,
    pub(crate) client_sidecar: RefCell<Option<Sidecar>>,
    pub(crate) server_sidecar: RefCell<Option<Sidecar>>,
    pub(crate) server: RefCell<Option<Server>>,
    pub(crate) captures: RefCell<Vec<Capture>>,
}

impl At<'_> {
    /// The server's IPv4 address and port.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.place.server.ipv4(), self.situation.port).into()
    }

    /// The server's IPv6 address and port.
    pub(crate) fn address_ipv6(&self) -> SocketAddr {
        (self.place.server.ipv6(), self.situation.port).into()
    }

    /// Where the client's programs run.
    pub(crate) fn app(&self) -> Result<&Container> {
        self.place.client.app_container()
    }

    /// The client sends this and waits for the end, which the other side makes.
    pub(crate) fn sends(&self, request: &[u8]) -> Result<Reply> {
        Sending::pieces(&[request]).waiting(SOON).run(self.app()?, self.address())
    }

    /// The client's request gets through, and the answer begins so.
    pub(crate) fn gets(&self, request: &[u8], answer: &[u8]) -> Result<()> {
        self.gets_at(self.address(), request, answer)
    }

    /// As [`Self::gets`], from another address.
    pub(crate) fn gets_at(&self, server: SocketAddr, request: &[u8], answer: &[u8]) -> Result<()> {
        let reply = Sending::pieces(&[request]).waiting(A_MOMENT).run(self.app()?, server)?;
        let received = HEXLOWER.decode(reply.received_hex.as_bytes())?;
        ensure!(received.starts_with(answer), "expected an answer and got {reply:?}");
        Ok(())
    }

    /// The client's request gets no answer but an end.
    pub(crate) fn fails(&self, request: &[u8]) -> Result<()> {
        self.fails_at(self.address(), request)
    }

    /// As [`Self::fails`], at another address.
    pub(crate) fn fails_at(&self, server: SocketAddr, request: &[u8]) -> Result<()> {
        let reply = Sending::pieces(&[request]).waiting(SOON).run(self.app()?, server)?;
        ensure!(reply.received_hex.is_empty(), "expected no answer and got {reply:?}");
        ensure!(reply.ended != "open", "expected that the connection ends, and it does not");
        Ok(())
    }

    /// The client connects, waits for whatever comes, and leaves; what came begins so.
    pub(crate) fn waits(&self, pieces: &[&[u8]], for_a: Duration, ended: &str) -> Result<Reply> {
        let reply = Sending::pieces(pieces).waiting(for_a).run(self.app()?, self.address())?;
        ensure!(reply.ended == ended, "expected '{ended}' and got {reply:?}");
        Ok(reply)
    }

    /// As [`pings`], at another address.
    pub(crate) fn pings_at(&self, server: SocketAddr) -> Result<()> {
        ping(self.app()?, server)
    }

    /// As [`pings`], of the second client.
    pub(crate) fn bystander_pings(&self) -> Result<()> {
        let bystander = self.place.bystander.as_ref().context("there is no second client")?;
        ping(bystander.app_container()?, self.address())
    }

    /// curl asks; `{}` in an argument stands for the server's address and port.
    pub(crate) fn curl(&self, arguments: &[&str]) -> Result<Output> {
        let address = self.address().to_string();
        let arguments: Vec<String> =
            arguments.iter().map(|argument| argument.replace("{}", &address)).collect();
        client::curl(self.app()?, &arguments)?.wait(SOON)
    }

    /// curl asks and succeeds.
    pub(crate) fn curls(&self, arguments: &[&str]) -> Result<()> {
        let output = self.curl(arguments)?;
        ensure!(output.status.success(), "curl failed ({}): {}", output.status, output.stderr);
        Ok(())
    }

    /// A TLS client that is no mesh.
    pub(crate) fn openssl(&self, arguments: &[&str]) -> Result<Process> {
        client::openssl(self.app()?, self.address(), arguments)
    }

    /// It completes its handshake and leaves.
    pub(crate) fn openssl_connects(&self, arguments: &[&str]) -> Result<()> {
        let output = self.openssl(arguments)?.wait(SOON)?;
        let said = output.stdout + &output.stderr;
        ensure!(said.contains("CONNECTION ESTABLISHED"), "openssl failed: {said}");
        Ok(())
    }

    /// Begins to capture at both ends.
    pub(crate) fn capture(&self) -> Result<()> {
        let folder = self.place.cluster.folder().join("captures").join(self.situation.name);
        for (pod, name) in [(&self.place.client, "client.pcap"), (&self.place.server, "server.pcap")] {
            let capture = Capture::start(self.place.cluster, pod, &Path::new(&folder).join(name))?;
            self.captures.borrow_mut().push(capture);
        }
        Ok(())
    }

    /// Starts the client's sidecar, or another one in its place.
    pub(crate) fn start_client_sidecar(&self) -> Result<()> {
        self.client_sidecar.borrow_mut().take();
        if let Some(outbound) = &self.outbound {
            let sidecar = Sidecar::of_client(&self.place.client, std::slice::from_ref(outbound))?;
            *self.client_sidecar.borrow_mut() = Some(sidecar);
        }
        Ok(())
    }

    /// Waits until a connection of the server's port is established.
    pub(crate) fn wait_for_server_connection(&self) -> Result<()> {
        let port = format!(":{:04X}", self.situation.port);
        wait::until_true("the server to have a connection", SOON, || {
            let tables = tcp_tables(&self.place.server)?;
            Ok(tables.iter().flat_map(|table| table.lines()).any(|line| is_established(line, &port)))
        })
    }

    /// Ends the client's sidecar as the system's out-of-memory killer does.
    pub(crate) fn kill_client_sidecar(&self) -> Result<()> {
        self.client_sidecar.borrow_mut().take().context("there is no sidecar").map(drop)
    }

    /// Sends the server's sidecar a signal.
    pub(crate) fn signal_server_sidecar(&self, signal: Signal) -> Result<()> {
        self.server_sidecar.borrow().as_ref().context("there is no sidecar")?.signal(signal)
    }

    /// Sends the server a signal.
    pub(crate) fn signal_server(&self, signal: Signal) -> Result<()> {
        let pid = self.server.borrow().as_ref().context("there is no server")?.pid();
        kill(Pid::from_raw(pid.try_into()?), signal).context("could not send the server a signal")
    }

    /// From now on packets of this size or more do not reach the server.
    pub(crate) fn swallow_packets_from(&self, bytes: u32) -> Result<()> {
        let sizes = format!("{bytes}:65535");
        let rule = ["-A", "INPUT", "-p", "tcp", "-m", "length", "--length", &sizes, "-j", "DROP"];
        // Debian's iptables speaks nftables; kernels without it have the older interface.
        let netns = self.place.server.netns();
        netns
            .run("iptables", &rule, "")
            .or_else(|error| netns.run("iptables-legacy", &rule, "").map_err(|_| error))
            .map(drop)
    }

    /// Ends the server's sidecar so.
    pub(crate) fn kill_server_sidecar(&self) -> Result<()> {
        self.server_sidecar.borrow_mut().take().context("there is no sidecar").map(drop)
    }
}

/// redis-cli says PING and gets PONG.
pub(crate) fn pings(at: &At<'_>) -> Result<()> {
    at.pings_at(at.address())
}

fn ping(container: &Container, server: SocketAddr) -> Result<()> {
    let output = client::redis(container, server, &["PING"])?;
    ensure!(output.stdout == "PONG\n", "expected PONG and got {}{}", output.stdout, output.stderr);
    Ok(())
}

/// /proc/net/tcp and /proc/net/tcp6 as a pod sees them.
pub(crate) fn tcp_tables(pod: &Pod) -> Result<[String; 2]> {
    let read = |table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}"));
    pod.netns().enter(|| Ok([read("tcp")?, read("tcp6")?]))
}

/// proc(5), `/proc/net/tcp`: `sl local_address rem_address st …`; 01 is `TCP_ESTABLISHED` (`include/net/tcp_states.h`).
fn is_established(line: &str, local_port: &str) -> bool {
    let mut fields = line.split_whitespace().skip(1);
    fields.next().is_some_and(|local| local.ends_with(local_port)) && fields.nth(1) == Some("01")
}
