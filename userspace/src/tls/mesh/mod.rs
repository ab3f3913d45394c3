//! Tells which service mesh wrote a ClientHello, and what it says of the destination; must not know of
//! clusters or policy. One mesh a file, each with the places where its form is written down.

mod ambient;
mod consul;
mod istio;
mod kuma;
mod linkerd;
mod osm;

use super::client_hello::ClientHello;

/// A service mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mesh {
    /// Istio with sidecars.
    Istio,
    /// Istio in ambient mode: ztunnels and waypoints, mTLS in HBONE.
    IstioAmbient,
    /// Linkerd.
    Linkerd,
    /// Consul's service mesh (Connect).
    Consul,
    /// Kuma and Kong Mesh, which write the same.
    Kuma,
    /// Open Service Mesh; archived, but in use.
    Osm,
}

impl Mesh {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Istio, Self::IstioAmbient, Self::Linkerd, Self::Consul, Self::Kuma, Self::Osm];

    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::IstioAmbient => "istio-ambient",
            Self::Linkerd => "linkerd",
            Self::Consul => "consul",
            Self::Kuma => "kuma",
            Self::Osm => "osm",
        }
    }
}

/// Which way a mesh's cluster points, seen from the proxy that dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To another workload.
    Outbound,
    /// To the proxy's own workload.
    Inbound,
}

impl Direction {
    /// The stable lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// What a mesh's ClientHello tells of where the client meant to go. What it does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshHello {
    /// The mesh that wrote the hello.
    pub mesh: Mesh,
    /// Which way the cluster points.
    pub direction: Option<Direction>,
    /// The port of the Service, which may differ from the port that was dialled.
    pub service_port: Option<u16>,
    /// The subset of the Service (Istio's DestinationRule, Consul's resolver).
    pub subset: Option<Box<str>>,
    /// The host of the Service as the mesh knows it.
    pub host: Option<Box<str>>,
    /// The name of the service, of meshes that give it instead of a host.
    pub service: Option<Box<str>>,
    /// The namespace of the service or service account.
    pub namespace: Option<Box<str>>,
    /// The service account as which the destination must identify itself (Linkerd).
    pub service_account: Option<Box<str>>,
}

impl MeshHello {
    /// The mesh is all that is known.
    pub fn of(mesh: Mesh) -> Self {
        Self {
            mesh,
            direction: None,
            service_port: None,
            subset: None,
            host: None,
            service: None,
            namespace: None,
            service_account: None,
        }
    }
}

/// Says which mesh wrote this hello to this destination port; `None` for an application's own TLS.
///
/// The port decides for one mesh only: HBONE's hello has nothing of its own but where it goes.
pub fn recognise(hello: &ClientHello, port: u16) -> Option<MeshHello> {
    [istio::recognise, linkerd::recognise, consul::recognise, kuma::recognise, osm::recognise]
        .iter()
        .find_map(|recognise| recognise(hello))
        .or_else(|| ambient::recognise(hello, port))
}

/// The hello offers this application protocol.
fn offers(hello: &ClientHello, protocol: &str) -> bool {
    hello.alpn.iter().any(|offered| &**offered == protocol)
}

fn parse_port(text: &str) -> Option<u16> {
    // Rust's own parser would take "+6379" too.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests;
