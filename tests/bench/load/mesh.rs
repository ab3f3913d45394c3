//! Two pods whose Envoy sidecars speak mutual TLS with each other, as they do all day; it must not know what is sent.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::Result;
use mtlsnoop_tests::{
    certificate::DEFAULT_IDENTITY,
    cluster::Cluster,
    envoy::{Inbound, PeerAuthentication, Sidecar, TlsVersion},
    interception::Interception,
    netns::Netns,
    scene::{Scene, SceneSpec},
};

/// The pods and their sidecars. What runs before what it runs in.
#[derive(Debug)]
pub(crate) struct Mesh {
    _client_sidecar: Sidecar,
    _server_sidecar: Sidecar,
    scene: Scene,
}

const PORT: u16 = 7000;

impl Mesh {
    pub(crate) fn start() -> Result<Self> {
        let spec = SceneSpec::new("bench", PORT).backend(|backend| backend.sidecar(Interception::Both));
        let scene = spec.start(Cluster::start()?)?;
        let identity = scene.mesh.sign("server", DEFAULT_IDENTITY)?;
        let inbound = Inbound::new(PeerAuthentication::Strict, &identity);
        let server_sidecar = Sidecar::of_server(&scene.backend, &inbound)?;
        let outbound = scene.unconditional_mtls()?.tls_version(TlsVersion::V1_3);
        let client_sidecar = scene.client_sidecar(&outbound)?;
        Ok(Self { _client_sidecar: client_sidecar, _server_sidecar: server_sidecar, scene })
    }

    /// Where the server is to listen, in its pod.
    pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT);

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.scene.address()
    }

    /// The control group of all of it.
    pub(crate) fn cgroup(&self) -> &Path {
        self.scene.cluster.cgroup()
    }

    pub(crate) fn client(&self) -> Result<(&Netns, &Path)> {
        let container = self.scene.client.app_container()?;
        Ok((container.netns(), container.cgroup()))
    }

    pub(crate) fn server(&self) -> Result<(&Netns, &Path)> {
        let container = self.scene.backend.app_container()?;
        Ok((container.netns(), container.cgroup()))
    }
}
