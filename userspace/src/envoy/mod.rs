//! What an Envoy itself says of an attempt: the entry of its access log, and the cluster of its configuration. The wire goes before
//! it: it explains, and where it contradicts, that is said. Pure, bounded.
#![deny(clippy::disallowed_methods)]

pub mod attempt;
mod clusters;
mod entries;
mod failure;
pub mod question;
pub mod sentence;
pub mod weight;

use crate::{
    envoy::{attempt::Attempt, clusters::Clusters, entries::Entries},
    event::envoy::{ClusterTls, ClustersSeen, LogEntry, ProxyCluster, RuleName},
    update::Behaviour,
};

/// What an Envoy says of one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word<'a> {
    /// What it logged of it.
    pub log: Option<&'a LogEntry>,
    /// What its configuration has for it.
    pub cluster: Option<&'a ProxyCluster>,
}

impl<'a> Word<'a> {
    /// It says nothing.
    pub fn is_empty(&self) -> bool {
        self.log.is_none() && self.cluster.is_none()
    }

    /// Its configuration has TLS for every endpoint of the destination, whatever that endpoint is.
    pub fn uses_tls_always(&self) -> bool {
        self.cluster.is_some_and(|cluster| matches!(cluster.tls, ClusterTls::Always(_)))
    }

    /// Its configuration has no TLS for the destination at all.
    pub fn uses_no_tls(&self) -> bool {
        self.cluster.is_some_and(|cluster| cluster.tls == ClusterTls::Never)
    }

    /// Its configuration has no mesh mTLS for the destination: no TLS, or one without the protocols that Istio's has. What the names
    /// of other meshes' clusters and protocols are is not known.
    pub fn uses_no_mtls(&self) -> bool {
        self.cluster.is_some_and(|cluster| match &cluster.tls {
            ClusterTls::Never => true,
            ClusterTls::Always(tls) => cluster.name.starts_with("outbound|") && !tls.is_of_istio(),
            // One of the endpoints', or not read.
            ClusterTls::ByEndpoint(_) | ClusterTls::Other(_) => false,
        })
    }

    /// Its configuration connects to whatever address the app asked for, as for headless Services.
    pub fn is_original_dst(&self) -> bool {
        self.cluster.is_some_and(|cluster| &*cluster.discovery == "ORIGINAL_DST")
    }

    /// The `DestinationRule` that its configuration for the destination was built with. That it is there does not mean that it asks for TLS.
    pub fn rule(&self) -> Option<&'a RuleName> {
        self.cluster?.rule.as_ref()
    }

    /// TLS for every endpoint, and no `DestinationRule`: the control plane inferred it from the endpoints (Istio
    /// `pilot/pkg/model/push_context.go`, `BestEffortInferServiceMTLSMode`).
    pub fn is_tls_inferred(&self) -> bool {
        self.uses_tls_always() && self.rule().is_none()
    }

    /// The `DestinationRule` that its configuration took the TLS from: where it knows the endpoints one by one, what Istio turns on by itself
    /// goes by the endpoint (Istio `pilot/pkg/networking/core/cluster_tls.go`, `applyUpstreamTLSSettings`). `ORIGINAL_DST` clusters do not tell.
    pub fn rule_of_tls(&self) -> Option<&'a RuleName> {
        self.rule().filter(|_| self.uses_tls_always() && !self.is_original_dst())
    }

    /// The Service that is headless by its configuration: Kubernetes' Services have `ORIGINAL_DST` clusters without a `DestinationRule` only if they
    /// are (Istio `pilot/pkg/networking/core/cluster_builder.go`; `ServiceEntries` have other host names).
    pub fn headless_service(&self) -> Option<&'a str> {
        let cluster = self.cluster.filter(|_| self.is_original_dst() && self.is_tls_inferred())?;
        let mut parts = cluster.name.splitn(4, '|');
        let host = parts.next().filter(|direction| *direction == "outbound").and_then(|_| parts.nth(2))?;
        let mut labels = host.split('.');
        let service = labels.next()?;
        (labels.nth(1) == Some("svc")).then_some(service)
    }
}

/// What was seen of an attempt on the wire, as far as it is compared with what Envoy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the listener did.
    pub behaviour: Behaviour,
    /// The proxy's hello was seen.
    pub had_hello: bool,
}

