//! A situation for tests of causes and mends: a client with a sidecar, a headless Redis without one, and what differs from
//! that. Pure.

use std::net::SocketAddr;

use crate::{
    envoy::Word,
    event::{
        cluster::{Cluster, Container, Endpoint, Pod, Service, ServicePort},
        envoy::{ClusterTls, ProxyCluster, RuleName, TlsContext},
        istio::{ClientMode, ClientTls, DestinationRule, Istio, TrafficPolicy},
        socket::Owner,
        time::Time,
    },
    flow::hello::Hello,
    identity::objects::Objects,
    listener::Knowledge,
    policy::{Declared, endpoint::TLS_MODE},
    tls::{
        client_hello::ClientHello,
        mesh::{Direction, Mesh, MeshHello},
    },
    update::{Behaviour, Party},
    verdict::case::{Acceptor, Case, PassedOn, SentHello},
};

/// What can differ.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    /// Pods: the client, the server, another of the server's; one Service, `redis` in `data`, port 6379 of each.
    pub(crate) cluster: Cluster,
    /// What the client's sidecar says.
    pub(crate) hello: MeshHello,
    /// Who accepted, and at which port.
    pub(crate) acceptor: Option<(Owner, u16)>,
    /// Where the client connects from.
    pub(crate) from: SocketAddr,
    /// The server is a pod of the cluster.
    pub(crate) is_pod: bool,
    /// What the client's sidecar is configured to.
    pub(crate) configured: Option<ProxyCluster>,
}

impl Default for Situation {
    fn default() -> Self {
        let port = ServicePort { name: "tcp-redis".into(), port: 6379, app_protocol: None };
        let service = Service {
            namespace: "data".into(),
            name: "redis".into(),
            headless: true,
            ports: vec![port],
            ..Service::default()
        };
        let mut client = pod("app", "web", "10.1.1.25");
        Self::inject(&mut client);
        Self {
            cluster: Cluster {
                pods: vec![client, pod("data", "redis-0", "10.1.1.24"), pod("data", "redis-1", "10.1.1.26")],
                services: vec![service],
                endpoints: vec![endpoint("10.1.1.24", "redis-0"), endpoint("10.1.1.26", "redis-1")],
                istio: Istio { is_listed: true, ..Istio::default() },
            },
            hello: MeshHello {
                direction: Some(Direction::Outbound),
                service_port: Some(6379),
                host: Some("redis.data.svc.cluster.local".into()),
                ..MeshHello::of(Mesh::Istio)
            },
            acceptor: None,
            from: ([10, 1, 1, 25], 50714).into(),
            is_pod: true,
            configured: None,
        }
    }
}

impl Situation {
    /// With another cluster.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Cluster)) -> Self {
        change(&mut self.cluster);
        self
    }

    /// Gives a pod what injection gives it.
    pub(crate) fn inject(pod: &mut Pod) {
        pod.labels.insert(TLS_MODE.into(), "istio".into());
        pod.containers.push(Container { name: "istio-proxy".into(), id: "".into() });
    }

    /// With a sidecar whose cluster for Redis is like this, and made with the rule of this name in `data`.
    pub(crate) fn configured(mut self, discovery: &str, tls: ClusterTls, rule: Option<&str>) -> Self {
        self.configured = Some(ProxyCluster {
            name: "outbound|6379||redis.data.svc.cluster.local".into(),
            discovery: discovery.into(),
            tls,
            rule: rule.map(|name| RuleName { namespace: "data".into(), name: name.into() }),
            ..ProxyCluster::default()
        });
        self
    }

    /// The attempt as a case.
    pub(crate) fn with_case<T>(&self, use_it: impl FnOnce(&Case<'_>) -> T) -> T {
        let target: SocketAddr = ([10, 1, 1, 24], 6379).into();
        let server_pod = self.cluster.pods.get(1).filter(|_| self.is_pod);
        let service = self.cluster.services.first().filter(|_| self.is_pod);
        let objects = Objects::of(&self.cluster);
        let declared =
            Declared::of(&objects, self.cluster.pods.first(), server_pod, service, target, Some(&self.hello));
        let mut client = Party::at(self.from);
        client.pod = Some("web".into());
        client.namespace = Some("app".into());
        client.workload = Some("Deployment/web".into());
        let mut server = Party::at(target);
        if let Some(pod) = server_pod {
            server.pod = Some(pod.name.clone());
            server.namespace = Some(pod.namespace.clone());
            server.workload = Some("StatefulSet/redis".into());
            server.sidecar = Some(crate::identity::proxy::has_proxy(pod));
            server.service = Some("redis".into());
            server.headless = service.map(|service| service.headless);
        }
        let hello = Hello {
            time: Time(0),
            content: ClientHello::default(),
            mesh: Some(self.hello.clone()),
            wire_bytes: 205,
        };
        use_it(&Case {
            time: Time(0),
            client: &client,
            server: &server,
            is_from_proxy: true,
            is_taken_over: false,
            is_end_only: false,
            plain_hello: None,
            client_class: None,
            passed_on: PassedOn::Unknown,
            leg: None,
            hello: Some(SentHello { hello: &hello, mesh: &self.hello }),
            answer: None,
            behaviour: Behaviour::Silent,
            outcome: None,
            acceptor: self.acceptor.as_ref().map(|(owner, port)| Acceptor {
                owner,
                port: *port,
                is_proxy: crate::identity::proxy::is_proxy(owner),
            }),
            knowledge: Knowledge::default(),
            declared,
            word: Word { log: None, cluster: self.configured.as_ref() },
        })
    }
}

fn pod(namespace: &str, name: &str, address: &str) -> Pod {
    Pod {
        namespace: namespace.into(),
        name: name.into(),
        addresses: address.parse().into_iter().collect(),
        labels: [("app".into(), "redis".into())].into(),
        containers: vec![Container { name: "app".into(), id: "".into() }],
        ..Pod::default()
    }
}

fn endpoint(address: &str, pod: &str) -> Endpoint {
    Endpoint {
        namespace: "data".into(),
        service: "redis".into(),
        address: address.parse().unwrap(),
        port: Some(6379),
        port_name: "tcp-redis".into(),
        pod: Some(pod.into()),
    }
}

/// A `trafficPolicy` with this mode.
pub(crate) fn policy(mode: Option<ClientMode>) -> TrafficPolicy {
    let tls = mode.map(|mode| ClientTls { mode, ..ClientTls::default() });
    TrafficPolicy { tls, ..TrafficPolicy::default() }
}

/// A rule named `r`.
pub(crate) fn rule(namespace: &str, host: &str, policy: impl Into<Option<TrafficPolicy>>) -> DestinationRule {
    DestinationRule {
        namespace: namespace.into(),
        name: "r".into(),
        host: host.into(),
        policy: policy.into(),
        ..DestinationRule::default()
    }
}

/// What Istio's mTLS is in a sidecar's configuration, for every endpoint.
pub(crate) fn always() -> ClusterTls {
    ClusterTls::Always(TlsContext { alpn: vec!["istio".into()], ..TlsContext::default() })
}
