//! PostgreSQL and MariaDB with fresh, empty data; it must not know what is asked of them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::Probe;
use crate::container::Container;
use crate::process::Process;
use crate::{program, wait};

/// PostgreSQL's `SSLRequest` (protocol documentation, "Message Formats"), which a server without TLS answers
/// with "N". A database that is still starting answers it too, and a ClientHello no differently.
const POSTGRES: Probe = Probe::Answers { request: &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f], answer: b"N" };

pub(super) fn postgres(container: &Container, port: u16) -> Result<(Process, Probe)> {
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
    let process = container
        .command(programs.join("postgres"))
        .as_user("postgres")?
        .arg_pair("-D", &data)
        .args(["-F", "-h", "*", "-p", &port.to_string(), "-c", "unix_socket_directories="])
        .start()?;
    Ok((process, POSTGRES))
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
        .start()?;
    Ok((process, Probe::Greets))
}
