//! Recorded hellos for the tests, each file saying how it was made; must not know what is expected of them.

use super::client_hello::{ClientHello, Reading, parse};

/// Envoy as in an Istio sidecar, TLS 1.2.
pub(super) const ISTIO_TLS12: &str = include_str!("testdata/istio_tls12.hex");
/// Envoy as in an Istio sidecar, TLS 1.3.
pub(super) const ISTIO_TLS13: &str = include_str!("testdata/istio_tls13.hex");
/// Envoy as in an Istio sidecar, post-quantum key share only.
pub(super) const ISTIO_PQ: &str = include_str!("testdata/istio_pq.hex");
/// Envoy as in an Istio sidecar, TLS 1.3 with Envoy's default key shares.
pub(super) const ISTIO_PQ_DEFAULT: &str = include_str!("testdata/istio_pq_default.hex");
/// Envoy as in an Istio sidecar, HTTP cluster of a subset.
pub(super) const ISTIO_HTTP_SUBSET: &str = include_str!("testdata/istio_http_subset.hex");
/// Envoy as in an Istio sidecar, the cluster's name as SNI.
pub(super) const ISTIO_CLUSTER_NAME_SNI: &str = include_str!("testdata/istio_cluster_name_sni.hex");
/// Envoy as in an Istio sidecar, SNI from a DestinationRule.
pub(super) const ISTIO_SNI_OVERRIDE: &str = include_str!("testdata/istio_sni_override.hex");
/// A ztunnel's HBONE.
pub(super) const ZTUNNEL: &str = include_str!("testdata/ztunnel.hex");
/// A Linkerd proxy.
pub(super) const LINKERD: &str = include_str!("testdata/linkerd.hex");
/// A Linkerd proxy, to the proxy port of the other one.
pub(super) const LINKERD_OPAQUE: &str = include_str!("testdata/linkerd_opaque.hex");
/// Envoy as in a Consul sidecar.
pub(super) const CONSUL: &str = include_str!("testdata/consul.hex");
/// Envoy as in a Kuma sidecar.
pub(super) const KUMA: &str = include_str!("testdata/kuma.hex");
/// Envoy as in an OSM sidecar.
pub(super) const OSM: &str = include_str!("testdata/osm.hex");
/// OpenSSL, TLS 1.3.
pub(super) const OPENSSL_TLS13: &str = include_str!("testdata/openssl_tls13.hex");
/// OpenSSL, TLS 1.2, without SNI.
pub(super) const OPENSSL_TLS12: &str = include_str!("testdata/openssl_tls12.hex");
/// OpenSSL, one hello over three records.
pub(super) const OPENSSL_FRAGMENTED: &str = include_str!("testdata/openssl_fragmented.hex");
/// curl, padded to 517 bytes on the wire.
pub(super) const CURL: &str = include_str!("testdata/curl.hex");
/// Chrome, with GREASE.
pub(super) const CHROME: &str = include_str!("testdata/chrome.hex");
/// Firefox.
pub(super) const FIREFOX: &str = include_str!("testdata/firefox.hex");
/// A first application protocol that is a space.
pub(super) const ALPN_SPACE: &str = include_str!("testdata/alpn_space.hex");
/// A first application protocol that ends in a space.
pub(super) const ALPN_ENDS_IN_SPACE: &str = include_str!("testdata/alpn_ends_in_space.hex");

/// Every sample.
pub(super) const ALL: [&str; 21] = [
    ISTIO_TLS12,
    ISTIO_TLS13,
    ISTIO_PQ,
    ISTIO_PQ_DEFAULT,
    ISTIO_HTTP_SUBSET,
    ISTIO_CLUSTER_NAME_SNI,
    ISTIO_SNI_OVERRIDE,
    ZTUNNEL,
    LINKERD,
    LINKERD_OPAQUE,
    CONSUL,
    KUMA,
    OSM,
    OPENSSL_TLS13,
    OPENSSL_TLS12,
    OPENSSL_FRAGMENTED,
    CURL,
    CHROME,
    FIREFOX,
    ALPN_SPACE,
    ALPN_ENDS_IN_SPACE,
];

/// The bytes of a sample: hex digits, but for lines that begin with `#`.
pub(super) fn bytes(sample: &str) -> Vec<u8> {
    let digits: Vec<u8> = sample
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::chars)
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What a sample says.
pub(super) fn hello(sample: &str) -> ClientHello {
    match parse(&bytes(sample)) {
        Reading::Hello(hello) => hello,
        other => panic!("{other:?} for {sample}"),
    }
}

/// One record with this payload.
pub(super) fn record(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], length.as_slice(), payload].concat()
}

/// A ClientHello for the list of extensions as it stands, right or wrong.
pub(super) fn hello_with(extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    let fixed = [[3, 3].as_slice(), &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
    let body = [fixed.as_slice(), &length, extensions].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    record(&[&[1], &length[1..], &body].concat())
}
