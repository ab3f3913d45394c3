//! Redis and memcached; it must not know what is asked of them.

use std::path::Path;

use anyhow::Result;

use super::Probe;
use crate::certificate::{Authority, DEFAULT_IDENTITY};
use crate::command::Launch;
use crate::container::Container;
use crate::process::Process;
use crate::program;

/// User and group of the official image's `redis`.
const REDIS_UID: u32 = 999;

pub(super) fn redis(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let process = redis_command(container)?.args(["--port", &port.to_string()]).start()?;
    Ok((process, Probe::Answers { request: b"PING\r\n", answer: b"+PONG" }))
}

/// Its certificate is the mesh's, and it does not ask for the client's.
pub(super) fn redis_tls(container: &Container, port: u16, mesh: &Authority) -> Result<(Process, Probe)> {
    start_tls(container, port, mesh, mesh.root(), "no")
}

/// Its certificate is the mesh's, but it takes clients of another authority only.
pub(super) fn redis_tls_foreign(
    container: &Container,
    port: u16,
    mesh: &Authority,
) -> Result<(Process, Probe)> {
    let foreign = Authority::create(container.folder(), "foreign")?;
    start_tls(container, port, mesh, foreign.root(), "yes")
}

fn start_tls(
    container: &Container,
    port: u16,
    mesh: &Authority,
    clients: &Path,
    demand: &str,
) -> Result<(Process, Probe)> {
    let identity = mesh.sign(&format!("redis-{}", container.id()), DEFAULT_IDENTITY)?;
    let process = redis_command(container)?
        .args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", demand])
        .arg_pair("--tls-cert-file", &identity.certificate)
        .arg_pair("--tls-key-file", &identity.key)
        .arg_pair("--tls-ca-cert-file", clients)
        .start()?;
    Ok((process, Probe::Listens))
}

fn redis_command(container: &Container) -> Result<Launch> {
    Ok(container.command(program::system("redis-server")?).as_id(REDIS_UID).args([
        "--bind",
        "*",
        "-::*",
        "--protected-mode",
        "no",
        "--save",
        "",
        "--appendonly",
        "no",
    ]))
}

pub(super) fn memcached(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let process = container
        .command(program::system("memcached")?)
        .as_user("memcache")?
        .args(["-l", "0.0.0.0,::", "-U", "0", "-t", "1", "-p", &port.to_string()])
        .start()?;
    Ok((process, Probe::Answers { request: b"version\r\n", answer: b"VERSION " }))
}
