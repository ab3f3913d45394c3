//! The tracer's own source of the cluster, with the rights that the manifests give and no others: what it asks is right, and
//! little.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mtlsnoop::event::Event;
use mtlsnoop::event::cluster::{Change, Lookup};
use mtlsnoop::event::time::Time;
use mtlsnoop::source::kube::{Kube, Limits, Options, State};
use mtlsnoop_tests::api::{Api, Refused};
use mtlsnoop_tests::{declared, wait};
use serde_json::{Value, json};

use crate::served::{Served, rule};

const SOON: Duration = Duration::from_secs(30);

const MANIFESTS: &str = include_str!("../../deploy/manifests/mtlsnoop.yaml");

/// The source, and all that it has told.
struct Source {
    kube: Kube,
    told: Vec<Change>,
}

impl Source {
    fn start(api: &Api) -> Result<Self> {
        Self::start_with(api.kubeconfig()?.as_path())
    }

    fn start_with(kubeconfig: &Path) -> Result<Self> {
        let limits = Limits {
            forbidden_pause: Duration::from_millis(100),
            discovery_pause: Duration::from_millis(100),
            mesh_pause: Duration::from_millis(100),
            ..Limits::default()
        };
        let options = Options { node: "node-1".into(), kubeconfig: Some(kubeconfig.to_owned()), limits };
        let kube = Kube::start(&options)?.context("there is a cluster")?;
        Ok(Self { kube, told: Vec::new() })
    }

    fn wait(&mut self, what: &str, holds: impl Fn(&[Change], &State) -> bool) -> Result<()> {
        let Self { kube, told } = self;
        let waited = wait::until_true(what, SOON, || {
            kube.poll(Time::default(), &mut |event| {
                if let Event::ClusterChanged(changed) = event {
                    told.extend(changed.changes);
                }
            });
            Ok(holds(told, &kube.state()))
        });
        waited.with_context(|| format!("{told:#?}\n{:#?}", kube.state()))
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        self.wait("everything to be listed", |_, state| state.is_ready())
    }
}

fn cluster(pods: usize) -> Result<Served> {
    let served = Served::with_pods(pods)?;
    served.api.restrict(&serde_saphyr::from_multiple::<Value>(MANIFESTS)?)?;
    served.api.put_all([service(), slice(pods), rule("redis")])?;
    served.api.put_all([
        declared::mesh_config("rootNamespace: istio-system"),
        declared::istiod("1.20.3", "node-0"),
    ])?;
    Ok(served)
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "redis", "namespace": "default" },
        "spec": {
            "clusterIP": "None",
            "clusterIPs": ["None"],
            "ports": [{ "name": "tcp-redis", "port": 6379, "protocol": "TCP", "targetPort": 6379 }],
            "selector": { "app": "redis" },
            "type": "ClusterIP"
        },
        "status": { "loadBalancer": {} }
    })
}

fn slice(pods: usize) -> Value {
    let endpoint = |nth: usize| {
        json!({
            "addresses": [format!("10.0.0.{nth}")],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": format!("node-{}", nth % 2),
            "targetRef": { "kind": "Pod", "name": format!("redis-{nth}"), "namespace": "default", "uid": nth.to_string() }
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "redis-x7k2p",
            "namespace": "default",
            "generateName": "redis-",
            "labels": {
                "app": "redis",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": "redis",
                "service.kubernetes.io/headless": ""
            }
        },
        "addressType": "IPv4",
        "endpoints": (0..pods).map(endpoint).collect::<Vec<_>>(),
        "ports": [{ "name": "tcp-redis", "port": 6379, "protocol": "TCP" }]
    })
}

fn is_pod(change: &Change, name: &str) -> bool {
    matches!(change, Change::Pod(pod) if *pod.name == *name)
}

#[test]
fn what_it_asks_is_allowed_and_little() -> Result<()> {
    let served = cluster(4)?;
    let mut source = Source::start(&served.api)?;
    source.wait_until_ready()?;
    source.wait("what concerns this node", |told, _| {
        let has = |wanted: fn(&Change) -> bool| told.iter().any(wanted);
        told.iter().any(|change| is_pod(change, "redis-1"))
            && told.iter().any(|change| is_pod(change, "redis-3"))
            && has(|change| matches!(change, Change::Service(service) if service.headless))
            && has(|change| matches!(change, Change::Slice(slice) if slice.endpoints.len() == 4))
            && has(|change| matches!(change, Change::Istio(istio) if !istio.destination_rules.is_empty()))
    })?;
    assert!(!source.told.iter().any(|change| is_pod(change, "redis-0")), "it is on another node");
    for request in served.api.requests().iter().filter(|request| request.code != 404) {
        let is_bounded =
            request.verb == "get" || request.uri.contains("Selector=") || is_rare(&request.resource);
        assert!(is_bounded && request.code < 300, "{request:?}");
    }
    source.kube.stop();
    served.api.check()
}

/// Kinds of which a cluster has few objects, and what the server says of itself.
fn is_rare(resource: &str) -> bool {
    resource.starts_with('/')
        || ["destinationrules", "peerauthentications", "serviceentries", "workloadentries"]
            .contains(&resource)
}

#[test]
fn a_pod_of_another_node_is_looked_up_by_its_address() -> Result<()> {
    let served = cluster(4)?;
    let mut source = Source::start(&served.api)?;
    source.wait_until_ready()?;
    let lookup = Lookup { address: [10, 0, 0, 2].into(), service: Some(("default".into(), "redis".into())) };
    source.kube.look_up(vec![lookup]);
    source.wait("the pod", |told, _| {
        told.iter().any(|change| is_pod(change, "redis-2"))
            && told
                .iter()
                .any(|change| matches!(change, Change::LookedUp(looked) if looked.failure.is_none()))
    })?;
    source.kube.stop();
    served.api.check()
}

#[test]
fn changes_come_through_whatever_breaks() -> Result<()> {
    let mut served = cluster(2)?;
    let mut source = Source::start(&served.api)?;
    source.wait_until_ready()?;
    for (nth, what) in ["cut", "broken", "gone", "expired", "refused"].into_iter().enumerate() {
        match what {
            "cut" => served.api.faults().cut_watches_after = Some(Duration::from_millis(200)),
            "broken" => served.api.break_connections(),
            "gone" => {
                served.api.stop();
                served.api.start()?;
            }
            "expired" => served.api.expire_versions(),
            _ => {
                let refused = |code| Refused {
                    resource: None,
                    verb: None,
                    code,
                    retry_after_seconds: Some(1),
                    times: 2,
                };
                served.api.faults().refusals = [429, 500, 503].map(refused).into();
                served.api.break_connections();
            }
        }
        let name = format!("redis-{}", 11 + 2 * nth);
        served.api.put(crate::served::pod(11 + 2 * nth))?;
        source.wait(what, |told, _| told.iter().any(|change| is_pod(change, &name)))?;
    }
    served.api.delete("pods", "default", "redis-11")?;
    source.wait("the pod's end", |told, _| {
        told.iter().any(|change| matches!(change, Change::PodGone { name, .. } if **name == *"redis-11"))
    })?;
    source.kube.stop();
    served.api.check()
}
