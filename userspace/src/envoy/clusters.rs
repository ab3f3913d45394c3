//! The clusters of proxies, and which of them an attempt was made with. Pure, bounded.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{
    envoy::attempt::Attempt,
    event::envoy::{ClusterTls, ClustersSeen, ProxyCluster, ProxyNode},
};

/// Most clusters that are kept of all proxies together; the proxy that was told of first is forgotten first.
const CLUSTERS_MAX: usize = 100_000;

/// One proxy's clusters.
#[derive(Debug)]
struct Proxy {
    node: Option<ProxyNode>,
    netns: Option<u32>,
    by_name: FxHashMap<Box<str>, ProxyCluster>,
}

/// How well a configuration is that of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It does not say whose it is.
    Unnamed,
    /// It is of another pod of the same workload.
    Workload,
    /// It is of this pod.
    Pod,
}

/// The clusters of all proxies that are known, oldest first.
#[derive(Debug, Default)]
pub(super) struct Clusters(VecDeque<Proxy>);

impl Clusters {
    /// What was known of the same proxy before is no longer true.
    pub(super) fn replace(&mut self, seen: &ClustersSeen) {
        let is_named = seen.node.is_some() || seen.netns.is_some();
        self.0.retain(|proxy| !is_named || (&proxy.node, proxy.netns) != (&seen.node, seen.netns));
        let by_name = seen.clusters.iter().map(|cluster| (cluster.name.clone(), cluster.clone())).collect();
        self.0.push_back(Proxy { node: seen.node.clone(), netns: seen.netns, by_name });
        while self.0.len() > 1 && self.len() > CLUSTERS_MAX {
            self.0.pop_front();
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|proxy| proxy.by_name.len()).sum()
    }

    /// The cluster of an attempt: by the name that the log has, else by what the hello tells, else by the Service.
    pub(super) fn of(&self, attempt: &Attempt, logged: Option<&str>) -> Option<&ProxyCluster> {
        let fitting = self.0.iter().filter_map(|proxy| Some((proxy.fit(attempt)?, proxy)));
        let found = fitting.filter_map(|(fit, proxy)| Some((fit, proxy.cluster_of(attempt, logged)?)));
        // Of several that fit as well the last one counts: it is the newest.
        found.max_by_key(|(fit, _)| *fit).map(|(_, cluster)| cluster)
    }
}

impl Proxy {
    fn fit(&self, attempt: &Attempt) -> Option<Fit> {
        let who = &attempt.proxy;
        if let (Some(own), Some(other)) = (self.netns, who.netns) {
            return (own == other).then_some(Fit::Pod);
        }
        let Some(node) = &self.node else { return self.netns.is_none().then_some(Fit::Unnamed) };
        let is_pod = who.pod.as_ref() == Some(&node.pod) && who.namespace.as_ref() == Some(&node.namespace);
        if is_pod || node.address == attempt.client.ip() {
            return Some(Fit::Pod);
        }
        let workload = who.workload.as_deref().and_then(|workload| workload.split_once('/'));
        let is_sibling = workload.is_some_and(|(_, name)| {
            let suffix = node.pod.strip_prefix(name);
            suffix.is_some_and(|suffix| suffix.starts_with('-'))
                && who.namespace.as_ref() == Some(&node.namespace)
        });
        is_sibling.then_some(Fit::Workload)
    }

    fn cluster_of(&self, attempt: &Attempt, logged: Option<&str>) -> Option<&ProxyCluster> {
        let named = [logged, attempt.cluster.as_deref()];
        let by_name = named.into_iter().flatten().find_map(|name| self.by_name.get(name));
        by_name
            .or_else(|| {
                self.only(|cluster| attempt.sni.is_some() && sni_of(cluster) == attempt.sni.as_deref())
            })
            .or_else(|| self.by_service(attempt))
    }

    /// A hello that was not seen tells nothing; then the Service does, if it has one port.
    fn by_service(&self, attempt: &Attempt) -> Option<&ProxyCluster> {
        let (service, namespace) = attempt.service.as_ref().filter(|_| attempt.sni.is_none())?;
        let host = format!("{service}.{namespace}.svc.");
        self.only(|cluster| {
            let mut parts = cluster.name.splitn(4, '|');
            let is_outbound = parts.next() == Some("outbound");
            let subset = parts.nth(1);
            is_outbound && subset == Some("") && parts.next().is_some_and(|name| name.starts_with(&host))
        })
    }

    /// The cluster that is so, if there is just one.
    fn only(&self, is_wanted: impl Fn(&ProxyCluster) -> bool) -> Option<&ProxyCluster> {
        let mut wanted = self.by_name.values().filter(|cluster| is_wanted(cluster));
        let first = wanted.next()?;
        wanted.next().is_none().then_some(first)
    }
}

