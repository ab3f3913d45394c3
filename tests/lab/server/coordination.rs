//! ZooKeeper and etcd with fresh, empty data; it must not know what is asked of them.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::Probe;
use crate::container::Container;
use crate::process::Process;
use crate::program;

/// It names the libraries that it needs.
const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";

/// ZooKeeper administrator's guide, "The Four Letter Words": the one that is allowed without being configured.
const ZOOKEEPER: Probe = Probe::Answers { request: b"srvr", answer: b"Zookeeper version" };

pub(super) fn zookeeper(container: &Container, port: u16) -> Result<(Process, Probe)> {
    ensure!(
        Path::new(ZOOKEEPER_JAR).is_file(),
        "ZooKeeper is not installed; try `cargo xtask setup`, which names its package"
    );
    let data = container.folder().join("data");
    fs::create_dir_all(&data)?;
    let process = container
        .command(program::system("java")?)
        .as_user("zookeeper")?
        // Quick to start and small: it serves one client.
        .args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"])
        .args(["-Dzookeeper.admin.enableServer=false", "-cp", ZOOKEEPER_JAR])
        .args(["org.apache.zookeeper.server.ZooKeeperServerMain", &port.to_string()])
        .args([&data])
        .start()?;
    Ok((process, ZOOKEEPER))
}

pub(super) fn etcd(container: &Container, port: u16) -> Result<(Process, Probe)> {
    let url = format!("http://[::]:{port}");
    let process = container
        .command(program::system("etcd")?)
        .as_user("etcd")?
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args(["--listen-peer-urls", "http://127.0.0.1:2380", "--logger", "zap", "--log-outputs", "stderr"])
        .arg_pair("--data-dir", container.folder().join("data"))
        .start()?;
    Ok((process, Probe::Answers { request: b"GET /version HTTP/1.0\r\n\r\n", answer: b"HTTP/1.0 200" }))
}
