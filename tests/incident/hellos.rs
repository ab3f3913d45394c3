//! Hellos of every size and cut: the verdict is the same, and nothing is lost.

use anyhow::Result;
use mtlsnoop_tests::client::Sending;
use mtlsnoop_tests::cluster::Cluster;
use mtlsnoop_tests::envoy::{Outbound, TlsVersion};
use mtlsnoop_tests::interception::SIDECAR_UID;
use mtlsnoop_tests::scene::SceneSpec;
use mtlsnoop_tests::server::Backend;
use serde_json::Value;

use mtlsnoop_tests::watched::{SOON, Watched};

/// Maximum segment sizes: none announced, and one that cuts every hello.
const SEGMENT_SIZES: [Option<u16>; 2] = [None, Some(400)];

/// Sends one hello by Envoy to Redis, over both IP versions, and gives the findings.
fn found(change: impl Fn(Outbound) -> Outbound, segment_bytes: Option<u16>) -> Result<Vec<Value>> {
    let cut = |pod: mtlsnoop_tests::pod::PodSpec| match segment_bytes {
        Some(mss) => pod.mss(mss),
        None => pod,
    };
    let mut scene = SceneSpec::new("redis", 6379).client(cut).backend(cut).start(Cluster::start()?)?;
    scene.serve(Backend::Redis)?;
    let _sidecar = scene.client_sidecar(&change(scene.unconditional_mtls()?))?;
    let mut watched = Watched::start(scene, &[])?;
    let mut findings = Vec::new();
    for server in [watched.scene.address(), watched.scene.address_ipv6()] {
        watched.app_sends(b"PING\r\n", server)?;
        findings.push(watched.finding(server)?);
    }
    watched.end()?;
    Ok(findings)
}

fn check(expected_bytes: std::ops::Range<u64>, change: impl Fn(Outbound) -> Outbound) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for segment_bytes in SEGMENT_SIZES {
        for finding in found(&change, segment_bytes)? {
            assert_eq!(finding["confidence"], "likely", "{finding:#}");
            assert_eq!(finding["listener"]["behaviour"], "silent", "{finding:#}");
            assert_eq!(finding["incomplete"], false, "{finding:#}");
            let sent = finding["outcome"]["bytes_sent"].as_u64().unwrap_or_default();
            assert!(expected_bytes.contains(&sent), "{segment_bytes:?}: {finding:#}");
            all.push(finding);
        }
    }
    Ok(all)
}

#[test]
fn tls_1_2_of_about_200_bytes() -> Result<()> {
    for finding in check(190..230, |outbound| outbound)? {
        assert_eq!(finding["client_hello"]["versions"], serde_json::json!(["1.2"]), "{finding:#}");
    }
    Ok(())
}

#[test]
fn padded_to_517_bytes() -> Result<()> {
    let filler = "x".repeat(155);
    check(500..530, |outbound| outbound.alpn(&["istio-peer-exchange", "istio", &filler, &filler])).map(drop)
}

#[test]
fn post_quantum_of_more_than_a_segment() -> Result<()> {
    let curves = ["X25519MLKEM768"];
    for finding in check(1400..1800, |outbound| outbound.tls_version(TlsVersion::V1_3).curves(&curves))? {
        assert_eq!(finding["client_hello"]["groups"], serde_json::json!(curves), "{finding:#}");
    }
    Ok(())
}

/// A real hello of Envoy, as hexadecimal digits with comments.
fn istio_hello() -> Result<Vec<u8>> {
    let text = include_str!("../../userspace/src/tls/testdata/istio_tls12.hex");
    let digits: String =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    Ok(data_encoding::HEXLOWER.decode(digits.as_bytes())?)
}

#[test]
fn split_over_several_writes() -> Result<()> {
    let hello = istio_hello()?;
    for piece_bytes in [1, 5, 100] {
        let mut scene = SceneSpec::new("redis", 6379).start(Cluster::start()?)?;
        scene.serve(Backend::NeverAnswers)?;
        let mut watched = Watched::start(scene, &[])?;
        let pieces: Vec<&[u8]> = hello.chunks(piece_bytes).collect();
        let sending = Sending::pieces(&pieces).each_acknowledged().as_id(SIDECAR_UID).waiting(SOON / 30);
        sending.run(watched.scene.client.app_container()?, watched.scene.address())?;
        let finding = watched.finding(watched.scene.address())?;
        assert_eq!(finding["listener"]["behaviour"], "silent", "{piece_bytes}: {finding:#}");
        assert_eq!(finding["outcome"]["bytes_sent"], hello.len(), "{piece_bytes}: {finding:#}");
        watched.end()?;
    }
    Ok(())
}