/// The server name in the hellos of a cluster.
fn sni_of(cluster: &ProxyCluster) -> Option<&str> {
    match &cluster.tls {
        ClusterTls::Always(tls) => tls.sni.as_deref(),
        ClusterTls::ByEndpoint(matches) => {
            matches.iter().find_map(|one| one.tls.as_ref()).and_then(|tls| tls.sni.as_deref())
        }
        ClusterTls::Never | ClusterTls::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CLUSTERS_MAX, Clusters};
    use crate::{
        envoy::attempt::{Attempt, Who},
        event::{
            envoy::{ClusterTls, ClustersSeen, ProxyCluster, ProxyNode, TlsContext},
            time::Time,
        },
    };

    const REDIS: &str = "outbound|6379||redis.default.svc.cluster.local";

    fn cluster(name: &str, sni: &str) -> ProxyCluster {
        let tls = ClusterTls::Always(TlsContext { sni: Some(sni.into()), ..TlsContext::default() });
        ProxyCluster { name: name.into(), tls, ..ProxyCluster::default() }
    }

    fn seen(node: Option<(&str, &str)>, netns: Option<u32>, clusters: Vec<ProxyCluster>) -> ClustersSeen {
        let node = node.map(|(pod, address)| ProxyNode {
            address: address.parse().unwrap(),
            pod: pod.into(),
            namespace: "default".into(),
        });
        ClustersSeen { time: Time(1), node, netns, clusters }
    }

    fn attempt() -> Attempt {
        Attempt {
            server: "10.1.1.24:6379".parse().unwrap(),
            client: "10.1.1.25:50714".parse().unwrap(),
            app: None,
            opened: Time(0),
            ended: Time(1),
            proxy: Who {
                netns: Some(4),
                namespace: Some("default".into()),
                pod: Some("redis-client-6d4c6c975f-bm5w6".into()),
                workload: Some("Deployment/redis-client".into()),
            },
            sni: Some("outbound_.6379_._.redis.default.svc.cluster.local".into()),
            cluster: Some(REDIS.into()),
            service: Some(("redis".into(), "default".into())),
        }
    }

    #[test]
    fn only_the_proxys_own_configuration_counts() {
        for (node, netns, is_used) in [
            (None, None, true),
            (Some(("redis-client-6d4c6c975f-bm5w6", "10.1.1.25")), None, true),
            (Some(("x", "10.1.1.25")), None, true),
            (Some(("redis-client-6d4c6c975f-other", "10.1.1.77")), None, true),
            (Some(("redis-clients-0", "10.1.1.77")), None, false),
            (Some(("web-0", "10.1.1.77")), None, false),
            (None, Some(4), true),
            (None, Some(5), false),
            (Some(("redis-client-6d4c6c975f-bm5w6", "10.1.1.25")), Some(5), false),
        ] {
            let mut clusters = Clusters::default();
            clusters.replace(&seen(node, netns, vec![cluster(REDIS, "sni")]));
            assert_eq!(clusters.of(&attempt(), None).is_some(), is_used, "{node:?} {netns:?}");
        }
    }

    #[test]
    fn the_own_one_goes_before_others_and_the_newest_before_older_ones() {
        let mut clusters = Clusters::default();
        let own = Some(("redis-client-6d4c6c975f-bm5w6", "10.1.1.25"));
        for (node, sni) in
            [(own, "old"), (own, "own"), (Some(("redis-client-2", "10.1.1.77")), "sibling"), (None, "any")]
        {
            clusters.replace(&seen(node, None, vec![cluster(REDIS, sni)]));
        }
        assert_eq!(clusters.0.len(), 3);
        assert_eq!(clusters.of(&attempt(), None), Some(&cluster(REDIS, "own")));
    }

    #[test]
    fn a_cluster_is_found_by_what_is_known_of_the_attempt() {
        let subset = cluster("outbound|6379|v1|redis.default.svc.cluster.local", "special");
        let other = cluster("outbound|8080||web.default.svc.cluster.local", "outbound_.8080_._.web");
        let all =
            vec![cluster(REDIS, "outbound_.6379_._.redis.default.svc.cluster.local"), subset.clone(), other];
        let unseen = Attempt { sni: None, cluster: None, ..attempt() };
        let overridden = Attempt { sni: Some("special".into()), cluster: None, ..attempt() };
        let unknown = Attempt { service: None, ..unseen.clone() };
        let mut clusters = Clusters::default();
        clusters.replace(&seen(None, None, all));
        for (what, attempt, logged, expected) in [
            ("by the hello", attempt(), None, Some(REDIS)),
            ("by the log", attempt(), Some(&*subset.name), Some(&*subset.name)),
            ("by a name of its own in the hello", overridden, None, Some(&*subset.name)),
            ("by the Service", unseen, None, Some(REDIS)),
            ("by nothing", unknown, None, None),
        ] {
            let found = clusters.of(&attempt, logged).map(|cluster| &*cluster.name);
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut clusters = Clusters::default();
        for netns in 0..5 {
            let many = (0..CLUSTERS_MAX / 2).map(|number| cluster(&number.to_string(), "sni")).collect();
            clusters.replace(&seen(None, Some(netns), many));
        }
        assert_eq!((clusters.0.len(), clusters.len()), (2, CLUSTERS_MAX));
    }
}
