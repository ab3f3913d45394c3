//! An attempt, as far as it is needed to find what an Envoy says of it. Pure.

use std::net::SocketAddr;

use crate::{
    event::time::Time,
    flow::Flow,
    update::{Party, Role},
};

/// What tells an attempt from others, in the words of logs and configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where the proxy connected to.
    pub server: SocketAddr,
    /// The proxy's own end.
    pub client: SocketAddr,
    /// The app's own end of its connection to the proxy, where that was seen.
    pub app: Option<SocketAddr>,
    /// When the proxy began to connect.
    pub opened: Time,
    /// When its connection ended.
    pub ended: Time,
    /// Who connects.
    pub proxy: Who,
    /// Server name in the hello.
    pub sni: Option<Box<str>>,
    /// Name of the cluster that the server name tells.
    pub cluster: Option<Box<str>>,
    /// Service and namespace of the destination.
    pub service: Option<(Box<str>, Box<str>)>,
}

/// Whose proxy it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Inode of its network namespace, where it is on this node.
    pub netns: Option<u32>,
    /// Namespace of its pod.
    pub namespace: Option<Box<str>>,
    /// Name of its pod.
    pub pod: Option<Box<str>>,
    /// Owner of its pod, such as `Deployment/redis-client`.
    pub workload: Option<Box<str>>,
}

impl Attempt {
    /// The attempt that a connection is, with what is known of both ends, and of the app's end of its connection to the proxy.
    pub fn of(flow: &Flow, ended: Time, app: Option<SocketAddr>, client: &Party, server: &Party) -> Self {
        let sni = flow.client_hello().and_then(|hello| hello.content.sni.clone());
        let is_here = flow.role == Role::Connector && flow.owner.netns != 0;
        Self {
            server: flow.server(),
            client: flow.client(),
            app,
            opened: flow.opened,
            ended,
            proxy: Who {
                netns: is_here.then_some(flow.owner.netns),
                namespace: client.namespace.clone(),
                pod: client.pod.clone(),
                workload: client.workload.clone(),
            },
            cluster: sni.as_deref().and_then(cluster_name).map(Into::into),
            sni,
            service: server.service.clone().zip(server.namespace.clone()),
        }
    }
}

/// The cluster that Istio gives this server name: `outbound_.6379_.v1_.HOST` is that of `outbound|6379|v1|HOST`
/// (`pilot/pkg/model/service.go`, `BuildDNSSrvSubsetKey` and `BuildSubsetKey`), or it is the name itself.
fn cluster_name(sni: &str) -> Option<String> {
    if sni.split('|').count() == 4 {
        return Some(sni.to_owned());
    }
    let parts: Vec<&str> = sni.splitn(4, "_.").collect();
    let is_direction = matches!(parts.first(), Some(&"outbound" | &"inbound"));
    (parts.len() == 4 && is_direction).then(|| parts.join("|"))
}

#[cfg(test)]
mod tests {
    use super::cluster_name;

    #[test]
    fn server_names_of_istio_tell_the_cluster() {
        let host = "redis.default.svc.cluster.local";
        for (sni, expected) in [
            (format!("outbound_.6379_._.{host}"), Some(format!("outbound|6379||{host}"))),
            (format!("outbound_.6379_.v1_.{host}"), Some(format!("outbound|6379|v1|{host}"))),
            (format!("outbound|6379||{host}"), Some(format!("outbound|6379||{host}"))),
            (host.to_owned(), None),
            ("a_.b_.c_.d".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(cluster_name(&sni), expected, "{sni}");
        }
    }
}
