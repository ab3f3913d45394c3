//! Open Service Mesh.
//!
//! ALPN `osm`, which says that the client is a proxy of the mesh (openservicemesh/osm, `ALPNInMesh` in
//! `pkg/envoy/`), with the Service's host as SNI (`MeshService.ServerName` in `pkg/service/`), which alone could be
//! anybody's.

use super::{ClientHello, Mesh, MeshHello, offers};

/// The hello of a sidecar.
pub(super) fn recognise(hello: &ClientHello) -> Option<MeshHello> {
    offers(hello, "osm").then(|| MeshHello { host: hello.sni.clone(), ..MeshHello::of(Mesh::Osm) })
}

#[cfg(test)]
mod tests {
    use super::{Mesh, MeshHello, recognise};
    use crate::tls::{mesh::tests::hello, samples};

    #[test]
    fn its_protocol_decides() {
        let host = "redis.default.svc.cluster.local";
        let of =
            |host: Option<&str>| Some(MeshHello { host: host.map(Into::into), ..MeshHello::of(Mesh::Osm) });
        assert_eq!(recognise(&samples::hello(samples::OSM)), of(Some(host)));
        assert_eq!(recognise(&hello(Some(host), &["osm"])), of(Some(host)));
        assert_eq!(recognise(&hello(None, &["osm"])), of(None));
        for alpn in [&["h2"][..], &["osm2"], &[]] {
            assert_eq!(recognise(&hello(Some(host), alpn)), None, "{alpn:?}");
        }
    }
}
