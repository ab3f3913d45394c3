//! One situation as data: who talks to whom, how, what is declared of them, and what must be found; it must not know
//! how any of it is brought about.

use std::net::Ipv4Addr;

use anyhow::Result;
use mtlsnoop_tests::{
    certificate::Identity,
    envoy::{Inbound, Outbound},
    interception::Interception,
    pod::PodSpec,
    server::Backend,
};
use serde_json::Value;

use crate::{
    at::At,
    expected::{Expected, Wanted},
};

/// Makes another pod of a pod.
pub(crate) type Change = fn(PodSpec) -> PodSpec;

/// What is lived through, and what must be found.
pub(crate) struct Situation {
    /// In kebab-case; it also names the Service.
    pub(crate) name: &'static str,
    /// One sentence for the table.
    pub(crate) told: &'static str,
    pub(crate) client: Change,
    pub(crate) server: Change,
    /// Other pods of the Service, which nobody connects to.
    pub(crate) endpoints: Vec<Change>,
    /// There is a second client, without a sidecar.
    pub(crate) has_bystander: bool,
    /// What the client's sidecar makes of the connection, if there is a sidecar.
    pub(crate) outbound: Option<fn(&Mesh<'_>) -> Outbound>,
    /// The server's sidecar.
    pub(crate) inbound: Option<fn(&Identity) -> Inbound>,
    pub(crate) backend: Option<Backend>,
    pub(crate) port: u16,
    pub(crate) port_name: &'static str,
    /// The address and port are of no Service.
    pub(crate) is_outside_of_services: bool,
    /// The Service's own address; a headless one has none.
    pub(crate) cluster_ip: Option<Ipv4Addr>,
    /// The mesh's version.
    pub(crate) istio: &'static str,
    /// The mesh's objects about this Service.
    pub(crate) declared: fn(&Names<'_>) -> Vec<Value>,
    /// What the client does. It fails when the world is not as the situation says, whatever is found.
    pub(crate) act: fn(&At<'_>) -> Result<()>,
    /// The capture begins when the client says so, and not before it does anything.
    pub(crate) is_captured_late: bool,
    pub(crate) expected: Expected,
    /// Why captures alone do not show it, if they do not: then nothing must be found in them.
    pub(crate) not_captured: Option<&'static str>,
}

/// What a client's sidecar is configured with.
pub(crate) struct Mesh<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) identity: &'a Identity,
}

/// What the mesh's objects call things.
pub(crate) struct Names<'a> {
    pub(crate) service: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

impl Situation {
    /// A client without a sidecar, and a port of a server that has none and does not run.
    pub(crate) fn new(name: &'static str, told: &'static str) -> Self {
        Self {
            name,
            told,
            client: |pod| pod.container("app"),
            server: |pod| pod.container("server"),
            endpoints: Vec::new(),
            has_bystander: false,
            outbound: None,
            inbound: None,
            backend: None,
            port: 6379,
            port_name: "tcp",
            is_outside_of_services: false,
            cluster_ip: None,
            istio: "1.24.3",
            declared: |_| Vec::new(),
            act: |_| Ok(()),
            is_captured_late: false,
            expected: Expected::Quiet,
            not_captured: None,
        }
    }

    /// The server.
    pub(crate) fn serves(self, backend: Backend, port: u16) -> Self {
        Self { backend: Some(backend), port, ..self }
    }

    /// The port of a server that does not run, or that is the sidecar's.
    pub(crate) fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The client has a sidecar that makes this of the connection.
    pub(crate) fn through(self, outbound: fn(&Mesh<'_>) -> Outbound) -> Self {
        let client: Change = |pod| pod.container("app").sidecar(Interception::Outbound);
        Self { outbound: Some(outbound), client, ..self }
    }

    /// The server has a sidecar.
    pub(crate) fn behind(self, inbound: fn(&Identity) -> Inbound) -> Self {
        let server: Change = |pod| pod.container("server").sidecar(Interception::Both);
        Self { inbound: Some(inbound), server, ..self }
    }

    /// The server does not run.
    pub(crate) fn without_server(self) -> Self {
        Self { backend: None, ..self }
    }

    /// The server has no sidecar.
    pub(crate) fn without_inbound(self) -> Self {
        let server: Change = |pod| pod.container("server");
        Self { inbound: None, server, declared: |_| Vec::new(), ..self }
    }

    /// The client has no sidecar.
    pub(crate) fn without_outbound(self) -> Self {
        let client: Change = |pod| pod.container("app");
        Self { outbound: None, client, ..self }
    }

    /// The server's pod is another one.
    pub(crate) fn server(self, server: Change) -> Self {
        Self { server, ..self }
    }

    /// One more pod of the Service, which nobody connects to.
    pub(crate) fn endpoint(mut self, pod: Change) -> Self {
        self.endpoints.push(pod);
        self
    }

    /// A second client, without a sidecar.
    pub(crate) fn bystander(self) -> Self {
        Self { has_bystander: true, ..self }
    }

    /// The name of the Service's port, which tells the mesh its protocol.
    pub(crate) fn port_name(self, port_name: &'static str) -> Self {
        Self { port_name, ..self }
    }

    /// The server's pod is in no Service.
    pub(crate) fn outside_of_services(self) -> Self {
        Self { is_outside_of_services: true, ..self }
    }

    /// The Service is not headless.
    pub(crate) fn with_address(self) -> Self {
        // Nobody connects to it: what matters is that it is there.
        Self { cluster_ip: Some(Ipv4Addr::new(10, 96, 0, 10)), ..self }
    }

    /// The version of the mesh.
    pub(crate) fn istio(self, istio: &'static str) -> Self {
        Self { istio, ..self }
    }

    /// What is declared of the Service.
    pub(crate) fn declared(self, declared: fn(&Names<'_>) -> Vec<Value>) -> Self {
        Self { declared, ..self }
    }

    /// The capture begins in the middle of what the client does.
    pub(crate) fn captured_late(self) -> Self {
        Self { is_captured_late: true, ..self }
    }

    /// What the client does.
    pub(crate) fn when(self, act: fn(&At<'_>) -> Result<()>) -> Self {
        Self { act, ..self }
    }

    /// Captures alone do not show it, for this reason.
    pub(crate) fn not_captured(self, because: &'static str) -> Self {
        Self { not_captured: Some(because), ..self }
    }

    /// What must be found.
    pub(crate) fn found(self, wanted: Wanted) -> Self {
        Self { expected: Expected::Finding(wanted), ..self }
    }
}

/// Mesh mTLS whatever the other end is.
pub(crate) fn mtls(mesh: &Mesh<'_>) -> Outbound {
    Outbound::unconditional_mtls(mesh.host, mesh.port, mesh.identity)
}

/// No TLS, because nobody asked for it.
pub(crate) fn plaintext(mesh: &Mesh<'_>) -> Outbound {
    Outbound::plaintext(mesh.host, mesh.port)
}

/// TLS as to any server in the world.
pub(crate) fn origination(mesh: &Mesh<'_>, sni: Option<&str>) -> Outbound {
    Outbound::origination(mesh.host, mesh.port, sni)
}
