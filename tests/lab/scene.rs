//! The incident's three pods: a client with a sidecar, a server, and a client without a sidecar; it must not know
//! what the tracer says about them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::certificate::{Authority, DEFAULT_IDENTITY};
use crate::cluster::Cluster;
use crate::envoy::{Outbound, Sidecar, Voice};
use crate::interception::Interception;
use crate::kubectl::{self, Service};
use crate::pod::{Pod, PodSpec};
use crate::server::{Backend, Server};

/// Pods, certificates and the server of one story. The sidecars are the story's own matter.
#[derive(Debug)]
pub struct Scene {
    // Dropped in this order: what runs before what it runs in.
    server: Option<Server>,
    /// `redis-client-…`: an app and its sidecar.
    pub client: Pod,
    /// `redis-0`: the server.
    pub backend: Pod,
    /// `debug-shell`: a client without a sidecar.
    pub outsider: Pod,
    /// The mesh's certificates.
    pub mesh: Authority,
    /// The node.
    pub cluster: Cluster,
    service: String,
    port: u16,
}

/// What a scene shall be like.
#[derive(Debug)]
pub struct SceneSpec {
    client: PodSpec,
    backend: PodSpec,
    service: String,
    port: u16,
}

impl SceneSpec {
    /// A Service with a client and a server that has no sidecar.
    pub fn new(service: &str, port: u16) -> Self {
        Self {
            client: PodSpec::new(&format!("{service}-client-6d4c6c975f-bm5w6"), 25)
                .of_deployment(&format!("{service}-client"))
                .container("app")
                .sidecar(Interception::Outbound),
            backend: PodSpec::new(&format!("{service}-0"), 24).of_stateful_set(service).container(service),
            service: service.to_owned(),
            port,
        }
    }

    /// Changes the client's pod.
    #[must_use]
    pub fn client(self, change: impl FnOnce(PodSpec) -> PodSpec) -> Self {
        Self { client: change(self.client), ..self }
    }

    /// Changes the server's pod.
    #[must_use]
    pub fn backend(self, change: impl FnOnce(PodSpec) -> PodSpec) -> Self {
        Self { backend: change(self.backend), ..self }
    }

    /// Makes the pods in a cluster.
    pub fn start(self, cluster: Cluster) -> Result<Scene> {
        let mesh = Authority::create(cluster.folder(), "mesh")?;
        Ok(Scene {
            server: None,
            client: cluster.pod(self.client)?,
            backend: cluster.pod(self.backend)?,
            outsider: cluster.pod(PodSpec::new("debug-shell", 26).container("shell"))?,
            mesh,
            cluster,
            service: self.service,
            port: self.port,
        })
    }
}

impl Scene {
    /// The Service's host name, as the mesh writes it.
    pub fn host(&self) -> String {
        format!("{}.default.svc.cluster.local", self.service)
    }

    /// The server's IPv4 address and port.
    pub fn address(&self) -> SocketAddr {
        (self.backend.ipv4(), self.port).into()
    }

    /// The server's IPv6 address and port.
    pub fn address_ipv6(&self) -> SocketAddr {
        (self.backend.ipv6(), self.port).into()
    }

    /// Starts the server. One that ran before is ended.
    pub fn serve(&mut self, backend: Backend) -> Result<&Server> {
        self.server = None;
        Ok(self.server.insert(backend.start(&self.backend, self.port, &self.mesh)?))
    }

    /// Number of the server's process, if one was started.
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// What the client's sidecar is told in the incident: mesh mTLS to the server, whatever it is.
    pub fn unconditional_mtls(&self) -> Result<Outbound> {
        let identity = self.mesh.sign("client", DEFAULT_IDENTITY)?;
        Ok(Outbound::unconditional_mtls(&self.host(), self.port, &identity))
    }

    /// Starts the client's sidecar.
    pub fn client_sidecar(&self, outbound: &Outbound) -> Result<Sidecar> {
        Sidecar::of_client(&self.client, std::slice::from_ref(outbound))
    }

    /// Starts the client's sidecar, with a log and an admin interface of one's choice.
    pub fn client_sidecar_with(&self, outbound: &Outbound, voice: Voice) -> Result<Sidecar> {
        Sidecar::of_client_with(&self.client, std::slice::from_ref(outbound), voice)
    }

    /// Writes what `kubectl` would print of the scene, and tells where.
    pub fn cluster_file(&self) -> Result<PathBuf> {
        let path = self.cluster.folder().join("cluster.json");
        kubectl::write(&path, &self.objects())?;
        Ok(path)
    }

    /// The scene's objects: what `kubectl` would print as a list.
    pub fn objects(&self) -> Value {
        let backend = [&self.backend];
        let port_name = format!("tcp-{}", self.service);
        let service = Service {
            name: &self.service,
            port: self.port,
            port_name: &port_name,
            cluster_ip: None,
            pods: &backend,
        };
        kubectl::list(&[&self.client, &self.backend, &self.outsider], &[service], &[])
    }
}
