//! Clients in a container: redis-cli, given bytes, TLS without a mesh; it must not know what they connect to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::container::Container;
use crate::process::{Output, Process};
use crate::{program, wait};

/// User of the app in a client pod.
pub const APP_UID: u32 = 1000;

/// Starts redis-cli with a command.
pub fn redis_cli(container: &Container, server: SocketAddr, command: &[&str]) -> Result<Process> {
    container
        .command(program::system("redis-cli")?)
        .as_id(APP_UID)
        .args(["-h", &server.ip().to_string(), "-p", &server.port().to_string()])
        .args(command)
        .start()
}

/// Runs redis-cli with a command until it has ended.
pub fn redis(container: &Container, server: SocketAddr, command: &[&str]) -> Result<Output> {
    redis_cli(container, server, command)?.wait(wait::LONG)
}

/// Starts a TLS client that is no mesh: `openssl s_client`, with what the arguments add.
pub fn openssl(container: &Container, server: SocketAddr, arguments: &[&str]) -> Result<Process> {
    container
        .command(program::system("openssl")?)
        .as_id(APP_UID)
        .args(["s_client", "-brief", "-connect", &server.to_string()])
        .args(arguments)
        .start()
}

/// Starts curl, which gives up by itself before a test does.
pub fn curl(container: &Container, arguments: &[String]) -> Result<Process> {
    container
        .command(program::system("curl")?)
        .as_id(APP_UID)
        .args(["--silent", "--show-error", "--max-time", "5", "--output", "/dev/null"])
        .args(arguments)
        .start()
}

/// Starts psql with a command, as the administrator that PostgreSQL makes; `sslmode` says whether it asks for TLS.
pub fn psql(container: &Container, server: SocketAddr, sslmode: &str, command: &str) -> Result<Process> {
    container
        .command(program::system("psql")?)
        .as_id(APP_UID)
        .env("PGCONNECT_TIMEOUT", "3")
        // It would look for a certificate of the user's that runs the tests.
        .env("HOME", container.folder())
        .args(["-X", "-A", "-t", "-c", command])
        .args([format!(
            "host={} port={} user=postgres dbname=postgres sslmode={sslmode}",
            server.ip(),
            server.port()
        )])
        .start()
}

/// Starts the client of `MariaDB` with a command and more options.
pub fn mariadb(
    container: &Container,
    server: SocketAddr,
    options: &[&str],
    command: &str,
) -> Result<Process> {
    container
        .command(program::system("mariadb")?)
        .as_id(APP_UID)
        .args([
            "--no-defaults",
            "--protocol=TCP",
            "--user=root",
            "--connect-timeout=2",
            "--skip-column-names",
        ])
        .args([format!("--host={}", server.ip()), format!("--port={}", server.port())])
        .args(options)
        .args(["-e", command])
        .start()
}

/// Bytes to send, and how.
#[derive(Debug, Clone)]
pub struct Sending {
    pieces: Vec<Vec<u8>>,
    acked: bool,
    connections: u32,
    wait: Duration,
    uid: u32,
}

/// How a connection went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `eof`, `reset`, `open` (nothing more came in time), `refused`, `unreachable`, `timeout` or `other`.
    pub ended: String,
    /// What came, as hexadecimal digits.
    pub received_hex: String,
    /// The client's port, if it was connected.
    pub port: Option<u16>,
}

impl Sending {
    /// Sends each piece with a write of its own.
    pub fn pieces(pieces: &[&[u8]]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        Self { pieces, acked: false, connections: 1, wait: Duration::from_secs(1), uid: APP_UID }
    }

    /// Sends a piece only after the one before has been acknowledged, so that no two share a segment.
    #[must_use]
    pub fn each_acknowledged(self) -> Self {
        Self { acked: true, ..self }
    }

    /// Opens this many connections at once, and does the same on each.
    #[must_use]
    pub fn on_connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// How long to wait for an answer before giving up.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Connects as this user, such as the sidecar's, whose connections are not redirected.
    #[must_use]
    pub fn as_id(self, uid: u32) -> Self {
        Self { uid, ..self }
    }

    /// Starts to send.
    pub fn start(&self, container: &Container, server: SocketAddr) -> Result<Process> {
        let helper = program::for_everyone(&program::helper("lab-sender")?, container.folder())?;
        let pace = if self.acked { "acked" } else { "at-once" };
        container
            .command(helper)
            .as_id(self.uid)
            .args([&server.to_string(), &self.connections.to_string(), pace])
            .args([&self.wait.as_millis().to_string()])
            .args(self.pieces.iter().map(|piece| HEXLOWER.encode(piece)))
            .start()
    }

    /// Sends on one connection, and waits for its end.
    pub fn run(&self, container: &Container, server: SocketAddr) -> Result<Reply> {
        self.run_all(container, server)?.pop().context("lab-sender reported no connection")
    }

    /// Sends on all connections, and waits for their ends.
    pub fn run_all(&self, container: &Container, server: SocketAddr) -> Result<Vec<Reply>> {
        replies(&self.start(container, server)?.wait(wait::LONG)?)
    }
}

/// Reads what the helper has printed.
pub fn replies(output: &Output) -> Result<Vec<Reply>> {
    ensure!(output.status.success(), "lab-sender failed ({}): {}", output.status, output.stderr);
    output.stdout.lines().map(reply).collect()
}

fn reply(line: &str) -> Result<Reply> {
    let value: Value = serde_json::from_str(line).context("lab-sender printed no JSON")?;
    let text =
        |key: &str| value[key].as_str().map(String::from).with_context(|| format!("no {key} in {value}"));
    let port = value["port"].as_u64().and_then(|port| port.try_into().ok());
    Ok(Reply { ended: text("ended")?, received_hex: text("received")?, port })
}
