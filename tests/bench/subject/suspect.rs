//! A sidecar whose upstream never answers its `ClientHello`, again and again; it must not know who watches it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use mtlsnoop_tests::{command::Launch, interception::SIDECAR_UID, process::Process, program};
use tempfile::TempDir;

use crate::{group::Group, hello, load::running};

/// A running one, in a network namespace and a control group of its own.
pub(crate) struct Suspect {
    // What runs goes before what it runs in.
    _process: Process,
    _group: Group,
    _folder: TempDir,
}

/// How long the client waits for an answer, and between two attempts.
const PATIENCE: Duration = Duration::from_millis(50);

impl Suspect {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir().context("could not make a folder; is the disk full?")?;
        let group = Group::create()?;
        let netns = running::loopback()?;
        let this = std::env::current_exe().context("could not find this program")?;
        // A user of its own may not reach a checkout in somebody's home.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let process = Launch::new(&program::for_everyone(&this, folder.path())?, folder.path())
            .in_netns(&netns)
            .in_cgroup(group.path())
            .as_id(SIDECAR_UID)
            .args(["suspect"])
            .start()?;
        Ok(Self { _process: process, _group: group, _folder: folder })
    }
}

/// The process: client and server, until it is killed.
pub(crate) fn run() -> Result<()> {
    let hello = hello::of_mesh()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen on loopback")?;
    let address = listener.local_addr()?;
    loop {
        let mut client = TcpStream::connect(address).context("could not connect")?;
        let (mut server, _) = listener.accept().context("could not accept")?;
        client.write_all(&hello).context("could not send a hello")?;
        server.read_exact(&mut vec![0; hello.len()]).context("the hello did not come")?;
        // How long a client waits is what makes it one; there is no condition.
        thread::sleep(PATIENCE);
        drop(client);
        drop(server);
        // So is how long it takes until it tries again.
        thread::sleep(PATIENCE);
    }
}