/// What Envoys have said so far.
#[derive(Debug, Default)]
pub struct Heard {
    entries: Entries,
    clusters: Clusters,
}

impl Heard {
    /// An Envoy logged something.
    pub fn logged(&mut self, entry: &LogEntry) {
        self.entries.add(entry.clone());
    }

    /// The configuration of an Envoy became known.
    pub fn configured(&mut self, seen: &ClustersSeen) {
        self.clusters.replace(seen);
    }

    /// What was said of this attempt so far.
    pub fn word_of(&self, attempt: &Attempt) -> Word<'_> {
        let log = self.entries.of(attempt);
        let cluster = self.clusters.of(attempt, log.and_then(|entry| entry.upstream_cluster.as_deref()));
        Word { log, cluster }
    }
}

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::event::envoy::{ClusterTls, ProxyCluster, RuleName, SocketMatch, TlsContext};

    #[test]
    fn a_configuration_tells_which_tls_it_uses_and_who_asked_for_it() {
        let rule = RuleName { namespace: "data".into(), name: "redis".into() };
        let tls = |alpn: &[&str]| TlsContext {
            alpn: alpn.iter().map(|text| (*text).into()).collect(),
            ..TlsContext::default()
        };
        let mesh = ClusterTls::Always(tls(&["istio-peer-exchange", "istio"]));
        let one = |tls| SocketMatch { name: "m".into(), is_for_all: false, tls };
        let by_endpoint = ClusterTls::ByEndpoint(vec![one(Some(tls(&["istio"]))), one(None)]);
        for (what, discovery, tls, has_rule, uses_no_mtls, is_asked) in [
            ("a rule", "EDS", mesh.clone(), true, false, true),
            ("a rule, or inferred", "ORIGINAL_DST", mesh.clone(), true, false, false),
            ("inferred", "ORIGINAL_DST", mesh, false, false, false),
            ("automatic, with a rule for something else", "EDS", by_endpoint, true, false, false),
            ("the user's own TLS", "STRICT_DNS", ClusterTls::Always(tls(&["h2"])), true, true, true),
            ("none", "EDS", ClusterTls::Never, true, true, false),
            ("not read", "EDS", ClusterTls::Other("quic".into()), true, false, false),
        ] {
            let rule = has_rule.then(|| rule.clone());
            let cluster = ProxyCluster {
                name: "outbound|6379||redis.data.svc.cluster.local".into(),
                discovery: discovery.into(),
                tls,
                rule,
                ..ProxyCluster::default()
            };
            let word = Word { log: None, cluster: Some(&cluster) };
            assert_eq!(
                (word.uses_no_mtls(), word.rule_of_tls().is_some()),
                (uses_no_mtls, is_asked),
                "{what}"
            );
        }
        assert_eq!((Word::default().uses_no_mtls(), Word::default().rule_of_tls()), (false, None));
        let kuma = ProxyCluster { tls: ClusterTls::Always(tls(&["kuma"])), ..ProxyCluster::default() };
        assert!(!Word { log: None, cluster: Some(&kuma) }.uses_no_mtls(), "another mesh's");
    }

    #[test]
    fn a_configuration_tells_a_headless_service() {
        let redis = ProxyCluster {
            name: "outbound|6379||redis.default.svc.cluster.local".into(),
            discovery: "ORIGINAL_DST".into(),
            tls: ClusterTls::Always(TlsContext::default()),
            ..ProxyCluster::default()
        };
        let rule = RuleName { namespace: "default".into(), name: "passthrough".into() };
        for (cluster, expected) in [
            (redis.clone(), Some("redis")),
            (ProxyCluster { discovery: "EDS".into(), ..redis.clone() }, None),
            (ProxyCluster { tls: ClusterTls::Never, ..redis.clone() }, None),
            (ProxyCluster { rule: Some(rule), ..redis.clone() }, None),
            (ProxyCluster { name: "outbound|443||db.example.org".into(), ..redis.clone() }, None),
            (ProxyCluster { name: "inbound|6379||".into(), ..redis.clone() }, None),
            (ProxyCluster { name: "PassthroughCluster".into(), ..redis }, None),
        ] {
            let word = Word { log: None, cluster: Some(&cluster) };
            assert_eq!(word.headless_service(), expected, "{cluster:?}");
        }
        assert_eq!(Word::default().headless_service(), None);
    }
}
