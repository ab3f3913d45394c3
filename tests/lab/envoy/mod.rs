//! A real Envoy as a pod's sidecar, configured as Istio configures it; it must not know who its clients and
//! servers are.

mod admin;
mod bootstrap;
mod http;
mod inbound;
mod outbound;
mod voice;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::interception::{INBOUND_PORT, OUTBOUND_PORT, SIDECAR_UID};
use crate::netns::Netns;
use crate::pod::Pod;
use crate::process::Process;
use crate::{program, wait};

pub use self::inbound::{Inbound, PeerAuthentication};
pub use self::outbound::{Outbound, PortProtocol, TlsVersion};
pub use self::voice::{LogFormat, Voice};

/// A running sidecar.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    netns: Netns,
    files: Files,
    version: u32,
}

/// What a sidecar reads and writes, all in its container's folder.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    bootstrap: PathBuf,
    clusters: PathBuf,
    access_log: PathBuf,
    admin: PathBuf,
    voice: Voice,
}

impl Files {
    fn new(folder: &Path, voice: Voice) -> Self {
        Self {
            folder: folder.to_owned(),
            bootstrap: folder.join("bootstrap.json"),
            clusters: folder.join("clusters.json"),
            access_log: folder.join("access.log"),
            admin: folder.join("admin"),
            voice,
        }
    }
}

impl Sidecar {
    /// Starts the sidecar of a client: it sends what the app sends to the ports named in `outbound` on as told
    /// there, and everything else unchanged.
    pub fn of_client(pod: &Pod, outbound: &[Outbound]) -> Result<Self> {
        Self::of_client_with(pod, outbound, Voice::default())
    }

    /// The same, with a log and an admin interface of one's choice.
    pub fn of_client_with(pod: &Pod, outbound: &[Outbound], voice: Voice) -> Result<Self> {
        Self::start(pod, outbound, None, voice)
    }

    /// Starts the sidecar of a server.
    pub fn of_server(pod: &Pod, inbound: &Inbound) -> Result<Self> {
        Self::start(pod, &[], Some(inbound), Voice::default())
    }

    fn start(pod: &Pod, outbound: &[Outbound], inbound: Option<&Inbound>, voice: Voice) -> Result<Self> {
        let container = pod.sidecar_container()?;
        let files = Files::new(container.folder(), voice);
        let version = 1;
        write_clusters(&files, version, outbound)?;
        let bootstrap = bootstrap::bootstrap(pod.name(), &files, outbound, inbound);
        fs::write(&files.bootstrap, serde_json::to_vec_pretty(&bootstrap)?)
            .with_context(|| format!("could not write {}", files.bootstrap.display()))?;
        std::os::unix::fs::chown(&files.folder, Some(SIDECAR_UID), Some(SIDECAR_UID))?;

        let envoy = program::for_everyone(&program::ENVOY.find()?, container.folder())?;
        let process = container
            .command(envoy)
            .as_id(SIDECAR_UID)
            // Without flags of its own Envoy shares memory with others, and writes its access log every 10 s.
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "10", "--config-path"])
            .args([&files.bootstrap])
            .start()?;
        let mut sidecar = Self { process, netns: pod.netns().clone(), files, version };
        sidecar.process.wait_until_listening(OUTBOUND_PORT)?;
        if inbound.is_some() {
            sidecar.process.wait_until_listening(INBOUND_PORT)?;
        }
        sidecar.wait_for_version()?;
        Ok(sidecar)
    }

    /// Replaces the clusters while Envoy runs, as a changed `DestinationRule` does, and waits until it uses them.
    pub fn replace_clusters(&mut self, outbound: &[Outbound]) -> Result<()> {
        self.version += 1;
        write_clusters(&self.files, self.version, outbound)?;
        self.wait_for_version()
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Where its access log is.
    pub fn access_log_path(&self) -> &Path {
        &self.files.access_log
    }

    /// Its whole configuration, as its admin interface tells it.
    pub fn config_dump(&self) -> Result<String> {
        self.admin("/config_dump")
    }

    fn admin(&self, path: &str) -> Result<String> {
        if self.files.voice.has_admin_port {
            admin::get_in_pod(&self.netns, path)
        } else {
            admin::get(&self.files.admin, path)
        }
    }

    /// What Envoy has written to its access log so far.
    pub fn access_log(&self) -> String {
        fs::read_to_string(&self.files.access_log).unwrap_or_default()
    }

    /// Waits for a line of the access log that contains `text`, and gives the line.
    pub fn wait_for_log_line(&mut self, text: &str, within: Duration) -> Result<String> {
        wait::until(format!("'{text}' in Envoy's access log"), within, || {
            self.process.check_alive()?;
            Ok(self.access_log().lines().find(|line| line.contains(text)).map(str::to_owned))
        })
    }

    fn wait_for_version(&mut self) -> Result<()> {
        let wanted = format!("cluster_manager.cds.version_text: \"{}\"", self.version);
        wait::until_true("Envoy to use the new clusters", wait::LONG, || {
            self.process.check_alive()?;
            Ok(self.admin("/stats?filter=cds.version_text").is_ok_and(|answer| answer.contains(&wanted)))
        })
        .with_context(|| format!("Envoy says:\n{}", self.process.stderr()))
    }
}

/// Envoy looks when a file is moved to the watched name, so that it never reads half of one.
fn write_clusters(files: &Files, version: u32, outbound: &[Outbound]) -> Result<()> {
    let resources: Vec<Value> = outbound.iter().map(Outbound::cluster).collect();
    let response = json!({ "version_info": version.to_string(), "resources": resources });
    let draft = files.folder.join("clusters.json.new");
    fs::write(&draft, serde_json::to_vec_pretty(&response)?)
        .and_then(|()| fs::rename(&draft, &files.clusters))
        .with_context(|| format!("could not write {}", files.clusters.display()))
}
