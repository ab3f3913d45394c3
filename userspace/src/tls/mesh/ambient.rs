//! Istio in ambient mode: HBONE, as ztunnels, waypoints and sidecars with HBONE write it.
//!
//! A ztunnel sends no server name (`enable_sni = false`), offers `h2` and nothing else, and TLS 1.3
//! (istio/ztunnel, `src/tls/certificate.rs`). Any HTTP/2 client that dials an address could write the same, so
//! the port decides: HBONE is taken at 15008 alone (istio/istio, `HBoneInboundListenPort` in
//! `pilot/pkg/model/`; ztunnel, `ARCHITECTURE.md`).

use super::{ClientHello, Mesh, MeshHello};

/// Where ztunnels and waypoints take HBONE.
const HBONE_PORT: u16 = 15_008;

/// TLS 1.3.
const TLS13: u16 = 0x0304;

/// An HBONE hello to this port.
pub(super) fn recognise(hello: &ClientHello, port: u16) -> Option<MeshHello> {
    let offers_h2_only = matches!(hello.alpn.as_slice(), [only] if &**only == "h2");
    let is_hbone =
        port == HBONE_PORT && offers_h2_only && hello.sni.is_none() && hello.versions.contains(&TLS13);
    is_hbone.then(|| MeshHello::of(Mesh::IstioAmbient))
}

#[cfg(test)]
mod tests {
    use super::{HBONE_PORT, Mesh, MeshHello, recognise};
    use crate::tls::{client_hello::ClientHello, mesh::tests::hello, samples};

    #[test]
    fn a_ztunnel_is_recognised_at_its_port_only() {
        let hbone = samples::hello(samples::ZTUNNEL);
        assert_eq!(recognise(&hbone, HBONE_PORT), Some(MeshHello::of(Mesh::IstioAmbient)));
        for port in [443, 6379, 15_006, 15_009] {
            assert_eq!(recognise(&hbone, port), None, "{port}");
        }
    }

    #[test]
    fn other_hellos_to_its_port_are_none() {
        for (sni, alpn, versions) in [
            (Some("a"), &["h2"][..], &[0x0304_u16][..]),
            (None, &["h2", "http/1.1"], &[0x0304]),
            (None, &["http/1.1"], &[0x0304]),
            (None, &[], &[0x0304]),
            (None, &["h2"], &[]),
            (None, &["h2"], &[0x0303]),
        ] {
            let hello = ClientHello { versions: versions.to_vec(), ..hello(sni, alpn) };
            assert_eq!(recognise(&hello, HBONE_PORT), None, "{hello:?}");
        }
    }
}
