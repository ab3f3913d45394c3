//! Whose configuration a dump is: the id of the proxy's node, as Istio makes it. Knows nothing of clusters.

use serde::Deserialize;

use crate::event::envoy::ProxyNode;

/// The part of a dump that Envoy was started with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bootstrap {
    node: Node,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    id: String,
}

impl Bootstrap {
    /// The proxy, if its id is as Istio's are.
    pub(super) fn node(&self) -> Option<ProxyNode> {
        parse(&self.node.id)
    }
}

/// `sidecar~10.1.1.25~redis-client-….default~default.svc.cluster.local` (Istio `pilot/pkg/model/context.go`,
/// `ParseServiceNodeWithMetadata`). A pod's name may have dots; a namespace has none.
fn parse(id: &str) -> Option<ProxyNode> {
    let mut parts = id.split('~');
    let (_kind, address, pod, _domain) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (name, namespace) = pod.rsplit_once('.')?;
    let is_named = !name.is_empty() && !namespace.is_empty() && parts.next().is_none();
    let address = address.parse().ok().filter(|_| is_named)?;
    Some(ProxyNode { address, pod: name.into(), namespace: namespace.into() })
}

#[cfg(test)]
mod tests {
    use super::{ProxyNode, parse};

    #[test]
    fn ids_of_istio_tell_the_pod() {
        let client = |pod: &str| {
            Some(ProxyNode {
                address: "10.1.1.25".parse().unwrap(),
                pod: pod.into(),
                namespace: "default".into(),
            })
        };
        for (id, expected) in [
            ("sidecar~10.1.1.25~redis-client.default~default.svc.cluster.local", client("redis-client")),
            ("sidecar~10.1.1.25~a.b.default~default.svc.cluster.local", client("a.b")),
            ("sidecar~redis-client.default~default.svc.cluster.local", None),
            ("sidecar~10.1.1.25~.default~d", None),
            ("sidecar~10.1.1.25~a.default~d~e", None),
            ("envoy-1", None),
            ("", None),
        ] {
            assert_eq!(parse(id), expected, "{id}");
        }
    }
}
