//! The `DestinationRule` that turns mesh mTLS off for the host that was observed. Pure.

use std::fmt::Write as _;

use crate::{update::Fix, verdict::case::Case};

/// Longest name of a Kubernetes object (RFC 1123 subdomain).
const NAME_LIMIT: usize = 253;

/// Turns mTLS off for the observed host, in the namespace of its Service: Istio looks for rules in the client's
/// namespace, then in the Service's, then in the root namespace (`pilot/pkg/model/push_context.go`, `destinationRule`).
pub(super) fn fix(case: &Case<'_>) -> Fix {
    let Some(host) = host(case) else {
        return Fix {
            text: "Turn mTLS off for this destination with a DestinationRule of mode DISABLE; its host name was not seen".into(),
            manifest: None,
        };
    };
    Fix {
        text: format!(
            "Turn mTLS off for {host}, because nothing there can answer it: apply this DestinationRule (or give the \
             destination a sidecar)"
        )
        .into(),
        manifest: Some(manifest(&host).into()),
    }
}

/// The host in the hello, else the name of the Service. Only what can be a host name: it goes into a manifest.
pub(super) fn host(case: &Case<'_>) -> Option<String> {
    let named = case.hello.and_then(|sent| sent.mesh.host.as_deref()).map(str::to_owned);
    let of_service = || {
        let (service, namespace) = (case.server.service.as_deref()?, case.server.namespace.as_deref()?);
        Some(format!("{service}.{namespace}.svc.cluster.local"))
    };
    named.filter(|host| is_host_name(host)).or_else(|| of_service().filter(|host| is_host_name(host)))
}

/// RFC 1123 §2.1, in lower case as Kubernetes has it.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= NAME_LIMIT && host.split('.').all(is_label)
}

/// Turns mTLS on for the host.
pub(super) fn mutual(host: &str) -> String {
    with_mode(host, "mtls", "ISTIO_MUTUAL")
}

/// Turns mTLS off for the host.
pub(super) fn manifest(host: &str) -> String {
    with_mode(host, "disable-mtls", "DISABLE")
}

/// `SERVICE.NAMESPACE.svc…` tells the namespace; other hosts (`ServiceEntries`) leave it to the context of kubectl.
fn with_mode(host: &str, suffix: &str, mode: &str) -> String {
    let mut labels = host.split('.');
    let first = labels.next().unwrap_or(host);
    let namespace = labels.next().filter(|_| labels.next() == Some("svc"));
    let mut text = String::from("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n");
    let mut name = format!("{first}-{suffix}");
    if namespace.is_none() {
        name = format!("{}-{suffix}", host.replace('.', "-"));
    }
    // Writing to a String does not fail.
    let _ = writeln!(text, "  name: {name}");
    if let Some(namespace) = namespace {
        let _ = writeln!(text, "  namespace: {namespace}");
    }
    let _ = write!(text, "spec:\n  host: {host}\n  trafficPolicy:\n    tls:\n      mode: {mode}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::{is_host_name, manifest};

    #[test]
    fn names_the_observed_host() {
        let expected = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: redis-disable-mtls\n  \
                        namespace: default\nspec:\n  host: redis.default.svc.cluster.local\n  trafficPolicy:\n    tls:\n      \
                        mode: DISABLE\n";
        assert_eq!(manifest("redis.default.svc.cluster.local"), expected);
        assert!(manifest("db.example.org").contains("name: db-example-org-disable-mtls\nspec:"));
    }

    #[test]
    fn takes_no_host_that_could_break_the_manifest() {
        for host in ["", "a..b", "a\nkind: Secret", "*.local", "-a.b", "a: b", &"a".repeat(300)] {
            assert!(!is_host_name(host), "{host}");
        }
        assert!(is_host_name("redis.default.svc.cluster.local"));
    }
}
