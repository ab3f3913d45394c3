//! PostgreSQL and MariaDB with fresh, empty data; it must not know what is asked of them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::Probe;
use crate::certificate::{Authority, DEFAULT_IDENTITY, Identity};
use crate::container::Container;
use crate::process::Process;
use crate::{program, wait};

/// PostgreSQL's `SSLRequest` (protocol documentation, "Message Formats"), which a server without TLS answers
/// with "N". A database that is still starting answers it too, and a ClientHello no differently.
const POSTGRES: Probe = Probe::Answers { request: SSL_REQUEST, answer: b"N" };
const POSTGRES_TLS: Probe = Probe::Answers { request: SSL_REQUEST, answer: b"S" };
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) fn postgres(container: &Container, port: u16) -> Result<(Process, Probe)> {
    Ok((start_postgres(container, port, &[])?, POSTGRES))
}

pub(super) fn postgres_tls(container: &Container, port: u16, mesh: &Authority) -> Result<(Process, Probe)> {
    let identity = own_identity(container, mesh, "postgres")?;
    let options = [
        "-c",
        "ssl=on",
        "-c",
        &format!("ssl_cert_file={}", identity.certificate.display()),
        "-c",
        &format!("ssl_key_file={}", identity.key.display()),
    ];
    Ok((start_postgres(container, port, &options)?, POSTGRES_TLS))
}

/// A certificate whose key is in the container's folder and the server's alone: PostgreSQL insists on it.
fn own_identity(container: &Container, mesh: &Authority, name: &str) -> Result<Identity> {
    let signed = mesh.sign(&format!("{name}-{}", container.id()), DEFAULT_IDENTITY)?;
    let own = Identity { key: container.folder().join("server.key"), ..signed.clone() };
    fs::copy(&signed.key, &own.key)?;
    fs::set_permissions(&own.key, fs::Permissions::from_mode(0o600))?;
    Ok(own)
}

fn start_postgres(container: &Container, port: u16, options: &[&str]) -> Result<Process> {
    let data = container.folder().join("data");
    let programs = postgres_programs()?;
    // Nothing has to survive, and writing through to the disk is what takes initdb its time.
    let made = container
        .command(programs.join("initdb"))
        .as_user("postgres")?
        .args(["--auth=trust", "--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "-D"])
        .args([&data])
        .output(wait::LONG)?;
    ensure!(made.status.success(), "initdb failed ({}): {}{}", made.status, made.stdout, made.stderr);
    // `--auth=trust` is for clients in the same pod.
    let mut rules = fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf"))?;
    rules.write_all(b"host all all all trust\n")?;
    container
        .command(programs.join("postgres"))
        .as_user("postgres")?
        .arg_pair("-D", &data)
        .args(["-F", "-h", "*", "-p", &port.to_string(), "-c", "unix_socket_directories="])
        .args(options)
        .start()
}

/// Debian keeps each version in a folder of its own; the newest will do.
fn postgres_programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .max();
    if let Some(folder) = newest {
        return Ok(folder);
    }
    let initdb = fs::canonicalize(program::system("initdb")?)?;
    initdb.parent().map(PathBuf::from).context("initdb lies in no folder")
}

pub(super) fn mariadb(container: &Container, port: u16) -> Result<(Process, Probe)> {
    start_mariadb(container, port, &[])
}

pub(super) fn mariadb_tls(container: &Container, port: u16, mesh: &Authority) -> Result<(Process, Probe)> {
    let identity = own_identity(container, mesh, "mariadb")?;
    let options = [("cert", &identity.certificate), ("key", &identity.key)]
        .map(|(name, file)| format!("--ssl-{name}={}", file.display()));
    start_mariadb(container, port, &options)
}

fn start_mariadb(container: &Container, port: u16, options: &[String]) -> Result<(Process, Probe)> {
    let folder = container.folder();
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    let process = container
        .command(program::system("mariadbd")?)
        .as_user("mysql")?
        // Without tables of users it starts on an empty folder, and greets every host; an installed one would
        // take seconds to make and then turn other hosts down before any greeting.
        .args(["--no-defaults", "--skip-grant-tables", "--skip-name-resolve", "--bind-address=*"])
        .args(["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"])
        .args(["--innodb-temp-data-file-path=ibtmp1:2M:autoextend", &format!("--port={port}")])
        .args([format!("--datadir={}", data.display())])
        .args([format!("--socket={}", folder.join("socket").display())])
        .args([format!("--pid-file={}", folder.join("pid").display())])
        .args(options)
        .start()?;
    Ok((process, Probe::Greets))
}
