//! Reads the JSON lines of the tracer as a script of a user would. It knows the published contract only.
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub(super) const CODE: &str = "mtls-to-plaintext";

/// Whether a line is of this kind, about our finding, and between these two pods.
pub(super) fn is(line: &Value, kind: &str, client: &str, server: &str) -> bool {
    line["kind"] == kind
        && line["code"] == CODE
        && line["client"]["pod"] == client
        && line["server"]["pod"] == server
}

/// The manifest that a finding proposes.
pub(super) fn manifest(finding: &Value) -> Result<String> {
    let manifest = finding.pointer("/fix/manifest").and_then(Value::as_str);
    manifest.map(String::from).with_context(|| format!("the finding proposes no manifest: {finding}"))
}

/// Checks that the manifest turns mTLS off for `host` and for nothing else, as the demo is about to do.
pub(super) fn check_manifest(manifest: &str, host: &str) -> Result<()> {
    for (key, expected) in [("kind", "DestinationRule"), ("host", host), ("mode", "DISABLE")] {
        let values = values(manifest, key);
        ensure!(
            values == [expected],
            "expected `{key}: {expected}` in the manifest, got {values:?} from:\n{manifest}"
        );
    }
    Ok(())
}

/// All values of a key, at any depth: enough of YAML for a manifest of a dozen lines.
fn values<'a>(manifest: &'a str, key: &str) -> Vec<&'a str> {
    manifest
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key)?.strip_prefix(':'))
        .map(|value| value.trim().trim_matches(['"', '\'']))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check_manifest;

    const MANIFEST: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: a\n\
                            spec:\n  host: redis.default.svc.cluster.local\n  trafficPolicy:\n    tls:\n      mode: DISABLE\n";

    #[test]
    fn a_manifest_must_disable_mtls_for_the_host_and_for_no_other() {
        let host = "redis.default.svc.cluster.local";
        check_manifest(MANIFEST, host).unwrap();
        for (from, to) in [
            ("DISABLE", "ISTIO_MUTUAL"),
            ("host: redis", "host: \"*\"\n  # redis"),
            ("DestinationRule", "PeerAuthentication"),
        ] {
            assert!(check_manifest(&MANIFEST.replace(from, to), host).is_err(), "{to}");
        }
    }
}
